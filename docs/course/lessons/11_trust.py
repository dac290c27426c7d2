# %% [markdown]
# # 11 · Why did it say that, and when should it say nothing?
#
# *Question of this lesson: can you believe a network's confidence, and see its reasons?*
#
# **Predict first.** You show a network of digits a picture of pure noise. Does it say "I do not know"?

# %%
import matplotlib.pyplot as plt
import numpy as np

import glyphnet
from glyphnet.course import check
from glyphnet.plots import gallery

run = glyphnet.train("digits", preset="fast", changes={"epochs": 15})
classifier, test = run.classifier, run.splits.test
random = np.random.default_rng(0)
noise = random.integers(0, 256, (1, 8, 8, 1), dtype=np.uint8)
probabilities = classifier.predict_proba(noise)[0]
print(f"the network sees the digit {classifier.classes[probabilities.argmax()]}, and is {probabilities.max():.0%} sure")

# %% [markdown]
# Its ten outputs must add up to 1, so *some* digit wins. It has no output for "none of these". We come back to that.
#
# ## Is its confidence true?
#
# If a weather forecaster says "90 % rain" on ten days, it should rain on nine. Check the network in the same way:
# group its answers by confidence, and count how many were right. On the diagonal, confidence is true.

# %%
run.evaluation.plot_reliability()
plt.show()
print(f"mean distance from the truth: {run.evaluation.uncalibrated.calibration_error:.1%} before, ", end="")
print(f"{run.evaluation.calibration_error:.1%} after a temperature of {classifier.temperature:.2f} corrected it")

# %% [markdown]
# **Exercise 11.1.** A network gave 40 answers with a confidence of about 90 %. 20 of them were right. What *should*
# its confidence have been?

# %%
answer = None
check("11.1", answer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# answer = 20 / 40
# ```
#
# It was far too sure of itself, as untreated networks often are.
# </details>

# %% [markdown]
# ## Say nothing
#
# Answer only above a threshold, and pass the rest to a person. The curve shows the bargain: answer fewer pictures,
# and be right more often.

# %%
run.evaluation.plot_coverage()
plt.show()
for threshold in (0.0, 0.6, 0.9, 0.99):
    answered = run.evaluation.confidence >= threshold
    right = run.evaluation.correct[answered].mean()
    print(f"threshold {threshold:.2f}: answers {answered.mean():6.1%}, of these right {right:.1%}")

# %% [markdown]
# **Exercise 11.2.** A wrong answer costs much, asking a person costs little. Choose a threshold between 0 and 1 that
# rejects something, but not everything.

# %%
answer = None
check("11.2", answer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# answer = 0.9
# ```
#
# There is no single right one: it follows from what a mistake and a question cost.
# </details>

# %% [markdown]
# ## Unlike anything I know
#
# Confidence does not notice noise. Another question does: *how far is this picture from those that I learned from?*
# GlyphNet keeps typical examples in the model and measures that distance.

# %%
faces = np.zeros((3, 8, 8, 1), np.uint8)
faces[0] = noise[0]
faces[1, ::2] = 255  # stripes
faces[2, 1:7, 1:7] = 200  # a block
shown = np.concatenate([faces, test.images[:4]])
answers = classifier.answer(shown, as_is=True)
titles = [f"{name}\n{reason or 'answered'}" for name, reason in zip(answers.names(), answers.reasons, strict=True)]
gallery(shown, titles, columns=7)
plt.show()

# %% [markdown]
# Which of the strange pictures did it refuse, and for which reason? It does not catch all: no such test does.
#
# ## What did it look at?
#
# Change a pixel a little, and see how much the answer changes: that gives a map of what mattered. Blue pixels speak
# *for* the answer, red ones *against* it.

# %%
row = int(np.flatnonzero(~run.evaluation.correct)[0]) if (~run.evaluation.correct).any() else 0
maps = glyphnet.explain.saliency(classifier, np.concatenate([test.images[row : row + 1], test.images[:3]]))
figure, panels = plt.subplots(2, 4, figsize=(9, 4.4))
for column, (at, found) in enumerate(zip((row, 0, 1, 2), maps, strict=True)):
    said = classifier.classes[run.evaluation.predictions[at]]
    panels[0, column].imshow(test.images[at, :, :, 0], cmap="gray")
    panels[0, column].set_title(f"a {test.classes[test.labels[at]]}, it says {said}")
    panels[1, column].imshow(found, cmap="RdBu", vmin=-abs(found).max(), vmax=abs(found).max())
for panel in panels.flat:
    panel.axis("off")
plt.show()

# %% [markdown]
# Such a map shows where the network is sensitive. It does not prove *why*. A famous network told horses from other
# pictures by the photographer's stamp in a corner: a map can show you that, if you look.
#
# ## What you know now
#
# - Confidence must be checked against the truth, and can be corrected.
# - "I do not know" needs rules of its own: a threshold, and a distance from what was learned.
# - Maps are clues, not proofs.
#
# **Try on your own.** `glyphnet explain` draws such maps by several methods. Do they agree?

# %% [markdown]
# # 10 · Judge it honestly
#
# *Question of this lesson: what does "98 % right" mean, and when does it mean nothing?*
#
# **Predict first.** A test finds faulty parts. 95 of 100 parts are fine. A "classifier" that always says *fine*: what
# is its accuracy? Would you buy it?

# %%
import matplotlib.pyplot as plt
import numpy as np

import glyphnet
from glyphnet.course import check

run = glyphnet.train("digits", preset="fast", changes={"network": {"kind": "mlp", "hidden": [32]}, "epochs": 12})
evaluation = run.evaluation
evaluation

# %% [markdown]
# ## Which mistakes?
#
# The **confusion matrix** above counts them: a row for each true digit, a column for each answer. The diagonal is
# right. Which pair is confused most? Look at the pictures: would you have known?

# %%
for pair in evaluation.most_confused(5):
    print(f"{evaluation.classes[pair.true]} taken for {evaluation.classes[pair.predicted]}: {pair.count} times")
evaluation.plot_top_losses(10)
plt.show()

# %% [markdown]
# ## Two questions instead of one
#
# Back to the faulty parts. A better test raises 10 alarms, 8 of them on parts that really are faulty. There are 12
# faulty parts in all.
#
# - **Precision**: of the alarms, how many were right?
# - **Recall**: of the faulty parts, how many were found? Here 8 of 12.
#
# **Exercise 10.1.** What is the precision?

# %%
answer = None
check("10.1", answer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# answer = 8 / 10
# ```
#
# "Always fine" has 95 % accuracy and a recall of 0. When classes are unequal, accuracy alone hides it.
# </details>

# %%
for name, scores in list(evaluation.classification_report.items())[:4]:
    print(f"digit {name}: precision {scores.precision.value:.1%}, recall {scores.recall.value:.1%}")

# %% [markdown]
# ## How much is luck?
#
# The test part is a sample. Another sample would give another figure. How different? Draw 1,000 samples from a
# classifier that is right in exactly 90 % of all cases, and look:

# %%
random = np.random.default_rng(0)
figure, panels = plt.subplots(1, 3, figsize=(11, 2.6), sharex=True)
for panel, size in zip(panels, (30, 100, 1000), strict=True):
    shares = random.binomial(size, 0.9, 1000) / size
    panel.hist(shares, bins=np.linspace(0.7, 1.0, 31), color="#0067a8")
    low, high = np.percentile(shares, [2.5, 97.5])
    panel.set_title(f"{size} pictures: 95 % within {low:.0%} to {high:.0%}")
plt.show()

# %% [markdown]
# So an accuracy without its interval and its number of pictures is half a figure. GlyphNet prints all three:

# %%
print(run)

# %% [markdown]
# **Exercise 10.2.** Network A: 91 of 100 right (interval 84 to 95 %). Network B: 88 of 100 right (80 to 93 %). Is it
# shown that A is better? Write `"yes"` or `"no"`.

# %%
answer = None
check("10.2", answer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# answer = "no"
# ```
#
# Three pictures of a hundred can go either way. Take more pictures, or compare both networks *on the same pictures*,
# as below.
# </details>

# %% [markdown]
# ## A fair duel
#
# If both answer the same pictures, only those count on which they differ. Ten to nine is luck, nineteen to nothing is
# not:

# %%
other = glyphnet.train("digits", preset="fast", changes={"network": "linear", "epochs": 12, "augment": {}})
first, second = evaluation.correct, other.evaluation.correct
print(f"only the first is right: {(first & ~second).sum()}, only the second: {(second & ~first).sum()}")
result = glyphnet.compare_models(run.classifier, other.classifier, "digits")
print(result)

# %% [markdown]
# ## And the start
#
# A training begins with random weights. So train five times with different seeds before you say "my change helped":

# %%
shares = []
for seed in range(5):
    changes = {"network": {"kind": "mlp", "hidden": [16]}, "epochs": 8, "seed": seed}
    shares.append(glyphnet.train("digits", preset="fast", changes=changes).evaluation.accuracy)
print("five starts:", ", ".join(f"{share:.1%}" for share in shares), f"  spread {max(shares) - min(shares):.1%}")

# %% [markdown]
# ## The best of many is lucky, too
#
# You try thirty settings and take the best on 300 validation pictures. Suppose none of them matters: all are right in
# exactly 90 % of cases. What does the best one *look* like?

# %%
best = {trials: (random.binomial(300, 0.9, (2000, trials)) / 300).max(axis=1) for trials in (1, 10, 30, 100)}
for trials, shares in best.items():
    print(f"best of {trials:3}: looks like {shares.mean():.1%}, and is worth 90.0%")

# %% [markdown]
# That is the winner's curse of every search for settings (`glyphnet tune`; `glyphnet lab tuning` does one for real).
# So the last word has a test part that chose nothing.

# %% [markdown]
# ## What you know now
#
# - Ask for the baseline, the kinds of mistake, the interval, and the number of pictures.
# - Compare on the same pictures, and over several starts. Choose on validation, never on the test part.
#
# **Try on your own.** Open the `report.html` of a run folder: every figure of this lesson is in it.

# %% [markdown]
# # 8 · Learning by heart is not understanding
#
# *Question of this lesson: how do you notice that a network memorises, and what helps?*
#
# A pupil who learns last year's answers by heart gets full marks on last year's test. So does a network with many
# weights and few pictures. It is called **over-fitting**.
#
# **Predict first.** A network with 12,000 weights learns from only 60 pictures. How many of these 60 will it get
# right at the end? And how many new ones?

# %%
import matplotlib.pyplot as plt
import numpy as np

import glyphnet
from glyphnet.course import check
from glyphnet.data import Splits

data = glyphnet.load("digits")


def part(count):
    """The data with few training pictures, and a validation part that is large enough to believe."""
    rest = data.train.subset(slice(894, None))
    return Splits("few digits", data.train.subset(slice(0, count)), rest, data.test)


plain = {"network": {"kind": "mlp", "hidden": [128]}, "augment": {}, "loss.label_smoothing": 0.0, "epochs": 40}
memoriser = glyphnet.train(part(60), preset="fast", changes=plain)
last = memoriser.history[-1]
print(f"training pictures: {last['accuracy']:.1%} right; pictures it never saw: {last['val_accuracy']:.1%}")

# %% [markdown]
# ## The two curves
#
# Training pictures teach; **validation** pictures only watch. Where the curves part, memorising begins.

# %%
history = memoriser.history
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3))
for panel, key, title in ((left, "loss", "loss"), (right, "accuracy", "accuracy")):
    panel.plot([row[key] for row in history], label="training")
    panel.plot([row["val_" + key] for row in history], label="validation")
    panel.set_title(title)
    panel.set_xlabel("epoch")
    panel.legend()
plt.show()

# %% [markdown]
# **Exercise 8.1.** You want to stop before memorising. Which loss do you watch, `"training"` or `"validation"`?

# %%
answer = None
check("8.1", answer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# answer = "validation"
# ```
#
# To stop when it rises, or to keep the weights of the best epoch, is called **early stopping**. GlyphNet keeps the
# best epoch.
# </details>

# %% [markdown]
# ## Too simple, too free: bias and variance
#
# The same question without networks: draw a curve through ten measured points. A straight line is too stiff, it
# misses the bend wherever the points fall (**bias**). A curve of degree 9 touches every point and swings wildly
# between; ten new points would give another curve (**variance**).

# %%
random = np.random.default_rng(3)
x = np.linspace(0, 1, 10)
fine = np.linspace(0, 1, 200)
figure, panels = plt.subplots(1, 3, figsize=(12, 3), sharey=True)
for panel, degree in zip(panels, (1, 3, 9), strict=True):
    for _ in range(5):
        y = np.sin(5 * x) + random.normal(0, 0.2, len(x))
        panel.plot(fine, np.polyval(np.polyfit(x, y, degree), fine), color="#0067a8", alpha=0.5)
    panel.plot(fine, np.sin(5 * fine), "--", color="black")
    panel.set_ylim(-2.2, 2.2)
    panel.set_title(f"degree {degree}: five data sets")
plt.show()

# %% [markdown]
# ## Dropout: train a crowd
#
# In each training step **dropout** silences some hidden units at random. Each step so trains another, thinner
# network. In use all units speak, which is like asking the crowd. Watch that happen: three units, each silent half of
# the time.

# %%
units = np.array([2.0, -1.0, 3.0])
masks = np.array([[a, b, c] for a in (0, 1) for b in (0, 1) for c in (0, 1)])
sums = (masks * units).sum(axis=1)
print("the eight thinned networks say:", sums)
print(f"their average: {sums.mean()}; all units: {units.sum()}, times one half: {units.sum() / 2}")

# %% [markdown]
# The whole network times (1 − rate) equals the average of all thinned ones. Programs turn this round: they multiply by
# 1 / (1 − rate) *during training*, so that nothing has to be changed afterwards.
#
# Averaging many models is an old idea: **bagging** trains many, each on its own draw of the data, and lets them vote.
# Dropout does it within one network. Some drop units **only in the first part** of a training (early dropout: Liu and
# others, 2023): `glyphnet lab dropout` has a live part on it.
#
# **Exercise 8.2.** Dropout with a rate of 0.2. By what are the remaining units multiplied?

# %%
answer = None
check("8.2", answer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# answer = 1 / (1 - 0.2)
# ```
# </details>

# %% [markdown]
# ## Batch normalisation: keep the signal alive
#
# Deep networks have another trouble: layer by layer the numbers shrink to nothing or grow until every unit is stuck.
# **Batch normalisation** subtracts from each unit's sums their mean over the batch and divides by their spread. Five
# layers of untrained tanh units, with first weights that are too small, right, and too large:

# %%
random = np.random.default_rng(0)
inputs = data.train.images[:200].reshape(200, -1) / 255
figure, panels = plt.subplots(2, 3, figsize=(11, 4), sharex=True)
for column, size in enumerate((0.3, 1.0, 4.0)):
    for row, normed in enumerate((False, True)):
        values = inputs
        for _ in range(5):
            sums = values @ random.normal(0, size / np.sqrt(values.shape[1]), (values.shape[1], 32))
            values = np.tanh((sums - sums.mean(axis=0)) / sums.std(axis=0) if normed else sums)
        panels[row, column].hist(values.ravel(), bins=40, range=(-1, 1), color="#0067a8")
        panels[row, column].set_title(f"weights × {size}, {'with' if normed else 'without'}")
        panels[row, column].set_yticks([])
figure.tight_layout()
plt.show()

# %% [markdown]
# ## What helps? Measure it
#
# - **Penalties** pull weights toward 0: L2 adds `l2/2 · Σ w²` to the cost (large weights pay most), L1 adds
#   `l1 · Σ |w|` (many weights become 0).
# - **Batch normalisation** adds the noise of each batch.
# - **Augmentation** shifts and turns the pictures a little: new ones for free.
# - **More pictures**: the best, if you can get them.
#
# Predict the order before you run it.

# %%
remedies = {
    "nothing": (60, {}),
    "L2 penalty": (60, {"l2": 0.01}),
    "dropout 0.5": (60, {"network.dropout": 0.5}),
    "batch normalisation": (60, {"network.batch_norm": True}),
    "augmentation": (60, {"augment": {"shift": 1, "rotate": 8}}),
    "600 pictures": (600, {}),
}
results = {}
for name, (count, change) in remedies.items():
    shares = []
    for seed in range(3):
        run = glyphnet.train(part(count), preset="fast", changes={**plain, **change, "epochs": 20, "seed": seed})
        shares.append(run.history[-1]["val_accuracy"])
    results[name] = shares
    print(f"{name:20} {np.mean(shares):.1%}   (from {min(shares):.1%} to {max(shares):.1%})")

# %%
plt.figure(figsize=(7, 2.6))
for at, (_, shares) in enumerate(results.items()):
    plt.plot(shares, [at] * len(shares), "o", color="#0067a8", alpha=0.6)
plt.yticks(range(len(results)), list(results))
plt.gca().invert_yaxis()
plt.xlabel("accuracy on validation pictures, three starts each")
plt.show()

# %% [markdown]
# Differences smaller than the spread of the dots are luck. Why would *mirroring* be a bad augmentation for digits,
# and a good one for shoes?
#
# ## What you know now
#
# - The gap between training and validation shows memorising.
# - More pictures and augmentation attack the cause; penalties, dropout and early stopping hold the network back.
#
# **Try on your own.** `glyphnet lab regularisation` and `glyphnet lab dropout` do this at full size.

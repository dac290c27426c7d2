# %% [markdown]
# # 9 · Sliding windows
#
# *Question of this lesson: how can a network see a stroke wherever it is?*
#
# Lesson 2 ended badly: one pixel to the right, and recognition broke. A neuron with a weight for *each* pixel knows a
# stroke only at the place where it learned it. The cure: a small window of weights, which slides over the whole
# picture.
#
# **Predict first.** The window `[-1, 0, 1]` in three rows slides over a white bar on black. Where will it answer: on
# the bar, on its left edge, on its right edge?

# %%
import matplotlib.pyplot as plt
import numpy as np

import glyphnet
from glyphnet.course import check
from glyphnet.data import Splits


def slide(picture, window):
    """Multiply and add at each place: convolution, as networks mean it."""
    rows, columns = picture.shape[0] - 2, picture.shape[1] - 2
    found = np.zeros((rows, columns))
    for row in range(rows):
        for column in range(columns):
            found[row, column] = (picture[row : row + 3, column : column + 3] * window).sum()
    return found


bar = np.zeros((9, 9))
bar[1:8, 3:6] = 1
window = np.array([[-1, 0, 1], [-1, 0, 1], [-1, 0, 1]])
found = slide(bar, window)
figure, (left, right) = plt.subplots(1, 2, figsize=(6.4, 3))
left.imshow(bar, cmap="gray")
left.set_title("a bar")
right.imshow(found, cmap="RdBu", vmin=-3, vmax=3)
right.set_title("what the window finds")
plt.show()

# %% [markdown]
# Blue is a positive answer: dark on the left, bright on the right. Red is the opposite. On even areas it is silent.
# The result is a **map**: where is the thing that this window looks for?
#
# **Exercise 9.1.** Write another 3×3 window, as a list of three rows, that answers to *vertical* edges, and is silent
# on even areas and on horizontal edges.

# %%
answer = None
check("9.1", answer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# answer = [[1, 0, -1], [2, 0, -2], [1, 0, -1]]
# ```
#
# Every row adds up to 0, so what does not change sideways cancels out. Many windows do.
# </details>

# %% [markdown]
# ## Four windows on one digit
#
# After the window comes ReLU (keep what is positive), then **pooling**: of each 2×2 places keep the largest. The
# picture gets smaller, and a shift by one pixel often changes nothing any more.

# %%
data = glyphnet.load("digits")
digit = np.pad(data.train.images[3, :, :, 0] / 255, 1)
windows = {"left edges": window, "right edges": -window, "upper edges": window.T, "lower edges": -window.T}
figure, panels = plt.subplots(2, 5, figsize=(11, 4.6))
panels[0, 0].imshow(digit, cmap="gray")
panels[0, 0].set_title(f"a {data.train.labels[3]}")
for column, (name, each) in enumerate(windows.items(), start=1):
    kept = np.maximum(slide(digit, each), 0)
    pooled = kept.reshape(4, 2, 4, 2).max(axis=(1, 3))
    panels[0, column].imshow(kept, cmap="Blues")
    panels[0, column].set_title(name)
    panels[1, column].imshow(pooled, cmap="Blues")
    panels[1, column].set_title("pooled")
for panel in panels.flat:
    panel.axis("off")
plt.show()

# %% [markdown]
# A network does not get these windows from us. It *learns* them, by walking downhill, as all its weights.
#
# **Exercise 9.2.** A layer has 8 windows of 3×3 on a grey picture, each with a bias. How many numbers does it learn?

# %%
answer = None
check("9.2", answer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# answer = 8 * (3 * 3 + 1)
# ```
#
# The size of the picture does not matter. A fully connected layer of 128 units on 28×28 pixels learns 100,480.
# </details>

# %% [markdown]
# ## The promise, tested
#
# Train both kinds on the same unshifted digits, in a wider black frame. Then shift the test digits. Predict: after two
# pixels, which network keeps how much?


# %%
def framed(dataset, across=0):
    """The digits in a frame of two black pixels, moved to the right."""
    images = np.pad(dataset.images, ((0, 0), (2, 2), (2, 2), (0, 0)))
    moved = np.roll(images, across, axis=2)
    return glyphnet.ImageDataset(moved, dataset.labels, dataset.classes, list(dataset.names))


frames = Splits("framed digits", framed(data.train), framed(data.validation), framed(data.test))
kinds = {
    "fully connected": {"network": {"kind": "mlp", "hidden": [64]}},
    "sliding windows": {"network": {"kind": "cnn"}},
}
shares = {}
for name, change in kinds.items():
    run = glyphnet.train(frames, preset="fast", changes={**change, "augment": {}, "epochs": 12})
    shares[name] = [
        (run.classifier.predict_labels(framed(data.test, across).images, as_is=True) == data.test.labels).mean()
        for across in range(3)
    ]
    print(f"{name}: " + ", ".join(f"{share:.1%} at {across} px" for across, share in enumerate(shares[name])))

plt.figure(figsize=(5, 3))
for name, line in shares.items():
    plt.plot(range(3), line, "o-", label=name)
plt.xticks(range(3))
plt.xlabel("pixels shifted")
plt.ylabel("accuracy")
plt.legend()
plt.show()

# %% [markdown]
# Windows help, and they are no magic: the last layer still counts places. Training on shifted pictures (augmentation)
# adds the rest.
#
# ## Look inside
#
# Here are the maps of the first layer for one digit. Can you tell which windows look for edges, and of which direction?

# %%
found = glyphnet.explain.activations(run.classifier, frames.test.images[:1])
layer = next(each for each in found if each.values.ndim == 3)  # the first that has maps
figure, panels = plt.subplots(2, 8, figsize=(11, 3))
for panel, number in zip(panels.flat, range(layer.values.shape[2]), strict=False):
    panel.imshow(layer.values[:, :, number], cmap="Blues")
for panel in panels.flat:
    panel.axis("off")
plt.show()

# %% [markdown]
# ## What you know now
#
# - A window finds the same thing everywhere, with few weights.
# - ReLU and pooling keep what was found and forget a little of where.
#
# **Try on your own.** `glyphnet lab cnn` shows maps, receptive fields and larger shifts.

# %% [markdown]
# # 7 · A training, turned by hand
#
# *Question of this lesson: what do epoch, batch and learning rate do, and how do you see that a training is ill?*
#
# **Predict first.** Two trainings see the same 1,280 pictures for the same 10 rounds. One corrects its weights after
# every picture, the other after seeing all. Which ends up better?

# %%
import matplotlib.pyplot as plt
import numpy as np

import glyphnet
from glyphnet.course import check
from glyphnet.scratch import NeuralNetMLP

data = glyphnet.load("digits")
pixels = data.train.images.reshape(len(data.train), -1)[:1280] / 255
labels = data.train.labels[:1280]

# %% [markdown]
# One round through all pictures is an **epoch**. The pictures between two corrections are a **batch**.
#
# **Exercise 7.1.** 1,280 pictures, 32 in a batch: how many steps has an epoch?

# %%
answer = None
check("7.1", answer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# answer = 1280 // 32
# ```
# </details>

# %% [markdown]
# ## One picture at a time, some, or all
#
# The slope of a single picture is a rumour; that of all is the truth, but slow to collect. The rates below are scaled
# so that each training moves about as far in an epoch as it safely can.

# %%
trained = {}
for size, rate in ((1, 0.1), (32, 0.03), (1280, 0.002)):
    net = NeuralNetMLP(30, epochs=10, minibatches=len(pixels) // size, learning_rate=rate, random_state=0)
    trained[size] = net.fit(pixels, labels)

figure, panels = plt.subplots(1, 3, figsize=(12, 2.8))
for panel, (size, net) in zip(panels, trained.items(), strict=True):
    cost = np.array(net.cost_) / size
    panel.plot(np.linspace(0, 10, len(cost)), cost, lw=0.7, color="#0067a8")
    panel.set_title(f"batches of {size:,}: {len(cost):,} steps, {net.score(pixels, labels):.0%} right")
    panel.set_xlabel("epoch")
panels[0].set_ylabel("cost of a picture")
plt.show()

# %% [markdown]
# Left: many steps and much noise. Right: no noise and hardly any steps. The middle is what everybody uses.
#
# ## The learning rate
#
# Same network, same pictures, four rates. Look at the curves *before* you look at the numbers.

# %%
plt.figure(figsize=(8, 3.2))
for rate in (0.0005, 0.005, 0.05, 1.0):
    net = NeuralNetMLP(30, epochs=15, minibatches=40, learning_rate=rate, random_state=0).fit(pixels, labels)
    plt.plot(net.epoch_cost_, label=f"rate {rate:g}: {net.score(pixels, labels):.0%} right")
plt.xlabel("epoch")
plt.ylabel("cost of a batch")
plt.yscale("log")
plt.legend()
plt.show()

# %% [markdown]
# **Exercise 7.2.** A training's cost jumps up and down and does not fall. Is its learning rate `"too high"` or `"too
# low"`?

# %%
answer = None
check("7.2", answer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# answer = "too high"
# ```
#
# With a rate that is too low the curve is smooth and falls slowly.
# </details>

# %% [markdown]
# ## Other knobs: hidden units, momentum, decay of the rate
#
# Change one thing at a time, and use several starts: is the difference larger than luck?

# %%
base = {"n_hidden": 30, "epochs": 8, "minibatches": 40, "learning_rate": 0.01}
variants = {
    "as it is": {},
    "5 hidden units": {"n_hidden": 5},
    "100 hidden units": {"n_hidden": 100},
    "momentum 0.9": {"momentum": 0.9},
    "falling rate": {"decay": 0.5},
    "never shuffled": {"shuffle": False},
}
held_pixels = data.validation.images.reshape(len(data.validation), -1) / 255
for name, change in variants.items():
    shares = [
        NeuralNetMLP(**(base | change), random_state=seed)
        .fit(pixels, labels)
        .score(held_pixels, data.validation.labels)
        for seed in range(3)
    ]
    print(f"{name:17} {np.mean(shares):6.1%}   (from {min(shares):.1%} to {max(shares):.1%})")

# %% [markdown]
# ## The same with the whole tool
#
# `glyphnet.train` does all of this with settings that suit the data. In Jupyter, `Live()` shows the curves while
# they grow.

# %%
run = glyphnet.train("digits", preset="fast", changes={"epochs": 12}, reporter=glyphnet.Live())
run

# %% [markdown]
# ## The same in another framework
#
# Most courses use **Keras**. Its words are other, the network is the same. Read both; then, where Keras is installed
# (`pip install keras`), both run from the same weights, with the same pictures in each batch:

# %%
from glyphnet.labs import beside_keras

print(beside_keras.code()["with_glyphnet"], "\n\n")
print(beside_keras.code()["with_keras"])

# %%
found = beside_keras.compare(data, 3, progress=lambda done, total, what: None)
if found is None:
    print("Keras is not installed here, so nothing was compared.")
else:
    for row in found["rows"]:
        print(f"{row['name']:9} loss of each epoch: {', '.join(f'{loss:.5f}' for loss in row['losses'])}")
    print(f"the same answer on {found['same_labels']} of {found['test_images']} new digits")

# %% [markdown]
# ## What you know now
#
# - Small batches: many rough steps. Large batches: few exact ones.
# - Jumping curve: rate too high. Smooth and slow: too low.
#
# **Try on your own.** `run.recipe` prints every setting. Change one by `changes={"optimizer.lr": ...}`, and predict
# the curve.

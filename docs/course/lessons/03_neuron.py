# %% [markdown]
# # 3 · One neuron
#
# *Question of this lesson: what can a single neuron decide, and what can it never decide?*
#
# A neuron of a network is not mysterious. It **weighs** its inputs, adds them up with a **bias**, and says how much
# "yes" that is. Think of choosing a film: good actors count +2, a long running time −1, and your mood is the bias.
#
# **Predict first.** A neuron with two inputs draws a border between "yes" and "no". What shape has that border?

# %%
import matplotlib.pyplot as plt
import numpy as np

import glyphnet
from glyphnet.course import check


def weigh(inputs, weights, bias):
    """The sum that a neuron decides by."""
    return np.dot(inputs, weights) + bias


print(weigh([1.0, 1.0], weights=[2.0, -1.0], bias=0.5))

# %% [markdown]
# **Exercise 3.1.** Compute by hand: inputs 1 and 0.5, weights 2 and −1, bias −2.

# %%
answer = None
check("3.1", answer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# answer = 2 * 1 + (-1) * 0.5 + (-2)
# ```
# </details>

# %% [markdown]
# ## From a straight line to a soft step
#
# The sum can be any number. We want "yes" to be 1 and "no" to be 0. Fit a straight line to such data, and it runs
# past both. So the line is squeezed by a curve that flattens at both ends, the **sigmoid**: `1 / (1 + exp(−sum))`.
# The figure shows measured lengths of leaves: tree A has short ones (0), tree B long ones (1).


# %%
def sigmoid(z):
    """From any number to a number between 0 and 1."""
    return 1 / (1 + np.exp(-z))


random = np.random.default_rng(1)
lengths = np.concatenate([random.normal(3, 0.7, 20), random.normal(6, 0.9, 20)])
is_b = np.repeat([0, 1], 20)
slope, start = np.polyfit(lengths, is_b, 1)  # the straight line with the smallest squared error
across = np.linspace(0, 9, 200)
plt.figure(figsize=(7, 3.2))
plt.plot(lengths, is_b, "o", alpha=0.5, label="leaves")
plt.plot(across, slope * across + start, "--", label="straight line")
plt.plot(across, sigmoid(3 * (across - 4.5)), label="squeezed by a sigmoid")
plt.xlabel("length in cm")
plt.yticks([0, 0.5, 1])
plt.legend()
plt.show()
print(f"the line gives a leaf of 9 cm {slope * 9 + start:.2f}: more than 1 is no probability")

# %% [markdown]
# ## A neuron draws a straight border
#
# With two inputs, "sum = 0" is a straight line. On one side the neuron says yes, on the other no. Here is a neuron
# that computes OR: yes, if at least one input is 1.


# %%
def show(weights, bias, title, wanted):
    """The four corners, coloured as wanted, and what the neuron answers everywhere."""
    a, b = np.meshgrid(np.linspace(-0.4, 1.4, 150), np.linspace(-0.4, 1.4, 150))
    answers = sigmoid(8 * (weights[0] * a + weights[1] * b + bias))
    plt.figure(figsize=(3.4, 3))
    plt.contourf(a, b, answers, levels=20, cmap="RdBu_r", alpha=0.6, vmin=0, vmax=1)
    for x in (0, 1):
        for y in (0, 1):
            plt.plot(x, y, "o", ms=14, mec="black", mfc="#b84a00" if wanted(x, y) else "#0067a8")
    plt.title(title)
    plt.show()


show((1, 1), -0.5, "OR", lambda x, y: x or y)

# %% [markdown]
# **Exercise 3.2.** Find two weights and a bias for AND: yes only if *both* inputs are 1. Give the three numbers as
# `(weight, weight, bias)`.

# %%
answer = None
check("3.2", answer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# answer = (1, 1, -1.5)
# ```
#
# With both inputs on the sum is 2, minus 1.5 is above zero. With one on it is 1 − 1.5, below zero.
# </details>

# %% [markdown]
# ## The border that does not exist
#
# XOR wants yes if *exactly one* input is 1. Try to draw one straight line with the two red corners on one side and the
# two blue ones on the other:

# %%
show((1, 1), -0.5, "XOR: this line gets one corner wrong", lambda x, y: x != y)
best = 0
for w1 in np.linspace(-2, 2, 21):
    for w2 in np.linspace(-2, 2, 21):
        for bias in np.linspace(-3, 3, 31):
            right = sum((w1 * x + w2 * y + bias > 0) == (x != y) for x in (0, 1) for y in (0, 1))
            best = max(best, right)
print(f"the best of {21 * 21 * 31:,} neurons that were tried gets {best} of 4 corners right")

# %% [markdown]
# None of them gets four. This is not bad luck: no straight line can do it. Lesson 5 shows the way out.
#
# ## A neuron that looks at a digit
#
# With 64 inputs nothing changes: 64 weights, one sum. So the weights are a picture too. GlyphNet trains ten such
# neurons, one for each digit, and nothing else:

# %%
run = glyphnet.train("digits", changes={"network": "linear", "epochs": 15, "augment": {}}, preset="fast")
print(run)
weights = glyphnet.explain.first_layer_weights(run.classifier)
weights.figure()

# %% [markdown]
# Blue: a bright pixel there speaks for the digit. Red: it speaks against it. Look at the 0: what is in its middle,
# and why?
#
# ## What you know now
#
# - A neuron is a weighted sum, a bias, and a squeeze.
# - Its border is straight. Some questions, such as XOR, are out of its reach.
#
# **Try on your own.** In `glyphnet playground`, choose XOR with no hidden layer, and watch it fail.

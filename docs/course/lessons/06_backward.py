# %% [markdown]
# # 6 · Forward and backward, with every number
#
# *Question of this lesson: how does a network know which weight to blame?*
#
# A network with 70,000 weights needs 70,000 slopes, at every step. Trying each weight would take 70,000 runs.
# **Backpropagation** finds all slopes in *one* run backwards. You will do it by hand, on a network with four weights.
#
# **Predict first.** A gear turns a second one 3 times as fast, and that one a third 2 times as fast. You turn the
# first once. How often does the third turn?
#
# **Exercise 6.1.** Write the number.

# %%
import matplotlib.pyplot as plt
import numpy as np

import glyphnet
from glyphnet.course import check
from glyphnet.scratch import NeuralNetMLP

answer = None
check("6.1", answer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# answer = 3 * 2
# ```
#
# Slopes along a path are multiplied. Mathematicians call it the chain rule. There is nothing more in backpropagation.
# </details>

# %% [markdown]
# ## Forward: from input to loss
#
# Two inputs, one hidden neuron, one output. We want the output 1.


# %%
def sigmoid(z):
    """From any number to a number between 0 and 1."""
    return 1 / (1 + np.exp(-z))


x1, x2, wanted = 1.0, 0.5, 1.0
w1, w2 = 0.4, -0.6  # into the hidden neuron
v, c = 0.8, -0.1  # from the hidden neuron into the output, and its bias

z = w1 * x1 + w2 * x2
hidden = sigmoid(z)
s = v * hidden + c
output = sigmoid(s)
loss = -np.log(output)  # cross-entropy: small if the output is near the wanted 1
print(f"z = {z:.3f}   hidden = {hidden:.3f}   s = {s:.3f}   output = {output:.3f}   loss = {loss:.3f}")

# %% [markdown]
# ## Backward: from loss to weights
#
# Ask at each place: *if this number grew a little, how much would the loss grow?* Start at the end. For a sigmoid with
# cross-entropy the answer is as simple as can be: output minus wanted.

# %%
d_s = output - wanted  # the blame that arrives at s
d_v, d_c = d_s * hidden, d_s * 1  # s = v · hidden + c
d_hidden = d_s * v  # the blame goes on through the weight
d_z = d_hidden * hidden * (1 - hidden)  # times the slope of the sigmoid
d_w1, d_w2 = d_z * x1, d_z * x2  # z = w1 · x1 + w2 · x2
for name, value in {"w1": d_w1, "w2": d_w2, "v": d_v, "c": d_c}.items():
    print(f"slope of the loss along {name}: {value:+.4f}")

# %% [markdown]
# Read it from the end: a weight is blamed by *how much blame arrives* times *how loud its input was*. A silent input
# is never to blame.
#
# ## Is it right? Shake each weight
#
# Never trust a slope that you did not check. Move one weight a little up and a little down, and see how much the loss
# changes:
#
#     slope ≈ (loss(w + h) − loss(w − h)) / (2 · h)
#
# **Exercise 6.2.** Try it on a simple function first: what is the slope of w³ at w = 2?

# %%
answer = None
check("6.2", answer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# h = 0.001
# answer = ((2 + h) ** 3 - (2 - h) ** 3) / (2 * h)
# ```
# </details>


# %%
def loss_of(weights):
    """The whole way forward."""
    w1, w2, v, c = weights
    return -np.log(sigmoid(v * sigmoid(w1 * x1 + w2 * x2) + c))


weights, h = np.array([w1, w2, v, c]), 1e-5
measured = [(loss_of(weights + h * unit) - loss_of(weights - h * unit)) / (2 * h) for unit in np.eye(4)]
for name, by_rule, by_shaking in zip(("w1", "w2", "v", "c"), (d_w1, d_w2, d_v, d_c), measured, strict=True):
    print(f"{name}: by the chain rule {by_rule:+.8f}, by shaking {by_shaking:+.8f}")

# %% [markdown]
# ## One step down
#
# Take a step against all four slopes at once. Is the loss lower now?

# %%
losses = [loss_of(weights)]
for _ in range(20):
    slopes = np.array([(loss_of(weights + h * unit) - loss_of(weights - h * unit)) / (2 * h) for unit in np.eye(4)])
    weights = weights - 0.5 * slopes
    losses.append(loss_of(weights))
plt.figure(figsize=(5, 2.6))
plt.plot(losses, "o-", ms=4)
plt.xlabel("step")
plt.ylabel("loss")
plt.show()

# %% [markdown]
# ## The same with a real network
#
# `glyphnet.scratch` holds a network for digits in NumPy alone, short enough to read in one sitting. Its check shakes
# a sample of its weights, as you did:

# %%
data = glyphnet.load("digits")
pixels = data.train.images.reshape(len(data.train), -1) / 255
net = NeuralNetMLP(20, epochs=30, minibatches=20, learning_rate=0.02, random_state=0).fit(pixels, data.train.labels)
print(net.gradient_check(pixels[:50], data.train.labels[:50], most=40))
print(f"accuracy on new digits: {net.score(data.test.images.reshape(len(data.test), -1) / 255, data.test.labels):.1%}")

# %% [markdown]
# A right gradient serves every way down. SciPy's L-BFGS and BFGS take it, too, with all pictures at each step:

# %%
few, their = pixels[:400], data.train.labels[:400]
for solver in ("lbfgs", "bfgs"):
    size = 20 if solver == "lbfgs" else 5  # BFGS keeps a table of weights × weights
    other = NeuralNetMLP(size, epochs=60, solver=solver, random_state=0).fit(few, their)
    print(f"{solver}, {size} hidden: cost {other.cost_[0]:,.0f} → {other.cost_[-1]:,.1f} in {other.n_iter_} iterations")

# %% [markdown]
# The first bug hunters in this field found theirs exactly so. One famous teaching network wrote half of its L1
# penalty in the cost and the whole in the slope; reading it does not tell, shaking does.
#
# ## What you know now
#
# - Forward computes the loss. Backward multiplies slopes along the path and blames each weight.
# - A gradient is checked by shaking.
#
# **Try on your own.** Put a bug into the backward cell (leave out `hidden * (1 - hidden)`), and see the check catch
# it. The lab `glyphnet lab scratch` goes on from here.

# %% [markdown]
# # 5 · Hidden neurons bend the border
#
# *Question of this lesson: why does a network need neurons in the middle?*
#
# One neuron draws one straight border (lesson 3). Two neurons draw two borders, and a third neuron can combine their
# answers. The neurons between input and output are called **hidden**.
#
# **Predict first.** How many hidden neurons does XOR need: one, two, or more?

# %%
import matplotlib.pyplot as plt
import numpy as np

from glyphnet.course import check
from glyphnet.scratch import NeuralNetMLP


def sigmoid(z):
    """From any number to a number between 0 and 1."""
    return 1 / (1 + np.exp(-z))


# %% [markdown]
# ## First in one dimension: a box out of two steps
#
# We want a **pulse**: 1 between 2 and 4, and 0 elsewhere. One sigmoid is a single step: it cannot come down again.
# But the difference of two steps can:

# %%
x = np.linspace(0, 6, 300)
up, down = sigmoid(12 * (x - 2)), sigmoid(12 * (x - 4))
figure, panels = plt.subplots(1, 3, figsize=(11, 2.6), sharey=True)
for panel, curve, title in zip(
    panels, (up, down, up - down), ("step up at 2", "step up at 4", "first − second"), strict=True
):
    panel.plot(x, curve, color="#0067a8")
    panel.set_title(title)
plt.show()

# %% [markdown]
# Each step is a hidden neuron. The output neuron adds the first with weight +1 and the second with weight −1. With
# enough such boxes side by side you can build any curve, one box after another.
#
# ## Now XOR
#
# **Exercise 5.1.** Write XOR with three neurons: OR and AND are hidden, and the output combines them. `step` is a
# hard sigmoid. Fill in the last line (replace the dots), so that the result is 1
# for (0, 1) and (1, 0), and 0 for the others.


# %%
def step(z):
    """1 above zero, else 0."""
    return int(z > 0)


def xor(a, b):
    """Two hidden neurons and an output."""
    either = step(a + b - 0.5)  # OR
    both = step(a + b - 1.5)  # AND
    return ...  # in place of the dots: step(a formula of either and both)


answer = None if xor(0, 1) is ... else xor
check("5.1", answer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def xor(a, b):
#     either = step(a + b - 0.5)
#     both = step(a + b - 1.5)
#     return step(either - both - 0.5)
#
#
# answer = xor
# ```
#
# "One or the other, but not both", said with weights +1 and −1.
# </details>

# %% [markdown]
# ## Does training find it?
#
# You placed the weights by hand. A training starts from random weights and walks downhill. Does it arrive? One start
# is no evidence, so take 20 starts for each number of hidden neurons. (This is the network of `glyphnet.scratch`:
# NumPy alone.)

# %%
random = np.random.default_rng(0)
corners = np.array([(0, 0), (0, 1), (1, 0), (1, 1)])
points = np.repeat(corners, 25, axis=0) + random.normal(0, 0.1, (100, 2))
wanted = np.repeat([0, 1, 1, 0], 25)

solved, example = {}, {}
for hidden in (1, 2, 3, 5):
    nets = [
        NeuralNetMLP(hidden, epochs=300, learning_rate=0.1, minibatches=2, random_state=seed).fit(points, wanted)
        for seed in range(20)
    ]
    shares = [net.score(points, wanted) for net in nets]
    solved[hidden] = sum(share > 0.99 for share in shares)
    example[hidden] = nets[int(np.argmax(shares))]
for hidden, count in solved.items():
    print(f"{hidden} hidden: {count} of 20 starts solve it")

# %%
a, b = np.meshgrid(np.linspace(-0.6, 1.6, 120), np.linspace(-0.6, 1.6, 120))
grid = np.column_stack([a.ravel(), b.ravel()])
figure, panels = plt.subplots(1, 4, figsize=(12, 3), sharey=True)
for panel, (hidden, net) in zip(panels, example.items(), strict=True):
    yes = net.predict_proba(grid)[:, 1].reshape(a.shape)
    panel.contourf(a, b, yes, levels=20, cmap="RdBu_r", alpha=0.6, vmin=0, vmax=1)
    panel.scatter(*points.T, c=wanted, cmap="RdBu_r", s=8)
    panel.set_title(f"{hidden} hidden")
plt.show()

# %% [markdown]
# ## Where the hidden neurons put the points
#
# The last neuron does not see the inputs. It sees two numbers: what the two hidden neurons answer. Draw the points
# there, with the straight line that is all the last neuron can draw:

# %%
net = example[2]
weights = net.weights_
hidden_answers = sigmoid(points @ weights.W1.T + weights.b1)
figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.4))
left.scatter(*points.T, c=wanted, cmap="RdBu_r", s=10)
left.set_title("the inputs: no line parts them")
right.scatter(*hidden_answers.T, c=wanted, cmap="RdBu_r", s=10)
difference, bias = weights.W2[1] - weights.W2[0], weights.b2[1] - weights.b2[0]  # class 1 against class 0
ends = np.array([-0.1, 1.1])
right.plot(ends, -(bias + difference[0] * ends) / difference[1], color="black")
right.set(
    title=f"seen by two hidden neurons: {net.score(points, wanted):.0%} right", xlim=(-0.1, 1.1), ylim=(-0.1, 1.1)
)
plt.show()

# %% [markdown]
# With one hidden neuron no start can succeed. With two, a solution exists, but many walks end in a side valley. With
# more, most arrive: a few neurons too many make the walk easier. That is one reason why networks are larger than they
# need to be.
#
# ## How many numbers is that?
#
# **Exercise 5.2.** A network has 2 inputs, 4 hidden neurons and 1 output. How many numbers (weights and biases) must
# training find?

# %%
answer = None
check("5.2", answer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# answer = (2 * 4 + 4) + (4 * 1 + 1)
# ```
# </details>

# %% [markdown]
# ## Without a bend no gain
#
# What if hidden neurons had no sigmoid, only their sums? Sums of sums are sums again: ten layers would draw one
# straight line. The bend (sigmoid, or **ReLU**, which keeps a positive sum and makes a negative one 0) is what makes
# depth useful. Here are both, and their slopes:

# %%
z = np.linspace(-6, 6, 200)
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 2.8))
left.plot(z, sigmoid(z), label="sigmoid")
left.plot(z, np.maximum(z, 0), label="ReLU")
left.set_ylim(-0.2, 2)
left.legend()
left.set_title("value")
right.plot(z, sigmoid(z) * (1 - sigmoid(z)), label="sigmoid: at most 0.25")
right.plot(z, z > 0, label="ReLU: 0 or 1")
right.legend()
right.set_title("slope")
plt.show()

# %% [markdown]
# The slope of the sigmoid is at most a quarter. Passed through ten layers, it shrinks to a millionth: 0.25 ** 10.
# ReLU passes it on unchanged, so deep networks use ReLU. Its price: a neuron whose sum is negative for *every*
# picture has slope 0 always, and never learns again. Such a unit is called **dead**.
#
# ## What you know now
#
# - Hidden neurons build bent borders out of straight ones.
# - A solution that exists is not always found. Try several starts before you conclude.
#
# **Try on your own.** `glyphnet lab xor` and `glyphnet lab pulse` do this with many more starts.

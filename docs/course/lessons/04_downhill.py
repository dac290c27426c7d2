# %% [markdown]
# # 4 · Learning is walking downhill
#
# *Question of this lesson: how can a machine find good weights by itself?*
#
# You stand on a hill in thick fog and want to get down. You see nothing, but you feel with your feet which way is
# down. So you take a step that way, feel again, and go on. That is all of "learning" in this course. The height is
# the **loss**: how wrong the network is. The place where you stand is the **weight**.
#
# **Predict first.** What happens if your steps are as long as the valley is wide?

# %%
import matplotlib.pyplot as plt
import numpy as np

from glyphnet.course import check


def loss(w):
    """A valley whose bottom is at w = 3."""
    return (w - 3) ** 2


def slope(w):
    """How steep the valley is at w: positive where it rises to the right."""
    return 2 * (w - 3)


# %% [markdown]
# ## Three ways to the bottom
#
# **By formula.** At the bottom the slope is 0. `2 · (w − 3) = 0` says w = 3 at once. That is the best way, where it
# works: for straight lines and bowls. A network has a valley with thousands of directions and no such formula.
#
# **By trying.** Take a step and look at the height. Lower? Go on. Higher? Turn back, with half the step. No slope is
# needed:

# %%
w, step, tries = 8.0, 1.0, 0
while abs(step) > 0.001:
    tries += 1
    if loss(w + step) < loss(w):
        w += step
    else:
        step = -step / 2
print(f"arrived at {w:.3f} after {tries} looks")

# %% [markdown]
# **By slope.** The slope tells the direction *and* how steep it is. Go against it, by the slope times a **learning
# rate**:
#
#     new w = w − rate · slope(w)
#
# **Exercise 4.1.** What is the slope at w = 7?

# %%
answer = None
check("4.1", answer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# answer = slope(7)
# ```
#
# It is 8 and positive: uphill is to the right, so the walk goes left.
# </details>


# %%
def walk(start, rate, steps=12):
    """The places on the way down."""
    places = [start]
    for _ in range(steps):
        places.append(places[-1] - rate * slope(places[-1]))
    return np.array(places)


figure, panels = plt.subplots(1, 4, figsize=(12, 3), sharey=True)
valley = np.linspace(-6, 12, 200)
for panel, rate in zip(panels, (0.02, 0.2, 0.9, 1.05), strict=True):
    places = walk(8.0, rate)
    panel.plot(valley, loss(valley), color="#bbb")
    panel.plot(places, loss(places), "o-", color="#0067a8", ms=4)
    panel.set_title(f"rate {rate}: ends at {places[-1]:.2f}")
    panel.set_ylim(-3, 60)
    panel.set_xlim(-6, 12)
    panel.set_xlabel("weight")
panels[0].set_ylabel("loss")
plt.show()

# %% [markdown]
# Too low: it creeps. Too high: it jumps from wall to wall, and above a limit every jump ends higher than the last
# one. The learning rate is the setting that spoils most trainings.
#
# **Exercise 4.2.** One rate lands on the bottom of *this* valley in a single step, from anywhere. Which? Try with
# `walk`.

# %%
answer = None
check("4.2", answer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# answer = 0.5
# ```
#
# w − 0.5 · 2 · (w − 3) = w − (w − 3) = 3. A steeper bowl would need a lower rate; that is why no rate suits all
# networks.
# </details>

# %% [markdown]
# ## Two weights: a long narrow valley
#
# Real valleys are steep in one direction and flat in another. A rate that is safe for the steep one is slow in the
# flat one. **Momentum** helps: keep part of the last step, like a ball that rolls. Below, four walkers of the kinds
# that real programs use start at the same place. Who will be nearest to the bottom after 40 steps?


# %%
def narrow(p):
    """A valley thirty times steeper across than along."""
    return 0.5 * (p[0] ** 2 + 30 * p[1] ** 2)


def gradient(p):
    """The slope in both directions."""
    return np.array([p[0], 30 * p[1]])


def descend(rate=0.03, momentum=0.0, steps=40, noise=0.0, adam=False):
    """The places on the way down, with options of real optimisers."""
    random = np.random.default_rng(0)
    place, speed, mean, square = np.array([9.0, 1.5]), np.zeros(2), np.zeros(2), np.zeros(2)
    path = [place]
    for step in range(1, steps + 1):
        g = gradient(place) + noise * random.normal(size=2)
        if adam:  # each direction gets a rate of its own, from the size of its recent slopes
            mean, square = 0.9 * mean + 0.1 * g, 0.999 * square + 0.001 * g**2
            place = place - rate * (mean / (1 - 0.9**step)) / (np.sqrt(square / (1 - 0.999**step)) + 1e-8)
        else:
            speed = momentum * speed - rate * g
            place = place + speed
        path.append(place)
    return np.array(path)


walkers = {
    "plain": descend(),
    "noisy (small batches)": descend(noise=3.0),
    "momentum 0.8": descend(momentum=0.8),
    "Adam": descend(rate=0.4, adam=True),
}
x, y = np.meshgrid(np.linspace(-4, 10, 100), np.linspace(-2, 2, 100))
figure, panels = plt.subplots(2, 2, figsize=(10, 5), sharex=True, sharey=True)
for panel, (name, path) in zip(panels.flat, walkers.items(), strict=True):
    panel.contour(x, y, narrow([x, y]), levels=12, colors="#ccc")
    panel.plot(*path.T, "o-", ms=3, color="#b84a00")
    panel.set_title(f"{name}: loss {narrow(path[-1]):.3f}")
plt.show()

# %% [markdown]
# The **noisy** walker measured its slope on a few pictures at a time, as networks do: its path trembles, but each step
# costs little. Others, such as **L-BFGS**, measure how the slope changes and so guess the shape of the valley:

# %%
from scipy.optimize import minimize

found = minimize(narrow, [9.0, 1.5], jac=gradient, method="L-BFGS-B")
print(f"L-BFGS: loss {found.fun:.6f} after {found.nit} iterations")

# %% [markdown]
# ## The same race with a network
#
# Now 64 pixels, 16 hidden units and ten outputs: 1,210 weights, and no picture of the valley. Four ways down, each
# from the same start. A look at all pictures counts as one round for everybody.

# %%
import warnings

from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

import glyphnet

warnings.simplefilter("ignore", ConvergenceWarning)  # we stop early on purpose
data = glyphnet.load("digits")
pixels, labels = data.train.images.reshape(len(data.train), -1) / 255, data.train.labels
new_pixels = data.test.images.reshape(len(data.test), -1) / 255


def network(solver, rounds, **settings):
    """The network after so many rounds."""
    made = MLPClassifier((16,), solver=solver, max_iter=rounds, random_state=1, n_iter_no_change=10**6, **settings)
    return made.fit(pixels, labels)


everything = {"batch_size": len(pixels), "momentum": 0, "learning_rate_init": 0.5}
plt.figure(figsize=(8, 3.2))
plt.plot(network("sgd", 60, **everything).loss_curve_, label="gradient descent, all pictures a step")
plt.plot(network("sgd", 60, momentum=0, batch_size=32, learning_rate_init=0.1).loss_curve_, label="SGD, 32 a step")
plt.plot(network("adam", 60, batch_size=32).loss_curve_, label="Adam, 32 a step")
stops = [1, 2, 5, 10, 20, 30, 40, 60]
plt.plot([stop - 1 for stop in stops], [network("lbfgs", stop).loss_ for stop in stops], "o-", label="L-BFGS")
plt.yscale("log")
plt.xlabel("round")
plt.ylabel("loss")
plt.legend()
plt.show()

# %% [markdown]
# How long should L-BFGS go on? Give it 20, 50, 300 or 1,000 rounds. And give it a learning rate, which its step length
# does not need:

# %%
for rounds in (20, 50, 300, 1000):
    net = network("lbfgs", rounds)
    right = net.score(new_pixels, data.test.labels)
    print(f"at most {rounds:5,}: stopped after {net.n_iter_:3}, {right:.1%} of new digits")
first, second = network("lbfgs", 50), network("lbfgs", 50, learning_rate_init=100.0)
print(
    "the same weights with a rate of 100:",
    all((a == b).all() for a, b in zip(first.coefs_, second.coefs_, strict=True)),
)

# %% [markdown]
# It stops by itself where the valley is flat, so a higher limit changes nothing. A limit that is never reached stops
# nothing, and a setting that is ignored says nothing: check that what you change has an effect.
#
# ## What you know now
#
# - Learning means: measure how wrong you are, feel the slope, take a step down, repeat.
# - The learning rate decides between creeping, arriving and exploding.
#
# **Try on your own.** `glyphnet lab digits` shows L-BFGS, gradient descent and Adam in one valley.

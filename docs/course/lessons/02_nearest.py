# %% [markdown]
# # 2 · Recognise without learning
#
# *Question of this lesson: how far do you get by comparing pictures, and how do you know how far you got?*
#
# Here is a recipe that needs no network: to name a new digit, look for the most similar one that you know, and say
# its name.
#
# **Predict first.** Of 100 new digits, how many will this recipe name rightly: about 10, 50, 75 or 95?

# %%
import matplotlib.pyplot as plt
import numpy as np

import glyphnet
from glyphnet.course import check

data = glyphnet.load("digits")
known = data.train.images[:, :, :, 0].astype(float)
known_labels = data.train.labels
new = data.test.images[:, :, :, 0].astype(float)
new_labels = data.test.labels
print(f"{len(known)} known digits, {len(new)} new ones")

# %% [markdown]
# ## A baseline: what does knowing nothing give?
#
# Before you praise a recipe, ask what a lazy one reaches. The laziest says the same digit every time.
#
# **Exercise 2.1.** What share of the new digits does "always say 3" name rightly, about? Write it as a number between
# 0 and 1.

# %%
answer = None
check("2.1", answer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# answer = (new_labels == 3).mean()
# ```
#
# With ten classes of about the same size, one in ten is right by luck. Any recipe must beat this.
# </details>

# %% [markdown]
# ## Idea one: compare with the average of each class
#
# Add up all known zeros and divide by their number: the average zero. Do that for all ten.

# %%
averages = np.stack([known[known_labels == digit].mean(axis=0) for digit in range(10)])
figure, panels = plt.subplots(1, 10, figsize=(10, 1.4))
for digit, panel in enumerate(panels):
    panel.imshow(averages[digit], cmap="gray")
    panel.set_title(digit)
    panel.axis("off")
plt.show()

# %% [markdown]
# How different are two pictures? Subtract pixel from pixel, square each difference (so that minus and plus do not
# cancel), and add them up. The smaller the sum, the more alike they are.


# %%
def differences(pictures, patterns):
    """How unlike each picture is to each pattern: a row for each picture, a column for each pattern."""
    flat, others = pictures.reshape(len(pictures), -1), patterns.reshape(len(patterns), -1)
    return ((flat[:, None, :] - others[None, :, :]) ** 2).sum(axis=2)


named = differences(new, averages).argmin(axis=1)  # the column with the smallest difference
by_average = (named == new_labels).mean()
print(f"named rightly by the averages: {by_average:.1%}")

# %% [markdown]
# ## Idea two: compare with every known digit

# %%
nearest = differences(new, known).argmin(axis=1)
named = known_labels[nearest]
by_nearest = (named == new_labels).mean()
print(f"named rightly by the nearest neighbour: {by_nearest:.1%}")

wrong = np.flatnonzero(named != new_labels)[:6]
figure, panels = plt.subplots(2, len(wrong), figsize=(1.6 * len(wrong), 3.6), squeeze=False)
for column, row in enumerate(wrong):
    panels[0, column].imshow(new[row], cmap="gray")
    panels[0, column].set_title(f"a {new_labels[row]}")
    panels[1, column].imshow(known[nearest[row]], cmap="gray")
    panels[1, column].set_title(f"nearest: a {named[row]}")
for panel in panels.flat:
    panel.axis("off")
plt.show()

# %% [markdown]
# Did you expect that much? Above: some digits that it got wrong. Below: the known digit that looked most alike. Would
# you have named all of them?
#
# ## Why only new digits count
#
# **Exercise 2.2.** Suppose we had measured on the *known* digits instead. What share would the nearest neighbour have
# got right? Think, then write a number between 0 and 1. (You may compute it: the difference of `known` with `known`.)

# %%
answer = None
check("2.2", answer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# answer = 1.0
# ```
#
# Every known digit has a twin among the known digits: itself. The recipe would score 100 % without being any good.
# This is why we keep a **test** part that a recipe has never seen.
# </details>

# %% [markdown]
# ## What you know now
#
# - Accuracy means: the share of *new* pictures that are named rightly. It is compared with a baseline.
# - Comparing pixels works well on small tidy digits. But it keeps every picture, compares with all of them each time,
#   and one pixel of shift confuses it:

# %%
shifted = np.roll(new, 1, axis=2)  # one pixel to the right
named = known_labels[differences(shifted, known).argmin(axis=1)]
print(f"after a shift by one pixel: {(named == new_labels).mean():.1%} instead of {by_nearest:.1%}")

# %% [markdown]
# **Try on your own.** Ask the five nearest neighbours and let them vote. Better? The lab `glyphnet lab classical`
# compares ten such recipes fairly.

# %% [markdown]
# # 1 · A picture is a table of numbers
#
# *Question of this lesson: what does a computer have when it "has a picture"?*
#
# Look at this page from very close, and the letters fall apart into dots. A computer has only the dots. In this
# lesson you look at a digit as the computer has it, and change it by arithmetic.
#
# **Predict first.** A grey picture of 8 by 8 dots: how many numbers does it need? Which number could mean black?

# %%
import matplotlib.pyplot as plt
import numpy as np

import glyphnet
from glyphnet.course import check

data = glyphnet.load("digits")
data

# %% [markdown]
# These pictures were written by 43 people and scanned. GlyphNet carries them, so you need no network. Take the first
# one and print it, not as a picture, but as what it is:

# %%
digit = data.train.images[0, :, :, 0]
print(digit)

# %% [markdown]
# A table of 8 rows and 8 columns. 0 is black, 255 is white, and greys lie between. Each number is one **pixel**. Can
# you see the digit in the numbers? Half close your eyes: large numbers are bright.

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(8, 4))
left.imshow(digit, cmap="gray")
left.set_title(f"the picture: a {data.train.labels[0]}")
right.imshow(digit, cmap="gray", alpha=0.35)
for (row, column), value in np.ndenumerate(digit):
    right.text(column, row, value, ha="center", va="center", fontsize=9)
right.set_title("the same, with its numbers")
plt.show()

# %% [markdown]
# Because a picture is a table, you can calculate with it. What will these three do? Guess before you run the cell:
# `255 - digit`, `digit // 2`, and `digit[:, ::-1]` (the columns backwards).

# %%
changed = {"255 - digit": 255 - digit, "digit // 2": digit // 2, "digit[:, ::-1]": digit[:, ::-1]}
figure, panels = plt.subplots(1, 3, figsize=(8, 3))
for panel, (name, pixels) in zip(panels, changed.items(), strict=True):
    panel.imshow(pixels, cmap="gray", vmin=0, vmax=255)
    panel.set_title(name)
    panel.axis("off")
plt.show()

# %% [markdown]
# ## A heap of pictures is a larger table
#
# All training pictures together are one block of numbers. Its **shape** says how it is organised: pictures, rows,
# columns, colours. (Grey needs one number for a pixel, colour three: red, green, blue.)

# %%
print("shape:", data.train.images.shape)
print("numbers in it:", data.train.images.size)

# %% [markdown]
# **Exercise 1.1.** How many numbers does a *colour* picture of 28 by 28 pixels have?

# %%
answer = None  # put your number here
check("1.1", answer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# answer = 28 * 28 * 3
# ```
#
# A colour screen mixes every dot from red, green and blue light, so each pixel needs three brightnesses.
# </details>

# %% [markdown]
# ## The label is a number too
#
# Next to each picture stands what it shows: its **label**. For a network the label becomes ten numbers, one for each
# class. All are 0 but the one of the right class. That is a **one-hot** row: one place is hot.

# %%
names = list(data.classes)
for label in (0, 4, 9):
    print(f"label {label} → {np.eye(len(names), dtype=int)[label]}")

# %% [markdown]
# Why not simply use the number 4? Because a network that says "4" for a 5 would then be *nearly right*, and a 1 taken
# for a 9 *far off*. Digits are names, not amounts: all mistakes should count alike.
#
# **Exercise 1.2.** Write the one-hot row of the class 3 as a list.

# %%
answer = None  # [.., .., ..]
check("1.2", answer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# answer = [0, 0, 0, 1, 0, 0, 0, 0, 0, 0]
# ```
#
# The first place belongs to class 0, so class 3 has the fourth.
# </details>

# %% [markdown]
# ## The same in a file
#
# MNIST, the most used set of digits, lies in files of a very plain kind, called IDX: a few whole numbers that tell the
# shape, then every pixel as one byte. Write our pictures as such a file, and read them again from nothing but bytes:

# %%
import struct

file = struct.pack(">BBBBIII", 0, 0, 8, 3, *data.train.images.shape[:3]) + data.train.images.tobytes()
print("the first 16 bytes:", list(file[:16]))
_, _, kind, dimensions, count, height, width = struct.unpack(">BBBBIII", file[:16])
pixels = np.frombuffer(file[16:], dtype=np.uint8).reshape(count, height, width)
print(f"{count:,} pictures of {height}×{width}; nothing was lost: {(pixels == data.train.images[..., 0]).all()}")

# %% [markdown]
# With MNIST on your disk, `glyphnet.load("mnist")` reads its four files so; the lab `glyphnet lab scratch` shows them.
#
# ## What you know now
#
# - A picture is a table of numbers, and a label is a place in a row.
# - Shapes tell what a block of numbers holds.
# - Nothing in the numbers says "five". Finding that is the work of the next eleven lessons.
#
# **Try on your own.** Make an empty picture by `np.zeros((8, 8), int)`, set pixels of it to 255, and draw your
# initial.

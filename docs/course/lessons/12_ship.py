# %% [markdown]
# # 12 · Your own classifier, out of the house
#
# *Question of this lesson: what belongs to a model that you give to others?*
#
# You go the whole way once, with pictures of your own: collect, check, train, judge, export, and learn from those who
# use it.
#
# **Predict first.** 40 drawings of each of three shapes: is that enough?

# %%
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

import glyphnet
from glyphnet.course import check

folder = Path(tempfile.mkdtemp())

# %% [markdown]
# ## Collect
#
# A data set can be this simple: a folder for each class, with pictures in it. Here the computer scrawls them. In
# class, scan drawings instead, and cut them apart; nothing else changes.

# %%
random = np.random.default_rng(0)


def scrawl(shape):
    """A shaky shape, dark on light, somewhere on the paper."""
    picture = Image.new("L", (96, 96), 255)
    middle, size, turn = random.uniform(38, 58, 2), random.uniform(18, 34), random.uniform(0, 2 * np.pi)
    corners = {"circle": 24, "square": 4, "triangle": 3}[shape]
    angles = turn * (shape != "circle") + np.arange(corners + 1) * 2 * np.pi / corners
    points = middle + size * np.column_stack([np.cos(angles), np.sin(angles)]) + random.normal(0, 1.5, (corners + 1, 2))
    ImageDraw.Draw(picture).line(
        [tuple(each) for each in points], fill=0, width=int(random.integers(3, 7)), joint="curve"
    )
    return picture


for shape in ("circle", "square", "triangle"):
    (folder / "shapes" / shape).mkdir(parents=True)
    for number in range(40):
        scrawl(shape).save(folder / "shapes" / shape / f"{number:02}.png")

# %% [markdown]
# ## Check before you train
#
# Most bad models come from bad data: twins in training and test, empty pictures, wrong labels. Look first.

# %%
splits = glyphnet.load(folder / "shapes", size=24)
for line in glyphnet.inspect(splits).lines:
    print(line)
splits

# %% [markdown]
# It may warn of pictures in two parts that are nearly the same. Our scrawled shapes are simple, so some are. With real
# pictures you would look whether they are two copies of one: then training has seen a part of the exam.
#
# ## Train and judge

# %%
run = glyphnet.train(splits, preset="fast", changes={"epochs": 30, "augment": {"shift": 2, "rotate": 20}})
run

# %% [markdown]
# **Exercise 12.1.** You try ten settings and keep the best. On which part must you *not* compare them: `"train"`,
# `"validation"` or `"test"`?

# %%
answer = None
check("12.1", answer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# answer = "test"
# ```
#
# Choosing on the test part is peeking at the exam. Compare on validation, and look at the test part once.
# </details>

# %% [markdown]
# ## Give it away
#
# One file holds everything that prediction needs, and no code that could run. Reading it back must give the same
# answers:

# %%
model = folder / "shapes.safetensors"
run.classifier.save(model)
again = glyphnet.load_model(model)
same = (again.predict_labels(splits.test.images) == run.classifier.predict_labels(splits.test.images)).all()
print(f"{model.stat().st_size / 1000:.0f} kB; same answers: {same}")

# %% [markdown]
# For everybody without Python: one web page, which works offline. It is written only after it has proved that it
# answers as the model does.

# %%
from glyphnet.export import export

page = folder / "shapes.html"
made = export(again, page)
print(f"{page.stat().st_size / 1000:.0f} kB; open {page.name} in any browser and draw")
print(f"proof: the same answer on {made.proof.same_labels} of {made.proof.images} pictures that training never saw")

# %% [markdown]
# ## Tell what it is
#
# A model without its story is dangerous. A **model card** is that story: what it is for, from which pictures it
# learned, how well it does, and where it fails.
#
# **Exercise 12.2.** Write at least three sentences of the card of *this* model as a list of strings.

# %%
answer = None  # ["It tells ...", "It was trained on ...", "It fails when ..."]
check("12.2", answer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# answer = [
#     "It tells drawn circles, squares and triangles apart, one on each picture.",
#     "It was trained on about 90 shapes that a program scrawled; nobody's hand is among them.",
#     "It was not tested on photographs, on filled shapes or on pencil, and will often be wrong there.",
# ]
# ```
# </details>

# %% [markdown]
# ## Learn from its users
#
# Outside, pictures are different. Here they are drawn with a broken pencil. The model fails more often; users correct
# it, and their corrections become training pictures:


# %%
def broken(shape):
    """The same, with gaps and on grey paper."""
    pixels = np.asarray(scrawl(shape)).copy()
    pixels[random.random(pixels.shape) < 0.35] = 255
    return Image.fromarray((pixels * 0.6 + 80).astype(np.uint8))


shapes = list(splits.classes)
outside = [(broken(shape), label) for label, shape in enumerate(shapes) for _ in range(40)]
pictures, truth = [each for each, _ in outside], np.array([label for _, label in outside])
before = (again.predict_labels(pictures) == truth).mean()

for number, (picture, label) in enumerate(outside[::2]):  # half of them come back with the right label
    picture.save(folder / "shapes" / shapes[label] / f"from-user-{number:02}.png")
updated = glyphnet.train(
    glyphnet.load(folder / "shapes", size=24),
    preset="fast",
    changes={"epochs": 30, "augment": {"shift": 2, "rotate": 20}},
)
new, new_truth = pictures[1::2], truth[1::2]  # the other half stays unseen
after = (updated.classifier.predict_labels(new) == new_truth).mean()
print(f"on pictures from outside: {before:.0%} before, {after:.0%} after learning from {len(outside[::2])} corrections")

# %% [markdown]
# Two cautions. Judge the new model on pictures that were *not* sent back, as here. And who corrects? If only some
# users do, the model learns their hands and forgets the others'.

# %% [markdown]
# ## Seven questions to end with
#
# Among them: what speaks against a neural network, and which other technique is like dropout. Put the number of your
# choice in place of each None.

# %%
import json
from importlib.resources import files

questions = json.loads(files("glyphnet").joinpath("labs/questions.json").read_text(encoding="utf-8"))
for number, question in enumerate(questions, start=1):
    print(f"{number}. {question['question']}")
    for place, choice in enumerate(question["choices"]):
        print(f"     {place}  {choice}")

# %%
answers = [None, None, None, None, None, None, None]

for number, (question, answer) in enumerate(zip(questions, answers, strict=True), start=1):
    if answer is not None:
        verdict = "right" if answer == question["right"] else f"no: “{question['choices'][question['right']]}”"
        print(f"{number}. {verdict}. {question['because']}")
score = sum(answer == question["right"] for question, answer in zip(questions, answers, strict=True))
print(f"{score} of {len(questions)} right, {answers.count(None)} to go")

# %% [markdown]
# ## What you know now
#
# You can go from a pixel to a classifier that is trained, judged and shipped, and you can say what it is worth. Ask
# of every such system that you meet: what data? which baseline? how many pictures? what happens when it is wrong?
#
# **Try on your own.** `glyphnet serve` answers over the network, and the guide in `docs/guide.md` has all other ways
# to use a model.

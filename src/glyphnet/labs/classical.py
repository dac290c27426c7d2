"""The classical methods and our networks on the same data: accuracy against time."""

from __future__ import annotations

from typing import Any

from matplotlib.ticker import MaxNLocator
from pydantic import Field

from ..studies.comparison.comparing import ComparisonCallback as Watcher
from ..studies.comparison.comparing import FitProgress as Standing
from ..studies.comparison.comparing import compare
from ..studies.comparison.comparison import HEADINGS, Comparison, Row, accuracy, cells
from ..studies.comparison.methods import METHODS
from ..studies.comparison.picture import picture
from ..units import duration as seconds
from .lab import Findings, Lab, Numbers, Picture, Progress, Question, Section, Table
from .training import TrainingSettings

_QUICK = ("fast", "kmeans", "knn", "svm")
_MINUTE = 60

_HOW = {
    "kmeans": "puts centres where images gather, then names each centre by the majority around it",
    "logistic": "weighs every pixel once, a template for each class",
    "knn": "keeps all images, and asks the five most alike to vote",
    "svm": "draws the boundary that keeps the classes farthest apart, bent by a kernel",
    "forest": "lets a hundred trees of yes-or-no questions about pixels vote",
    "xgboost": "adds tree upon tree, each mending what those before it got wrong",
    "mlp": "learns one hidden layer, fully connected",
    "fast": "learns our convolutional network, for seconds",
    "balanced": "learns a wider one, from images moved and turned a little, for about a minute",
    "best": "learns a wider one still, in many passes",
}


class ClassicalSettings(TrainingSettings):
    """What the lab can be asked."""

    methods: tuple[str, ...] = Field((), max_length=len(METHODS), description=f"Which: {', '.join(METHODS)}.")
    budget: float | None = Field(None, gt=0, le=86_400, description="Seconds for each fit; 900, or 30 if quick.")

    @property
    def chosen(self) -> tuple[str, ...]:
        """The methods asked for, or the usual ones: all but the slowest, and those that a first look can wait for."""
        return self.methods or (_QUICK if self.quick else tuple(name for name in METHODS if name != "best"))


def investigate(settings: ClassicalSettings, progress: Progress) -> Findings:
    """Let each method learn and answer; tell how they compare."""
    splits = settings.read(progress)
    told = _Telling(progress, len(settings.chosen) * max(1, settings.seeds or 1))
    budget = settings.budget or (30.0 if settings.quick else 15 * _MINUTE)
    runs = [
        compare(splits, methods=settings.chosen, budget=budget, seed=seed, watcher=told)
        for seed in range(settings.seeds or 1)
    ]
    comparison = runs[0]
    numbers = _measure(comparison, runs)
    sections = [_how(numbers), _table(comparison, numbers)]
    if comparison.finished:
        sections += [_time(comparison, numbers), _answers(numbers)]
    return Findings(_lead(comparison, numbers), tuple(sections), numbers)


class _Telling(Watcher):
    """A comparison's progress, as the lab tells it: whole methods."""

    def __init__(self, progress: Progress, total: int) -> None:
        self.progress, self.total, self.done = progress, total, 0

    def running(self, standing: Standing) -> None:
        self.progress(self.done, self.total, f"{standing.title}, {standing.phase}")

    def finished(self, row: Row) -> None:
        self.done += 1
        self.progress(self.done, self.total, row.method.title)


def _measure(comparison: Comparison, runs: list[Comparison]) -> dict[str, Any]:
    """What was measured, as numbers.json holds it: the first seed's rows in full, of the others the accuracies."""
    return {
        "data": comparison.data,
        "images": dict(comparison.counts),
        "budget": comparison.budget,
        "threads": comparison.threads,
        "seeds": len(runs),
        "verdict": comparison.verdict,
        "methods": [_one(row, comparison, runs) for row in comparison.rows],
    }


def _one(row: Row, comparison: Comparison, runs: list[Comparison]) -> dict[str, Any]:
    found: dict[str, Any] = {"name": row.name, "title": row.method.title, "maker": row.method.maker}
    found |= {"settings": row.method.settings, "status": row.status, "reason": row.reason}
    if row.evaluation is not None:
        interval = row.evaluation.accuracy_interval
        found |= {
            "accuracy": row.evaluation.accuracy, "low": interval.low, "high": interval.high, "n": len(row.evaluation),
            "fit_seconds": row.fit_seconds, "seconds_per_image": row.seconds_per_image, "bytes": row.size,
            "p_value": comparison.p_values.get(row.name),
            "accuracies": [
                each.evaluation.accuracy
                for run in runs for each in run.finished if each.name == row.name and each.evaluation is not None
            ],
        }  # fmt: skip
    return found


def _finished(numbers: Numbers) -> list[dict[str, Any]]:
    return [row for row in numbers["methods"] if row["status"] == "finished"]


def _lead(comparison: Comparison, numbers: Numbers) -> str:
    images = numbers["images"]
    learnt = images["train"] + images["validation"]
    return (
        f"{len(_finished(numbers))} methods learnt the same {learnt:,} images and were judged once by the same "
        f"{images['test']:,}. {comparison.verdict}"
    )


def _how(numbers: Numbers) -> Section:
    text = (
        "Before networks of many layers there were many ways to learn from examples, and there still are. Most see an "
        "image as a row of numbers; which pixels are neighbours they are not told.",
        f"Each has {numbers['budget']:g} s at most, on up to {numbers['threads']} "
        f"thread{'s' * (numbers['threads'] != 1)}. Settings are the libraries' own but for those named; none was "
        "chosen by looking at test images. Our networks keep some images aside to choose their epoch; the others "
        "learn from all.",
    )
    each = tuple((row["title"], _HOW[row["name"]], row["settings"]) for row in numbers["methods"])
    shown = Table(("Method", "What it does", "Settings here"), each, prose=True)
    return Section(f"{len(each)} ways to learn from examples", text, (shown,))


def _table(comparison: Comparison, numbers: Numbers) -> Section:
    text = [comparison.verdict]
    text += [f"{row['title']}: {row['reason']}." for row in numbers["methods"] if row["status"] != "finished"]
    text.append(
        "Accuracy comes with Wilson's 95 % interval. The last column compares each with the best image by image: of "
        "those on which just one of the two is right, how lopsided is the count? That is McNemar's test, its p-values "
        "raised by Holm's method for as many tests as there are."
    )
    shown = [Table(HEADINGS, tuple(cells(comparison)), "The best first.")]
    if numbers["seeds"] > 1:
        rows = tuple(
            (
                row["title"],
                f"{min(row['accuracies']):.2%}",
                f"{max(row['accuracies']):.2%}",
                str(len(row["accuracies"])),
            )
            for row in _finished(numbers)
        )
        shown.append(
            Table(("Method", "Lowest", "Highest", "Seeds"), rows, "Other seeds, the same division of the data.")
        )
    best = comparison.best
    title = f"Most accurate: {best.method.title}, {accuracy(best)}" if best else "No method finished in its time"
    return Section(title, tuple(text), tuple(shown))


def _time(comparison: Comparison, numbers: Numbers) -> Section:
    fast = min(_finished(numbers), key=lambda row: float(row["fit_seconds"]))
    best = _finished(numbers)[0]
    figure = picture(comparison)
    figure.axes[0].yaxis.set_major_locator(MaxNLocator(6))
    told = "; ".join(
        f"{row['title']} {row['accuracy']:.1%} in {seconds(row['fit_seconds'])}" for row in _finished(numbers)
    )
    shown = Picture(
        "accuracy-time", figure, alt=f"Accuracy against the time to fit. {told}.",
        caption="Up is better, left is faster. The whiskers are 95 % intervals; the scale of the time is logarithmic.",
    )  # fmt: skip
    text = (
        f"Fastest to fit: {fast['title']}, {seconds(fast['fit_seconds'])} for {fast['accuracy']:.2%}. Most accurate: "
        f"{best['title']}, {seconds(best['fit_seconds'])} for {best['accuracy']:.2%}. A method is worth looking at if "
        f"no other is both faster and more accurate. Here these are: {', '.join(_frontier(numbers))}.",
    )
    return Section(f"Fastest to fit: {fast['title']}", text, (shown,))


def _answers(numbers: Numbers) -> Section:
    slow = max(_finished(numbers), key=lambda row: float(row["seconds_per_image"]))
    quick = min(_finished(numbers), key=lambda row: float(row["seconds_per_image"]))
    text = (
        f"Learning is done once, answering again and again. {slow['title']} needs "
        f"{seconds(slow['seconds_per_image'])} an image, {quick['title']} {seconds(quick['seconds_per_image'])}. A "
        "method that keeps its training images, and looks through them at every question, learns in no time and pays "
        "later.",
    )
    return Section(f"Slowest to answer: {slow['title']}", text)


def _frontier(numbers: Numbers) -> list[str]:
    """The methods that no other beats in both, the fastest first."""
    kept: list[dict[str, Any]] = []
    for row in sorted(_finished(numbers), key=lambda row: (row["fit_seconds"], -row["accuracy"])):
        if not kept or row["accuracy"] > kept[-1]["accuracy"]:
            kept.append(row)
    return [row["title"] for row in kept]


def _nothing(numbers: Numbers) -> str:
    return f"No method finished within {numbers['budget']:g} s: give it a larger budget."


def _choice(numbers: Numbers) -> str:
    """Which to take if each second counts."""
    rows = _finished(numbers)
    if not rows:
        return _nothing(numbers)
    told = [row for row in rows if row["title"] in _frontier(numbers)]
    said = "; ".join(f"{row['title']}, {row['accuracy']:.2%} in {seconds(row['fit_seconds'])}" for row in told)
    return f"One of those that no other beats in both, time and accuracy: {said}. All others are dominated."


def _mistakes(numbers: Numbers) -> str:
    """How many mistakes lie between the best and the worst."""
    rows = _finished(numbers)
    if not rows:
        return _nothing(numbers)
    best, worst = rows[0], rows[-1]
    wrong = [round(row["n"] * (1 - row["accuracy"])) for row in (best, worst)]
    return (
        f"{best['title']} is wrong on {wrong[0]} of {best['n']:,} images, {worst['title']} on {wrong[1]}: "
        f"{wrong[1] / max(wrong[0], 1):.1f} times as many. {best['accuracy']:.2%} and {worst['accuracy']:.2%} do not "
        "sound like that: near the top the share of mistakes tells more."
    )


def _images_answered(numbers: Numbers) -> str:
    """After how many answers fitting fast no longer pays."""
    rows = _finished(numbers)
    if not rows:
        return _nothing(numbers)
    fit = min(rows, key=lambda row: row["fit_seconds"])
    answer = min(rows, key=lambda row: row["seconds_per_image"])
    later, saved = answer["fit_seconds"] - fit["fit_seconds"], fit["seconds_per_image"] - answer["seconds_per_image"]
    said = (
        f"Fastest to fit: {fit['title']}, {seconds(fit['fit_seconds'])} and {seconds(fit['seconds_per_image'])} an "
        f"image. Fastest to answer: {answer['title']}, {seconds(answer['fit_seconds'])} and "
        f"{seconds(answer['seconds_per_image'])}. "
    )
    if saved <= 0:
        return said + "They are one: it is ahead from the first image on."
    return said + f"The second has caught up after {max(0.0, later) / saved:,.0f} images."


LAB = Lab(
    "classical",
    "From K-means to networks: what each method takes and gives",
    ClassicalSettings,
    investigate,
    (
        Question("Which method would you take, if both time and accuracy count?", _choice),
        Question("How many mistakes lie between the first and the last of the table?", _mistakes),
        Question("One fits fast, another answers fast: after how many images does the second win?", _images_answered),
    ),
)

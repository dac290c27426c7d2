"""The lab of the classical methods: they and our networks on the same data, accuracy against time."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from ..progress import Progress
from ..studies.comparison import comparing
from ..studies.comparison.comparing import HEADINGS, Comparison, ComparisonCallback, FitProgress, Row
from ..studies.comparison.methods import METHODS
from ..studies.comparison.picture import picture
from ..units import duration, plural
from .lab import Columns, Findings, Lab, Numbers, Picture, Question, Section, Table, percent
from .training import TrainingSettings

_QUICK = ("fast", "kmeans", "knn", "svm")
_MINUTE = 60

_HOW = {
    "kmeans": "clusters the images and names each cluster by its majority",
    "logistic": "weighs every pixel once: a template per class",
    "knn": "stores all images; the five nearest vote",
    "svm": "finds the boundary with the widest margin, bent by a kernel",
    "forest": "lets a hundred decision trees vote",
    "xgboost": "adds trees, each correcting the errors of those before",
    "mlp": "trains one fully connected hidden layer",
    "fast": "trains our convolutional network for seconds",
    "balanced": "trains a wider one on augmented images for about a minute",
    "best": "trains an even wider one for many epochs",
}


class ClassicalSettings(TrainingSettings):
    """Settings of the lab."""

    methods: tuple[str, ...] = Field((), max_length=len(METHODS), description=f"Which: {', '.join(METHODS)}.")
    budget: float | None = Field(None, gt=0, le=86_400, description="Seconds for each fit; 900, or 30 if quick.")

    @property
    def chosen(self) -> tuple[str, ...]:
        """The requested methods, or the usual ones: all but the slowest; fewer if quick."""
        return self.methods or (_QUICK if self.quick else tuple(name for name in METHODS if name != "best"))


def investigate(settings: ClassicalSettings, progress: Progress) -> Findings:
    """Run the comparison and write its findings."""
    splits = settings.read(progress)
    facts = _Callback(progress, len(settings.chosen) * max(1, settings.seeds or 1))
    budget = settings.budget or (30.0 if settings.quick else 15 * _MINUTE)
    runs = [
        comparing.compare(splits, methods=settings.chosen, budget=budget, seed=seed, callback=facts)
        for seed in range(settings.seeds or 1)
    ]
    comparison = runs[0]
    numbers = _measure(comparison, runs)
    sections = [_how(numbers), _table(comparison, numbers)]
    if comparison.finished:
        sections += [_time(comparison, numbers), _answers(numbers)]
    images = numbers["images"]
    lead = (
        f"{len(_finished(numbers))} methods were trained on the same {images['train'] + images['validation']:,} images "
        f"and tested once on the same {images['test']:,}. {comparison.verdict}"
    )
    return Findings(lead, sections, numbers)


class _Callback(ComparisonCallback):
    """Reports the progress of a comparison in whole methods."""

    def __init__(self, progress: Progress, total: int) -> None:
        self.progress, self.total, self.done = progress, total, 0

    def running(self, standing: FitProgress) -> None:
        self.progress(self.done, self.total, f"{standing.title}, {standing.phase}")

    def finished(self, row: Row) -> None:
        self.done += 1
        self.progress(self.done, self.total, row.method.title)


def _measure(comparison: Comparison, runs: list[Comparison]) -> dict[str, Any]:
    """The content of numbers.json: the first seed's rows, and accuracies of the others."""
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


def _how(numbers: Numbers) -> Section:
    text = (
        "Before deep networks there were many ways to learn from examples, and they are still in use. Most see an "
        "image as a row of numbers, without knowing which pixels are neighbours.",
        f"Each has {numbers['budget']:g} s at most, on up to {plural(numbers['threads'], 'thread')}. Settings are the "
        "libraries' defaults except as listed; none was chosen by test images. Our networks hold out images to "
        "choose their epoch; the others train on all.",
    )
    each = tuple((row["title"], _HOW[row["name"]], row["settings"]) for row in numbers["methods"])
    shown = Table(("Method", "What it does", "Settings here"), each, prose=True)
    return Section(f"{len(each)} ways to learn from examples", text, (shown,))


def _table(comparison: Comparison, numbers: Numbers) -> Section:
    text = (
        comparison.verdict,
        *(f"{row['title']}: {row['reason']}." for row in numbers["methods"] if row["status"] != "finished"),
        "Accuracy comes with Wilson's 95 % interval. The last column compares each with the best image by image: of "
        "those on which just one of the two is right, how lopsided is the count? That is McNemar's test, its p-values "
        "raised by Holm's method for as many tests as there are.",
    )
    shown = [Table(HEADINGS, tuple(comparing.cells(comparison)), "The best first.")]
    if numbers["seeds"] > 1:
        columns: Columns = {
            "Method": "{title}",
            "Lowest": lambda row: percent(min(row["accuracies"]), 2),
            "Highest": lambda row: percent(max(row["accuracies"]), 2),
            "Seeds": lambda row: str(len(row["accuracies"])),
        }
        shown.append(Table.of(_finished(numbers), columns, "Other seeds, the same division of the data."))
    best = comparison.best
    title = (
        f"Most accurate: {best.method.title}, {comparing.accuracy(best)}" if best else "No method finished in its time"
    )
    return Section(title, text, shown)


def _time(comparison: Comparison, numbers: Numbers) -> Section:
    fast = min(_finished(numbers), key=lambda row: float(row["fit_seconds"]))
    best = _finished(numbers)[0]
    facts = "; ".join(
        f"{row['title']} {percent(row['accuracy'], 1)} in {duration(row['fit_seconds'])}" for row in _finished(numbers)
    )
    shown = Picture(
        "accuracy-time", picture(comparison), alt=f"Accuracy and the time to fit. {facts}.",
        caption="Best on top; left is faster. The whiskers are 95 % intervals; the scale of the time is logarithmic.",
    )  # fmt: skip
    text = (
        f"Fastest to fit: {fast['title']}, {duration(fast['fit_seconds'])} for {percent(fast['accuracy'], 2)}. Most "
        f"accurate: {best['title']}, {duration(best['fit_seconds'])} for {percent(best['accuracy'], 2)}. A method is "
        "worth looking at if no other is both faster and more accurate. Here these are: "
        f"{', '.join(_frontier(numbers))}.",
    )
    return Section(f"Fastest to fit: {fast['title']}", text, (shown,))


def _answers(numbers: Numbers) -> Section:
    slow = max(_finished(numbers), key=lambda row: float(row["seconds_per_image"]))
    quick = min(_finished(numbers), key=lambda row: float(row["seconds_per_image"]))
    text = (
        f"Training happens once, prediction many times. {slow['title']} needs {duration(slow['seconds_per_image'])} "
        f"per image, {quick['title']} {duration(quick['seconds_per_image'])}. A method that stores its training "
        "images trains in no time and pays at each prediction.",
    )
    return Section(f"Slowest to answer: {slow['title']}", text)


def _frontier(numbers: Numbers) -> list[str]:
    """The methods that no other beats in both accuracy and time, the fastest first."""
    kept: list[dict[str, Any]] = []
    for row in sorted(_finished(numbers), key=lambda row: (row["fit_seconds"], -row["accuracy"])):
        if not kept or row["accuracy"] > kept[-1]["accuracy"]:
            kept.append(row)
    return [row["title"] for row in kept]


def _nothing(numbers: Numbers) -> str:
    return f"No method finished within {numbers['budget']:g} s: give it a larger budget."


def _choice(numbers: Numbers) -> str:
    rows = _finished(numbers)
    if not rows:
        return _nothing(numbers)
    facts = [row for row in rows if row["title"] in _frontier(numbers)]
    start = "; ".join(
        f"{row['title']}, {percent(row['accuracy'], 2)} in {duration(row['fit_seconds'])}" for row in facts
    )
    return f"One of those that no other beats in both, time and accuracy: {start}. The others are beaten in both."


def _mistakes(numbers: Numbers) -> str:
    rows = _finished(numbers)
    if not rows:
        return _nothing(numbers)
    best, worst = rows[0], rows[-1]
    wrong = [round(row["n"] * (1 - row["accuracy"])) for row in (best, worst)]
    return (
        f"{best['title']} is wrong on {wrong[0]} of {best['n']:,} images, {worst['title']} on {wrong[1]}: "
        f"{wrong[1] / max(wrong[0], 1):.1f} times as many. {percent(best['accuracy'], 2)} and "
        f"{percent(worst['accuracy'], 2)} do not sound like that: near the top the share of mistakes shows more."
    )


def _images_answered(numbers: Numbers) -> str:
    rows = _finished(numbers)
    if not rows:
        return _nothing(numbers)
    fit = min(rows, key=lambda row: row["fit_seconds"])
    answer = min(rows, key=lambda row: row["seconds_per_image"])
    later, saved = answer["fit_seconds"] - fit["fit_seconds"], fit["seconds_per_image"] - answer["seconds_per_image"]
    start = (
        f"Fastest to fit: {fit['title']}, {duration(fit['fit_seconds'])} and {duration(fit['seconds_per_image'])} an "
        f"image. Fastest to answer: {answer['title']}, {duration(answer['fit_seconds'])} and "
        f"{duration(answer['seconds_per_image'])}. "
    )
    if saved <= 0:
        return start + "They are the same: it is ahead from the first image on."
    return start + f"The second has caught up after {max(0.0, later) / saved:,.0f} images."


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

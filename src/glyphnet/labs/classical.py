"""The lab of the classical methods: they and our networks on the same data, accuracy against time."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from ..progress import Progress
from ..studies.comparison.comparing import Comparison, ComparisonCallback, FitProgress, Row, compare
from ..studies.comparison.methods import METHODS
from ..studies.comparison.picture import picture
from .lab import Findings, Lab
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
    """Run the comparison and draw what it found."""
    splits = settings.read(progress)
    facts = _Callback(progress, len(settings.chosen) * max(1, settings.seeds or 1))
    budget = settings.budget or (30.0 if settings.quick else 15 * _MINUTE)
    runs = [
        compare(splits, methods=settings.chosen, budget=budget, seed=seed, callback=facts)
        for seed in range(settings.seeds or 1)
    ]
    return Findings(_measure(runs[0], runs), {"accuracy-time": picture(runs[0])} if runs[0].finished else {})


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
    methods = [_one(row, comparison, runs) for row in comparison.rows]
    return {
        "data": comparison.data,
        "images": dict(comparison.counts),
        "budget": comparison.budget,
        "threads": comparison.threads,
        "seeds": len(runs),
        "verdict": comparison.verdict,
        "methods": methods,
        "frontier": _frontier([row for row in methods if row["status"] == "finished"]),
    }


def _one(row: Row, comparison: Comparison, runs: list[Comparison]) -> dict[str, Any]:
    found: dict[str, Any] = {"name": row.name, "title": row.method.title, "maker": row.method.maker}
    found |= {"does": _HOW[row.name], "settings": row.method.settings, "status": row.status, "reason": row.reason}
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


def _frontier(finished: list[dict[str, Any]]) -> list[str]:
    """The titles of the methods that no other beats in both accuracy and time, the fastest first."""
    kept: list[dict[str, Any]] = []
    for row in sorted(finished, key=lambda row: (row["fit_seconds"], -row["accuracy"])):
        if not kept or row["accuracy"] > kept[-1]["accuracy"]:
            kept.append(row)
    return [row["title"] for row in kept]


LAB = Lab("classical", "From K-means to networks: what each method takes and gives", ClassicalSettings, investigate)

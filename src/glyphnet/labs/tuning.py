"""The lab of tuning: a real search over the settings of a recipe, and how much of its best figure is luck."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ..data import Splits
from ..plots.style import BLUE, RED, SOFT, percent_axis
from ..progress import Progress
from ..studies.tuning import SearchCallback, Trial, Tuning, tune
from ..studies.tuning.picture import pictures
from . import training
from .drawing import legend_above, panel
from .lab import Findings, Lab
from .training import TrainingSettings, fewer, repeats

SEARCH: dict[str, Any] = {
    "optimizer.lr": "1e-4..0.3:log",
    "network.hidden": [[4], [16], [64]],
    "batch_size": "8,32,128",
}
"""What is searched, as ``glyphnet tune --search`` takes it."""

_DRAWS = 2000


@dataclass(frozen=True, eq=False)
class Result:
    """The search, and the winner trained again from other starts."""

    splits: Splits
    tuning: Tuning
    again: list[dict[str, float]]  # the winner's settings with other seeds: validation and test accuracy
    base: list[dict[str, float]]  # the same of the recipe that the search began with


class _Counting(SearchCallback):
    def __init__(self, progress: Progress, total: int) -> None:
        self.progress, self.total, self.done = progress, total, 0

    def trial_ended(self, trial: Trial, best: Trial | None) -> None:
        self.done += 1
        self.progress(self.done, self.total, f"trial {self.done} of {self.total}")


def experiment(settings: TrainingSettings, progress: Progress) -> Result:
    """Search by few training images, then train the winner and the base again with other seeds."""
    splits = settings.read(progress)
    splits = fewer(splits, 300 if settings.quick else 3000, 0)
    trials = 10 if settings.quick else 40
    base = training.recipe({"kind": "mlp", "hidden": [16]}, epochs=settings.passes(full=10, quick=8), batch_size=32)
    tuning = tune(splits, recipe=base, search=SEARCH, trials=trials, callbacks=[_Counting(progress, trials)], threads=1)
    winner = tuning.recipe or base
    seeds = settings.repetitions(full=5, quick=3)
    recipes = {
        name: recipe.model_copy(update={"seed": 100 + seed})
        for label, recipe in (("winner", winner), ("base", base))
        for seed, name in ((seed, f"{label} {seed}") for seed in range(seeds))
    }
    trainer = training.Trainer(progress, len(recipes))
    judged: dict[str, list[dict[str, float]]] = {"winner": [], "base": []}
    for name, recipe in recipes.items():
        run = trainer.train(splits, recipe, f"again: {name}")
        best = max(run.curve("val_accuracy"))
        judged[name.split()[0]].append({"validation": best, "test": run.evaluation.accuracy})
    return Result(splits, tuning, judged["winner"], judged["base"])


def luck(accuracy: float, images: int, trials: int) -> float:
    """How much the best of ``trials`` equally good networks is expected to exceed their accuracy, by chance alone.

    Each is judged on ``images`` images as if independently: the mean over many draws, seed 0.
    """
    drawn = np.random.default_rng(0).binomial(images, accuracy, (_DRAWS, trials)) / images
    return float(drawn.max(axis=1).mean() - accuracy)


def measure(result: Result) -> dict[str, Any]:
    """What was measured, as numbers.json holds it."""
    tuning = result.tuning
    ranked, best = tuning.ranked, tuning.best
    assert best is not None, "the base at least was trained"
    assert best.accuracy is not None
    first = next(trial for trial in tuning.trials if trial.is_base)
    finished = [trial.accuracy or 0.0 for trial in ranked]
    images = len(result.splits.validation)
    median = float(np.median(finished))
    return {
        "data": result.splits.name,
        "images": {name: len(part) for name, part in result.splits},
        "trials": len(tuning.trials),
        "finished": len(ranked),
        "pruned": sum(trial.ending == "pruned" for trial in tuning.trials),
        "base_validation": first.accuracy or 0.0,
        "best": {
            "accuracy": best.accuracy,
            "settings": {name: _in_short(value) for name, value in best.settings.items()},
        },
        "worst": min(finished),
        "median": median,
        "luck": {str(count): luck(best.accuracy, images, count) for count in (1, 10, 100)},
        "again": {name: repeats([row[name] for row in result.again]) for name in ("validation", "test")},
        "base": {name: repeats([row[name] for row in result.base]) for name in ("validation", "test")},
        "importances": {name: float(share) for name, share in tuning.importances.items()},
    }


def _in_short(value: Any) -> str:
    """A setting as a person writes it: 0.0398, and [64] as 64."""
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_in_short, value))
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def investigate(settings: TrainingSettings, progress: Progress) -> Findings:
    """Run the experiment and draw what it found."""
    result = experiment(settings, progress)
    numbers = measure(result)
    drawn = pictures(result.tuning)
    return Findings(
        numbers, {"history": drawn["history"], "settings": drawn["slices"], "again": _again(result, numbers)}
    )


def _again(result: Result, numbers: dict[str, Any]) -> Figure:
    figure, ax = panel(2.8)
    for place, rows in enumerate((result.base, result.again)):
        for kind, colour, mark, shift in (("validation", RED, "D", -0.12), ("test", BLUE, "o", 0.12)):
            values = [row[kind] for row in rows]
            ax.plot(values, [place + shift] * len(values), mark, color=colour, label=None if place else kind)
    ax.axvline(numbers["best"]["accuracy"], color=SOFT, linestyle="--", linewidth=1.5, label="what the search promised")
    ax.set_yticks((0, 1), ("base recipe", "winner"))
    ax.set_ylim(1.5, -0.5)
    ax.set_xlabel("accuracy, trained again with other seeds")
    percent_axis(ax.xaxis)
    legend_above(ax, columns=3)
    return figure


LAB = Lab("tuning", "A search for better settings, and how much of it is luck", TrainingSettings, investigate)

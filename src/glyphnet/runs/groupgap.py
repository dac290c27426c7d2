"""How much a random division flatters: the same training once more, with groups of pictures on both sides of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..data import Finding, ImageDataset, Splits
from ..data.listing import Progress
from ..errors import SettingsError
from ..evaluation import Evaluation, evaluate
from ..training import Recipe, Watcher
from .conclusion import make_classifier
from .keeping import today
from .preparation import fitting_of, read
from .run import Run


def check_group_gap(recipe: Recipe, splits: Splits, processes: int) -> None:
    """Raise SettingsError unless the gap can be measured."""
    if processes > 1:
        raise SettingsError("the group gap is not measured by several processes: train with one.")
    if recipe.data is None:
        raise SettingsError("the group gap needs data that can be read again: give their name or path, not Splits.")
    if splits.group_by == "none":
        raise SettingsError("the group gap needs groups, and none were found: name them by --group-by (group_by).")


def with_group_gap(
    run: Run, *, device: str, threads: int | None, watchers: Sequence[Watcher], progress: Progress | None
) -> Run:
    """The run with a finding: its accuracy on new groups beside that of a training with a random division.

    Both are judged on their test parts; where the data have a test part of their own, on their validation parts. A run
    that was stopped stays as it is.
    """
    if run.evaluation is None or run.classifier is None or run.recipe.data is None:
        return run
    at_random = read(run.recipe.data.model_copy(update={"group_by": "none"}), progress)
    part = "test" if set(at_random.test.names) != set(run.splits.test.names) else "validation"
    own, other = (_part(splits, part) for splits in (run.splits, at_random))
    if not len(own) or not len(other):
        return run
    by_group = run.evaluation if part == "test" else evaluate(run.classifier, own, data=part, progress=progress)
    result = fitting_of(run.recipe, at_random, device, threads=threads).run(watchers=watchers)
    if not result.best_epoch or result.ending == "stopped":
        return run
    classifier = make_classifier(result, run.recipe, at_random, today())
    flattered = evaluate(classifier, other, data=part, progress=progress)
    gap = flattered.accuracy - by_group.accuracy
    sentence = (
        f"On new groups {_figure(by_group)} of the {part} images are right; with a random division, which puts "
        f"pictures of a group on both sides, {_figure(flattered)}: "
        f"{100 * gap:+.1f} points that new pictures will not have."
    )
    numbers: dict[str, int | float | str | None] = {
        "by_group": by_group.accuracy,
        "at_random": flattered.accuracy,
        "gap": gap,
        "part": part,
    }
    return replace(run, findings=(*run.findings, Finding("group_gap", sentence, numbers)))


def _part(splits: Splits, name: str) -> ImageDataset:
    return dict(splits)[name]


def _figure(evaluation: Evaluation) -> str:
    interval = evaluation.accuracy_interval
    return f"{evaluation.accuracy:.2%} [{interval.low:.1%}, {interval.high:.1%}] ({len(evaluation):,})"

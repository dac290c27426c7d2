"""How much a random division flatters: the same training once more, with groups of pictures on both sides of it."""

from __future__ import annotations

from collections.abc import Sequence

from ..classifier import Classifier
from ..data import Finding, ImageDataset, Splits
from ..data.listing import Progress
from ..errors import DivergedError, SettingsError
from ..evaluation import Evaluation, evaluate
from ..training import Callback, Recipe
from .conclusion import make_classifier
from .preparation import fitting_of, read
from .run import today


def check_group_gap(recipe: Recipe, splits: Splits, processes: int) -> None:
    """Raise SettingsError unless the gap can be measured."""
    if processes > 1:
        raise SettingsError("the group gap is not measured by several processes: train with one.")
    if recipe.data is None:
        raise SettingsError("the group gap needs data that can be read again: give their name or path, not Splits.")
    if splits.group_by == "none":
        raise SettingsError("the group gap needs groups, and none were found: name them by --group-by (group_by).")


def measure_group_gap(
    classifier: Classifier,
    evaluation: Evaluation,
    recipe: Recipe,
    splits: Splits,
    *,
    device: str,
    threads: int | None,
    callbacks: Sequence[Callback],
    progress: Progress | None,
) -> tuple[Finding, ...]:
    """The accuracy on new groups beside that of a training with a random division, as a finding.

    Both are judged on their test parts; where the data have a test part of their own, on their validation parts. A
    second training that was stopped or diverged is named. Nothing is said where a part to compare is empty.
    """
    assert recipe.data is not None  # `check_group_gap` has seen to it
    at_random = read(recipe.data.model_copy(update={"group_by": "none"}), progress)
    part = "test" if set(at_random.test.names) != set(splits.test.names) else "validation"
    own, other = _part(splits, part), _part(at_random, part)
    if not len(own) or not len(other):
        return ()
    by_group = evaluation if part == "test" else evaluate(classifier, own, data=part, progress=progress)
    numbers: dict[str, int | float | str | None] = {"by_group": by_group.accuracy, "part": part}
    start = f"On new groups {_figure(by_group)} of the {part} images are right"
    try:
        result = fitting_of(recipe, at_random, device, threads=threads).run(callbacks=callbacks)
    except DivergedError as error:
        return (Finding("group_gap", f"{start}; with a random division the training diverged: {error}", numbers),)
    if not result.best_epoch or result.ending == "stopped":
        return (Finding("group_gap", f"{start}; the training with a random division was stopped.", numbers),)
    flattered = evaluate(make_classifier(result, recipe, at_random, today()), other, data=part, progress=progress)
    gap = flattered.accuracy - by_group.accuracy
    sentence = (
        f"{start}; with a random division, which puts pictures of a group on both sides, {_figure(flattered)}: "
        f"{100 * gap:+.1f} points that new pictures will not have."
    )
    return (Finding("group_gap", sentence, {**numbers, "at_random": flattered.accuracy, "gap": gap}),)


def _part(splits: Splits, name: str) -> ImageDataset:
    return dict(splits)[name]


def _figure(evaluation: Evaluation) -> str:
    interval = evaluation.accuracy_interval
    return f"{evaluation.accuracy:.2%} [{interval.low:.1%}, {interval.high:.1%}] ({len(evaluation):,})"

"""A run of several processes: which this is, what the others do, and what they have in the end."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from ..data import ImageDataset, Splits
from ..errors import SettingsError
from ..training import Examples, FitResult, Fitting, Recipe, distributed
from ..training.places import Place, check_parts, device_at, place_from_environment
from .conclusion import make_classifier
from .preparation import read
from .run import Run


def place_of(processes: int) -> Place:
    """Which of torchrun's processes this is, if any.

    Raises:
        SettingsError: torchrun has started processes, and others are asked for.
        TrainingError: torchrun's environment makes no sense.
    """
    place = place_from_environment()
    if place.size > 1 and processes != 1:
        raise SettingsError(
            f"torchrun has started {place.size} processes, and processes={processes} asks for others: "
            "give the number to torchrun alone."
        )
    return place


@contextlib.contextmanager
def others(processes: int, recipe: Recipe, splits: Splits, device: str) -> Iterator[None]:
    """Have the processes that were asked for do the same work as the block; see `followers`."""
    check_parts(processes, len(splits.train), recipe)
    device_at(device, Place(0, processes, 0, processes))
    if processes == 1:
        yield
        return
    from ..training.followers import followers

    # What is on disk each reads for itself: large images are mapped, and in memory once.
    carried = splits if recipe.data is None else None
    with followers(processes - 1, device, _follow, recipe, carried, device):
        yield


def _follow(recipe: Recipe, carried: Splits | None, device: str) -> Callable[[], object]:
    """What the other processes do: read the data, then train."""
    if carried is None:
        assert recipe.data is not None
        carried = read(recipe.data, None)
    splits = carried
    return lambda: fitting_of(recipe, splits, device).run()


def fitting_of(recipe: Recipe, splits: Splits, device: str) -> Fitting:
    """The training of ``recipe`` on ``splits``, of all processes alike.

    Raises:
        TrainingError: the processes have different data or recipes.
    """
    if distributed.world_size() > 1:
        distributed.check_same("The recipe", recipe.model_dump_json(exclude={"data"}))
        distributed.check_same("The training data", splits.train.fingerprint)
    validation = _examples(splits.validation) if len(splits.validation) else None
    return Fitting(recipe, _examples(splits.train), validation, len(splits.classes), device)


def _examples(dataset: ImageDataset) -> Examples:
    return Examples.of(dataset.images, dataset.labels)


def unjudged(result: FitResult, recipe: Recipe, splits: Splits, began: str) -> Run:
    """The run as the processes other than the first have it."""
    return Run(
        classifier=make_classifier(result, recipe, splits, began) if result.best_epoch else None,
        evaluation=None,
        recipe=recipe,
        splits=splits,
        history=result.history,
        best_epoch=result.best_epoch,
        ending=result.ending,
        seconds=result.seconds,
        folder=None,
    )

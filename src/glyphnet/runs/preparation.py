"""Prepare a training: the data, and the recipe with all of its settings."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

from ..data import Splits, load
from ..data.ink import look_at
from ..data.load import known_name
from ..errors import DataError, SettingsError
from ..files import read_input
from ..progress import Progress
from ..settings import parse_settings
from ..training import DataSettings, Examples, Fitting, Pictures, Recipe
from ..training import preset as recipe_of_preset
from ..training.collective import ALONE, Collective
from ..training.consistency import semi_supervised
from ..training.presets import BY_WORK, RUNGS, fine_tuned
from ..training.recipe import read_value
from .backbone import GLYPHBASE, GLYPHBASE_SHAPE, images_for, pinned, read_backbone
from .mirrored import ask_mirrored, is_worth_asking
from .unlabelled import SOURCES, Pool, source_of_pool, with_pool, with_source, without_foreign

Source: TypeAlias = str | os.PathLike[str] | DataSettings | Splits

FEW_DRAWINGS = 50
"""Training images a class below which presets take GlyphBase: benchmarks/RESULTS.md, "Few labels"."""

# The sections that a preset may fill by the data's shape: they can be checked when the data are known.
_BY_SHAPE = ("network", "optimizer", "schedule", "loss")


def prepare(
    data: Source | None,
    preset: str,
    recipe: Recipe | None,
    changes: Mapping[str, Any],
    progress: Progress | None,
    pool: Pool | None = None,
    *,
    own_network: bool = False,
) -> tuple[Recipe, Splits]:
    """The recipe, with the data's settings in it, and the data; arguments and errors as for `glyphnet.train`.

    Wrong settings are refused before the data are read where possible.

    Args:
        pool: the unlabelled pictures.
        own_network: no preset takes a backbone by itself, for the network will be varied.
    """
    _check_early(preset, recipe, changes)
    if recipe is not None and (named := [name for name in changes if _section(name) == "pictures"]):
        raise SettingsError(
            f"{named[0]}: a recipe has its augmentations already. Set augment, or give a preset instead."
        )
    settings = _data_settings(data, recipe, changes)
    changes = _with_pinned(changes)
    if settings is None:
        assert isinstance(data, Splits)
        splits = data
    else:
        weights = _backbone_in(changes) or (recipe and recipe.backbone and recipe.backbone.weights)
        if weights:
            settings = images_for(weights, settings)
        splits = load(settings, progress=progress)
        settings = settings.model_copy(update={"group_by": splits.group_by})  # what was found, for later readings
    source, splits = _with_unlabelled(pool, splits, settings, recipe, changes, progress)
    if splits.unlabelled is not None:
        changes = {name: value for name, value in changes.items() if name not in SOURCES}
    if recipe is None:
        made = _by_pictures(preset, splits, settings, changes, own_network=own_network)
    else:
        made = with_backbone(_changed(recipe, settings, changes), splits)
    if splits.unlabelled is None:
        return made, splits
    made = with_source(made, source)
    return made, without_foreign(splits, made, progress)


def recipe_of(
    preset: str,
    splits: Splits,
    data: DataSettings | None,
    changes: Mapping[str, Any],
    pictures: Pictures | None = None,
) -> Recipe:
    """The recipe that a preset has for these data, read as in ``data`` (None if from memory), with changes.

    Args:
        pictures: what they are; None for a preset that knows no kind.
    """
    if (weights := _backbone_in(changes)) is None:
        shape, images, classes = splits.image_shape, len(splits.train), len(splits.classes)
        if splits.unlabelled is None:
            recipe = recipe_of_preset(preset, shape, images, classes, pictures)
        else:
            recipe = semi_supervised(preset, shape, images, len(splits.unlabelled), classes)
    else:
        backbone = read_backbone(weights, splits.image_shape)
        recipe = fine_tuned(backbone.network, splits.image_shape, len(splits.train))
        changes = {**changes, "backbone.sha256": backbone.sha256}
    return _changed(recipe, data, changes)


def _by_pictures(
    preset: str, splits: Splits, data: DataSettings | None, changes: Mapping[str, Any], *, own_network: bool
) -> Recipe:
    """The preset's recipe for pictures as these look, unless the user names their kind."""
    if _backbone_in(changes) is not None or splits.unlabelled is not None or not len(splits.train):
        return recipe_of(preset, splits, data, changes)
    asked = changes.get("pictures", changes.get("pictures.kind"))
    pictures = Pictures.of(look_at(splits.train.images)) if asked is None else parse_settings(Pictures, {"kind": asked})
    if not own_network and preset in BY_WORK and _takes_glyphbase(pictures, splits, changes):
        recipe = recipe_of(preset, splits, data, {**changes, "backbone": GLYPHBASE, "epochs": 1})
        return recipe.model_copy(update={"pictures": pictures})
    recipe = recipe_of(preset, splits, data, changes, pictures)
    if is_worth_asking(recipe, splits) and not {"augment", "augment.flip"} & set(changes):
        pictures = pictures.model_copy(update={"mirrored": ask_mirrored(splits)})
        recipe = recipe_of(preset, splits, data, changes, pictures)
    return recipe


def candidates_for(recipe: Recipe, splits: Splits, changes: Mapping[str, Any]) -> dict[str, Recipe]:
    """The recipes among which a training of a given time chooses, by name, the quickest first.

    Args:
        recipe: what a preset has for these data; over a backbone that the user named it is the only one.
    """
    if _backbone_in(changes) is not None:
        return {"": recipe}
    if splits.unlabelled is not None:
        changes = {name: value for name, value in changes.items() if name not in SOURCES}
        found = {name: recipe_of(name, splits, recipe.data, changes) for name in BY_WORK}
        return {name: each.model_copy(update={"unlabelled": recipe.unlabelled}) for name, each in found.items()}
    found = {} if recipe.backbone is None else {f"on {GLYPHBASE}": recipe}
    refused = None
    for name in BY_WORK if {"network", "network.kind"} & set(changes) else RUNGS:
        try:
            found[name] = recipe_of(name, splits, recipe.data, changes, recipe.pictures)
        except SettingsError as error:  # a setting of the network that this one does not have
            refused = refused or error
    if refused is not None and not found:
        raise refused
    return found


def _takes_glyphbase(pictures: Pictures, splits: Splits, changes: Mapping[str, Any]) -> bool:
    """Whether GlyphBase's last layer is trained, for few drawings of its size; not where the user chose a part of it.

    More epochs, which train all layers, did not pay for so few.
    """
    chosen = {"backbone", "network", "optimizer", "epochs", "loss", "schedule"} & set(map(_section, changes))
    is_its_kind = pictures.kind == "drawings" and splits.image_shape == GLYPHBASE_SHAPE
    return is_its_kind and not chosen and len(splits.train) < FEW_DRAWINGS * len(splits.classes)


def with_backbone(recipe: Recipe, splits: Splits) -> Recipe:
    """The recipe with the SHA-256 of its backbone's weights, if it has one."""
    if recipe.backbone is None:
        return recipe
    found = read_backbone(recipe.backbone.weights, splits.image_shape, recipe.backbone.sha256)
    return recipe.model_copy(update={"backbone": recipe.backbone.model_copy(update={"sha256": found.sha256})})


def _backbone_in(changes: Mapping[str, Any]) -> str | None:
    found = changes.get("backbone", changes.get("backbone.weights"))
    return found if isinstance(found, str) and read_value(found) is not None else None


def _with_pinned(changes: Mapping[str, Any]) -> Mapping[str, Any]:
    """The changes with the commit of a backbone of a hub: the recipe makes the same model later."""
    if (weights := _backbone_in(changes)) is None:
        return changes
    return {**changes, "backbone" if "backbone" in changes else "backbone.weights": pinned(weights)}


def _changed(recipe: Recipe, data: DataSettings | None, changes: Mapping[str, Any]) -> Recipe:
    others = {name: value for name, value in changes.items() if _section(name) != "data"}
    return recipe.model_copy(update={"data": data}).override(others)


def _with_unlabelled(
    pool: Pool | None, splits: Splits, settings: DataSettings | None, recipe: Recipe | None,
    changes: Mapping[str, Any], progress: Progress | None,
) -> tuple[str | None, Splits]:  # fmt: skip
    """The path of a training's unlabelled pictures, and the splits with them, if it has any."""
    if pool is not None and not isinstance(pool, str | os.PathLike):
        if settings is not None:
            raise SettingsError(
                "unlabelled images in memory need labelled ones in memory, so that a run can be resumed: give "
                "glyphnet.load(…) as data, or the path of the unlabelled pictures."
            )
        return None, with_pool(splits, pool, None, progress)
    if source := source_of_pool(pool, settings, recipe, changes):
        return source, with_pool(splits, source, settings, progress)
    if splits.unlabelled is not None:
        return None, with_pool(splits, splits.unlabelled, None, progress)
    return None, splits


def read_again(recipe: Recipe, progress: Progress | None) -> Splits:
    """The data of a training that is resumed; DataError if they are gone, or named relative to another folder."""
    assert recipe.data is not None
    for named in (recipe.data.source, recipe.unlabelled and recipe.unlabelled.source):
        if not named:
            continue
        source = Path(named).expanduser()
        if known_name(named) is None and not source.is_absolute() and not source.exists():
            raise DataError(
                f"{named!r} is not in this folder. The training's images were named from the folder in which it was "
                "started: resume it there."
            )
    return with_pool_again(load(recipe.data, progress=progress), recipe, progress)


def with_pool_again(splits: Splits, recipe: Recipe, progress: Progress | None) -> Splits:
    """The splits with the recipe's unlabelled pictures, as the training had them when it began."""
    if recipe.unlabelled is None:
        return splits
    pool: Pool | None = recipe.unlabelled.source or splits.unlabelled
    if pool is None:
        raise SettingsError("unlabelled: this run learned from unlabelled images in memory: give splits with them.")
    return without_foreign(with_pool(splits, pool, recipe.data, progress), recipe, progress)


def inputs_of(recipe: Recipe) -> list[str]:
    """The files that a training reads: the data, the table of decisions, the table of groups."""
    data = recipe.data
    named = [] if data is None else [data.source, data.labels, data.group_by]
    return [each for each in (*named, recipe.unlabelled and recipe.unlabelled.source) if each]


def fitting_of(
    recipe: Recipe, splits: Splits, device: str, collective: Collective = ALONE, threads: int | None = None
) -> Fitting:
    """The training of ``recipe`` on ``splits``; TrainingError if the processes have different data or recipes."""
    if collective.size > 1:
        collective.check_same("The recipe", recipe.model_dump_json(exclude={"data"}))
        collective.check_same("The training data", splits.train.fingerprint)
    unlabelled = None
    if recipe.unlabelled is not None and splits.unlabelled is not None:
        unlabelled = Examples.of(splits.unlabelled.images, splits.unlabelled.labels)
    train, validation = _examples(splits)
    held_out = validation if len(validation) else None
    pretrained = None
    if (backbone := recipe.backbone) is not None:
        found = read_backbone(backbone.weights, splits.image_shape, backbone.sha256)
        pretrained = found.for_images(splits.train.images)
    return Fitting(
        recipe, train, held_out, len(splits.classes), device, collective, threads, pretrained, unlabelled,
        keep_features=collective.rank == 0,
    )  # fmt: skip


def _examples(splits: Splits) -> tuple[Examples, Examples]:
    """Those of the training and of the validation part."""
    train, validation = (Examples.of(part.images, part.labels) for part in (splits.train, splits.validation))
    return train, validation


def read_recipe(path: str | os.PathLike[str]) -> Recipe:
    """The recipe in a YAML file; SettingsError, with the file's name, if it is not a recipe or a setting is wrong."""
    try:
        return Recipe.from_yaml(read_input(path, piped=True).decode("utf-8"))
    except UnicodeDecodeError:
        raise SettingsError(f"{path}: not a recipe: it is no text. A run folder's recipe.yaml is one.") from None
    except SettingsError as error:
        raise SettingsError(f"{path}: {error}") from None


def _data_settings(data: Source | None, recipe: Recipe | None, changes: Mapping[str, Any]) -> DataSettings | None:
    """The data's settings, changed: those given, or the recipe's, with another source if only that is given.

    None for data in memory, for which nothing can be set.
    """
    own = {name: value for name, value in changes.items() if _section(name) == "data"}
    if isinstance(data, Splits):
        if own:
            raise SettingsError(
                f"{', '.join(own)}: the data are in memory already, and how they were read cannot be "
                "changed. Give their name or path instead."
            )
        return None
    settings = (recipe.data if recipe else None) or DataSettings()
    if isinstance(data, DataSettings):
        settings = data
    elif isinstance(data, str | os.PathLike):
        settings = settings.model_copy(update={"source": os.fspath(data)})
    elif data is not None:
        raise SettingsError(
            f"data is a {type(data).__name__}, and must be the name of a data set, a path, or Splits. "
            "Save arrays with numpy.savez(path, images=…, labels=…) and give that path."
        )
    values = {name.partition(".")[2]: read_value(each) if isinstance(each, str) else each for name, each in own.items()}
    return settings.with_values(values)


def _check_early(preset: str, recipe: Recipe | None, changes: Mapping[str, Any]) -> None:
    """Refuse wrong settings before reading data takes minutes.

    What a preset makes of the data is not known yet: a recipe for other data stands in for it, and settings that may
    be right for one and wrong for the other are not checked.
    """
    base = recipe or recipe_of_preset(preset, (28, 28, 1), 10_000, 10)
    kinds = {name.removesuffix(".kind").removesuffix(".name") for name in changes}
    certain = {
        name: value
        for name, value in changes.items()
        if recipe or _section(name) not in _BY_SHAPE or _section(name) in kinds
    }
    try:
        base.override(certain)
    except SettingsError:
        base.override(changes)  # fails too, and names all that is wrong
        raise


def _section(name: str) -> str:
    return name.partition(".")[0]

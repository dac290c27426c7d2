"""From what a user wrote to the search space, checked against the recipe: all that is wrong is told at once."""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import UnionType
from typing import Any, TypeAlias, Union, get_args, get_origin

from ..augment import AUGMENTATIONS
from ..errors import SettingsError
from ..settings import models_in
from ..training import Recipe
from ..training.recipe import read_value
from .space import Choice, Dimension, Range, Space

Search: TypeAlias = Mapping[str, str | Sequence[object]]
"""By dotted name: ``"1e-4..1e-1:log"``, ``"8..32:step8"``, ``"adamw,sgd"``, or a sequence of choices."""

_KINDS = ("network", "loss", "optimizer", "schedule")
_NOT_SEARCHED = {
    "data": "the images are read once, for all trials",
    "seed": "what a lucky seed gains is gone on other images",
    "samples": "it changes nothing that is learned",
    "answer_precision": "it changes nothing that is learned",
}
_RANGE = re.compile(r"(?P<low>[^:]*?)\.\.(?P<high>[^:]*)(?::(?P<log>log)|:step(?P<step>[^:]+))?")
_HOW = "write LOW..HIGH, LOW..HIGH:log, LOW..HIGH:step8, or choices divided by commas"


def read_space(search: Search, recipe: Recipe, *, effects: bool = True) -> Space:
    """The space that ``search`` describes, each end and option of it tried on ``recipe``.

    Args:
        search: see `Search`.
        recipe: what the trials begin from.
        effects: also refuse what has no effect beside the recipe's other settings.

    Raises:
        SettingsError: everything that is wrong.
    """
    named = {_canonical(name): value for name, value in search.items()}
    if len(named) < len(search):
        raise SettingsError("search: a setting is named twice, once by its section and once by its kind.")
    dimensions: list[Dimension] = []
    problems = []
    # Kinds first: which settings there are depends on them.
    for name in sorted(named, key=lambda name: "." in name):
        try:
            dimensions.append(_read(name, named[name], recipe, dimensions))
        except SettingsError as error:
            problems.append(str(error).rstrip("."))
    if not problems and effects:
        problems = list(_without_effect(Space(tuple(dimensions)), recipe))
    if problems:
        raise SettingsError("search: " + "; ".join(dict.fromkeys(problems)))
    return Space(tuple(dimensions))


def _canonical(name: str) -> str:
    section, _, rest = name.strip().partition(".")
    return section if section in _KINDS and rest in ("kind", "name") else name.strip()


def _read(name: str, value: str | Sequence[object], recipe: Recipe, before: Sequence[Dimension]) -> Dimension:
    reason = _NOT_SEARCHED.get(name.partition(".")[0])
    if reason:
        raise SettingsError(f"{name} cannot be searched: {reason}")
    recipes = dict(_recipes_with(name, recipe, before))
    written = value.strip() if isinstance(value, str) else ""
    if ".." in written and not written.startswith(("[", "{")):
        dimension: Dimension = _read_range(name, written)
        tried: list[object] = [dimension.low, dimension.high]  # type: ignore[union-attr]
        whole = _is_whole(name)
        if whole is None:
            if not any(_has(base, name) for base in recipes.values()):
                _try(name, tried, recipes.values())  # which says that there is no such setting
            raise SettingsError(f"{name} is no number: give choices divided by commas, {name}=A,B")
        dimension = _typed(dimension, whole)  # type: ignore[arg-type]
        tried = [int(end) if whole else float(end) for end in (dimension.low, dimension.high)]
    else:
        dimension = _read_choice(name, value)
        tried = list(dimension.options)
    _try(name, tried, recipes.values())
    only = () if set(recipes) >= set(_options_of(name, before)) else tuple(recipes)
    return type(dimension)(**{**vars(dimension), "only": only})


def _recipes_with(name: str, recipe: Recipe, before: Sequence[Dimension]) -> Iterator[tuple[str, Recipe]]:
    """The recipe with each kind of the setting's section that has the setting; with the first if none has."""
    section, _, rest = name.partition(".")
    options = _options_of(name, before) if rest else ()
    if not options:
        yield "", recipe
        return
    made = {option: recipe.override({section: option}) for option in options}
    having = {option: base for option, base in made.items() if _has(base, name)}
    yield from (having or {options[0]: made[options[0]]}).items()


def _has(recipe: Recipe, name: str) -> bool:
    section, _, rest = name.partition(".")
    return section in Recipe.model_fields and (
        not rest or rest in getattr(type(getattr(recipe, section)), "model_fields", ())
    )


def _options_of(name: str, before: Sequence[Dimension]) -> tuple[str, ...]:
    section = name.partition(".")[0]
    return next((each.options for each in before if isinstance(each, Choice) and each.name == section), ())


def _read_range(name: str, text: str) -> Range:
    match = _RANGE.fullmatch(text)
    if match is None:
        raise SettingsError(f"{name}={text} is no range: {_HOW}")
    low, high = _number(name, match["low"]), _number(name, match["high"])
    step = None if match["step"] is None else _number(name, match["step"])
    if low >= high:
        raise SettingsError(f"{name}={text} has no extent: the first number must be below the second")
    if match["log"] and low <= 0:
        raise SettingsError(f"{name}={text}: a logarithmic range must begin above 0")
    if step is not None and not 0 < step <= high - low:
        raise SettingsError(f"{name}={text}: the step must be above 0 and not beyond the range")
    return Range(name, low, high, log=bool(match["log"]), step=step)


def _number(name: str, text: str) -> float:
    value = read_value(text.strip())
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise SettingsError(f'{name}: "{text.strip()}" is no number: {_HOW}')
    return float(value)


def _typed(dimension: Range, whole: bool) -> Range:
    """The range in the setting's own numbers; the last step of a coarse one may end below ``high``."""
    low, high, step = dimension.low, dimension.high, dimension.step
    if whole and any(number != int(number) for number in (low, high, step or 1)):
        raise SettingsError(f"{dimension.name}={dimension} must be whole numbers")
    if step is not None:
        high = low + step * math.floor((high - low) / step + 1e-9)
    return Range(dimension.name, low, high, whole, dimension.log, step)


def _read_choice(name: str, value: str | Sequence[object]) -> Choice:
    if isinstance(value, str):
        options = tuple(part.strip() for part in _divided(value))
    else:
        options = tuple(part if isinstance(part, str) else json.dumps(part, default=list) for part in value)
    if not all(options):
        raise SettingsError(f"{name}={value} has an empty choice: {_HOW}")
    if len(options) < 2:
        raise SettingsError(f"{name}={', '.join(options)} leaves nothing to search: {_HOW}, or give it by --set")
    if len(set(options)) < len(options):
        raise SettingsError(f"{name}={value} names a choice twice")
    return Choice(name, options)


def _divided(text: str) -> Iterator[str]:
    """The parts between commas, but for those in brackets: ``[64],[128,64]`` are two."""
    part, depth = "", 0
    for letter in text:
        depth += (letter in "[{(") - (letter in "]})")
        if letter == "," and depth <= 0:
            yield part
            part = ""
        else:
            part += letter
    yield part


def _is_whole(name: str) -> bool | None:
    """Whether the setting is a whole number; None if it is no number, or no setting."""
    section, _, rest = name.partition(".")
    if section == "augment":
        return AUGMENTATIONS[rest].whole if rest in AUGMENTATIONS else None
    field = Recipe.model_fields.get(section)
    if field is None:
        return None
    fields = [model.model_fields.get(rest) for model in models_in(field.annotation)] if rest else [field]
    types = {each for found in fields if found is not None for each in _plain_types(found.annotation)}
    if float in types:
        return False
    return True if int in types else None


def _plain_types(annotation: Any) -> Iterator[type]:
    """The types that a value may have, those inside of lists left out."""
    if hasattr(annotation, "__metadata__"):  # Annotated
        yield from _plain_types(get_args(annotation)[0])
    elif get_origin(annotation) in (Union, UnionType):
        for part in get_args(annotation):
            yield from _plain_types(part)
    elif isinstance(annotation, type):
        yield annotation


def _try(name: str, values: Sequence[object], recipes: Iterable[Recipe]) -> None:
    """Let the recipe say what is wrong with each of these values."""
    problems = []
    for recipe, value in itertools.product(recipes, values):
        try:
            recipe.override({name: value})
        except SettingsError as error:
            problems.append(str(error).rstrip("."))
    if problems:
        raise SettingsError("; ".join(dict.fromkeys(problems)))


def _without_effect(space: Space, recipe: Recipe) -> Iterator[str]:
    """A sentence for each setting whose value makes no difference, whatever kinds are drawn."""
    kinds = [each for each in space.dimensions if isinstance(each, Choice) and each.name in _KINDS]
    said: dict[str, list[str | None]] = {each.name: [] for each in space.dimensions}
    for drawn in itertools.product(*(each.options for each in kinds)):
        chosen = {each.name: option for each, option in zip(kinds, drawn, strict=True)}
        for end in (0, -1):
            settings: dict[str, object] = dict(chosen)
            for each in space.dimensions:
                if each.name not in chosen and space.applies(each, chosen):
                    settings[each.name] = each.options[end] if isinstance(each, Choice) else (each.low, each.high)[end]
            try:
                sentences = recipe.override(settings).without_effect(given=tuple(settings))
            except SettingsError:  # not possible together: such a trial is left out when it is drawn
                continue
            for name in settings:
                said[name].append(_about(name, sentences))
    for found in said.values():
        if found and all(found):
            yield str(found[0]).rstrip(".")


def _about(name: str, sentences: Iterable[str]) -> str | None:
    section, _, rest = name.partition(".")
    for sentence in sentences:
        plain = sentence.replace(f"{section}: {rest} has", f"{name} has") if rest else sentence
        if plain.startswith((f"{name} has no effect", f"{section} has no effect")):
            return plain
    return None

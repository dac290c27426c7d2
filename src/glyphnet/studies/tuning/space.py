"""The search space: ranges and choices, one for each setting; how it is written and checked; the default one."""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import UnionType
from typing import TYPE_CHECKING, Any, TypeAlias, Union, get_args, get_origin

from ...augment import AUGMENTATIONS
from ...errors import SettingsError
from ...settings import models_in
from ...training import Recipe
from ...training.recipe import read_value

if TYPE_CHECKING:
    import optuna

Value: TypeAlias = float | int | str


@dataclass(frozen=True)
class Range:
    """Numbers from ``low`` to ``high``, both included."""

    name: str  # the setting's dotted name in the recipe
    low: float
    high: float
    whole: bool = False  # whole numbers only
    log: bool = False  # drawn uniformly in the logarithm: 0.001 to 0.01 is as likely as 0.01 to 0.1
    step: float | None = None  # between two values; None for any number between the ends
    only: tuple[str, ...] = ()  # kinds of the setting's section that have it, if the kind is searched too; () for all

    @property
    def values(self) -> tuple[float | int, ...]:
        """The ends."""
        return (int(self.low), int(self.high)) if self.whole else (float(self.low), float(self.high))

    def suggest(self, trial: optuna.Trial) -> Value:
        """The value that the sampler draws for a trial."""
        if self.whole:
            step = int(self.step or 1)
            return trial.suggest_int(self.name, int(self.low), int(self.high), step=step, log=self.log)
        return trial.suggest_float(self.name, self.low, self.high, step=self.step, log=self.log)

    def holds(self, value: object) -> bool:
        """Whether ``value`` could be drawn."""
        if isinstance(value, bool) or not isinstance(value, int | float) or not self.low <= value <= self.high:
            return False
        step = self.step or (1 if self.whole else None)
        steps = 0.0 if step is None else (value - self.low) / step
        return abs(steps - round(steps)) < 1e-8

    def __str__(self) -> str:
        """As written after ``--search NAME=``: ``0.001..0.1:log``."""
        ending = ":log" if self.log else "" if self.step is None else f":step{_short(self.step)}"
        return f"{_short(self.low)}..{_short(self.high)}{ending}"


@dataclass(frozen=True)
class Choice:
    """One of several values."""

    name: str  # the setting's dotted name in the recipe; that of a section (``optimizer``) chooses its kind
    options: tuple[str, ...]  # as they are written in YAML
    only: tuple[str, ...] = ()  # as of `Range`

    @property
    def values(self) -> tuple[str, ...]:
        """The options."""
        return self.options

    def suggest(self, trial: optuna.Trial) -> Value:
        """The value that the sampler draws for a trial."""
        return trial.suggest_categorical(self.name, self.options)

    def holds(self, value: object) -> bool:
        """Whether ``value`` is one of the options."""
        return self.option_of(value) is not None

    def option_of(self, value: object) -> str | None:
        """The option that means ``value``; None if none does."""
        return next((option for option in self.options if read_value(option) == value), None)

    def __str__(self) -> str:
        """As written after ``--search NAME=``: ``adamw,sgd``."""
        return ",".join(self.options)


Dimension: TypeAlias = Range | Choice


@dataclass(frozen=True)
class Space:
    """All searched settings; one that chooses a kind comes before settings that only some kinds have."""

    dimensions: tuple[Dimension, ...]

    def __len__(self) -> int:
        return len(self.dimensions)

    def suggest(self, trial: optuna.Trial) -> dict[str, Value]:
        """A value for each setting that exists for the kinds drawn in this trial."""
        settings: dict[str, Value] = {}
        for dimension in self.dimensions:
            if self.applies(dimension, settings):
                settings[dimension.name] = dimension.suggest(trial)
        return settings

    def applies(self, dimension: Dimension, settings: Mapping[str, object]) -> bool:
        """Whether a setting exists for the kinds in ``settings``."""
        kind = settings.get(dimension.name.partition(".")[0])
        return not dimension.only or kind is None or kind in dimension.only

    def values_of(self, recipe: Recipe) -> dict[str, Value] | None:
        """The recipe's own values of the searched settings; None if one of them could not be drawn."""
        plain = recipe.model_dump(mode="json")
        values: dict[str, Value] = {}
        for dimension in self.dimensions:
            if not self.applies(dimension, values):
                continue
            value = _value_in(plain, dimension.name)
            if not dimension.holds(value):
                return None
            values[dimension.name] = (dimension.option_of(value) or "") if isinstance(dimension, Choice) else value
        return values

    def to_dict(self) -> dict[str, str]:
        """Each setting's name and range, as written on the command line."""
        return {dimension.name: str(dimension) for dimension in self.dimensions}

    def __str__(self) -> str:
        """``optimizer.lr=0.001..0.1:log; network.stem=8..32``."""
        return "; ".join(
            f"{each.name}={each}" + (f" (where the kind is {' or '.join(each.only)})" if each.only else "")
            for each in self.dimensions
        )


def _value_in(plain: Mapping[str, object], name: str) -> Value:
    """The value of a dotted name in a dumped recipe; a section stands for its kind; "" if there is none."""
    section, _, rest = name.partition(".")
    value = plain.get(section)
    if isinstance(value, Mapping):
        found = value.get(rest) if rest else value.get("kind", value.get("name", value))
        # A missing augmentation is off.
        return 0.0 if found is None and section == "augment" else found  # type: ignore[return-value]
    return "" if rest else value  # type: ignore[return-value]


def _short(value: float) -> str:
    return f"{value:.6g}"


# From text to space


Search: TypeAlias = Mapping[str, str | Sequence[object]]
"""By dotted name: ``"1e-4..1e-1:log"``, ``"8..32:step8"``, ``"adamw,sgd"``, or a sequence of choices."""

_KINDS = ("network", "loss", "optimizer", "schedule")
_NOT_SEARCHED = {
    "data": "the images are read once, for all trials",
    "seed": "a lucky seed gains nothing on other images",
    "samples": "it changes nothing that is learned",
    "answer_precision": "it changes nothing that is learned",
}
_RANGE = re.compile(r"(?P<low>[^:]*?)\.\.(?P<high>[^:]*)(?::(?P<log>log)|:step(?P<step>[^:]+))?")
_HOW = "write LOW..HIGH, LOW..HIGH:log, LOW..HIGH:step8, or choices separated by commas"


def read_space(search: Search, recipe: Recipe, *, effects: bool = True) -> Space:
    """Parse and check a search space: every end and option is tried on ``recipe``, from which the trials start.

    With ``effects``, settings that have no effect beside the recipe's others are refused, too. SettingsError names all
    faults.
    """
    named = {_canonical(name): value for name, value in search.items()}
    if len(named) < len(search):
        raise SettingsError("search: a setting is named twice, once by its section and once by its kind.")
    dimensions: list[Dimension] = []
    problems = []
    # Kinds first: the other settings depend on them.
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
        dimension: Dimension = _read_range(name, written, recipes.values())
    else:
        dimension = _read_choice(name, value)
    _try(name, dimension.values, recipes.values())
    only = () if set(recipes) >= set(_options_of(name, before)) else tuple(recipes)
    return replace(dimension, only=only)


def _recipes_with(name: str, recipe: Recipe, before: Sequence[Dimension]) -> Iterator[tuple[str, Recipe]]:
    """The recipe with each kind of the section that has the setting; with the first kind if none has it."""
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


def _read_range(name: str, text: str, recipes: Iterable[Recipe]) -> Range:
    """The range in the setting's own type; its last step may end below the written end."""
    match = _RANGE.fullmatch(text)
    if match is None:
        raise SettingsError(f"{name}={text} is not a range: {_HOW}")
    low, high = _number(name, match["low"]), _number(name, match["high"])
    step = None if match["step"] is None else _number(name, match["step"])
    if low >= high:
        raise SettingsError(f"{name}={text} is empty: the first number must be below the second")
    if match["log"] and low <= 0:
        raise SettingsError(f"{name}={text}: a logarithmic range must start above 0")
    if step is not None and not 0 < step <= high - low:
        raise SettingsError(f"{name}={text}: the step must be above 0 and at most the length of the range")
    whole = _is_whole(name)
    if whole is None:
        if not any(_has(recipe, name) for recipe in recipes):
            _try(name, [low, high], recipes)  # raises: there is no such setting
        raise SettingsError(f"{name} is not a number: give choices separated by commas, {name}=A,B")
    found = Range(name, low, high, whole, bool(match["log"]), step)
    if whole and any(number != int(number) for number in (low, high, step or 1)):
        raise SettingsError(f"{name}={found} must be whole numbers")
    return found if step is None else replace(found, high=low + step * math.floor((high - low) / step + 1e-9))


def _number(name: str, text: str) -> float:
    value = read_value(text.strip())
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise SettingsError(f'{name}: "{text.strip()}" is not a number: {_HOW}')
    return float(value)


def _read_choice(name: str, value: str | Sequence[object]) -> Choice:
    if isinstance(value, str):
        options = tuple(part.strip() for part in _divided(value))
    else:
        options = tuple(part if isinstance(part, str) else json.dumps(part, default=list) for part in value)
    if not all(options):
        raise SettingsError(f"{name}={value} has an empty choice: {_HOW}")
    if len(options) < 2:
        raise SettingsError(f"{name}={', '.join(options)} leaves nothing to search: {_HOW}, or use --set")
    if len(set(options)) < len(options):
        raise SettingsError(f"{name}={value} names a choice twice")
    return Choice(name, options)


def _divided(text: str) -> Iterator[str]:
    """The parts between commas that are not in brackets: ``[64],[128,64]`` are two."""
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
    """Whether the setting is a whole number; None if it is not a number, or does not exist."""
    section, _, rest = name.partition(".")
    if section == "augment":
        return AUGMENTATIONS[rest].whole if rest in AUGMENTATIONS else None
    field = Recipe.model_fields.get(section)
    if field is None:
        return None
    fields = [model.model_fields.get(rest) for model in models_in(field)] if rest else [field]
    types = {each for found in fields if found is not None for each in _plain_types(found.annotation)}
    if float in types:
        return False
    return True if int in types else None


def _plain_types(annotation: Any) -> Iterator[type]:
    """The types that a value may have, without those inside lists."""
    if hasattr(annotation, "__metadata__"):  # Annotated
        yield from _plain_types(get_args(annotation)[0])
    elif get_origin(annotation) in (Union, UnionType):
        for part in get_args(annotation):
            yield from _plain_types(part)
    elif isinstance(annotation, type):
        yield annotation


def _try(name: str, values: Sequence[object], recipes: Iterable[Recipe]) -> None:
    """Try each value on each recipe, which says what is wrong with it."""
    problems = []
    for recipe, value in itertools.product(recipes, values):
        try:
            recipe.override({name: value})
        except SettingsError as error:
            problems.append(str(error).rstrip("."))
    if problems:
        raise SettingsError("; ".join(dict.fromkeys(problems)))


def _without_effect(space: Space, recipe: Recipe) -> Iterator[str]:
    """A sentence for each setting whose value makes no difference, whichever kinds are drawn."""
    kinds = [each for each in space.dimensions if isinstance(each, Choice) and each.name in _KINDS]
    said: dict[str, list[str | None]] = {each.name: [] for each in space.dimensions}
    for drawn in itertools.product(*(each.options for each in kinds)):
        chosen = {each.name: option for each, option in zip(kinds, drawn, strict=True)}
        for end in (0, -1):
            others = (each for each in space.dimensions if each.name not in chosen and space.applies(each, chosen))
            settings = {**chosen, **{each.name: each.values[end] for each in others}}
            try:
                sentences = recipe.override(settings).without_effect(given=tuple(settings))
            except SettingsError:  # impossible together: such a trial is skipped when it is drawn
                continue
            for name in settings:
                said[name].append(_no_effect(name, sentences))
    for found in said.values():
        if found and all(found):
            yield str(found[0]).rstrip(".")


def _no_effect(name: str, sentences: Iterable[str]) -> str | None:
    section, _, rest = name.partition(".")
    for sentence in sentences:
        plain = sentence.replace(f"{section}: {rest} has", f"{name} has") if rest else sentence
        if plain.startswith((f"{name} has no effect", f"{section} has no effect")):
            return plain
    return None


# The default space


def default_search(recipe: Recipe) -> dict[str, str]:
    """The learning rate and the strengths of regularisation and augmentation, around the recipe's own values.

    - ``optimizer.lr`` (and Muon's ``adam_lr``): from a tenth to ten times the recipe's, logarithmic.
    - ``optimizer.weight_decay``, or ``l2`` where the optimizer has none: the same around the recipe's, or 1e-5 to 0.1.
    - ``network.dropout``: 0 to 0.5, if the network has it.
    - ``loss.label_smoothing``: 0 to 0.2.
    - each augmentation that the recipe has: from off to twice its strength.

    The sizes of network and batch and the number of epochs are not searched: they change the training time, and more
    is mostly better. A full-batch optimizer needs a deterministic loss: only ``l2`` and label smoothing are searched.
    """
    optimizer = recipe.optimizer
    if optimizer.full_batch:
        return {"l2": _about(recipe.l2), "loss.label_smoothing": "0..0.2"}
    search = {
        f"optimizer.{name}": _about(getattr(optimizer, name)) for name in ("lr", "adam_lr") if hasattr(optimizer, name)
    }
    if hasattr(optimizer, "weight_decay"):
        search["optimizer.weight_decay"] = _about(optimizer.weight_decay)
    else:
        search["l2"] = _about(recipe.l2)
    if hasattr(recipe.network, "dropout"):
        search["network.dropout"] = "0..0.5"
    search["loss.label_smoothing"] = "0..0.2"
    for name, strength in recipe.augment.items():
        if strength:
            search[f"augment.{name}"] = f"0..{min(2 * strength, AUGMENTATIONS[name].most):g}"
    return search


def _about(value: float) -> str:
    return f"{value / 10:.3g}..{value * 10:.3g}:log" if value else "1e-5..0.1:log"

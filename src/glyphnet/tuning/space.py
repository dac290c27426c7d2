"""What is searched: ranges of numbers and choices, one for each setting."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from ..training import Recipe
from ..training.recipe import read_value

if TYPE_CHECKING:
    import optuna

Value: TypeAlias = float | int | str


@dataclass(frozen=True)
class Range:
    """Numbers from ``low`` to ``high``, both included.

    Attributes:
        name: the setting's dotted name in the recipe.
        low, high: the ends.
        whole: whole numbers only.
        log: drawn evenly in the logarithm, so that 0.001 to 0.01 weighs as much as 0.01 to 0.1.
        step: distance between two values; None for any number between the ends.
        only: kinds of the setting's section that have it, where the kind is searched too; empty for all.
    """

    name: str
    low: float
    high: float
    whole: bool = False
    log: bool = False
    step: float | None = None
    only: tuple[str, ...] = ()

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
        """As it is written behind ``--search NAME=``: ``0.001..0.1:log``."""
        ending = ":log" if self.log else "" if self.step is None else f":step{_number(self.step)}"
        return f"{_number(self.low)}..{_number(self.high)}{ending}"

    @property
    def words(self) -> str:
        """The range as a person reads it."""
        ending = ", logarithmic" if self.log else "" if self.step is None else f" in steps of {_number(self.step)}"
        return f"{_number(self.low)} to {_number(self.high)}{ending}"


@dataclass(frozen=True)
class Choice:
    """One of several values.

    Attributes:
        name: the setting's dotted name in the recipe; that of a section (``optimizer``) chooses its kind.
        options: the values as they are written in YAML.
        only: as for `Range`.
    """

    name: str
    options: tuple[str, ...]
    only: tuple[str, ...] = ()

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
        """As it is written behind ``--search NAME=``: ``adamw,sgd``."""
        return ",".join(self.options)

    @property
    def words(self) -> str:
        """The options as a person reads them."""
        return f"{', '.join(self.options[:-1])} or {self.options[-1]}"


Dimension: TypeAlias = Range | Choice


@dataclass(frozen=True)
class Space:
    """All that is searched; what chooses a kind comes before what only some kinds have."""

    dimensions: tuple[Dimension, ...]

    def __len__(self) -> int:
        return len(self.dimensions)

    def suggest(self, trial: optuna.Trial) -> dict[str, Value]:
        """A value for each setting that the kinds drawn for this trial have."""
        settings: dict[str, Value] = {}
        for dimension in self.dimensions:
            if self.applies(dimension, settings):
                settings[dimension.name] = dimension.suggest(trial)
        return settings

    def applies(self, dimension: Dimension, settings: Mapping[str, object]) -> bool:
        """Whether a setting exists beside the kinds in ``settings``."""
        kind = settings.get(dimension.name.partition(".")[0])
        return not dimension.only or kind is None or kind in dimension.only

    def values_of(self, recipe: Recipe) -> dict[str, Value] | None:
        """The recipe's own values of what is searched; None where one of them could not be drawn."""
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
        """Each setting's name with what is searched, as it is written on the command line."""
        return {dimension.name: str(dimension) for dimension in self.dimensions}

    def lines(self) -> list[str]:
        """What is searched, a line a setting."""
        return [
            f"{each.name}: {each.words}" + (f" (where the kind is {' or '.join(each.only)})" if each.only else "")
            for each in self.dimensions
        ]


def _value_in(plain: Mapping[str, object], name: str) -> Value:
    """The value of a dotted name in a dumped recipe; a section stands for its kind; "" where there is none."""
    section, _, rest = name.partition(".")
    value = plain.get(section)
    if isinstance(value, Mapping):
        found = value.get(rest) if rest else value.get("kind", value.get("name", value))
        # An augmentation that is not there is off.
        return 0.0 if found is None and section == "augment" else found  # type: ignore[return-value]
    return "" if rest else value  # type: ignore[return-value]


def _number(value: float) -> str:
    return f"{value:.6g}"

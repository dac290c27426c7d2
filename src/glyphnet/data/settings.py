"""Which data are read, and how: one frozen value that every verb makes and stores."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from ..errors import SettingsError
from ..settings import Settings, parse_settings
from .groups import parse_group_by

Fraction = Annotated[float, Field(ge=0.0, lt=1.0)]

_BEFORE_GROUPS = frozenset(
    {"source", "size", "color", "validation_fraction", "test_fraction", "seed", "on_bad_file", "labels"}
)
"""All settings of `DataSettings` in versions without groups."""


class DataSettings(Settings):
    """Which images, and how they are divided: the arguments of `glyphnet.load`, under the same names.

    Attributes:
        source: the name of a data set or a path.
        size: side of the images in pixels, or (height, width); "own" keeps that of the pictures, up to 224; None
            chooses from the data.
        color: "grey", "rgb", or "auto", which chooses from the data.
        validation_fraction: share of the training images to validate on, where the data have no such part.
        test_fraction: share of all images to test on, where the data have no such part.
        seed: of the division; it is not the training's seed.
        on_bad_file: stop at a file that is no sound image ("error"), or leave it out and count it ("skip").
        layout: what each level of folders is ("class", "part/class", "any/class", …), or "auto"; for a table of pixels
            without a header "label,pixels" or "pixels,label".
        only: read only pictures in folders of this name; None for all.
        label_column: of a table with several columns of labels the one to learn; None recognises it by its name.
        labels: a table of decisions on doubtful labels (`glyphnet data --review` writes one); None for none.
        group_by: which pictures stay on one side of every division; "auto" looks for likely groups. A training writes
            here what it found.
        value_range: the values that become black and white in all images; None takes pictures and arrays of 8 bits as
            they are, and chooses one range for any others from the values of the whole set.
        page: of files with several pages or frames the one to read, from 1; or "mean" or "max" of all.
    """

    source: str = "digits"
    size: int | tuple[int, int] | Literal["own"] | None = None
    color: Literal["auto", "grey", "rgb"] = "auto"
    validation_fraction: Fraction = 0.1
    test_fraction: Fraction = 0.2
    seed: Annotated[int, Field(ge=0)] = 0
    on_bad_file: Literal["error", "skip"] = "error"
    layout: str = "auto"
    only: str | None = None
    label_column: str | None = None
    labels: str | None = None
    group_by: str = "auto"
    value_range: tuple[float, float] | None = None
    page: Annotated[int, Field(ge=1)] | Literal["mean", "max"] = 1

    @model_validator(mode="before")
    @classmethod
    def _from_before_groups(cls, values: Any) -> Any:
        """Let settings that a version without groups wrote in full divide at random, as they did."""
        if isinstance(values, Mapping) and values.keys() >= _BEFORE_GROUPS and "group_by" not in values:
            return {**values, "group_by": "none"}
        return values

    @field_validator("group_by")
    @classmethod
    def _known_groups(cls, value: str) -> str:
        try:
            parse_group_by(value)
        except SettingsError as error:
            raise ValueError(str(error)) from error
        return value

    def with_values(self, values: Mapping[str, Any]) -> DataSettings:
        """These settings with some changed; SettingsError names all wrong ones at once."""
        return parse_settings(DataSettings, {**self.model_dump(), **values}, where="data")

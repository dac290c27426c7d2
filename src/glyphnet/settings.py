"""Settings: frozen, closed groups of values. Wrong ones are reported all at once, each with its value or near miss."""

from __future__ import annotations

import difflib
import math
import reprlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Self, TypeVar, Union, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    ModelWrapValidatorHandler,
    ValidationError,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema

from .errors import SettingsError

MOST_MULTIPLICATIONS = 50_000_000_000
"""Of a network for one image. Files that describe more are refused before anything is built or run: a ResNet-50 on
224×224 pixels takes 4,100,000,000."""
MOST_VALUES = 1 << 30
"""Numbers that one layer may give for a batch of as many images as are predicted at once."""
BATCH_IMAGES, BATCH_VALUES = 512, 1 << 20
"""Images in such a batch, and pixels times channels of all of them: activations are many times as large."""


def default_batch_size(image_shape: Iterable[int]) -> int:
    """Images predicted at once: large enough to be quick, small enough for the activations of large images."""
    return max(1, min(BATCH_IMAGES, BATCH_VALUES // math.prod(image_shape)))


class Settings(BaseModel):
    """Settings that are frozen, closed (an unknown name is an error) and checked when they are made."""

    # Built at first use: only then are the tables read from which a `OneOf` takes its kinds.
    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False, defer_build=True)

    @model_validator(mode="wrap")
    @classmethod
    def _quoting_anything(cls, values: object, handler: ModelWrapValidatorHandler[Self]) -> Self:
        """Pydantic takes a validator's message as UTF-8, which cannot hold a lone surrogate that the message quotes."""
        try:
            return handler(values)
        except UnicodeEncodeError as error:
            raise ValueError(error.object.encode(errors="backslashreplace").decode()) from None


Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True, eq=False)
class OneOf:
    """Marks a field whose value is one of the settings classes in a table: ``Annotated[BaseSpec, OneOf(NETWORKS)]``.

    The table is read when the model that has the field is first used; that model must set ``defer_build``.

    Attributes:
        table: name → class.
        without: names that the field does not take.
    """

    table: Mapping[str, type[BaseModel]]
    without: tuple[str, ...] = ()

    @property
    def models(self) -> list[type[BaseModel]]:
        """The classes that the field takes."""
        return [model for name, model in self.table.items() if name not in self.without]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """The tagged union of the classes, as pydantic makes it."""
        models = self.models
        return handler.generate_schema(
            Annotated[Union[tuple(models)], Field(discriminator=_tag_field(models[0]))]  # noqa: UP007  # computed
        )


def by_tag(*models: type[Model]) -> dict[str, type[Model]]:
    """Settings classes by the default of their ``kind`` or ``name``."""
    return {str(_tag(model)): model for model in models}


def not_a(base: type[BaseModel]) -> Callable[[str, object], str]:
    """What is wrong with a class as the row ``name`` of a table of such settings; "" if nothing is."""

    def fault(name: str, row: object) -> str:
        if not (isinstance(row, type) and issubclass(row, base)):
            return f"{row!r:.80} is no subclass of {base.__module__}.{base.__name__}"
        field = _tag_field(row)
        return (
            "" if _tag(row) == name else f'its {field} is {str(_tag(row))!r:.60}; it must be "{name}", the row\'s name'
        )

    return fault


def parse_settings(model: type[Model], values: object, *, where: str = "") -> Model:
    """``values`` as a ``model``.

    Raises:
        SettingsError: all problems at once, separated by semicolons, after ``where`` ("network mlp").
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        phrases = [_phrase(dict(problem), model) for problem in error.errors(include_url=False)]
        raise SettingsError((f"{where}: " if where else "") + "; ".join(dict.fromkeys(phrases))) from None


def suggestion(name: object, known: Iterable[str]) -> str:
    """What to say after an unknown name: ``; did you mean "dropout"?``, or all known names where none is near."""
    names = list(known)
    near = nearest(str(name), names)
    return f'; did you mean "{near}"?' if near else f" (known: {', '.join(names)})"


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that looks most like ``name``, whatever its case and dashes; None where none is near."""
    plain = {_plain(candidate): candidate for candidate in known}
    match = difflib.get_close_matches(_plain(name), plain, n=1, cutoff=0.6)
    return plain[match[0]] if match else None


def _plain(name: str) -> str:
    return name.lower().replace("-", "_")


def _phrase(problem: dict[str, Any], model: type[BaseModel]) -> str:
    """One problem in words: the setting's dotted name, its value, what it must be."""
    path, holder = _follow(model, problem["loc"])
    if problem["type"] == "extra_forbidden":
        return f'unknown setting "{path}"{_elsewhere(path, holder, model)}'
    if problem["type"] == "union_tag_invalid":
        expected = [tag.strip(" '") for tag in problem["ctx"]["expected_tags"].split(",")]
        return f'unknown {path} "{problem["ctx"]["tag"]!s:.60}"{suggestion(problem["ctx"]["tag"], expected)}'
    if problem["type"] == "union_tag_not_found":
        return f"{path} must say which: give its {problem['ctx']['discriminator']}"
    if problem["type"] == "missing":
        return f"{path} is missing"
    text = problem["msg"].removeprefix("Value error, ").replace("Input should", "must")
    text = text.replace("Tuple should", "must").replace("a valid integer", "a whole number").replace("a valid ", "a ")
    if problem["type"] == "value_error":
        return f"{path}: {text}" if path else text
    return f"{path}={reprlib.repr(problem['input'])} {text}"


def _elsewhere(path: str, holder: type[BaseModel], model: type[BaseModel]) -> str:
    """The near miss of an unknown setting: a sibling's name, or the same name in another section."""
    name = path.rpartition(".")[2]
    siblings = [field for field in holder.model_fields if field != "kind"]
    if nearest(name, siblings):
        return suggestion(name, siblings)
    if others := _kinds_with(path, model):
        return f" for {_tag(holder)}: {' and '.join(others)} {'have' if len(others) > 1 else 'has'} it"
    by_name = {dotted.rpartition(".")[2]: dotted for dotted in dotted_names(model)}
    if near := nearest(name, by_name):
        return f'; did you mean "{by_name[near]}"?'
    return suggestion(name, siblings)


def _kinds_with(path: str, model: type[BaseModel]) -> list[str]:
    """The kinds of a section that have the setting which another kind has not."""
    *sections, name = path.split(".")
    candidates = [model]
    for section in sections:
        infos = [each.model_fields[section] for each in candidates if section in each.model_fields]
        candidates = [found for info in infos for found in models_in(info)]
    return [str(_tag(each)) for each in candidates if name in each.model_fields]


def dotted_names(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """The dotted name of every setting in ``model``, those of all kinds of a section together."""
    for name, info in model.model_fields.items():
        yield prefix + name
        for part in models_in(info):
            yield from dotted_names(part, f"{prefix}{name}.")


def models_in(annotation: object) -> list[type[BaseModel]]:
    """The settings classes in a field or its annotation: none, one, those of a union or of a table."""
    if isinstance(annotation, FieldInfo):
        choices = [mark for mark in annotation.metadata if isinstance(mark, OneOf)]
        return choices[0].models if choices else models_in(annotation.annotation)
    for mark in getattr(annotation, "__metadata__", ()):
        if isinstance(mark, OneOf):
            return mark.models
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in models_in(part)]


def _follow(model: type[BaseModel], location: tuple[str | int, ...]) -> tuple[str, type[BaseModel]]:
    """The dotted name for pydantic's location, without the tags of unions, and the class that holds the last part."""
    path, candidates = "", [model]
    holder = model
    for part in location:
        tagged = [c for c in candidates if part in (_tag(c), c.__name__)] if len(candidates) > 1 else []
        if tagged:  # a union's tag says which class follows; it is not part of the name
            candidates = tagged
            holder = tagged[0]
            continue
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else str(part)
        fields = [c.model_fields[part] for c in candidates if part in c.model_fields]
        if candidates:
            holder = candidates[0]
        candidates = [found for field in fields for found in models_in(field)]
        if len(candidates) == 1:
            holder = candidates[0] if part != location[-1] else holder
    return path, holder


def _tag(model: type[BaseModel]) -> object:
    field = model.model_fields.get(_tag_field(model))
    return None if field is None else field.default


def _tag_field(model: type[BaseModel]) -> str:
    """The field that says which of several kinds: ``kind`` of networks, ``name`` of everything else."""
    return "kind" if "kind" in model.model_fields else "name"

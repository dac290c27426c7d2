"""The model file: a trained network and all that prediction needs, as one sealed ``.safetensors``.

A file may come from anybody: the header is checked first, then every tensor's name, shape and dtype against the network
that the header describes (built on the meta device, which allocates nothing), and only then are weights read.
"""

from __future__ import annotations

import math
import os
import platform
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from ._version import __version__
from .conformal import Conformal
from .data.dataset import UInt8Array, evenly_spaced
from .data.ink import InkSpec
from .data.values import Reading
from .errors import CorruptFileError, GlyphNetError, ModelFileError, SettingsError, UnsupportedFileError
from .filekinds import check_suffix
from .nn import Preprocessing, SavedNetworkSpec, build
from .nn.described import Described
from .nn.plain import Loaded, Parted, parted
from .nn.prototypes import MOST_VALUES, Prototypes
from .plugins import packages
from .tensorfile import DTYPE_NAMES, DTYPES, Header, TensorInfo, read_arrays, read_tensors, write_tensors
from .units import fault_of, percent

if TYPE_CHECKING:
    import torch
    from torch import nn

FORMAT_VERSION = 2
"""The version that is written. Raise it when a file could be misunderstood by the code of before. Version 1 lacks only
parts that have a default."""

SAMPLES = "samples"
"""The tensor of held-out images that a file may carry, beside those of the network."""

PROTOTYPES, PROTOTYPE_WEIGHTS = "prototypes", "prototype_weights"
"""The tensors of `nn.prototypes.Prototypes`: int8 (M, F) and float32 (M,)."""

MOST_SAMPLE_BYTES = 100_000
"""Of the held-out images in a file, all together."""

MOST_WEIGHT = 1e6
"""Beyond it a model is left to torch."""

_Side = Annotated[int, Field(ge=1, le=4096)]
_Count = Annotated[int, Field(ge=0, le=10**9)]
_Finite = Annotated[float, Field(allow_inf_nan=False)]
# Beyond these bounds float32 logits divided by the temperature would overflow.
_Temperature = Annotated[float, Field(ge=1e-6, le=1e6, allow_inf_nan=False)]
_Probability = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]

# What a newer release may have added without a new format version, if it is well-formed otherwise.
_FROM_THE_FUTURE = {"extra_forbidden", "union_tag_invalid", "literal_error"}


def library_versions() -> dict[str, str]:
    """The versions of what computes: Python, torch, NumPy, GlyphNet itself and the packages that extend it."""
    import torch

    return {
        **packages(),
        "glyphnet": __version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "torch": str(torch.__version__),
    }


def pick_samples(images: UInt8Array, most: int) -> UInt8Array | None:
    """What a file carries of the held-out ``images``, (N, H, W, C): ``most``, evenly spaced, or what has room."""
    count = min(most, len(images), MOST_SAMPLE_BYTES // int(np.prod(images.shape[1:])))
    return images[evenly_spaced(len(images), count)] if count else None


class _Part(BaseModel):
    """A part of the header: frozen, closed and strict."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Provenance(_Part):
    """Where a model comes from.

    Attributes:
        data: what the training data are called ("mnist", or the folder's name).
        fingerprint: SHA-256 of the training images and labels (`ImageDataset.fingerprint`), or empty.
        created: an ISO 8601 date or time, or empty. It is given, so that the same training can give the same file.
        versions: of the libraries that trained it.
    """

    data: str = ""
    fingerprint: str = ""
    created: str = ""
    versions: dict[str, str] = Field(default_factory=library_versions)

    @field_validator("created")
    @classmethod
    def _created_is_iso(cls, value: str) -> str:
        if value:
            datetime.fromisoformat(value)  # raises ValueError, which pydantic reports
        return value


class Paired(_Part):
    """The same labelled pictures answered twice: only resized, and made like the training images.

    Attributes:
        n: how many pictures.
        as_is, normalized: how many were answered rightly as they are, and once they were normalised.
    """

    n: _Count
    as_is: _Count
    normalized: _Count

    @model_validator(mode="after")
    def _no_more_than_all(self) -> Paired:
        if max(self.as_is, self.normalized) > self.n:
            raise ValueError(f"more right answers than the {self.n} pictures")
        return self

    @property
    def lost(self) -> int:
        """How many right answers normalising costs, net; negative where it gains."""
        return self.as_is - self.normalized


class Normalizing(_Part):
    """Why pictures are, or are not, made like the training images: what validation pictures said.

    Attributes:
        kind: of the pictures: "ink", drawings, or "photo".
        clean: validation pictures as they are.
        changed: the same, by the kind of change: "enlarged", "blurred" and so on.
        trained: how many of the clean pictures are training images, taken because the validation pictures were few.
    """

    kind: Literal["ink", "photo"]
    clean: Paired
    changed: Annotated[dict[Annotated[str, Field(max_length=40)], Paired], Field(max_length=32)] = {}
    trained: _Count = 0

    @property
    def all_changed(self) -> Paired:
        """All kinds of change together."""
        several = self.changed.values()
        counts = {name: sum(getattr(each, name) for each in several) for name in ("n", "as_is", "normalized")}
        return Paired(**counts)

    def sentence(self, *, on: bool) -> str:
        """Both accuracies and what was decided, in one line."""
        clean, changed = self.clean, self.all_changed
        trained = f", {self.trained:,} of them training images" if self.trained else ""
        count = f"(n = {clean.n:,}{trained})"
        said = f"{percent(clean.as_is / clean.n)} as they are, {percent(clean.normalized / clean.n)} normalised"
        if changed.n:
            before, after = (percent(right / changed.n) for right in (changed.as_is, changed.normalized))
            count += f"; on changed pictures {before} → {after}"
        return (
            f"Normalising {'drawings' if self.kind == 'ink' else 'pictures'}: {said} {count}: {'on' if on else 'off'}."
        )


class ForeignSpec(_Part):
    """How a model finds images unlike its training images: M prototypes of F features each, and where "unlike" begins.

    Attributes:
        contrast, roughness, twice: see `Prototypes`; a roughness of None is no limit.
        threshold: the score above which an image is unlike the training images; None: never measured.
    """

    prototypes: Annotated[int, Field(ge=1, le=MOST_VALUES)]
    features: Annotated[int, Field(ge=1, le=1 << 24)]
    contrast: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    roughness: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    threshold: Annotated[float, Field(ge=-1e6, le=1e6, allow_inf_nan=False)] | None = None
    twice: bool = False

    @classmethod
    def of(cls, prototypes: Prototypes, threshold: float | None) -> ForeignSpec:
        """Of a bank."""
        count, features = prototypes.directions.shape
        roughness = prototypes.roughness if math.isfinite(prototypes.roughness) else None
        return cls(
            prototypes=count, features=features, contrast=prototypes.contrast, roughness=roughness,
            threshold=threshold, twice=prototypes.twice,
        )  # fmt: skip

    def bank(self, directions: npt.NDArray[np.int8], weights: npt.NDArray[np.float32]) -> Prototypes:
        """The bank with these numbers."""
        roughness = math.inf if self.roughness is None else self.roughness
        return Prototypes(directions, weights, self.contrast, roughness, self.twice)

    @model_validator(mode="after")
    def _bounded(self) -> ForeignSpec:
        if self.prototypes > 1 and self.prototypes * self.features > MOST_VALUES:
            raise ValueError(
                f"{self.prototypes} prototypes of {self.features} features are more than {MOST_VALUES:,} numbers"
            )
        return self


class ModelHeader(BaseModel):
    """All of a model but its weights: the JSON in the file's header, version 2. See `Classifier` for most of it.

    Attributes:
        foreign: how images unlike the training images are found; None: they are not.
        samples: how many held-out images the file carries.
        ink, normalize: None in files of version 1.
        value_range: the values that became black and white in its training images; (0, 255) where these were pictures
            of 8 bits as they are. None in files of version 1: not known.
        window: whether the user set that range, so that pictures of 8 bits are put on it too.
        page: which page of files of several pages is read.
    """

    # Built at first use, as `OneOf` wants it.
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)

    kind: Literal["model"] = "model"
    format_version: Literal[2] = 2
    network: SavedNetworkSpec
    input_shape: Annotated[tuple[_Side, _Side, _Side], Field(strict=False)]  # JSON has lists for tuples
    classes: Annotated[tuple[str, ...], Field(strict=False, min_length=1, max_length=65_536)]
    preprocessing: Preprocessing
    temperature: _Temperature = 1.0
    threshold: _Probability | None = None
    foreign: ForeignSpec | None = None
    conformal: Conformal | None = None
    recipe: dict[str, Any] = {}
    metrics: dict[str, Any] = {}
    provenance: Provenance = Field(default_factory=Provenance)
    samples: Annotated[int, Field(ge=0)] = 0
    ink: InkSpec | None = None
    normalize: bool | None = None
    normalizing: Normalizing | None = None
    value_range: Annotated[tuple[_Finite, _Finite], Field(strict=False)] | None = None
    window: bool = False
    page: Annotated[int, Field(ge=1)] | Literal["mean", "max"] = 1

    @property
    def reading(self) -> Reading:
        """How files and arrays to classify are read."""
        return Reading(self.value_range, self.page, self.window)

    @model_validator(mode="after")
    def _parts_fit(self) -> ModelHeader:
        name, count = Counter(self.classes).most_common(1)[0]
        if count > 1:
            raise ValueError(f"{count} classes are called {name[:80]!r}")
        for name in self.classes:
            if fault := fault_of(name):
                raise ValueError(f"{name[:40]!r} cannot be the name of a class: {fault}")
        channels = self.input_shape[2]
        if channels not in (1, 3):
            raise ValueError(f"images have 1 or 3 channels, not {channels}")
        with np.errstate(over="ignore"):
            mean = np.asarray(self.preprocessing.mean, dtype=np.float32)
            std = np.asarray(self.preprocessing.std, dtype=np.float32)
        if len(mean) not in (0, channels):
            raise ValueError(f"{len(mean)} means do not fit {channels} channels")
        if not (np.isfinite(mean).all() and np.isfinite(std).all() and (std > 0).all()):
            raise ValueError("the preprocessing's mean and std do not fit float32")
        if self.samples * int(np.prod(self.input_shape)) > MOST_SAMPLE_BYTES:
            raise ValueError(f"{self.samples} held-out images of this size are more than {MOST_SAMPLE_BYTES:,} bytes")
        if self.value_range is not None and not self.value_range[0] < self.value_range[1]:
            raise ValueError(f"the range of values {self.value_range} does not run from low to high")
        if self.ink is not None and any(np.greater(self.ink.box, self.input_shape[:2])):
            raise ValueError(f"a box of {self.ink.box} does not fit into images of {self.input_shape[:2]}")
        return self


def describe_model(**parts: Any) -> ModelHeader:
    """A `ModelHeader` from its parts.

    Raises:
        SettingsError: parts that are wrong or do not fit together; all of them are listed.
    """
    try:
        return ModelHeader(**parts)
    except ValidationError as error:
        raise SettingsError(f"The parts of the model do not fit together: {_listed(error)}.") from None


def write_model(
    path: str | os.PathLike[str], header: ModelHeader, network: nn.Module, samples: UInt8Array | None = None,
    prototypes: Prototypes | None = None,
) -> None:  # fmt: skip
    """Write a model file, all or nothing; the same model gives the same bytes.

    ``samples``, uint8 (N, H, W, C), are the held-out images that the header counts, ``prototypes`` those that it
    describes as ``foreign``.

    Raises:
        ModelFileError: a weight is NaN or infinite, the network is not the one that the header describes, or
            the header is too large or holds what JSON cannot.
        OutputError: the name says that it is another kind of file.
        OSError: the file cannot be written.
    """
    import torch

    check_suffix(path, (".safetensors",))
    tensors = network.state_dict()
    if samples is not None and len(samples):
        tensors[SAMPLES] = torch.from_numpy(np.array(samples))
    if prototypes is not None:
        tensors[PROTOTYPES] = torch.from_numpy(np.array(prototypes.directions))
        tensors[PROTOTYPE_WEIGHTS] = torch.from_numpy(np.array(prototypes.weights))
    described = _in_file(header, _kinds(_described_network(header).state_dict()))
    _check_tensors(described, _kinds(tensors), f"{path}: the network to save", ModelFileError)
    _check_finite(tensors, f"{path}: not written", ModelFileError)
    optional = ("ink", "normalize", "normalizing", "foreign", "conformal")  # what was not measured is not written
    unknown = {name for name in optional if getattr(header, name) is None}
    write_tensors(path, tensors, header.model_dump(exclude=unknown), follow=True)


def read_whole_model(
    path: str | os.PathLike[str], device: str | torch.device = "cpu"
) -> tuple[ModelHeader, nn.Module, UInt8Array | None, Prototypes | None]:
    """Read a model file that `write_model` wrote.

    Returns:
        The header in today's form, the network on ``device`` in evaluation mode, the held-out images, uint8
        (N, H, W, C), and the prototypes; None where the file carries none.

    Raises:
        CorruptFileError: truncated, altered, no model file, or weights that do not fit it or are not finite.
        UnsupportedFileError: a checkpoint, or written by a newer GlyphNet.
        ModelFileError: it is not there or cannot be read.
    """
    from .nn.scoring import compared_width

    found: list[tuple[ModelHeader, nn.Module]] = []

    def check(raw: Header, layout: Mapping[str, TensorInfo]) -> None:
        header = _parse_header(path, raw)
        try:
            network = _described_network(header)
        except SettingsError as error:
            raise CorruptFileError(f"{path}: describes an impossible network: {error}") from None
        described = _in_file(header, _kinds(network.state_dict()))
        _check_tensors(described, _kinds_in(layout), f"{path}: the file", CorruptFileError)
        width = compared_width(network)
        if header.foreign is not None and header.foreign.features != width:
            raise CorruptFileError(
                f"{path}: has prototypes of {header.foreign.features} features, and its network gives {width}."
            )
        found.append((header, network))

    _, tensors = read_tensors(path, kind="model", newest=FORMAT_VERSION, check=check, device=device)
    _check_finite(tensors, f"{path}: no usable model", CorruptFileError)
    [(header, network)] = found
    samples, prototypes = tensors.pop(SAMPLES, None), None
    if header.foreign is not None:
        bank = (tensors.pop(name).cpu().numpy() for name in (PROTOTYPES, PROTOTYPE_WEIGHTS))
        prototypes = header.foreign.bank(*bank)
    network.load_state_dict(tensors, assign=True)
    _check_answers(path, header, network.eval())
    return header, network, None if samples is None else samples.cpu().numpy(), prototypes


def read_described_model(
    path: str | os.PathLike[str], most_work: int
) -> tuple[ModelHeader, Parted, Prototypes | None] | None:
    """The same without torch: the header, the plain layers, and the prototypes.

    None where that takes torch: the network is not described, or takes more than ``most_work`` multiplications, or the
    file is not as `read_whole_model` wants it. That one says why.
    """
    found: list[tuple[ModelHeader, Described]] = []

    def check(raw: Header, layout: Mapping[str, TensorInfo]) -> None:
        header = _parse_header(path, raw)
        stack = header.network.stack(header.input_shape, len(header.classes))
        network = None if stack is None else stack.described()
        values = math.prod(header.input_shape)
        if stack is None or network is None or max(stack.multiplications, 100 * values) > most_work:
            raise UnsupportedFileError("its network is not described, or large")
        if header.foreign is not None:
            members = network.parts.get("members")
            head = network.parts["head"].settings["in_features"] // (1 if members is None else len(members.parts))
            if header.foreign.features != head:
                raise CorruptFileError("its prototypes have other features")
        kinds = {name: ("F32" if shape else "I64", shape) for name, shape in network.tensors()}  # a count has none
        _check_tensors(_in_file(header, kinds), _kinds_in(layout), "it", CorruptFileError)
        found.append((header, network))

    try:
        _, arrays = read_arrays(path, kind="model", newest=FORMAT_VERSION, check=check)
    except GlyphNetError:
        return None
    # Not NaN, not infinite, and no overflow that comes in one order of sums and not in another.
    if not all((np.abs(array) < MOST_WEIGHT).all() for array in arrays.values() if array.dtype == np.float32):
        return None
    [(header, network)] = found
    foreign = header.foreign
    prototypes = None if foreign is None else foreign.bank(arrays[PROTOTYPES], arrays[PROTOTYPE_WEIGHTS])
    return header, parted(Loaded(network, arrays)), prototypes


def _check_answers(path: str | os.PathLike[str], header: ModelHeader, network: nn.Module) -> None:
    """Let a network answer three images, the brightest and the darkest among them: finite weights may overflow."""
    import torch

    device = next(network.parameters()).device
    ramp = torch.arange(math.prod(header.input_shape)) % 256
    images = torch.stack([torch.zeros_like(ramp), torch.full_like(ramp, 255), ramp]).to(torch.uint8)
    with torch.inference_mode():
        logits = network(header.preprocessing(images.reshape(3, *header.input_shape).to(device))).float()
        answers = torch.softmax(logits / header.temperature, dim=1)
    if not bool(torch.isfinite(answers).all()):
        raise CorruptFileError(f"{path}: no usable model: its answers are NaN or infinite. Train it again.")


def _parse_header(path: str | os.PathLike[str], raw: Header) -> ModelHeader:
    try:
        return ModelHeader.model_validate({**raw, "format_version": FORMAT_VERSION})
    except ValidationError as error:
        text = _listed(error)
        if all(problem["type"] in _FROM_THE_FUTURE for problem in error.errors(include_url=False)):
            raise UnsupportedFileError(
                f"{path}: holds what this GlyphNet {__version__} does not know ({text}). "
                f"{_missing_packages(raw)}If a newer one wrote it, upgrade with: pip install --upgrade glyphnet"
            ) from None
        raise CorruptFileError(f"{path}: its header is no sound description of a model ({text}).") from None


def _missing_packages(raw: Header) -> str:
    """A sentence on the packages that a file says it was made with and that are not here; none is loaded for it."""
    provenance = raw.get("provenance")
    versions = provenance.get("versions") if isinstance(provenance, dict) else None
    missing = sorted(set(versions) - set(library_versions())) if isinstance(versions, dict) else []
    named = ", ".join(f"{name!r:.60} {versions[name]!r:.20}" for name in missing[:3]) if versions else ""
    return f"The file says that it was made with {named}, which is not installed here. " if named else ""


def _listed(error: ValidationError) -> str:
    """The problems that pydantic found, in a line of bounded length."""
    problems = error.errors(include_url=False, include_input=False, include_context=False)
    phrases = []
    for problem in problems[:4]:
        where = ".".join(map(str, problem["loc"]))[:80]
        message = problem["msg"].removeprefix("Value error, ")[:160]
        phrases.append(f"{where}: {message}" if where else message)
    more = f" and {len(problems) - 4} more" if len(problems) > 4 else ""
    return "; ".join(phrases) + more


def _described_network(header: ModelHeader) -> nn.Module:
    import torch

    with torch.device("meta"):
        return build(header.network, header.input_shape, len(header.classes))


Kinds: TypeAlias = dict[str, tuple[str, tuple[int, ...]]]
"""Tensors by name: the dtype, of `tensorfile.DTYPES`, and the shape."""


def _kinds(tensors: Mapping[str, torch.Tensor]) -> Kinds:
    return {name: (DTYPE_NAMES.get(str(each.dtype), "?"), tuple(each.shape)) for name, each in tensors.items()}


def _kinds_in(layout: Mapping[str, TensorInfo]) -> Kinds:
    return {name: (info.dtype, info.shape) for name, info in layout.items()}


def _in_file(header: ModelHeader, network: Kinds) -> Kinds:
    """Every tensor that the file of such a model holds, beside those of its network."""
    kinds = dict(network)
    if header.samples:
        kinds[SAMPLES] = "U8", (header.samples, *header.input_shape)
    if (foreign := header.foreign) is not None:
        kinds[PROTOTYPES] = "I8", (foreign.prototypes, foreign.features)
        kinds[PROTOTYPE_WEIGHTS] = "F32", (foreign.prototypes,)
    return kinds


def _check_tensors(wanted: Kinds, given: Kinds, what: str, error: type[ModelFileError]) -> None:
    """Hold names, shapes and dtypes of what is given against the tensors of the network described."""
    for words, names in (
        ("lacks", wanted.keys() - given.keys()),
        ("has unknown", given.keys() - wanted.keys()),
    ):
        if names:
            some = ", ".join(repr(name[:80]) for name in sorted(names)[:3])
            raise error(f"{what} {words} {len(names)} tensors of its network: {some}.")
    for name in wanted:
        if given[name] != wanted[name]:
            has, needs = (
                f"torch.{DTYPES.get(kind, kind)} of shape {shape}" for kind, shape in (given[name], wanted[name])
            )
            raise error(f"{what} has {name!r} as {has}, and its network needs {needs}.")


def _check_finite(tensors: Mapping[str, torch.Tensor], what: str, error: type[ModelFileError]) -> None:
    import torch

    for name, tensor in tensors.items():
        if not bool(torch.isfinite(tensor).all()):
            raise error(f"{what}: {name!r} holds NaN or infinity; the training that made it diverged.")

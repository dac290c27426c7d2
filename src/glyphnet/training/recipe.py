"""The recipe: every setting of one training, frozen, checked, written as YAML."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import Field, field_validator, model_validator

from ..augment import Augmenter
from ..data.ink import Kind, Look
from ..data.settings import DataSettings, Fraction
from ..errors import SettingsError
from ..nn import NetworkSpec
from ..settings import Settings, parse_settings, suggestion
from ..units import percent
from .losses import REGULARIZERS, AnyLoss, CrossEntropy, Regularizer
from .optimizers import Adam, AnyOptimizer
from .schedules import AnySchedule, Constant

NotNegative = Annotated[float, Field(ge=0.0)]

# The sections that are one of several kinds, and the key that says which: naming another kind starts it afresh.
_KIND_KEYS = {
    "network": "kind",
    "loss": "name",
    "optimizer": "name",
    "schedule": "name",
    "backbone": "weights",
    "unlabelled": "source",
    "pictures": "kind",
}


class EarlyStopping(Settings):
    """Stop when nothing has improved for a while.

    Attributes:
        patience: epochs without an improvement of more than ``min_delta`` before the training stops.
        min_delta: an improvement by less does not count.
        monitor: what must improve; "loss" (of training) also works without validation data.
    """

    patience: Annotated[int, Field(ge=1)] = 10
    min_delta: NotNegative = 0.0
    monitor: Literal["val_loss", "val_accuracy", "loss"] = "val_loss"


class Backbone(Settings):
    """Weights from which a training begins. Its first epoch fits the last layer alone; the others change all weights.

    Attributes:
        weights: a name ("glyphbase", "efficientnet-lite0"), the path of a file of weights, or the repository of a hub
            (hf:USER/NAME@COMMIT).
        sha256: of that file; a training writes here what it found.
    """

    weights: str
    sha256: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")] = ""


class Unlabelled(Settings):
    """Learning from pictures without labels as well, by consistency (FixMatch, Sohn et al., 2020).

    The averaged network answers a picture that is changed weakly. Where it is sure, its answer is the label of the same
    picture, changed strongly. An epoch is a pass over the larger of the two sets of pictures; the other is repeated.

    Attributes:
        source: the path of the pictures, of any form that is read; None for pictures in memory.
        ratio: unlabelled pictures in a step for each labelled one.
        threshold: the least probability of an answer that is taken for a label.
        weight: factor of these pictures' loss.
        align: bring the answers, on average, to the frequencies of the labels' classes (distribution alignment,
            Berthelot et al., 2019). Turn it off if the labelled pictures do not show how frequent the classes are.
        weak: augmentations of the pictures that are answered.
        strong: augmentations of the pictures that are learned.
        leave_out: leave out pictures that are like nothing labelled, by the features of a network that was trained on
            the labelled ones alone.
        check: find out whether the unlabelled pictures helped. On 50 validation labels or more, the better of the
            networks with and without them is kept; on fewer, one without is kept if cross-validation over the labels
            finds it significantly better, at about half the cost of the training again.
    """

    source: str | None = None
    ratio: Annotated[int, Field(ge=1, le=64)] = 3
    threshold: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.95
    weight: NotNegative = 1.0
    align: bool = True
    weak: dict[str, float] = Field(default_factory=lambda: {"shift": 1.0})
    strong: dict[str, float] = Field(
        default_factory=lambda: {
            "shift": 2.0, "scale": 0.15, "rotate": 10.0, "erase": 0.4, "contrast": 0.5, "brightness": 0.3,
        }
    )  # fmt: skip
    leave_out: bool = True
    check: bool = True

    @field_validator("weak", "strong")
    @classmethod
    def _known_augmentations(cls, value: dict[str, float]) -> dict[str, float]:
        if Augmenter(value).mixes_targets:
            raise ValueError("mixup and cutmix blend labels, which these pictures do not have: leave them out")
        return value


class Mirrored(Settings):
    """Whether mirrored pictures keep their class: what a network answered that saw none in training.

    Attributes:
        n: held-out pictures that it was asked.
        right: of them, right answers as they are.
        right_mirrored: right answers when they are mirrored.
        worst: the class that loses most, where it loses more than chance explains; "" where none does.
        keep: whether the presets mirror images of these data.
    """

    n: Annotated[int, Field(ge=0)]
    right: Annotated[int, Field(ge=0)]
    right_mirrored: Annotated[int, Field(ge=0)]
    worst: str = ""
    keep: bool


class Pictures(Settings):
    """What a preset took the images for. It chose the augmentations by this; by itself it changes nothing.

    Attributes:
        kind: "drawings" (strokes on an even background), "objects" (evenly lit, before a background that is one level
            in all pictures) or "photographs" (anything else).
        even: share of the borders' pixels that have the level of the background; None where the user named the kind.
        half_tones: share of the subject that is neither background nor full ink and lies on no edge; None in colour,
            and where there is no background.
        mirrored: whether mirrored pictures keep their class; None where that was not asked.
    """

    kind: Kind
    even: Annotated[float, Field(ge=0, le=1)] | None = None
    half_tones: NotNegative | None = None
    mirrored: Mirrored | None = None

    @classmethod
    def of(cls, look: Look) -> Pictures:
        """From what the training images look like."""
        half_tones = None if look.half_tones is None else round(look.half_tones, 4)
        return cls(kind=look.kind, even=round(look.even, 4), half_tones=half_tones)

    @property
    def keeps_class(self) -> bool:
        """Whether the data show that mirrored pictures keep their class."""
        return self.mirrored is not None and self.mirrored.keep

    @property
    def about_mirrored(self) -> str:
        """A sentence about whether mirrored pictures keep their class, after a space; "" if that was not asked."""
        if (found := self.mirrored) is None:
            return ""
        if not found.right:
            return f" Not mirrored: {found.n} held-out pictures are too few to ask."
        counts = f"of {found.n:,} held-out pictures {found.right:,} are right, {found.right_mirrored:,} mirrored"
        loses = f", and {found.worst!r} loses most" if found.worst else ""
        return f" {'Mirrored' if found.keep else 'Not mirrored'}: {counts}{loses}."

    @property
    def reason(self) -> str:
        """Why they are of this kind, in a few words."""
        if self.even is None:
            return "as asked for"
        border = f"{100 * self.even:.0f} % of the borders have one level"
        if self.half_tones is None:
            return border
        return f"{border}, {100 * self.half_tones:.1f} % of the subject is flat grey"


class Recipe(Settings):
    """Every setting of one training. Nothing is trained that a recipe does not describe.

    Attributes:
        data: which images; None where arrays are given instead.
        network: the network's kind and sizes.
        backbone: weights to begin with, of the same network trained on other pictures, and with them its preprocessing;
            None begins at random.
        unlabelled: how pictures without labels are learned from as well; None for labelled ones alone.
        pictures: what a preset took the images for, and why it chose these augmentations; None without a preset.
        preprocessing: "standardize" (mean 0, spread 1, a channel), "unit_range" (pixels / 255) or "unit_norm" (each
            image has length 1).
        augment: strength of each random change of the training images, by name.
        augment_share: of the images that each of these changes is made to, drawn for each change by itself.
        loss: what is made small, label smoothing and class weights with it.
        optimizer: how, with its learning rate.
        schedule: how the learning rate changes on the way.
        l1: factor of Σ|w| in the loss.
        l2: half the factor of Σw² in the loss.
        regularizers: strength of each further penalty in the loss, by its name.
        epochs: passes over the training images; with L-BFGS, iterations.
        batch_size: images a step, at most; batches of an epoch differ by one image at most. L-BFGS takes all.
        sampler: "shuffle" takes each training image once an epoch; "balanced" draws as many of each class, with
            repetition, as many images in all.
        ema: share of the averaged weights that stays at each step (0.99…); 0 for no averaging.
        early_stopping: when to stop before the last epoch; None for never.
        keep_best: keep the weights of the best epoch on validation, not those of the last.
        precision: "fp32", "bf16", or "auto": bf16 for large steps on processors and GPUs that multiply it faster.
        answer_precision: the share of answers that shall be right with --reject, 0.999 for instance: it may take a
            higher threshold on the confidence than that which keeps 99 % of the validation images. None asks for none.
        samples: validation images that the model file carries, so that an export can be tried on them; 0 for none,
            where they must not leave the house.
        seed: of the initial weights, the order, dropout and augmentation.
    """

    data: DataSettings | None = None
    network: NetworkSpec
    backbone: Backbone | None = None
    unlabelled: Unlabelled | None = None
    pictures: Pictures | None = None
    preprocessing: Literal["standardize", "unit_range", "unit_norm"] = "standardize"
    augment: dict[str, float] = Field(default_factory=dict)
    augment_share: Annotated[float, Field(gt=0, le=1)] = 1.0
    loss: AnyLoss = CrossEntropy()
    optimizer: AnyOptimizer = Adam()
    schedule: AnySchedule = Constant()
    l1: NotNegative = 0.0
    l2: NotNegative = 0.0
    regularizers: dict[str, NotNegative] = Field(default_factory=dict)
    epochs: Annotated[int, Field(ge=1)] = 10
    batch_size: Annotated[int, Field(ge=1)] = 128
    sampler: Literal["shuffle", "balanced"] = "shuffle"
    ema: Fraction = 0.0
    early_stopping: EarlyStopping | None = None
    keep_best: bool = True
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    answer_precision: Annotated[float, Field(gt=0, le=1)] | None = None
    samples: Annotated[int, Field(ge=0, le=100)] = 100
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0

    @model_validator(mode="before")
    @classmethod
    def _names_alone(cls, values: Any) -> Any:
        """Let ``network: mlp`` stand for ``network: {kind: mlp}``, and so on."""
        if not isinstance(values, Mapping):
            return values
        return {
            key: {_KIND_KEYS[key]: value} if key in _KIND_KEYS and isinstance(value, str) else value
            for key, value in values.items()
        }

    @field_validator("augment")
    @classmethod
    def _known_augmentation(cls, value: dict[str, float]) -> dict[str, float]:
        Augmenter(value)  # says what is wrong with them
        return value

    @field_validator("regularizers")
    @classmethod
    def _known_regularizers(cls, value: dict[str, float]) -> dict[str, float]:
        further = [name for name in REGULARIZERS if name not in cls.model_fields]
        for name in value:
            if name in cls.model_fields and name in REGULARIZERS:
                raise ValueError(f"{name} is a setting of its own: write {name}, not regularizers.{name}")
            if name not in further:
                raise ValueError(f'unknown regularizer "{name:.60}"{suggestion(name, [*further, "l1", "l2"])}')
        return value

    @model_validator(mode="after")
    def _possible_together(self) -> Self:
        if self.unlabelled is not None:
            if self.optimizer.full_batch:
                raise ValueError(f"optimizer {self.optimizer.name} cannot learn from unlabelled pictures: take another")
            if self.backbone is not None:
                raise ValueError("unlabelled pictures do not go with a backbone yet: leave out one of them")
        if self.optimizer.full_batch:
            if self.backbone is not None:
                raise ValueError(f"optimizer {self.optimizer.name} has no use for a backbone: take another optimizer")
            random = [f"augment.{name}" for name, strength in self.augment.items() if strength]
            random += [f"network.{name}" for name in ("dropout", "input_dropout") if getattr(self.network, name, 0)]
            if random:
                raise ValueError(
                    f"optimizer {self.optimizer.name} needs a loss that does not change by chance: "
                    f"set {', '.join(random)} to 0, or take another optimizer"
                )
        return self

    @property
    def about_pictures(self) -> tuple[str, ...]:
        """A sentence about what a preset took the images for, and what it augments them by; none without a preset."""
        if (pictures := self.pictures) is None:
            return ()
        by = [f"{name} {strength:g}" for name, strength in self.augment.items() if strength]
        made = f"augmented by {', '.join(by)}" if by else "not augmented"
        if by and self.augment_share < 1:
            made += f", each in {percent(self.augment_share, 0)} of the images"
        if self.backbone is not None:
            made = f"few, so on the backbone {self.backbone.weights} (--set backbone=null: without), {made}"
        return (f"{pictures.kind.capitalize()} ({pictures.reason}): {made}.{pictures.about_mirrored}",)

    @property
    def penalties(self) -> list[tuple[Regularizer, float]]:
        """The regularizers that take part, each with its strength."""
        strengths = {name: float(getattr(self, name, self.regularizers.get(name, 0.0))) for name in REGULARIZERS}
        return [(REGULARIZERS[name], strength) for name, strength in strengths.items() if strength]

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> Recipe:
        """A recipe from nested plain values; raises SettingsError with all that is wrong at once."""
        return parse_settings(cls, values)

    @classmethod
    def from_yaml(cls, text: str) -> Recipe:
        """A recipe from YAML text; raises SettingsError for what is no YAML, and for wrong settings."""
        try:
            values = yaml.load(text, Loader=_Loader)
        except yaml.YAMLError as error:
            raise SettingsError(f"The recipe is not YAML: {' '.join(str(error).split())}.") from None
        if not isinstance(values, dict):
            raise SettingsError("The recipe must be a mapping of settings, such as `epochs: 10`.")
        return cls.parse(values)

    def to_yaml(self) -> str:
        """The recipe as YAML, every setting written out."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)

    def override(self, changes: Mapping[str, Any]) -> Recipe:
        """This recipe with some settings changed.

        Naming another kind of network, optimizer, schedule or loss starts that section from its own defaults.

        Args:
            changes: values by dotted name: ``{"optimizer.lr": 0.01, "network": "mlp"}``. Strings are read as YAML
                reads them ("0.01" is a number, "[64, 32]" a list).

        Raises:
            SettingsError: all wrong settings at once.
        """
        values = self.model_dump(mode="json")
        # Kinds first, so that `optimizer.lr` before `optimizer.name=sgd` is not lost.
        for path, value in sorted(changes.items(), key=lambda change: not _names_kind(change[0])):
            value = read_value(value) if isinstance(value, str) else value
            section, _, name = path.partition(".")
            if _names_kind(path) and isinstance(value, str):
                key = _KIND_KEYS[section]
                if (values[section] or {}).get(key) != value:
                    values[section] = {key: value}
            elif not name:
                values[section] = value
            else:
                values[section] = {**(values.get(section) or {}), name: value}
        return self.parse(values)

    def without_effect(self, given: Collection[str] | None = None) -> tuple[str, ...]:
        """A sentence for each setting that cannot have an effect with the others.

        Args:
            given: dotted names of the settings that the user gave; None for those given when this was made.
        """
        given = self.model_fields_set if given is None else given
        said = [f"network: {sentence}" for sentence in self.network.without_effect()]
        if self.optimizer.full_batch:
            if self.sampler != "shuffle":
                said.append(f"sampler has no effect: {self.optimizer.name} looks at all images in every step.")
            if "batch_size" in given:
                said.append(f"batch_size has no effect: {self.optimizer.name} looks at all images in every step.")
            if not isinstance(self.schedule, Constant):
                said.append(f"schedule has no effect: {self.optimizer.name} searches for its own step.")
        if getattr(self.optimizer, "nesterov", False) and not getattr(self.optimizer, "momentum", 1.0):
            said.append("optimizer.nesterov has no effect: optimizer.momentum is 0.")
        if self.augment_share < 1 and not any(self.augment.values()):
            said.append(f"augment_share (={self.augment_share:g}) has no effect: augment names no change.")
        if self.early_stopping and self.early_stopping.patience >= self.epochs:
            said.append(
                f"early_stopping has no effect: its patience ({self.early_stopping.patience}) is not below "
                f"epochs ({self.epochs})."
            )
        return tuple(said)


def read_value(text: str) -> Any:
    """A setting's value from text: "0.01" is a number, "[64, 32]" a list, "null" nothing."""
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.YAMLError:
        return text


def _names_kind(path: str) -> bool:
    section, _, name = path.partition(".")
    return section in _KIND_KEYS and name in ("", _KIND_KEYS[section])


class _Loader(yaml.SafeLoader):
    """Reads ``1e-3`` as a number; YAML 1.1 takes it for text."""


_Loader.yaml_implicit_resolvers = {key: list(rows) for key, rows in yaml.SafeLoader.yaml_implicit_resolvers.items()}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?[0-9][0-9_]*(\.[0-9]*)?[eE][-+]?[0-9]+$"),
    list("-+0123456789"),
)

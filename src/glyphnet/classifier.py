"""The trained classifier: it predicts, saves, loads."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from .answers import NONE_OF_THESE as NONE_OF_THESE
from .answers import Answers, Predictor, scored_twice
from .conformal import Conformal
from .data.dataset import Int64Array, UInt8Array, size_in_words
from .data.decode import ImageShape
from .data.ink import InkSpec, NoDrawing
from .data.values import STANDARD, Reading
from .errors import DeviceError, SettingsError
from .images import Batch, Images, image_batches
from .modelfile import (
    ForeignSpec,
    ModelHeader,
    Normalizing,
    Provenance,
    describe_model,
    read_whole_model,
    write_model,
)
from .nn import BaseSpec, NetworkSummary, Preprocessing, summary, without_head
from .nn.inference import logits_in_batches
from .nn.modules import head_of
from .nn.prototypes import Prototypes
from .nn.scoring import Compared, WithScore, compared_width
from .notebook import render, strip
from .settings import default_batch_size
from .units import first_line, listed, page_percent, plural, printable

Float32Array = npt.NDArray[np.float32]

_SHOWN = 16  # images in a notebook


@dataclass(frozen=True, eq=False)
class Classifier(Predictor):
    """A trained network together with all that prediction needs; how it predicts: see `Predictor`.

    Attributes:
        network: the trained network; it is put into evaluation mode and channels-last memory.
        spec: the description that it was built from.
        input_shape: (H, W, C) of its images.
        classes: the K class names, in label order.
        preprocessing: from pixels to the network's input: the object that training used.
        temperature: logits are divided by it before softmax.
        threshold: confidence below which an answer is not believed; None where none was measured.
        prototypes: what images are compared with, to find those unlike the training images; None: they are not.
        foreign_threshold: the score above which an image is unlike them; None where none was measured.
        conformal: the calibration of sets of classes, or None.
        recipe: how it was trained, as plain JSON values.
        metrics: what was measured, as plain JSON values.
        provenance: which data, when, which versions.
        samples: a few held-out images, uint8 (M, H, W, C), by which an export is proved; or None.
        ink: how the training images look; None only resizes pictures.
        normalize: whether pictures are made like the training images; a training decides it on validation images. None,
            as in model files of version 1: pictures are, and arrays of the model's own shape are not.
        normalizing: the evidence for that decision; None where nothing was measured.
        reading: the scale of brightness of the training images, and the page that was read of files of several.

    Raises:
        SettingsError: the parts do not fit together; all that is wrong is listed.
    """

    network: nn.Module = field(repr=False)
    spec: BaseSpec
    input_shape: ImageShape
    classes: tuple[str, ...]
    preprocessing: Preprocessing
    temperature: float = 1.0
    threshold: float | None = None
    prototypes: Prototypes | None = field(default=None, repr=False)
    foreign_threshold: float | None = None
    conformal: Conformal | None = field(default=None, repr=False)
    recipe: Mapping[str, Any] = field(default_factory=dict, repr=False)
    metrics: Mapping[str, Any] = field(default_factory=dict, repr=False)
    provenance: Provenance = field(default_factory=Provenance, repr=False)
    samples: UInt8Array | None = field(default=None, repr=False)
    ink: InkSpec | None = field(default=None, repr=False)
    normalize: bool | None = None
    normalizing: Normalizing | None = field(default=None, repr=False)
    reading: Reading = field(default=STANDARD, repr=False)

    def __post_init__(self) -> None:
        self._header()
        width = compared_width(self.network)
        if self.prototypes is not None and self.prototypes.features != width:
            raise SettingsError(
                f"The prototypes have {self.prototypes.features} features, and the network gives {width}."
            )
        self.network.eval()
        # Not only for speed: convolutions add in another order then, and a model must answer alike, to the
        # last bit, before it is saved and after.
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @property
    def device(self) -> torch.device:
        """Where the network is, and where predictions are computed."""
        return next(self.network.parameters()).device

    def logits(self, images: Images, *, batch_size: int | None = None, as_is: bool | None = None) -> Float32Array:
        """The network's answers before softmax and temperature: float32 (N, K)."""
        return self._gather(self._answers(self.network, images, batch_size, as_is))

    def predict_proba(
        self, images: Images, *, batch_size: int | None = None, as_is: bool | None = None
    ) -> Float32Array:
        """Probability of each class: float32 (N, K), rows sum to 1.

        The softmax of the logits over the temperature, whatever the loss was, for the classes exclude one
        another. After training with binary cross-entropy each logit is the log odds of a yes or no of its own,
        and the softmax is the probability of each class given that exactly one of the answers is yes:
        σ(z) / (1 − σ(z)) = exp(z).
        """
        batches = self._answers(self.network, images, batch_size, as_is)
        return self._gather(map(self._softmax, batches))

    def predict_labels(self, images: Images, *, batch_size: int | None = None, as_is: bool | None = None) -> Int64Array:
        """The likeliest class of each image as a label: int64 (N,), in [0, K)."""
        labels: Int64Array = self.logits(images, batch_size=batch_size, as_is=as_is).argmax(axis=1).astype(np.int64)
        return labels

    def answer(self, images: Images, *, batch_size: int | None = None, as_is: bool | None = None) -> Answers:
        """Probabilities, scores and reasons for each image."""
        probabilities, foreign, drawn = self._scored(images, batch_size, as_is, self._softmax)
        reasons = self.rules.reasons(probabilities, foreign, drawn)
        return Answers(probabilities, foreign, reasons, self.classes, self.rules)

    def logits_and_scores(
        self, images: Images, *, batch_size: int | None = None
    ) -> tuple[Float32Array, Float32Array | None]:
        """The logits, float32 (N, K), and how unlike the training images each image is, float32 (N,), in one pass.

        The scores are None if the model has no prototypes.
        """
        logits, scores, _ = self._scored(images, batch_size, None, lambda rows: rows)
        return logits, scores

    @property
    def scores_twice(self) -> bool:
        """Whether a picture that normalising changed is also scored as it was given."""
        return self.prototypes is not None and self.prototypes.twice

    def compared(self, images: Images, *, batch_size: int | None = None) -> Float32Array:
        """What images are compared with `prototypes` by: float32 (N, F + 2), see `nn.scoring.Compared`."""
        batches = self._answers(Compared(self.network), images, batch_size, None)
        return self._gather(batches, width=compared_width(self.network) + 2)

    def features(self, images: Images, *, batch_size: int | None = None, as_is: bool | None = None) -> Float32Array:
        """What the network makes of each image before it decides: float32 (N, F), the input of ``head``.

        The last hidden layer after its activation; of a linear network, which has none, the pixels after preprocessing.
        """
        batches = self._answers(without_head(self.network), images, batch_size, as_is)
        return self._gather(batches, width=head_of(self.network).in_features)

    @property
    def about_normalizing(self) -> str:
        """Whether pictures are made like the training images, and why, in one sentence."""
        if self.normalizing is not None:
            return self.normalizing.sentence(on=self.normalize is True)
        if self.ink is None or self.ink.background is None:
            return "Pictures to classify are resized, whole, to the model's size."
        if self.normalize is None:
            return "Pictures to classify are normalised; whether that helps was not measured."
        return "Normalising pictures: off, for there were no validation pictures to test it on."

    def summary(self) -> NetworkSummary:
        """The network layer by layer: shapes, parameters, FLOPs; ``print`` it for a table."""
        return summary(self.spec, self.input_shape, len(self.classes))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model file, all or nothing; `load_model` reads it.

        Raises:
            ModelFileError: a weight is NaN or infinite, or the recipe or the metrics hold what JSON cannot.
            OutputError: the name says that it is another kind of file: ``model.onnx``.
            OSError: the file cannot be written.
        """
        write_model(path, self._header(), self.network, self.samples, self.prototypes)

    def _repr_html_(self) -> str:
        """What it tells apart, how well it does, its layers and some images, for a notebook."""
        found = self.summary()
        height, width, channels = self.input_shape
        size = f"{size_in_words(height, width)} pixels in {'grey' if channels == 1 else 'colour'}"
        layers = [
            {"name": row.name, "layer": row.layer, "output": "×".join(map(str, row.output_shape)),
             "parameters": row.parameters}
            for row in found.rows
        ]  # fmt: skip
        return render(
            "classifier",
            title=f"Tells {plural(len(self.classes), 'class', 'classes')} apart in images of {size}: "
            f"{listed([printable(name) for name in self.classes], 12)}.",
            sentences=self._known(),
            layers=layers,
            parameters=found.parameters,
            flops=found.flops,
            images="" if self.samples is None else strip(self.samples[:_SHOWN]),
        )

    def _known(self) -> list[str]:
        """What is known of its accuracy, and when it does not answer, in sentences."""
        sentences, interval = [], self.metrics.get("interval")
        if "accuracy" in self.metrics and interval:
            share, low, high = (page_percent(value, 2) for value in (self.metrics["accuracy"], *interval))
            judged_on, count = self.metrics["judged_on"], self.metrics["n"]
            sentences.append(
                f"Accuracy {share} (95 % interval {low} to {high}), measured on {count:,} images: {judged_on}."
            )
        if self.threshold is not None:
            sentences.append(f"It does not answer where its confidence is below {page_percent(self.threshold)}.")
        return sentences

    def _header(self) -> ModelHeader:
        reading = self.reading
        return describe_model(
            network=self.spec,
            foreign=None if self.prototypes is None else ForeignSpec.of(self.prototypes, self.foreign_threshold),
            samples=0 if self.samples is None else len(self.samples),
            recipe=dict(self.recipe),
            metrics=dict(self.metrics),
            value_range=reading.value_range,
            window=reading.window,
            page=reading.page,
            **{name: getattr(self, name) for name in _AS_IN_HEADER},
        )

    @cached_property
    def _scoring(self) -> nn.Module:
        """The network with one more output: how unlike the training images its input is."""
        assert self.prototypes is not None
        return WithScore(self.network, self.prototypes)

    def _softmax(self, logits: torch.Tensor) -> torch.Tensor:
        return torch.softmax(logits / self.temperature, dim=1)

    def _scored(
        self, images: Images, batch_size: int | None, as_is: bool | None, of: Callable[[torch.Tensor], torch.Tensor]
    ) -> tuple[Float32Array, Float32Array | None, list[NoDrawing | None]]:
        """What ``of`` makes of the logits, (N, K), the scores or None, and what is wrong with each picture itself."""
        classes, scored = len(self.classes), self.prototypes is not None
        scores, drawn = [np.empty(0, np.float32)], list[NoDrawing | None]()

        def answers() -> Iterator[torch.Tensor]:
            network = self._scoring if scored else self.network
            for rows, reasons, given in self._batches(network, images, batch_size, as_is):
                drawn.extend(reasons)
                if scored:
                    found: Float32Array = rows[:, classes].cpu().numpy()
                    scores.append(scored_twice(found, given, self._distances) if self.scores_twice else found.copy())
                yield of(rows[:, :classes])

        gathered = self._gather(answers())
        return gathered, np.concatenate(scores) if scored else None, drawn

    def _distances(self, pixels: UInt8Array) -> Float32Array:
        """How far the features of images, uint8 (N, H, W, C), are from the prototypes: float32 (N,)."""
        rows = self._answers(self._scoring, Batch.as_seen(pixels), None, None)
        return self._gather(rows, width=len(self.classes) + 2)[:, -1]

    def _answers(
        self, network: nn.Module, images: Images, batch_size: int | None, as_is: bool | None
    ) -> Iterator[torch.Tensor]:
        """What the network, or a part of it, gives for each batch, on the network's device."""
        return (rows for rows, _, _ in self._batches(network, images, batch_size, as_is))

    def _batches(
        self, network: nn.Module, images: Images, batch_size: int | None, as_is: bool | None
    ) -> Iterator[tuple[torch.Tensor, list[NoDrawing | None], list[UInt8Array | None]]]:
        """The same, with what is wrong with the pictures themselves, and the pictures before they were changed."""
        if batch_size is not None and batch_size < 1:
            raise SettingsError(f"batch_size (={batch_size}) must be 1 or more.")
        size = batch_size or default_batch_size(self.input_shape)
        for pixels, reasons, given in image_batches(images, self, size, as_is):
            # torch takes no negative strides, and warns of read-only memory, as a memory map's is.
            batch = torch.from_numpy(np.require(pixels, requirements=["C", "W"]))
            start = 0
            for rows in logits_in_batches(
                network, self.preprocessing, batch, batch_size=batch_size, device=self.device
            ):
                yield rows, reasons[start : start + len(rows)], given[start : start + len(rows)]
                start += len(rows)

    def _gather(self, batches: Iterator[torch.Tensor], *, width: int | None = None) -> Float32Array:
        """The batches as one array, of K columns unless ``width`` says otherwise."""
        rows = np.empty((0, len(self.classes) if width is None else width), dtype=np.float32)
        count = 0
        # One array that grows: small ones, kept one by one, come to lie between the large ones that a network makes
        # and frees, whose memory then cannot be used again. A million images took 5 GB so.
        for batch in batches:
            if count + len(batch) > len(rows):
                grown = np.empty((max(2 * len(rows), count + len(batch)), rows.shape[1]), dtype=np.float32)
                grown[:count] = rows[:count]
                rows = grown
            rows[count : count + len(batch)] = batch.cpu().numpy()
            count += len(batch)
        return rows if count == len(rows) else rows[:count].copy()


_AS_IN_HEADER = (
    "input_shape", "classes", "preprocessing", "temperature", "threshold", "conformal", "provenance", "ink",
    "normalize", "normalizing",
)  # fmt: skip
"""What a classifier and the header of its file call alike."""


def load_model(path: str | os.PathLike[str], device: str | torch.device = "cpu") -> Classifier:
    """Read a model file that `Classifier.save` wrote. Nothing in a file can run code.

    Args:
        path: the ``.safetensors`` file.
        device: where to predict: "cpu", "cuda", "cuda:1", "mps".

    Raises:
        CorruptFileError: truncated, altered, or no such file at all.
        UnsupportedFileError: a checkpoint, or written by a newer GlyphNet.
        ModelFileError: it is not there or cannot be read.
        DeviceError: there is no such device.
    """
    header, network, samples, prototypes = read_whole_model(path, _device(device))
    return Classifier(
        network=network,
        spec=header.network,
        prototypes=prototypes,
        foreign_threshold=None if header.foreign is None else header.foreign.threshold,
        samples=samples,
        recipe=header.recipe,
        metrics=header.metrics,
        reading=header.reading,
        **{name: getattr(header, name) for name in _AS_IN_HEADER},
    )


def _device(device: str | torch.device) -> torch.device:
    try:
        found = torch.device(device)
        torch.empty(0, device=found)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = first_line(error)
        raise DeviceError(f"The device {str(device)!r} cannot be used: {reason}. Try the device 'cpu'.") from None
    return found

"""Our presets as contestants: trained as `glyphnet.train` trains them, without a run folder."""

from __future__ import annotations

from dataclasses import dataclass

from ..classifier import Classifier, Float32Array
from ..data.dataset import Splits, UInt8Array
from ..files import temporary_folder
from ..runs import train


@dataclass(eq=False)
class PresetContestant:
    """A preset: it learns from the training images and chooses its best epoch by the validation images.

    Attributes:
        preset: its name.
        seed: of weights, order and augmentation.
        device: where it is trained and predicts.
    """

    preset: str
    seed: int
    device: str
    _classifier: Classifier | None = None

    def fit(self, splits: Splits) -> None:
        """See `Contestant`."""
        self._classifier = train(splits, preset=self.preset, changes={"seed": self.seed}, device=self.device).classifier

    def predict_proba(self, images: UInt8Array, /) -> Float32Array:
        """See `Contestant`. The pixels are taken as they are: all methods answer on the same ones."""
        return self._fitted().predict_proba(images, as_is=True)

    def size(self) -> int:
        """The length of the model file."""
        with temporary_folder() as folder:
            path = folder / "model.safetensors"
            self._fitted().save(path)
            return path.stat().st_size

    def _fitted(self) -> Classifier:
        assert self._classifier is not None
        return self._classifier

"""The table of peers: who they are, what each needs, and which work it can do."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.util import find_spec

INSTALL = "pip install 'glyphnet[bench]'"
_ALL = "bcdef"


@dataclass(frozen=True)
class Peer:
    """One way to train.

    Attributes:
        title: in the table.
        module: of this package; its ``train(work, data, turns, turns_wanted)`` does the work.
        packages: what must be installed, name of import by name of distribution.
        works: letters of the works that it can do.
        environment: variables that its process needs.
        remarks: what it does otherwise, by work.
    """

    title: str
    module: str
    packages: dict[str, str]
    works: str = _ALL
    environment: dict[str, str] = field(default_factory=dict)
    remarks: dict[str, str] = field(default_factory=dict)

    def missing(self) -> list[str]:
        """Distributions that are not installed."""
        return [package for package, name in self.packages.items() if find_spec(name) is None]


def _keras(backend: str, **packages: str) -> Peer:
    title = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "PyTorch"}[backend]
    return Peer(
        f"Keras on {title}", "with_keras", {"keras": "keras", **packages},
        environment={"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "2"},
    )  # fmt: skip


OURS, PLAIN = "glyphnet", "torch"

PEERS = {
    OURS: Peer("GlyphNet", "with_glyphnet", {"glyphnet": "glyphnet", "torch": "torch"}, works="abcdef"),
    PLAIN: Peer("plain PyTorch, resident", "with_torch", {"torch": "torch"}, works="abcdef"),
    "torch-loader": Peer("plain PyTorch, DataLoader", "with_torch_loader", {"torch": "torch"}),
    "sklearn": Peer(
        "scikit-learn MLPClassifier", "with_sklearn", {"scikit-learn": "sklearn"}, works="abcd",
        remarks={"c": "it has no dropout"},
    ),
    "keras-tensorflow": _keras("tensorflow", **{"tensorflow-cpu": "tensorflow"}),
    "keras-jax": _keras("jax", jax="jax"),
    "keras-torch": _keras("torch", torch="torch"),
    "skorch": Peer("skorch", "with_skorch", {"skorch": "skorch", "torch": "torch"}),
    "lightning": Peer("Lightning", "with_lightning", {"pytorch-lightning": "pytorch_lightning", "torch": "torch"}),
}  # fmt: skip

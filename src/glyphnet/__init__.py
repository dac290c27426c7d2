"""GlyphNet trains, judges, explains and ships neural-network classifiers of small images.

::

    import glyphnet

    run = glyphnet.train("digits")              # or the path of a folder of class folders
    run.classifier.save("digits.safetensors")
    classifier = glyphnet.load_model("digits.safetensors")
    classifier.predict(["one.png", "two.png"])

Names are loaded when they are first used, so that ``import glyphnet`` waits for no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ._version import __version__

if TYPE_CHECKING:
    from . import explain
    from .classifier import Classifier, load_model
    from .data import ImageDataset, Splits, inspect, load
    from .errors import GlyphNetError
    from .evaluation import Evaluation, evaluate
    from .evaluation.suggest import suggest
    from .live import Live
    from .runs import Run, resume, train
    from .runs.review import review
    from .studies.comparison.comparing import compare
    from .studies.comparison.models import compare_models
    from .studies.seeds import SeedRuns, resume_seeds, train_seeds
    from .studies.tuning import tune
    from .training import Recipe, preset

_HOMES = {
    ".classifier": ("Classifier", "load_model"),
    ".data": ("ImageDataset", "Splits", "inspect", "load"),
    ".errors": ("GlyphNetError",),
    ".evaluation": ("Evaluation", "evaluate"),
    ".evaluation.suggest": ("suggest",),
    ".live": ("Live",),
    ".runs": ("Run", "resume", "train"),
    ".runs.review": ("review",),
    ".studies.comparison.comparing": ("compare",),
    ".studies.comparison.models": ("compare_models",),
    ".studies.seeds": ("SeedRuns", "resume_seeds", "train_seeds"),
    ".studies.tuning": ("tune",),
    ".training": ("Recipe", "preset"),
}

__all__ = [
    "Classifier", "Evaluation", "GlyphNetError", "ImageDataset", "Live", "Recipe", "Run", "SeedRuns", "Splits",
    "__version__", "compare", "compare_models", "evaluate", "explain", "inspect", "load", "load_model", "preset",
    "resume", "resume_seeds", "review", "suggest", "train", "train_seeds", "tune",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name == "explain":
        return import_module(".explain", __name__)
    home = next((home for home, names in _HOMES.items() if name in names), None)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(home, __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

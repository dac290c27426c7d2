"""A quick search: a linear network on the digits, three epochs a trial."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import glyphnet
from glyphnet import Splits
from glyphnet.studies.tuning import Tuning
from glyphnet.training import Recipe

_QUICK = {"network": {"kind": "linear"}, "optimizer": {"name": "adamw", "lr": 0.01}, "epochs": 3, "batch_size": 64}


@pytest.fixture(scope="session")
def digits() -> Splits:
    """As many as tell two learning rates apart."""
    whole = glyphnet.load("digits")
    return Splits("digits", whole.train.subset(slice(700)), whole.validation, whole.test.subset(slice(150)))


@pytest.fixture(scope="session")
def tune(digits: Splits) -> Callable[..., Tuning]:
    """``tune(trials=…, settings={…})``: a search on the digits that takes a second; what is not given is quick."""

    def run(**arguments: Any) -> Tuning:
        given: dict[str, Any] = {"search": {"optimizer.lr": "1e-3..0.1:log"}, "trials": 3, "device": "cpu"}
        recipe = Recipe.parse({**_QUICK, **arguments.pop("settings", {})})
        return glyphnet.tune(arguments.pop("data", digits), **{**given, "recipe": recipe, **arguments})

    return run


@pytest.fixture(scope="session")
def study(tune: Callable[..., Tuning], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of one trial."""
    file = tmp_path_factory.mktemp("study") / "study.db"
    tune(trials=1, storage=file)
    return file

"""The live parts of a lab's page: small experiments that the browser computes, beside the figures of the real one."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np

from ..data import load
from ..pages.bundle import bundle, script_json
from ..pages.playground import SETS, ImageSet
from ..templates import read


@dataclass(frozen=True)
class LiveParts:
    """What the page needs: its script, that of its worker or "", and data as JSON by the id of their element."""

    script: str
    worker: str
    data: dict[str, str]


def _digits() -> str:
    """Few of the 8×8 digits, so that a training takes a second: 400 to learn from, 300 to test."""
    splits = load("digits")
    part = splits.train.subset(np.arange(400)), splits.test.subset(np.arange(300))
    return script_json(ImageSet("digits", SETS["digits"], *part).to_page())


def _questions() -> str:
    return script_json(json.loads(read("labs/questions.json")))


_DATA: dict[str, Callable[[], str]] = {"digits": cache(_digits), "questions": cache(_questions)}

LAB_DATA: dict[str, tuple[str, ...]] = {
    "digits": ("digits",),
    "xor": (),
    "pulse": (),
    "first-net": ("questions",),
    "dropout": ("digits",),
    "regularisation": ("digits",),
    "networks": (),
    "classical": (),
    "scratch": (),
    "cnn": ("digits",),
    "explanations": ("digits",),
    "tuning": (),
    "feedback": ("digits",),
}
"""Name of a lab with live parts → their data, rows of ``_DATA``. pages/js/labs/NAME.js lists the parts."""


def live_parts(name: str) -> LiveParts | None:
    """Those of the lab of that name; None if it has none."""
    if name not in LAB_DATA:
        return None
    needs = LAB_DATA[name]
    return LiveParts(
        script=bundle(f"pages/js/labs/{name.replace('-', '_')}.js"),
        worker=bundle("pages/js/labs/worker.js") if "digits" in needs else "",
        data={data: _DATA[data]() for data in needs},
    )

"""The drawing page of a classifier that can read digits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

import glyphnet
from glyphnet.classifier import Classifier
from glyphnet.export import export
from glyphnet.nn import Preprocessing, build, parse_network


@pytest.fixture(scope="session")
def reader():
    """Digits, learned in seconds."""
    return glyphnet.train("digits", preset="fast").classifier


@pytest.fixture
def open_drawing(reader, open_page, tmp_path):
    """Open the page: ``open_drawing(threshold=0.9, width=390)``; what the classifier has not is the browser's."""

    def opened(*, scheme="light", width=1280, bypass_csp=False, **changes):
        export(replace(reader, **changes), tmp_path / "page.html")
        return open_page(
            tmp_path / "page.html", scheme=scheme, width=width, ready="html[data-ready]", bypass_csp=bypass_csp
        )

    return opened


@pytest.fixture(scope="session")
def one_picture(tmp_path_factory):
    """A 1, drawn large and dark on light, as a file."""
    path = tmp_path_factory.mktemp("picture") / "one.png"
    pixels = np.full((200, 160), 240, dtype=np.uint8)
    pixels[30:170, 70:90] = 20
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def make_many():
    """Write the page of a classifier of many classes: ``make_many(path, 60)``."""

    def made(path, count):
        spec = parse_network("linear")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(1)
            network = build(spec, (8, 8, 1), count)
        classes = tuple(f"class {number}" for number in range(count))
        export(Classifier(network, spec, (8, 8, 1), classes, Preprocessing(mode="unit_range")), path)
        return path

    return made

"""The model file: complete, the same bytes for the same model, and believed in nothing it does not prove."""

from __future__ import annotations

import copy
import json
import os
import re
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import nn

from glyphnet.classifier import load_model
from glyphnet.data import fit_image
from glyphnet.errors import CorruptFileError, ModelFileError, SettingsError, UnsupportedFileError
from glyphnet.modelfile import (
    FORMAT_VERSION,
    ModelHeader,
    Provenance,
    describe_model,
    read_whole_model,
    write_model,
)
from glyphnet.nn import NETWORKS, BaseSpec, Preprocessing, build, parse_network
from glyphnet.tensorfile import read_tensors, write_tensors
from glyphnet.units import fault_of


def header_of(spec: BaseSpec | str = "linear", **parts: Any) -> ModelHeader:
    given = {
        "network": parse_network(spec),
        "input_shape": (8, 8, 1),
        "classes": ("0", "eight", "größe 数字 🙂"),
        "preprocessing": Preprocessing(mean=(0.25,), std=(0.5,)),
        "provenance": Provenance(data="digits", fingerprint="ab" * 32, created="2026-01-31"),
    }
    return describe_model(**(given | parts))


def network_of(header: ModelHeader, seed: int = 0) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build(header.network, header.input_shape, len(header.classes)).eval()


def saved(path: Path, header: ModelHeader | None = None) -> tuple[ModelHeader, nn.Module]:
    header = header or header_of()
    network = network_of(header)
    write_model(path, header, network)
    return header, network


# --- it comes back ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", NETWORKS)
@pytest.mark.parametrize("channels", [1, 3])
def test_every_kind_of_network_comes_back_to_the_bit(tmp_path: Path, kind: str, channels: int) -> None:
    preprocessing = Preprocessing(mean=(0.1,) * channels, std=(0.3,) * channels)
    header = header_of(kind, input_shape=(28, 24, channels), preprocessing=preprocessing, temperature=1.37)
    network = network_of(header)
    write_model(tmp_path / "m", header, network)
    back, again, *_ = read_whole_model(tmp_path / "m")
    assert back == header
    assert type(back.network) is type(header.network)
    assert not again.training
    for name, tensor in network.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor)
        assert again.state_dict()[name].dtype == tensor.dtype
    x = torch.rand(3, channels, 28, 24)
    with torch.inference_mode():
        assert torch.equal(again(x), network(x))
    assert {parameter.device.type for parameter in again.parameters()} == {"cpu"}
    assert all(parameter.requires_grad for parameter in again.parameters())  # it can be trained on


texts = st.text(st.characters(), max_size=30)  # lone surrogates too
names = texts.filter(lambda name: not fault_of(name))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    classes=st.lists(names, min_size=1, max_size=6, unique=True).map(tuple),
    temperature=st.floats(1e-6, 1e6),
    threshold=st.none() | st.floats(0, 1),
    notes=st.dictionaries(texts, st.none() | st.integers() | st.lists(texts), max_size=3),
)
def test_any_header_makes_the_round_trip(
    tmp_path: Path,
    classes: tuple[str, ...],
    temperature: float,
    threshold: float | None,
    notes: dict[str, Any],
) -> None:
    header = header_of(classes=classes, temperature=temperature, threshold=threshold, recipe=notes, metrics=dict(notes))
    saved(tmp_path / "m", header)
    assert read_whole_model(tmp_path / "m")[0] == header


def test_the_file_says_in_plain_json_all_that_the_design_asks_for(tmp_path: Path) -> None:
    saved(tmp_path / "m", header_of(recipe={"epochs": 3}, metrics={"accuracy": 0.99}, threshold=0.5))
    with safetensors.safe_open(tmp_path / "m", "pt") as library:
        header = json.loads(library.metadata()["glyphnet"])
        assert sorted(library.keys()) == ["head.bias", "head.weight"]
    versions = header["provenance"].pop("versions")
    assert versions.keys() == {"glyphnet", "numpy", "python", "torch"}
    assert header == {
        "kind": "model",
        "format_version": 2,
        "network": {"kind": "linear"},
        "input_shape": [8, 8, 1],
        "classes": ["0", "eight", "größe 数字 🙂"],
        "preprocessing": {"mode": "standardize", "mean": [0.25], "std": [0.5]},
        "temperature": 1.0,
        "threshold": 0.5,
        "recipe": {"epochs": 3},
        "metrics": {"accuracy": 0.99},
        "provenance": {"data": "digits", "fingerprint": "ab" * 32, "created": "2026-01-31"},
        "samples": 0,
        "value_range": None,
        "window": False,
        "page": 1,
    }


def test_the_memory_format_of_the_weights_makes_no_difference(tmp_path: Path) -> None:
    header = header_of("cnn-classic", input_shape=(28, 28, 1))
    network = network_of(header)
    write_model(tmp_path / "a", header, network)
    write_model(tmp_path / "b", header, network.to(memory_format=torch.channels_last))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_reading_draws_no_random_number(tmp_path: Path) -> None:
    saved(tmp_path / "m", header_of("cnn"))
    before = torch.get_rng_state()
    read_whole_model(tmp_path / "m")
    assert torch.equal(torch.get_rng_state(), before)


def test_another_process_reads_a_model_without_a_compiler_and_writes_the_same_bytes(tmp_path: Path) -> None:
    saved(tmp_path / "a", header_of("cnn"))
    script = (
        "import sys; from glyphnet.modelfile import read_whole_model; read_whole_model(sys.argv[1]); "
        "print([name for name in ('torch._dynamo', 'sympy', 'sklearn', 'matplotlib') if name in sys.modules]); "
        f"sys.path.insert(0, {str(Path(__file__).parent)!r}); "
        "from test_modelfile import *; saved(Path(sys.argv[2]), header_of('cnn'))"
    )
    command = [sys.executable, "-c", script, tmp_path / "a", tmp_path / "b"]
    environment = os.environ | {"PYTHONHASHSEED": "7"}
    run = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    assert run.stdout.strip() == "[]"
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


# --- it refuses what was changed ----------------------------------------------------------------------------


def test_every_flipped_bit_every_truncation_and_every_addition_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    header, network = saved(path)
    content = path.read_bytes()
    named = re.escape(str(path))
    assert 1500 < len(content) < 4000
    for length in range(len(content)):
        os.truncate(path, length)
        with pytest.raises(CorruptFileError, match=named):
            read_whole_model(path)
        path.write_bytes(content)
    for more in (b"\0", b"}", content):
        path.write_bytes(content + more)
        with pytest.raises(CorruptFileError, match=named):
            read_whole_model(path)
    path.write_bytes(content)
    with open(path, "r+b", buffering=0) as file:
        for bit in range(len(content) * 8):
            os.pwrite(file.fileno(), bytes([content[bit // 8] ^ 1 << bit % 8]), bit // 8)
            with pytest.raises(CorruptFileError, match=named):
                read_whole_model(path)
            os.pwrite(file.fileno(), content[bit // 8 : bit // 8 + 1], bit // 8)
    back, again, *_ = read_whole_model(path)  # the file is whole again: it was the bits that were refused
    assert back == header
    assert torch.equal(again.state_dict()["head.weight"], network.state_dict()["head.weight"])


# --- it believes nothing ------------------------------------------------------------------------------------


def forged(path: Path, change: dict[str, Any], tensors: dict[str, torch.Tensor] | None = None) -> Path:
    """A model file with a right seal, whose header and tensors a hostile hand has chosen."""
    saved(path)
    header = read_tensors(path, kind="model", newest=FORMAT_VERSION)[0]
    _, weights = read_tensors(path, kind="model", newest=FORMAT_VERSION)
    write_tensors(path, weights if tensors is None else tensors, copy.deepcopy(header) | change)
    return path


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"temperature": 0.0}, "temperature: Input should be greater than or equal to "),
        ({"temperature": -1.0}, "temperature: Input should be greater than"),
        ({"temperature": 1e300}, "temperature: Input should be less than or equal to 1000000"),
        ({"temperature": None}, "temperature: Input should be a valid number"),
        ({"temperature": True}, "temperature: Input should be a valid number"),
        ({"temperature": "1"}, "temperature: Input should be a valid number"),
        ({"threshold": 1.5}, "threshold: Input should be less than or equal to 1"),
        ({"threshold": -0.1}, "threshold: Input should be greater than or equal to 0"),
        ({"classes": []}, "classes: Tuple should have at least 1 item"),
        ({"classes": ["a", "b", 3]}, "classes.2: Input should be a valid string"),
        ({"classes": "abc"}, "classes: Input should be a valid tuple"),
        ({"classes": ["a", "b", "a"]}, "2 classes are called 'a'"),
        ({"classes": [*map(str, range(60_000)), "59999"]}, "2 classes are called '59999'"),
        (
            {"classes": [str(number) for number in range(65_537)]},
            "classes: Tuple should have at most 65536 items",
        ),
        ({"input_shape": [8, 8]}, "input_shape.2: Field required"),
        ({"input_shape": [8, 8, 2]}, "images have 1 or 3 channels, not 2"),
        ({"input_shape": [8, 8, 3]}, "1 means do not fit 3 channels"),
        ({"input_shape": [0, 8, 1]}, "input_shape.0: Input should be greater than or equal to 1"),
        ({"input_shape": [8, 10**9, 1]}, "input_shape.1: Input should be less than or equal to 4096"),
        ({"input_shape": [8.0, 8, 1]}, "input_shape.0: Input should be a valid integer"),
        (
            {"preprocessing": {"mode": "standardize", "mean": [0.1], "std": [0.0]}},
            "preprocessing.std.0: Input",
        ),
        ({"preprocessing": {"mode": "standardize", "mean": [0.1], "std": [1e-300]}}, "do not fit float32"),
        ({"preprocessing": {"mode": "standardize", "mean": [1e300], "std": [1.0]}}, "do not fit float32"),
        (
            {"preprocessing": {"mode": "standardize", "mean": [0.1, 0.1], "std": [1, 1]}},
            "2 means do not fit 1 ch",
        ),
        (
            {"preprocessing": {"mode": "standardize", "mean": [0.1], "std": []}},
            "has 1 means but 0 standard dev",
        ),
        ({"preprocessing": None}, "preprocessing: Input should be"),
        ({"network": "linear"}, "network: Input should be"),
        ({"network": {"kind": "mlp", "hidden": [10**9]}}, "network.mlp.hidden.0: Input should be less than"),
        ({"network": {"kind": "mlp", "hidden": [1] * 1000}}, "network.mlp.hidden: Tuple should have at most"),
        ({"recipe": []}, "recipe: Input should be a valid dictionary"),
        ({"provenance": {"created": "yesterday"}}, "provenance.created: Invalid isoformat string"),
        (
            {"provenance": {"versions": {"torch": 2}}},
            "provenance.versions.torch: Input should be a valid string",
        ),
    ],
    ids=lambda value: json.dumps(value)[:40] if isinstance(value, dict) else None,
)
def test_headers_that_describe_no_model(tmp_path: Path, change: dict[str, Any], reason: str) -> None:
    path = forged(tmp_path / "m", change)
    with pytest.raises(CorruptFileError, match=re.escape(reason)) as caught:
        read_whole_model(path)
    assert str(caught.value).startswith(f"{path}: its header is no sound description of a model (")
    assert len(str(caught.value)) < 1500
    assert "\n" not in str(caught.value)


def test_a_required_part_that_is_missing(tmp_path: Path) -> None:
    header = header_of().model_dump()
    del header["classes"]
    write_tensors(tmp_path / "m", {}, header)
    with pytest.raises(CorruptFileError, match="classes: Field required"):
        read_whole_model(tmp_path / "m")


@pytest.mark.parametrize(
    "change",
    [
        {"explanation": 1},
        {"network": {"kind": "transformer"}},
        {"network": {"kind": "mlp", "gates": 3}},
        {"preprocessing": {"mode": "whiten"}},
    ],
)
def test_what_a_newer_release_may_have_added_asks_for_an_upgrade(tmp_path: Path, change: dict[str, Any]) -> None:
    path = forged(tmp_path / "m", change)
    with pytest.raises(UnsupportedFileError, match=r"holds what this GlyphNet .* does not know .*upgrade with: pip"):
        read_whole_model(path)


def test_a_newer_format_and_a_checkpoint_are_named(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedFileError, match="format version 3, and this GlyphNet reads up to 2"):
        read_whole_model(forged(tmp_path / "m", {"format_version": 3}))
    with pytest.raises(UnsupportedFileError, match="is a training checkpoint, and a model is needed"):
        read_whole_model(forged(tmp_path / "m", {"kind": "checkpoint"}))


@pytest.mark.parametrize(
    ("change", "tensors", "reason"),
    [
        (
            {"classes": ["a", "b"]},
            {},
            r"'head.weight' as torch.float32 of shape \(3, 64\), .* needs .* \(2, 64\)",
        ),
        ({"network": {"kind": "mlp"}}, {}, "lacks 2 tensors of its network: 'dense1.bias', 'dense1.weight'"),
        (
            {"input_shape": [9, 8, 1]},
            {},
            r"'head.weight' .* shape \(3, 64\), and its network needs .*\(3, 72\)",
        ),
        ({}, {"extra": torch.ones(1)}, "has unknown 1 tensors of its network: 'extra'"),
        ({}, {"head.bias": torch.ones(3, dtype=torch.float64)}, "'head.bias' as torch.float64"),
        ({}, {"head.weight": torch.ones(64, 3)}, r"'head.weight' as torch.float32 of shape \(64, 3\)"),
        ({}, {"head.bias": torch.tensor([0, float("nan"), 0])}, "'head.bias' holds NaN or infinity"),
        ({}, {"head.weight": torch.full((3, 64), -float("inf"))}, "'head.weight' holds NaN or infinity"),
    ],
)
def test_tensors_that_do_not_fit_the_network(
    tmp_path: Path, change: dict[str, Any], tensors: dict[str, torch.Tensor], reason: str
) -> None:
    _, network = saved(tmp_path / "m")
    path = forged(tmp_path / "m", change, network.state_dict() | tensors)
    with pytest.raises(CorruptFileError, match=f"m: .*{reason}"):
        read_whole_model(path)


def test_a_network_whose_answers_are_not_finite_is_refused(tmp_path: Path) -> None:
    """Each weight is finite, their sums are not."""
    saved(tmp_path / "m")
    path = forged(tmp_path / "m", {}, {"head.weight": torch.full((3, 64), 3e38), "head.bias": torch.zeros(3)})
    with pytest.raises(CorruptFileError, match="m: no usable model: its answers are NaN or infinite"):
        read_whole_model(path)


def test_an_impossible_network_is_refused(tmp_path: Path) -> None:
    path = forged(tmp_path / "m", {"network": {"kind": "cnn-classic"}, "input_shape": [1, 1, 1]})
    with pytest.raises(CorruptFileError, match="m: describes an impossible network: network"):
        read_whole_model(path)


@pytest.mark.parametrize(
    "change",
    [
        {"network": {"kind": "mlp", "hidden": [65_536] * 64}, "input_shape": [4096, 4096, 1]},
        {"classes": [f"{number:x}" for number in range(65_536)], "input_shape": [4096, 4096, 1]},
        {"network": {"kind": "cnn", "stem": 65_536, "channels": [65_536] * 4, "dense": [65_536] * 64}},
    ],
    ids=["mlp", "classes", "cnn"],
)
def test_a_description_of_a_giant_is_refused_at_once_and_allocates_nothing(
    tmp_path: Path, change: dict[str, Any]
) -> None:
    path = forged(tmp_path / "m", change)
    tracemalloc.start()
    began = time.monotonic()
    with pytest.raises(CorruptFileError, match=r"m: (the file|describes an impossible network)"):
        read_whole_model(path)
    assert time.monotonic() - began < 3
    assert tracemalloc.get_traced_memory()[1] < 50 << 20
    tracemalloc.stop()


# --- it writes no nonsense ----------------------------------------------------------------------------------


def test_parts_that_do_not_fit_are_all_named() -> None:
    with pytest.raises(SettingsError) as caught:
        header_of(temperature=float("nan"), threshold=2.0, classes=())
    assert str(caught.value).startswith("The parts of the model do not fit together: classes: Tuple should have")
    assert "temperature: Input should be" in str(caught.value)
    assert "threshold: Input should be less than or equal to 1" in str(caught.value)


def test_a_diverged_network_is_not_written_and_the_old_file_stays(tmp_path: Path) -> None:
    header, network = saved(tmp_path / "m")
    before = (tmp_path / "m").read_bytes()
    with torch.no_grad():
        network.get_parameter("head.bias")[1] = float("inf")
    with pytest.raises(ModelFileError, match=r"m: not written: 'head.bias' holds NaN or infinity"):
        write_model(tmp_path / "m", header, network)
    assert (tmp_path / "m").read_bytes() == before


def test_a_network_that_is_not_the_one_described_is_not_written(tmp_path: Path) -> None:
    header = header_of()
    with pytest.raises(ModelFileError, match=r"m: the network to save lacks 2 tensors .*'head.bias'"):
        write_model(tmp_path / "m", header, nn.Sequential(nn.Flatten(), nn.Linear(64, 3)))
    assert not (tmp_path / "m").exists()


def test_class_names_of_megabytes_are_not_written(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="has 10,000,000 characters, and 255 are the most"):
        header_of(classes=("x" * 10_000_000, "b", "c"))
    header = header_of(classes=tuple(f"{'x' * 250}{number}" for number in range(9_000)))
    with pytest.raises(ModelFileError, match=r"limit\. Shorten the class names"):
        write_model(tmp_path / "m", header, network_of(header))


def test_metrics_with_nan_are_not_written(tmp_path: Path) -> None:
    header = header_of(metrics={"loss": float("nan")})
    with pytest.raises(ModelFileError, match="m: the header cannot be written as JSON"):
        write_model(tmp_path / "m", header, network_of(header))


# --- old versions -------------------------------------------------------------------------------------------


def test_a_model_of_version_1_predicts_as_before_there_were_ranges() -> None:
    """The file in tests/models was written by GlyphNet 0.1 from 16-bit TIFF files, and has no range of values."""
    model = load_model(Path(__file__).parent / "models" / "version-1.safetensors")
    assert model.reading.value_range is None
    yy, xx = np.mgrid[:8, :8]
    cells = [np.where((xx - 4) ** 2 + (yy - 4) ** 2 < 9, level, 2000) for level in (24_000, 49_000)]
    before = np.array([[0.0165, 0.9835], [0.9357, 0.0643]])
    for kind, scale in ((np.uint16, 1), (np.float32, 1 / 65_535), (np.float32, 1)):  # floats by what each file has
        pictures = [Image.fromarray((cell * scale).astype(kind)) for cell in cells]
        pixels = np.stack([fit_image(picture, (8, 8, 1), model.reading) for picture in pictures])
        np.testing.assert_allclose(model.predict_proba(pixels), before, atol=5e-4)

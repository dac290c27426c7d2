"""The sealed container: it gives back what it got, it is safetensors, and it refuses everything else."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import re
import time
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors
import safetensors.torch
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from glyphnet.errors import CorruptFileError, ModelFileError, UnsupportedFileError
from glyphnet.tensorfile import DTYPES, MAX_HEADER, read_tensors, write_tensors

HEADER: dict[str, Any] = {
    "kind": "checkpoint",
    "format_version": 1,
    "history": [{"epoch": 1, "loss": 0.1 + 0.2}],
}


def example() -> dict[str, torch.Tensor]:
    return {
        "weight": torch.arange(6.0).reshape(2, 3),
        "step": torch.tensor(7),
        "mask": torch.tensor([True, False]),
    }


def seal(table: dict[str, Any] | str, data: bytes = b"", header: str | None = None) -> bytes:
    """A file with a right seal around what a hostile hand puts in: only the checks behind it can refuse."""
    text = header if header is not None else json.dumps(HEADER)
    opening = '{"__metadata__":{"sha256":"' + "0" * 64 + '","glyphnet":' + json.dumps(text) + "}"
    rest = table if isinstance(table, str) else json.dumps(table)[1:]
    head = (opening + ("," if rest != "}" else "") + rest).encode()
    content = len(head).to_bytes(8, "little") + head + data
    return content.replace(b"0" * 64, hashlib.sha256(content).hexdigest().encode(), 1)


def read(path: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    return read_tensors(path, kind="checkpoint")


def raw(tensor: torch.Tensor) -> bytes:
    return tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


# --- it gives back what it got ------------------------------------------------------------------------------


def test_header_and_tensors_come_back_exactly(tmp_path: Path) -> None:
    write_tensors(tmp_path / "f", example(), HEADER)
    header, tensors = read(tmp_path / "f")
    assert header == HEADER
    assert tensors.keys() == example().keys()
    for name, tensor in example().items():
        torch.testing.assert_close(tensors[name], tensor, rtol=0, atol=0)
    tensors["weight"] += 1  # memory of its own, writable


@st.composite
def tensors_of_any_kind(draw: st.DrawFn) -> torch.Tensor:
    dtype = getattr(torch, DTYPES[draw(st.sampled_from(sorted(DTYPES)))])
    shape = tuple(draw(st.lists(st.integers(0, 4), max_size=4)))
    size = int(np.prod(shape)) * dtype.itemsize
    content = bytearray(draw(st.binary(min_size=size, max_size=size)))
    if dtype == torch.bool:
        content = bytearray(byte & 1 for byte in content)
    flat = torch.frombuffer(content, dtype=torch.uint8) if content else torch.empty(0, dtype=torch.uint8)
    return flat.view(dtype).reshape(shape)


names = st.text(st.characters(exclude_categories=("Cs",)), max_size=20).filter(lambda name: name != "__metadata__")
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(names, tensors_of_any_kind(), max_size=5), json_values)
def test_any_tensors_and_any_json_make_the_round_trip(
    tmp_path: Path, tensors: dict[str, torch.Tensor], value: object
) -> None:
    path = tmp_path / "f"
    write_tensors(path, tensors, HEADER | {"value": value})
    header, back = read(path)
    assert header == HEADER | {"value": value}
    assert back.keys() == tensors.keys()
    with safetensors.safe_open(path, "pt") as library:  # the library opens it, and sees the same bytes
        assert set(library.keys()) == set(tensors)
        for name, tensor in tensors.items():
            assert back[name].dtype == tensor.dtype
            assert back[name].shape == tensor.shape
            assert raw(back[name]) == raw(tensor)
            assert raw(library.get_tensor(name)) == raw(tensor)


def test_the_same_content_gives_the_same_bytes_in_any_order(tmp_path: Path) -> None:
    write_tensors(tmp_path / "a", example(), HEADER)
    write_tensors(tmp_path / "b", dict(reversed(example().items())), dict(reversed(HEADER.items())))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_strided_shared_and_grad_tensors_are_stored_row_major(tmp_path: Path) -> None:
    weight = torch.randn(4, 3, 5, 5).to(memory_format=torch.channels_last).requires_grad_()
    write_tensors(tmp_path / "f", {"w": weight, "again": weight, "part": weight[1:3, 2]}, HEADER)
    _, back = read(tmp_path / "f")
    assert back["w"].is_contiguous()
    assert torch.equal(back["w"], weight)
    assert torch.equal(back["again"], weight)
    assert torch.equal(back["part"], weight[1:3, 2])
    assert safetensors.torch.load_file(tmp_path / "f")["w"].equal(weight)


def test_the_seal_is_the_sha256_of_the_file_with_the_seal_zeroed(tmp_path: Path) -> None:
    write_tensors(tmp_path / "f", example(), HEADER)
    with safetensors.safe_open(tmp_path / "f", "pt") as library:
        metadata = library.metadata()
    content = (tmp_path / "f").read_bytes()
    assert content.count(metadata["sha256"].encode()) == 1
    assert hashlib.sha256(content.replace(metadata["sha256"].encode(), b"0" * 64)).hexdigest() == metadata["sha256"]
    assert json.loads(metadata["glyphnet"]) == HEADER


@pytest.mark.parametrize(
    ("tensors", "header", "message"),
    [
        ({}, {"format_version": 1}, "lacks `kind`"),
        ({}, {"kind": "model", "format_version": True}, "or `format_version`"),
        ({}, HEADER | {"loss": float("nan")}, "cannot be written as JSON: Out of range float values"),
        ({}, HEADER | {"loss": torch.tensor(1.0)}, "cannot be written as JSON: Object of type Tensor"),
        ({}, HEADER | {"classes": ["x" * MAX_HEADER]}, "limit. Shorten the class names"),
        ({"__metadata__": torch.ones(1)}, HEADER, "'__metadata__' .* cannot be stored"),
        ({"\ud800": torch.ones(1)}, HEADER, "cannot be stored"),
        ({"z": torch.ones(1, dtype=torch.complex128)}, HEADER, r"'z' \(torch.complex128\) cannot be stored"),
    ],
)
def test_what_cannot_be_written_is_refused_and_the_old_file_stays(
    tmp_path: Path, tensors: dict[str, torch.Tensor], header: dict[str, Any], message: str
) -> None:
    write_tensors(tmp_path / "f", example(), HEADER)
    with pytest.raises(ModelFileError, match=f"f: .*{message}"):
        write_tensors(tmp_path / "f", tensors, header)
    assert read(tmp_path / "f")[0] == HEADER


# --- it refuses what was changed ----------------------------------------------------------------------------


def test_every_flipped_bit_every_truncation_and_every_addition_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "f"
    write_tensors(path, example(), HEADER)
    content = path.read_bytes()
    named = re.escape(str(path))
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(CorruptFileError, match=named):
            read(path)
    for more in (b"\0", b" ", content):
        path.write_bytes(content + more)
        with pytest.raises(CorruptFileError, match="does not match its own SHA-256"):
            read(path)
    path.write_bytes(content)
    with open(path, "r+b", buffering=0) as file:
        for position in range(len(content) * 8):
            byte = content[position // 8]
            os.pwrite(file.fileno(), bytes([byte ^ 1 << position % 8]), position // 8)
            with pytest.raises(CorruptFileError, match=named):
                read(path)
            os.pwrite(file.fileno(), bytes([byte]), position // 8)
    assert read(path)[0] == HEADER


def test_a_seal_in_capitals_is_not_the_same_seal(tmp_path: Path) -> None:
    path = tmp_path / "f"
    write_tensors(path, example(), HEADER)
    content = path.read_bytes()
    path.write_bytes(content[:35] + content[35:99].upper() + content[99:])
    with pytest.raises(CorruptFileError, match="does not match its own SHA-256"):
        read(path)


@pytest.mark.parametrize("length", [0, 1, 100, MAX_HEADER, MAX_HEADER + 1, 1 << 40, (1 << 64) - 1])
def test_a_lying_length_is_refused_at_once_and_allocates_nothing(tmp_path: Path, length: int) -> None:
    path = tmp_path / "f"
    write_tensors(path, example(), HEADER)
    with open(path, "r+b") as file:
        file.write(length.to_bytes(8, "little"))
        file.truncate(1 << 36)  # 64 GiB of hole: whoever reads it all, or hashes it, takes minutes
    if 1 < length <= MAX_HEADER:
        os.truncate(path, 4 << 20)
    tracemalloc.start()
    began = time.monotonic()
    with pytest.raises(CorruptFileError, match=re.escape(str(path))):
        read(path)
    assert time.monotonic() - began < 10
    assert tracemalloc.get_traced_memory()[1] < 5 << 20
    tracemalloc.stop()


# --- it refuses what was sealed by a hostile hand -----------------------------------------------------------


def entry(shape: list[Any], start: Any, end: Any, dtype: Any = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


@pytest.mark.parametrize(
    ("table", "size", "reason"),
    [
        ({"a": entry([1], 4, 8)}, 8, "'a' begins at byte 4, and 0 is where it must begin"),
        ({"a": entry([1], 0, 4), "b": entry([1], 8, 12)}, 12, "'b' begins at byte 8, and 4"),
        ({"a": entry([2], 0, 8), "b": entry([2], 4, 12)}, 12, "'b' begins at byte 4, and 8"),
        ({"a": entry([1], 0, 4), "b": entry([1], 0, 4)}, 4, "'b' begins at byte 0, and 4"),
        ({"a": entry([1], 0, 4)}, 8, "its tensors take 4 bytes, and 8 are there"),
        ({"a": entry([1 << 30], 0, 1 << 32)}, 4, "its tensors take 4,294,967,296 bytes, and 4 are there"),
        ({"a": entry([2], 0, 4)}, 4, "'a' takes 4 bytes, and its shape needs 8"),
        ({"a": entry([1], 8, 4)}, 4, "'a' takes -4 bytes"),
        ({"a": entry([-1], 0, 4)}, 4, "not whole numbers in range"),
        ({"a": entry([-1, -1], 0, 4)}, 4, "not whole numbers in range"),
        ({"a": entry([1.0], 0, 4)}, 4, "not whole numbers in range"),
        ({"a": entry([True], 0, 4)}, 4, "not whole numbers in range"),
        ({"a": entry([1], -4, 0)}, 4, "not whole numbers in range"),
        ({"a": entry([1 << 64], 0, 4)}, 4, "not whole numbers in range"),
        ({"a": entry([1 << 61, 1 << 61, 0], 0, 0)}, 0, "impossible shape"),
        ({"a": entry([1] * 33, 0, 4)}, 4, "impossible shape"),
        ({"a": entry([1], 0, 4, "F33")}, 4, "unknown dtype 'F33'"),
        ({"a": entry([1], 0, 4, 3)}, 4, "not described by"),
        ({"a": {"dtype": "F32"}}, 4, "not described by"),
        ({"a": entry([1], 0, 4) | {"more": 1}}, 4, "not described by"),
        ({"a": "tensor"}, 4, "not described by"),
        ({"a": entry([1], 0, 1, "BOOL")}, 1, "'a' holds truth values other than 0 and 1"),
        (
            '"a":' + json.dumps(entry([1], 0, 4)) + ',"a":' + json.dumps(entry([1], 0, 4)) + "}",
            4,
            "a key is there twice",
        ),
        ('"a":NaN}', 0, "NaN stands in its JSON"),
        ('"a":1e999}', 0, "1e999 in its JSON is out of range"),
        ('"a":' + "[" * 200_000 + "]" * 200_000 + "}", 0, "nested too deeply"),
        ('"a":' + "9" * 5000 + "}", 0, "Exceeds the limit"),
        ('"a":1', 0, "Expecting ',' delimiter"),
        ('"__metadata__":{}}', 0, "a key is there twice"),
    ],
    ids=lambda value: value[:30] if isinstance(value, str) else None,
)
def test_hostile_layouts(tmp_path: Path, table: dict[str, Any] | str, size: int, reason: str) -> None:
    path = tmp_path / "f"
    path.write_bytes(seal(table, b"\x07" * size))
    with pytest.raises(CorruptFileError, match=f"{re.escape(str(path))}: .*{re.escape(reason)}"):
        read(path)


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ("[]", "not GlyphNet's"),
        ("{}", "lacks `kind` or `format_version`"),
        ('{"kind":"model","format_version":0}', "lacks `kind` or `format_version`"),
        ('{"kind":"model","format_version":"1"}', "lacks `kind` or `format_version`"),
        ('{"kind":"model","format_version":1,"format_version":2}', "a key is there twice"),
        ('{"kind":"model","format_version":1,"t":-Infinity}', "-Infinity stands in its JSON"),
        ("[" * 100_000, "nested too deeply"),
        ("{", "Expecting property name"),
    ],
)
def test_hostile_headers(tmp_path: Path, header: str, reason: str) -> None:
    (tmp_path / "f").write_bytes(seal("}", header=header))
    with pytest.raises(CorruptFileError, match=f"f: is no sound GlyphNet file: .*{re.escape(reason)}"):
        read(tmp_path / "f")


def test_a_good_file_sealed_by_hand_is_read(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(seal({"a": entry([2], 0, 8)}, np.float32([1, 2]).tobytes()))
    assert read(tmp_path / "f")[1]["a"].tolist() == [1, 2]


def test_the_check_sees_every_shape_and_can_refuse_before_a_tensor_is_read(tmp_path: Path) -> None:
    write_tensors(tmp_path / "f", example(), HEADER)

    def check(header: dict[str, Any], layout: Any) -> None:
        assert header == HEADER
        shapes = {name: (info.dtype, info.shape) for name, info in layout.items()}
        assert shapes == {
            "weight": ("F32", (2, 3)),
            "step": ("I64", ()),
            "mask": ("BOOL", (2,)),
        }
        raise CorruptFileError("seen")

    with pytest.raises(CorruptFileError, match=r"^seen$"):
        read_tensors(tmp_path / "f", kind="checkpoint", check=check)


# --- it says what a wrong file is ---------------------------------------------------------------------------


def test_another_kind_and_a_newer_version_are_named(tmp_path: Path) -> None:
    write_tensors(tmp_path / "f", {}, HEADER)
    with pytest.raises(UnsupportedFileError, match="f: is a training checkpoint, and a model is needed"):
        read_tensors(tmp_path / "f", kind="model")
    write_tensors(tmp_path / "f", {}, HEADER | {"format_version": 2})
    with pytest.raises(UnsupportedFileError, match=r"format version 2, .* reads up to 1\. Upgrade with: pip install"):
        read(tmp_path / "f")
    assert read_tensors(tmp_path / "f", kind="checkpoint", newest=2)[1] == {}
    write_tensors(tmp_path / "f", {}, HEADER | {"kind": "soup"})
    with pytest.raises(UnsupportedFileError, match="is a file of kind 'soup', and a model is needed"):
        read_tensors(tmp_path / "f", kind="model")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"{}", "is no file that GlyphNet wrote"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "looks like a PNG image"),
        (b"\xff\xd8\xff\xe0" + bytes(100), "looks like a JPEG image"),
        (pickle.dumps({"a": 1}), "looks like a pickle, which GlyphNet never opens"),
        (b"\x08\x08\x12\x08GlyphNet\x1a\x050.1.0", "looks like an ONNX model, which only `predict` and `serve` take;"),
        (b"PK\x03\x04" + bytes(100), r"looks like a zip archive \(PyTorch's .pt"),
        (
            b"version https://git-lfs.github.com/spec/v1\n",
            r"looks like a Git LFS pointer, not the file itself \(run `git lfs pull`",
        ),
        (b"Dear" + b"\xff" * 4 + bytes(100), "is no file that GlyphNet wrote"),
        (
            safetensors.torch.save({"a": torch.ones(2)}),
            "looks like a safetensors file that GlyphNet did not write",
        ),
    ],
)
def test_other_files(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "f").write_bytes(content)
    with pytest.raises(CorruptFileError, match=f"f: {message}"):
        read(tmp_path / "f")


def test_folders_pipes_and_missing_files(tmp_path: Path) -> None:
    with pytest.raises(CorruptFileError, match=r"is a folder; a \.safetensors file that GlyphNet wrote is needed\.$"):
        read(tmp_path)
    write_tensors(tmp_path / "model.safetensors", {}, HEADER)
    with pytest.raises(CorruptFileError, match=r"Did you mean .*/model\.safetensors"):
        read(tmp_path)
    with pytest.raises(ModelFileError, match="nowhere: there is no such file"):
        read(tmp_path / "nowhere")
    with pytest.raises(ModelFileError, match="cannot be read: embedded null"):
        read_tensors("\0", kind="model")
    with pytest.raises(ModelFileError, match="cannot be read: Not a directory"):
        read(tmp_path / "model.safetensors" / "x")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ModelFileError, match="is a named pipe, not a regular file"):
        read(tmp_path / "pipe")

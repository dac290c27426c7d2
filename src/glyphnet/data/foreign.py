"""Files that are not read, recognised by how they begin or are called: what each is, and what helps.

A person who gives one gets that instead of "not an image": most are pictures or data in a form of another program.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import NamedTuple

SMALLEST_HEAD = 512
"""Bytes from the beginning that `foreign_kind` wants to see."""


class ForeignKind(NamedTuple):
    """A kind of file that is not read.

    Attributes:
        what: its name, with an article.
        remedy: what to do, as a sentence.
    """

    what: str
    remedy: str


_LFS = ForeignKind("a pointer of Git LFS, not the file itself", "Fetch the files: git lfs pull.")
_WEB = ForeignKind("a web page, so the download failed", "Download it again; the page may say why it failed.")
_PDF = ForeignKind("a PDF", "Make pictures of its pages: pdftoppm -png FILE.pdf NAME.")
_HEIC = ForeignKind("a HEIC picture", "Convert them: magick mogrify -format png *.heic.")
_DICOM = ForeignKind("a DICOM file", "Convert them to 16-bit PNG: dcm2pnm --write-16-bit-png FILE.dcm FILE.png.")
_SVG = ForeignKind("an SVG drawing, which has no pixels", "Convert it: rsvg-convert -o FILE.png FILE.svg.")
_RAW = ForeignKind("a camera's raw file", "Develop it as PNG or TIFF: dcraw -T FILE.")
_VIDEO = ForeignKind("a video", "Make pictures of its frames: ffmpeg -i FILE frame-%05d.png.")
_GZIP = ForeignKind("packed by gzip", "Unpack the files: gunzip -r FOLDER.")
_RAR = ForeignKind("a RAR archive", "Unpack it: unrar x FILE, and give the folder.")
_SEVEN = ForeignKind("a 7-Zip archive", "Unpack it: 7z x FILE, and give the folder.")
_SHEET = ForeignKind("a spreadsheet", "Save it as CSV, and give that.")
_PICKLE = ForeignKind(
    "a pickle, which can run any program", "Save the arrays by numpy.savez(FILE, images=…, labels=…)."
)
_TORCH = ForeignKind("a file of PyTorch", "Save the arrays by numpy.savez(FILE, images=…, labels=…).")
_TFRECORD = ForeignKind("a TFRecord of TensorFlow", "Write its pictures into class folders, or arrays by numpy.savez.")
_JSON = ForeignKind("JSON", "Write the classes as metadata.csv with the columns file_name,label.")

_BEGINNINGS: tuple[tuple[Callable[[bytes], object], ForeignKind], ...] = (
    (lambda head: head.startswith(b"version https://git-lfs.github.com/spec/"), _LFS),
    (re.compile(rb"(\xef\xbb\xbf)?\s*<(!doctype html|html)\b", re.I).match, _WEB),
    (re.compile(rb"\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)*(<!doctype svg[^>]*>\s*)?<svg\b", re.I | re.S).match, _SVG),
    (lambda head: head.startswith(b"%PDF-"), _PDF),
    (lambda head: head[4:8] == b"ftyp" and head[8:12] in (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1"), _HEIC),
    (lambda head: head[4:8] == b"ftyp" and head[8:12] not in (b"avif", b"avis"), _VIDEO),
    (lambda head: head[128:132] == b"DICM", _DICOM),
    (lambda head: head.startswith(b"\x1f\x8b"), _GZIP),
    (lambda head: head.startswith(b"Rar!\x1a\x07"), _RAR),
    (lambda head: head.startswith(b"7z\xbc\xaf\x27\x1c"), _SEVEN),
    (lambda head: head.startswith(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"), _SHEET),
)  # fmt: skip

_ENDINGS = {
    ".gz": _GZIP, ".pdf": _PDF, ".heic": _HEIC, ".heif": _HEIC, ".dcm": _DICOM, ".dicom": _DICOM, ".svg": _SVG,
    ".cr2": _RAW, ".nef": _RAW, ".arw": _RAW, ".dng": _RAW, ".raw": _RAW, ".mp4": _VIDEO, ".avi": _VIDEO,
    ".mov": _VIDEO, ".mkv": _VIDEO, ".rar": _RAR, ".7z": _SEVEN, ".xlsx": _SHEET, ".xls": _SHEET, ".ods": _SHEET,
    ".pkl": _PICKLE, ".pickle": _PICKLE, ".pt": _TORCH, ".pth": _TORCH, ".tfrecord": _TFRECORD,
    ".tfrecords": _TFRECORD, ".json": _JSON,
}  # fmt: skip


def foreign_kind(head: bytes, name: str = "") -> ForeignKind | None:
    """What a file that is not read is: by its first bytes, else by its ending; None where that is not known."""
    for begins, kind in _BEGINNINGS:
        if begins(head[:SMALLEST_HEAD]):
            return kind
    return _ENDINGS.get(_ending(name))


def is_lfs_pointer(head: bytes) -> bool:
    """Whether a file stands for another that Git LFS has not fetched."""
    return foreign_kind(head) is _LFS


def commonest_kind(names: Iterable[str]) -> ForeignKind | None:
    """What most of these files are by their endings; None where that is not known."""
    endings = [_ending(name) for name in names]
    most = max(set(endings), key=endings.count, default="")
    return _ENDINGS.get(most)


def _ending(name: str) -> str:
    return f".{name.rpartition('.')[2].lower()}"

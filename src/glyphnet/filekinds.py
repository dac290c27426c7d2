"""What a file is, by its first bytes or its ending: a person who gives the wrong file gets its kind and what helps.

Most of what is not read as pictures or data is pictures or data in the form of another program.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable
from typing import NamedTuple

from .errors import BadFileError

SMALLEST_HEAD = 512
"""Bytes from the beginning of a file that are looked at."""


PICTURE_SUFFIXES = frozenset({
    ".apng", ".avif", ".bmp", ".dds", ".dib", ".gif", ".ico", ".icns", ".j2k", ".jfif", ".jp2", ".jpe", ".jpeg",
    ".jpg", ".jpf", ".jpx", ".pbm", ".pcx", ".pgm", ".png", ".pnm", ".ppm", ".qoi", ".ras", ".rgb", ".sgi", ".tga",
    ".tif", ".tiff", ".webp", ".xbm", ".xpm",
})  # fmt: skip
# Files that lie beside pictures and are none. A file of any other name counts as a picture unless it is text.
_OTHER_SUFFIXES = frozenset({
    ".7z", ".arrow", ".bak", ".bat", ".bz2", ".cfg", ".conf", ".csv", ".data", ".db", ".doc", ".docx", ".exe", ".gz",
    ".h5", ".hdf5", ".htm", ".html", ".ini", ".ipynb", ".joblib", ".js", ".json", ".jsonl", ".lock", ".log", ".m",
    ".mat", ".md", ".mov", ".mp4", ".npy", ".npz", ".odt", ".onnx", ".parquet", ".parts", ".pdf", ".pickle", ".pkl",
    ".pt", ".pth", ".py", ".pyc", ".rar", ".rst", ".safetensors", ".sh", ".sqlite", ".svg", ".tar", ".tex",
    ".tfrecord", ".tgz", ".toml", ".torrent", ".tsv", ".txt", ".url", ".wav", ".xls", ".xlsx", ".xml", ".xz", ".yaml",
    ".yml", ".zip",
})  # fmt: skip


class FileKind(NamedTuple):
    """A kind of file.

    Attributes:
        what: its name, with an article.
        remedy: what to do where pictures or data are needed, as a sentence; "" for kinds that are read there.
    """

    what: str
    remedy: str = ""


LFS = FileKind("a Git LFS pointer, not the file itself", "Fetch the files: git lfs pull.")
_WEB = FileKind("a web page, so the download failed", "Download it again; the page may say why it failed.")
_PDF = FileKind("a PDF document", "Make pictures of its pages: pdftoppm -png FILE.pdf NAME.")
_HEIC = FileKind("a HEIC picture", "Convert them: magick mogrify -format png *.heic.")
_DICOM = FileKind("a DICOM file", "Convert them to 16-bit PNG: dcm2pnm --write-16-bit-png FILE.dcm FILE.png.")
_SVG = FileKind("an SVG drawing, which has no pixels", "Convert it: rsvg-convert -o FILE.png FILE.svg.")
_RAW = FileKind("a camera's raw file", "Develop it as PNG or TIFF: dcraw -T FILE.")
_VIDEO = FileKind("a video", "Make pictures of its frames: ffmpeg -i FILE frame-%05d.png.")
_GZIP = FileKind("a gzip archive", "Unpack the files: gunzip -r FOLDER.")
_RAR = FileKind("a RAR archive", "Unpack it: unrar x FILE, and give the folder.")
_SEVEN = FileKind("a 7-Zip archive", "Unpack it: 7z x FILE, and give the folder.")
_SHEET = FileKind("a spreadsheet", "Save it as CSV, and give that.")
_PICKLE = FileKind("a pickle, which GlyphNet never opens", "Save the arrays by numpy.savez(FILE, images=…, labels=…).")
_TORCH = FileKind("a file of PyTorch", "Save the arrays by numpy.savez(FILE, images=…, labels=…).")
_TFRECORD = FileKind("a TFRecord of TensorFlow", "Write its pictures into class folders, or arrays by numpy.savez.")
_JSON = FileKind("JSON", "Write the classes as metadata.csv with the columns file_name,label.")


def _with(*beginnings: bytes) -> Callable[[bytes], bool]:
    return lambda head: head.startswith(beginnings)


_BEGINNINGS: tuple[tuple[Callable[[bytes], object], FileKind], ...] = (
    (_with(b"version https://git-lfs.github.com/spec/"), LFS),
    (re.compile(rb"(\xef\xbb\xbf)?\s*<(!doctype html|html)\b", re.I).match, _WEB),
    (re.compile(rb"\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)*(<!doctype svg[^>]*>\s*)?<svg\b", re.I | re.S).match, _SVG),
    (_with(b"%PDF"), _PDF),
    (lambda head: head[4:8] == b"ftyp" and head[8:12] in (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1"), _HEIC),
    (lambda head: head[4:8] == b"ftyp" and head[8:12] not in (b"avif", b"avis"), _VIDEO),
    (lambda head: head[128:132] == b"DICM", _DICOM),
    (_with(b"\x1f\x8b"), _GZIP),
    (_with(b"Rar!\x1a\x07"), _RAR),
    (_with(b"7z\xbc\xaf\x27\x1c"), _SEVEN),
    (_with(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"), _SHEET),
    (_with(b"\x80\2", b"\x80\3", b"\x80\4", b"\x80\5"), _PICKLE),
    (_with(b"\x89PNG"), FileKind("a PNG image")),
    (_with(b"\xff\xd8\xff"), FileKind("a JPEG image")),
    (_with(b"GIF8"), FileKind("a GIF image")),
    (_with(b"BM"), FileKind("a BMP image")),
    (_with(b"RIFF"), FileKind("a WebP image or another RIFF file")),
    (_with(b"PK\3\4"), FileKind("a zip archive (PyTorch's .pt and NumPy's .npz are such)")),
    (_with(b"\x93NUMPY"), FileKind("a NumPy array")),
    (_with(b"\x89HDF"), FileKind("an HDF5 file (Keras' .h5 is such)")),
)  # fmt: skip

_ENDINGS = {
    ".gz": _GZIP, ".pdf": _PDF, ".heic": _HEIC, ".heif": _HEIC, ".dcm": _DICOM, ".dicom": _DICOM, ".svg": _SVG,
    ".cr2": _RAW, ".nef": _RAW, ".arw": _RAW, ".dng": _RAW, ".raw": _RAW, ".mp4": _VIDEO, ".avi": _VIDEO,
    ".mov": _VIDEO, ".mkv": _VIDEO, ".rar": _RAR, ".7z": _SEVEN, ".xlsx": _SHEET, ".xls": _SHEET, ".ods": _SHEET,
    ".pkl": _PICKLE, ".pickle": _PICKLE, ".pt": _TORCH, ".pth": _TORCH, ".tfrecord": _TFRECORD,
    ".tfrecords": _TFRECORD, ".json": _JSON,
}  # fmt: skip


def looks_like(content: bytes) -> str | None:
    """What a file that begins with ``content`` most likely is ("a PNG image"); None if that is not known."""
    kind = _beginning(content)
    if kind is LFS:  # of any kind of file
        return f"{LFS.what} (run `git lfs pull`)"
    return None if kind is None else kind.what


def foreign_kind(head: bytes, name: str = "") -> FileKind | None:
    """What a file that is not read as pictures or data is: by its first bytes, else by its ending; None if unknown."""
    kind = _beginning(head)
    return kind if kind is not None and kind.remedy else _ENDINGS.get(_ending(name))


def is_lfs_pointer(head: bytes) -> bool:
    """Whether a file stands for another that Git LFS has not fetched."""
    return _beginning(head) is LFS


def commonest_kind(names: Iterable[str]) -> FileKind | None:
    """What most of these files are by their endings; None where that is not known."""
    endings = [_ending(name) for name in names]
    most = max(set(endings), key=endings.count, default="")
    return _ENDINGS.get(most)


def _beginning(content: bytes) -> FileKind | None:
    head = content[:SMALLEST_HEAD]
    return next((kind for begins, kind in _BEGINNINGS if begins(head)), None)


def _ending(name: str) -> str:
    return f".{name.rpartition('.')[2].lower()}"


def looks_like_picture(name: str) -> bool:
    """Whether a name ends as those of picture files do."""
    return posixpath.splitext(name)[1].lower() in PICTURE_SUFFIXES


def is_picture(name: str, head: Callable[[str], bytes]) -> bool:
    """Whether a file is taken for a picture, sound or not: by its suffix, else unless it begins as plain text.

    Args:
        name: the file's name.
        head: returns the beginning of a file; called for unknown suffixes only.
    """
    if looks_like_picture(name):
        return True
    if posixpath.splitext(name)[1].lower() in _OTHER_SUFFIXES:
        return False
    try:
        beginning = head(name)
        text = beginning[: beginning.rfind(b"\n") + 1 or None].decode()
    except (OSError, BadFileError, UnicodeDecodeError):
        return True
    return not text or not all(char.isprintable() or char in "\r\n\t\f" for char in text)

"""What a file is, by its first bytes or its ending: a message about a wrong file names its kind and what helps."""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Callable, Collection, Iterable
from typing import NamedTuple

from .errors import BadFileError, OutputError

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
    ".pt", ".pt2", ".pth", ".py", ".pyc", ".rar", ".rst", ".safetensors", ".sh", ".sqlite", ".svg", ".tar", ".tex",
    ".tfrecord", ".tgz", ".toml", ".torrent", ".tsv", ".txt", ".url", ".wav", ".xls", ".xlsx", ".xml", ".xz", ".yaml",
    ".yml", ".zip",
})  # fmt: skip
_ANY_CONTENT = frozenset({".bak", ".data", ".lock", ".log", ".parts", ".txt"})
_SAME = {".htm": ".html", ".sqlite": ".db", ".sqlite3": ".db"}


class FileKind(NamedTuple):
    """A kind of file.

    Attributes:
        what: its name, with an article.
        remedy: what to do where pictures or data are needed, as a sentence; "" for kinds that are read there.
    """

    what: str
    remedy: str = ""


ONNX = FileKind("an ONNX model, which only `predict` and `serve` take")
LFS = FileKind("a Git LFS pointer, not the file itself", "Fetch the files: git lfs pull.")
_ARRAYS = "Save the arrays by numpy.savez(FILE, images=…, labels=…)."


def _with(*beginnings: bytes) -> Callable[[bytes], bool]:
    return lambda head: head.startswith(beginnings)


_KINDS: tuple[tuple[FileKind, Callable[[bytes], object] | None, str], ...] = (
    (LFS, _with(b"version https://git-lfs.github.com/spec/"), ""),
    (FileKind("a web page, so the download failed", "Download it again; the page may say why it failed."),
     re.compile(rb"(\xef\xbb\xbf)?\s*<(!doctype html|html)\b", re.I).match, ""),
    (FileKind("an SVG drawing, which has no pixels", "Convert it: rsvg-convert -o FILE.png FILE.svg."),
     re.compile(rb"\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)*(<!doctype svg[^>]*>\s*)?<svg\b", re.I | re.S).match, ".svg"),
    (FileKind("a PDF document", "Make pictures of its pages: pdftoppm -png FILE.pdf NAME."), _with(b"%PDF"), ".pdf"),
    (FileKind("a HEIC picture", "Convert them: magick mogrify -format png *.heic."),
     lambda head: head[4:8] == b"ftyp" and head[8:12] in (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1"),
     ".heic .heif"),
    (FileKind("a video", "Make pictures of its frames: ffmpeg -i FILE frame-%05d.png."),
     lambda head: head[4:8] == b"ftyp" and head[8:12] not in (b"avif", b"avis"), ".mp4 .avi .mov .mkv"),
    (FileKind("a DICOM file", "Convert them to 16-bit PNG: dcm2pnm --write-16-bit-png FILE.dcm FILE.png."),
     lambda head: head[128:132] == b"DICM", ".dcm .dicom"),
    (FileKind("a gzip archive", "Unpack the files: gunzip -r FOLDER."), _with(b"\x1f\x8b"), ".gz"),
    (FileKind("a RAR archive", "Unpack it: unrar x FILE, and give the folder."), _with(b"Rar!\x1a\x07"), ".rar"),
    (FileKind("a 7-Zip archive", "Unpack it: 7z x FILE, and give the folder."), _with(b"7z\xbc\xaf\x27\x1c"), ".7z"),
    (FileKind("a spreadsheet", "Save it as CSV, and give that."), _with(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"),
     ".xlsx .xls .ods"),
    (FileKind("a pickle, which GlyphNet never opens", _ARRAYS), _with(b"\x80\2", b"\x80\3", b"\x80\4", b"\x80\5"),
     ".pkl .pickle"),
    (ONNX,
     re.compile(rb"\x08[\x01-\x20]\x12[\x01-\x7f][ -~]").match, ""),
    (FileKind("a PNG image"), _with(b"\x89PNG"), ""),
    (FileKind("a JPEG image"), _with(b"\xff\xd8\xff"), ""),
    (FileKind("a GIF image"), _with(b"GIF8"), ""),
    (FileKind("a BMP image"), _with(b"BM"), ""),
    (FileKind("a WebP image or another RIFF file"), _with(b"RIFF"), ""),
    (FileKind("a zip archive (PyTorch's .pt and NumPy's .npz are such)"), _with(b"PK\3\4"), ""),
    (FileKind("a NumPy array"), _with(b"\x93NUMPY"), ""),
    (FileKind("an HDF5 file (Keras' .h5 is such)"), _with(b"\x89HDF"), ""),
    (FileKind("a camera's raw file", "Develop it as PNG or TIFF: dcraw -T FILE."), None, ".cr2 .nef .arw .dng .raw"),
    (FileKind("a file of PyTorch", _ARRAYS), None, ".pt .pth"),
    (FileKind("a TFRecord of TensorFlow", "Write its pictures into class folders, or arrays by numpy.savez."), None,
     ".tfrecord .tfrecords"),
    (FileKind("JSON", "Write the classes as metadata.csv with the columns file_name,label."), None, ".json"),
)  # fmt: skip
"""Kinds in the order in which they are tried: a test of the beginning, and the endings of names."""
_ENDINGS = {ending: kind for kind, _, endings in _KINDS for ending in endings.split()}


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
    return next((kind for kind, begins, _ in _KINDS if begins is not None and begins(head)), None)


def _ending(name: str) -> str:
    return f".{name.rpartition('.')[2].lower()}"


def suffix_of(path: str | os.PathLike[str]) -> str:
    """The suffix of a file in lower case, by its usual spelling: ``.html`` for PAGE.HTM."""
    suffix = os.path.splitext(path)[1].lower()
    return _SAME.get(suffix, suffix)


def names_a_format(path: str | os.PathLike[str]) -> bool:
    """Whether the suffix says what a file holds: ``.csv`` does, ``.txt`` and ``.v2`` do not."""
    suffix = suffix_of(path)
    return suffix in PICTURE_SUFFIXES or suffix in {*_OTHER_SUFFIXES, *_SAME.values()} - _ANY_CONTENT


def check_suffix(path: str | os.PathLike[str], written: Collection[str]) -> None:
    """Check that a file's name does not promise another format than is written into it.

    Args:
        written: the suffixes of what is written, the usual one first.

    Raises:
        OutputError: the suffix is that of another format. A suffix of no format is the user's choice.
    """
    if names_a_format(path) and suffix_of(path) not in written:
        stem, suffix = os.path.splitext(path)
        name = f"{os.path.basename(stem)}{next(iter(written))}"
        raise OutputError(
            f"{os.fspath(path)}: ends in {suffix}, but a {' or '.join(written)} file is written. Choose another name: "
            f"{name}."
        )


def check_folder_name(path: str | os.PathLike[str]) -> None:
    """Check that a folder is not made by the name of a file: OutputError if it has the suffix of a format."""
    if names_a_format(path):
        stem, suffix = os.path.splitext(path)
        raise OutputError(
            f"{os.fspath(path)}: ends in {suffix}, but a folder is written. Choose another name: "
            f"{os.path.basename(stem)}."
        )


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

"""What a file is, by its first bytes: the error for a wrong file says what it is."""

from __future__ import annotations

_LOOKS_LIKE = (
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"BM", "a BMP image"),
    (b"RIFF", "a WebP image or another RIFF file"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"PK\x03\x04", "a zip archive (PyTorch's .pt and NumPy's .npz are such)"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"\x89HDF", "an HDF5 file (Keras' .h5 is such)"),
    (b"%PDF", "a PDF document"),
    (b"version https://git-lfs", "a Git LFS pointer (run `git lfs pull` to get the file itself)"),
    *((bytes([0x80, version]), "a pickle, which GlyphNet never opens") for version in (2, 3, 4, 5)),
)


def looks_like(content: bytes) -> str | None:
    """What a file that begins with ``content`` most likely is ("a PNG image"); None if that is not known."""
    return next((what for beginning, what in _LOOKS_LIKE if content.startswith(beginning)), None)

"""Which version of normalising this is, for what is kept on disk."""

from __future__ import annotations

import functools
import hashlib
from importlib.resources import files

import PIL


@functools.cache
def normalizer_version() -> str:
    """Another string whenever the code that normalises pictures is another: SHA-256 (hex) of its source."""
    digest = hashlib.sha256(PIL.__version__.encode())
    for file in sorted(files(__package__).iterdir(), key=lambda each: each.name):
        if file.name.endswith(".py"):
            digest.update(file.read_bytes())
    return digest.hexdigest()

"""``python -m glyphnet``: the same as ``glyphnet``."""

from .cli import main

main()

"""The command line: ``glyphnet VERB …``. It parses, calls one function, prints."""

from .verbs import VERBS, app, main

__all__ = ["VERBS", "app", "main"]

"""Names of classes: which text may be one, and how the names of files are shown that may not."""

from __future__ import annotations

import unicodedata

MOST = 255
"""Characters of a name."""

# Writing order can be turned round by these: "gpj.exe" would be shown as "exe.jpg".
_REORDERING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_NO_GRAPHIC = frozenset({"Cc", "Cs", "Zl", "Zp"})  # controls, lone surrogates, line and paragraph separators


def fault_of(name: str) -> str:
    """Why a text cannot be the name of a class, or "": control characters, no valid Unicode, too long."""
    if len(name) > MOST:
        return f"it has {len(name):,} characters, and {MOST} are the most"
    for character in name:
        category = unicodedata.category(character)
        if category in _NO_GRAPHIC:
            kind = "no valid Unicode" if category == "Cs" else "a control character"
            return f"it holds U+{ord(character):04X}, {kind}"
    return ""


def printable(text: str) -> str:
    """``text`` on one line, with control characters (a file name may hold any) shown escaped: ``a\\nb``."""
    return "".join(
        character.encode("unicode_escape").decode("ascii")
        if unicodedata.category(character) in _NO_GRAPHIC or character in _REORDERING
        else character
        for character in text
    )

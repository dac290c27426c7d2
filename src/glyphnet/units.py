"""Numbers, lists and errors in words: the one place that words them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterator, Sequence
from typing import Protocol

from .errors import GlyphNetError

THIN = "\u202f"  # a narrow space that never breaks: between a number and its unit, on pages and in pictures


def percent(share: float, digits: int = 1, space: str = " ") -> str:
    """A share as a percentage: 0.9873 → "98.7 %".

    What is not quite 100 % or 0 % is never rounded to it: 0.9999 → ">99.9 %".

    Args:
        share: from 0 to 1.
        digits: after the point.
        space: before the sign; `THIN` on pages.
    """
    return f"{percent_number(share, digits)}{space}%"


def page_percent(share: float, digits: int = 1) -> str:
    """`percent` as pages and pictures write it: with a space that never breaks."""
    return percent(share, digits, THIN)


def digits_for(count: int) -> int:
    """The digits after the point that a percentage of ``count`` images deserves."""
    return 2 if count >= 5000 else 1


def percent_number(share: float, digits: int = 1) -> str:
    """`percent` without the sign, for a column that has it in its heading."""
    rounded, nearest = round(100 * share, digits), 10**-digits
    if rounded == 100 and share < 1:
        return f">{100 - nearest:.{digits}f}"
    if rounded == 0 and share > 0:
        return f"<{nearest:.{digits}f}"
    return f"{rounded:.{digits}f}"


class _Interval(Protocol):
    @property
    def low(self) -> float: ...

    @property
    def high(self) -> float: ...


def interval_text(found: _Interval, digits: int = 2) -> str:
    """A 95 % interval of a share: "95 % interval 98.91 to 99.24 %"."""
    return f"95 % interval {100 * found.low:.{digits}f} to {100 * found.high:.{digits}f} %"


def accuracy(share: float, found: _Interval) -> str:
    """An accuracy with its 95 % interval, short enough for a table: "97.22 % (95.0–98.5)"."""
    return f"{percent(share, 2)} ({100 * found.low:.1f}–{100 * found.high:.1f})"


def p_value(value: float) -> str:
    """ "p < 0.001", "p = 0.012", "p = 0.31"."""
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}" if value < 0.0995 else f"p = {value:.2f}"


def plural(count: int, one: str, many: str | None = None) -> str:
    """A count with its noun: "1 image", "1,200 images"."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def listed(names: Sequence[str], most: int = 5) -> str:
    """The first ``most`` names in quotes, cut to 40 characters, and a count of the rest: "'a', 'b' and 3 more"."""
    text = ", ".join(repr(name if len(name) <= 40 else f"{name[:39]}…") for name in names[:most])
    return f"{text} and {len(names) - most:,} more" if len(names) > most else text


def joined(names: Sequence[str]) -> str:
    """All names, without quotes: "a, b and c"."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def in_a_word(classes: Sequence[str]) -> str:
    """What a classifier tells apart, short enough for a title: "digits 0 to 9", "letters A to Z", "cat and dog"."""
    numbers = [int(name) if name.isascii() and name.isdecimal() else -1 for name in classes]
    if len(classes) > 2 and numbers[0] >= 0 and numbers == list(range(numbers[0], numbers[0] + len(classes))):
        return f"{'digits' if numbers[-1] < 10 else 'numbers'} {classes[0]} to {classes[-1]}"
    if len(classes) > 2 and all(len(name) == 1 and name.isalpha() for name in classes):
        codes = [ord(name) for name in classes]
        if codes == list(range(codes[0], codes[0] + len(codes))):
            return f"letters {classes[0]} to {classes[-1]}"
    short = [name if len(name) <= 24 else f"{name[:23]}…" for name in classes]
    return joined(short) if len(short) <= 4 else f"{', '.join(short[:3])} and {len(short) - 3:,} more"


def table(rows: Sequence[Sequence[str]], left: Collection[int] = (0,)) -> Iterator[str]:
    """Rows of cells as lines of padded columns: the columns ``left`` aligned to the left, the others to the right.

    An empty row becomes a line.
    """
    widths = [max(map(len, column)) for column in zip(*filter(None, rows), strict=True)]
    for row in rows:
        cells = zip(row or ["─" * width for width in widths], widths, strict=True)
        padded = [cell.ljust(width) if at in left else cell.rjust(width) for at, (cell, width) in enumerate(cells)]
        yield "  ".join(padded).rstrip()


def duration(seconds: float) -> str:
    """A measured time with three digits and its unit: "48.0 µs", "12.3 s"; from ten minutes on "12 min"."""
    if round(seconds) >= 600:
        return f"{seconds / 60:.0f} min"
    for scale, unit in ((1.0, "s"), (1e-3, "ms")):
        if seconds >= 0.9995 * scale:
            return f"{_three_digits(seconds / scale)} {unit}"
    return f"{_three_digits(seconds / 1e-6)} µs"


def clock(seconds: float) -> str:
    """A time to wait, in whole seconds: "85 s", "3 min 05 s"."""
    whole = round(seconds)
    return f"{whole} s" if whole < 90 else f"{whole // 60} min {whole % 60:02d} s"


def size(count: int) -> str:
    """A number of bytes with three digits, in powers of 1000: "310 kB", "1.20 MB"."""
    scaled, units = float(count), ["B", "kB", "MB", "GB", "TB"]
    while scaled >= 999.5 and len(units) > 1:
        scaled /= 1000
        units.pop(0)
    return f"{count} B" if units[0] == "B" else f"{_three_digits(scaled)} {units[0]}"


def first_line(error: BaseException, most: int = 200) -> str:
    """What an exception says, in one line of at most ``most`` characters without a full stop; else its type's name."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return " ".join(lines[0].split())[:most].rstrip(".")


def reason(error: BaseException) -> str:
    """Why something failed: the whole message of one of our errors, else the type and the first line of another's."""
    if isinstance(error, GlyphNetError):
        return str(error)
    if isinstance(error, MemoryError):
        return "not enough memory"
    name = type(error).__name__
    return f"{name}: {first_line(error)}" if str(error).strip() else name


def _three_digits(value: float) -> str:
    return f"{value:.0f}" if value >= 99.95 else f"{value:.1f}" if value >= 9.995 else f"{value:.2f}"


# Names of files and classes


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


def without_folders(name: str) -> str:
    """The last part of what may be a path: where data lay says more about a person than about the data."""
    return name.replace("\\", "/").rstrip("/").rpartition("/")[2]


# Names that mean a device on Windows, whatever stands behind the first dot.
_DEVICES = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[1-9¹²³])(\.|$)", re.IGNORECASE)


def portable_name(text: str) -> str:
    """A text as the name of a file or folder that every system can have: "aux.txt" becomes "_aux.txt".

    Characters that Windows refuses become dashes; dots and spaces at the end, which it drops, are dropped.
    """
    name = re.sub(r'[<>:"/\\|?*\x00-\x1f]', "-", text).rstrip(". ") or "unnamed"
    return f"_{name}" if _DEVICES.match(name) else name

"""What all benchmarks share: which machine this is, whether it is idle, and how a table gets into RESULTS.md."""

from __future__ import annotations

import argparse
import os
import statistics
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from glyphnet.modelfile import library_versions
from glyphnet.training.device import hardware

RESULTS = Path(__file__).with_name("RESULTS.md")


def arguments_parser(description: str | None) -> argparse.ArgumentParser:
    """A parser whose help is the script's docstring, with ``--record``; it tells at once when the machine is busy."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", action="store_true", help="write the table into benchmarks/RESULTS.md")
    warn_if_busy()
    return parser


def conditions() -> str:
    """Hardware, versions and date, in a line: no figure means anything without them."""
    versions = ", ".join(f"{name} {version}" for name, version in library_versions().items())
    return f"{hardware()}; {versions}; {datetime.now(UTC).date()}."


def command() -> str:
    """The command line that gave the figures, without ``--record``."""
    words = [word for word in sys.argv[1:] if word != "--record"]
    return " ".join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *words])


def publish(section: str, lines: Sequence[str], *, recorded: bool) -> None:
    """Print a table with its conditions and its command; write it into RESULTS.md too if it is to be recorded.

    Args:
        section: the name in the two marks of RESULTS.md between which the table belongs. They must be there.
        lines: the table, as Markdown.
        recorded: whether to write it.
    """
    lines = [conditions(), "", f"`{command()}`", "", *lines]
    print("\n".join(lines))
    if not recorded:
        return
    begin, end = (f"<!-- {section}: {which} -->" for which in ("begin", "end"))
    text = RESULTS.read_text(encoding="utf-8")
    head, found, rest = text.partition(begin)
    _, closed, tail = rest.partition(end)
    if not (found and closed):
        sys.exit(f"{RESULTS}: has no place for this table. Add a heading and the lines {begin} and {end}.")
    RESULTS.write_text(f"{head}{begin}\n" + "\n".join(lines) + f"\n{end}{tail}", encoding="utf-8")


def mean_and_spread(values: Sequence[float]) -> str:
    """``99.118 ± 0.127``: mean and standard deviation, which one value alone has not."""
    mean = f"{statistics.fmean(values):.3f}"
    return f"{mean} ± {statistics.stdev(values):.3f}" if len(values) > 1 else mean


def warn_if_busy() -> None:
    load = os.getloadavg()[0]
    if load > 0.5:
        print(f"The machine is busy (load {load:.1f}): times will be too long.", file=sys.stderr)

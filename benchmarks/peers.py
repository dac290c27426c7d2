"""Measures training speed beside other libraries: the same work for each, in images a second.

    python benchmarks/peers.py [--work c d ...] [--peers torch keras-jax ...] [--images N] [--rounds 3] [--record]

Works and peers: see WORKS in _works.py and PEERS in _peers; the libraries come with ``pip install 'glyphnet[bench]'``,
and one that is missing is passed over. MNIST and Fashion-MNIST are found in $GLYPHNET_DATA or downloaded. All takes
about a quarter of an hour.

Each peer does each work in a process of its own, with the threads that it takes by itself. The processes take turns,
an epoch or more at a time (A B C A B C …), so that a machine that changes its speed decides nothing; whoever is not at
work waits. A GPU is hidden from all: what is compared is the processor's work. The first turn of each, with its
compilation, is told apart. After the last turn each one's test accuracy shows that the work was the same: one farther
from the median than four standard errors of a difference is marked. (After few steps, as with --images, that says
nothing: accuracy then hangs on the order of the images.)
"""

from __future__ import annotations

import os
import statistics
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from _peers import INSTALL, OURS, PEERS, PLAIN
from _results import arguments_parser, publish
from _turns import Trial, in_turn, script
from _works import WORKS, Work
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from glyphnet.plots.style import BLUE, INK, LINE, SOFT, dress

PICTURE = Path(__file__).with_suffix(".png")


@dataclass(eq=False)
class Row:
    """What one peer does at one work, in its process.

    Attributes:
        first: seconds of the first turn, which compiles and is not counted.
        seconds: an epoch's, turn by turn.
        accuracy: on ``tested`` test images, after the last turn.
    """

    letter: str
    work: Work
    peer: str
    trial: Trial
    first: float = 0.0
    seconds: list[float] = field(default_factory=list)
    accuracy: float = 0.0
    tested: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def speed(self) -> float:
        """Images a second, the median turn's."""
        return self.work.images / statistics.median(self.seconds)


def main() -> None:
    parser = arguments_parser(__doc__)
    parser.add_argument("--work", nargs="+", choices=WORKS, default=list(WORKS), metavar="LETTER")
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS), metavar="PEER")
    parser.add_argument("--images", type=int, help="train on so many images at most")
    parser.add_argument("--rounds", type=int, default=3, help="timed turns of each")
    arguments = parser.parse_args()
    before = os.getloadavg()[0]
    peers = list(_present([OURS, *(name for name in arguments.peers if name != OURS)]))
    rows: list[Row] = []
    versions: dict[str, str] = {}
    for letter in arguments.work:
        rows += measure(letter, peers, arguments.images, arguments.rounds, versions)
    lines = [
        f"{', '.join(f'{name} {number}' for name, number in sorted(versions.items()))}; load of the machine before: "
        f"{before:.2f}; n = {arguments.rounds} turns of each.",
        "",
        *summary(rows),
        "",
        *table(rows),
    ]
    publish("peers", lines, recorded=arguments.record)
    if arguments.record:
        picture(rows).savefig(PICTURE)


def _present(names: Sequence[str]) -> Iterator[str]:
    for name in names:
        if missing := PEERS[name].missing():
            print(f"{name} is passed over: {', '.join(missing)} not installed ({INSTALL}).", file=sys.stderr)
        else:
            yield name


def measure(letter: str, peers: Sequence[str], images: int | None, rounds: int, versions: dict[str, str]) -> list[Row]:
    """Let all peers do one work, in turn; those that finished it."""
    work = WORKS[letter].shortened(images)
    size = ["--images", str(images)] if images else []
    rows: list[Row] = []
    with ExitStack() as processes:
        for peer in (name for name in peers if letter in PEERS[name].works):
            command = [script("_trial.py"), peer, letter, "--turns", str(rounds + 1), *size]
            environment = {**PEERS[peer].environment, "CUDA_VISIBLE_DEVICES": ""}
            trial = processes.enter_context(Trial(f"{letter} {peer}", command, environment))
            started = [Row(letter, work, peer, trial)]
            # Waits for it, so that none has to share the machine while it starts.
            in_turn(started, lambda row: versions.update(row.trial.ask(go=False)["versions"]))
            rows += started
        for turn in range(rounds + 1):
            in_turn(rows, partial(_turn, first=turn == 0))
        in_turn(rows, _finish)
    judge(rows)
    return rows


def _turn(row: Row, *, first: bool) -> None:
    answer = row.trial.ask()
    seconds, epochs = answer["seconds"], answer["epochs"]
    if first:
        row.first = seconds
    else:
        row.seconds.append(seconds / epochs)
    print(f"  {row.trial.name}: {seconds:.2f} s, epochs: {epochs}", file=sys.stderr, flush=True)


def _finish(row: Row) -> None:
    answer = row.trial.ask()
    row.accuracy, row.tested = answer["accuracy"], answer["tested"]
    row.notes += [note for note in (answer["note"], PEERS[row.peer].remarks.get(row.letter)) if note]


def judge(rows: Sequence[Row]) -> None:
    """Mark who is farther from the median accuracy than chance brings."""
    if not rows:
        return
    middle = statistics.median(row.accuracy for row in rows)
    noise = 4 * (2 * middle * (1 - middle) / rows[0].tested) ** 0.5 + rows[0].work.swing
    for row in rows:
        if abs(row.accuracy - middle) > noise:
            row.notes.append("**accuracy out of noise**")


def summary(rows: Sequence[Row]) -> list[str]:
    """A line a work: ours beside the fastest peer and beside plain PyTorch."""
    lines = [
        "| work | GlyphNet, images/s | fastest peer, images/s | GlyphNet ÷ fastest peer | GlyphNet ÷ plain PyTorch "
        "| goal |",
        "|---|---|---|---|---|---|",
    ]
    for letter in dict.fromkeys(row.letter for row in rows):
        of = {row.peer: row for row in rows if row.letter == letter}
        ours = of.pop(OURS, None)
        if ours and of:
            best = max(of.values(), key=lambda row: row.speed)
            plain = f"{ours.speed / of[PLAIN].speed:.2f}" if PLAIN in of else "–"
            lines.append(
                f"| {letter}: {ours.work.title} | {ours.speed:,.0f} | {PEERS[best.peer].title}: {best.speed:,.0f} "
                f"| {ours.speed / best.speed:.2f} | {plain} | {ours.work.goal} |"
            )
    return lines


def table(rows: Sequence[Row]) -> list[str]:
    """A line a work and peer."""
    lines = [
        "| work | peer | images/s, median (least to most) | seconds an epoch | GlyphNet ÷ it | first turn, s "
        "| test accuracy | remarks |",
        "|---|---|---|---|---|---|---|---|",
    ]
    ours = {row.letter: row.speed for row in rows if row.peer == OURS}
    for row in rows:
        speeds = [row.work.images / seconds for seconds in row.seconds]
        ratio = f"{ours[row.letter] / row.speed:.2f}" if row.letter in ours else "–"
        lines.append(
            f"| {row.letter} | {PEERS[row.peer].title} | {row.speed:,.0f} ({min(speeds):,.0f} to {max(speeds):,.0f}) "
            f"| {statistics.median(row.seconds):.4g} | {ratio} | {row.first:.2f} | {100 * row.accuracy:.2f} % "
            f"| {'; '.join(row.notes)} |"
        )
    sizes = {row.letter: f"{row.letter} {row.work.images:,}" for row in rows}
    return [*lines, "", f"Training images: {', '.join(sizes.values())}. In work a an epoch is an iteration of L-BFGS."]


def picture(rows: Sequence[Row]) -> Figure:
    """Speed of each peer as a share of GlyphNet's, a panel a work."""
    letters = list(dict.fromkeys(row.letter for row in rows))
    columns = min(2, len(letters))
    down = -(-len(letters) // columns)
    figure = Figure(figsize=(5.4 * columns, 2.9 * down), dpi=130, layout="constrained")
    figure.supxlabel("Training speed as a multiple of GlyphNet's (images a second)", fontsize=9, color=SOFT)
    panels = figure.subplots(down, columns, squeeze=False).flat
    for letter, ax in zip(letters, panels, strict=False):
        _bars(dress(ax), [row for row in rows if row.letter == letter])
    for ax in list(panels):
        ax.set_axis_off()
    return figure


def _bars(ax: Axes, rows: Sequence[Row]) -> None:
    rows = sorted(rows, key=lambda row: row.speed)
    unit = next((row.speed for row in rows if row.peer == OURS), rows[-1].speed)
    ax.barh(
        [PEERS[row.peer].title for row in rows],
        [row.speed / unit for row in rows],
        color=[BLUE if row.peer == OURS else LINE for row in rows],
        height=0.72,
    )
    for place, row in enumerate(rows):
        ax.annotate(
            f"{row.speed / unit:.2f}  ({row.speed:,.0f}/s)",
            (row.speed / unit, place),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
            color=INK if row.peer == OURS else SOFT,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
        )
    ax.axvline(1.0, color=BLUE, linewidth=0.8, linestyle=":", zorder=0.5)
    ax.set_xlim(0, 1.45 * max(row.speed for row in rows) / unit)
    ax.set_title(f"{rows[0].letter}: {rows[0].work.title}", fontsize=9, loc="left")
    ax.grid(False, axis="y")
    ax.tick_params(labelsize=8, length=0)


if __name__ == "__main__":
    main()

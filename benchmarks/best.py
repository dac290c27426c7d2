"""Measures how accurate the preset ``best`` is, which may take an hour on two cores.

    python benchmarks/best.py [ROW ...] [--runs 1] [--record]

Rows: see ROWS; all unless named. What they change in the recipe was tried on validation images, the fully connected
network's for a third of its passes. The clothes are judged by four networks that are averaged, as
`glyphnet train --seeds 4 --ensemble` makes them. The rest is as in presets.py.
"""

from __future__ import annotations

from _results import arguments_parser, publish
from presets import Row, table

PERCEPTRON = {
    "network": {"kind": "mlp", "hidden": [1024, 1024], "batch_norm": True},
    "optimizer": {"name": "adamw", "lr": 0.005, "betas": [0.9, 0.99], "weight_decay": 0.05},
    "augment.elastic": 1,
    "epochs": 60,
}
CLOTHES = {"augment": {"flip": 0.5, "shift": 1}, "epochs": 10}

ROWS = {
    "digits": Row("digits", "best", "99.5 %", new_split=True),
    "mnist": Row("mnist", "best", "99.70 %"),
    "mnist-mlp": Row("mnist", "best", "99.3 %", label=", fully connected 1024–1024", changes=PERCEPTRON),
    "fashion": Row(
        "fashion-mnist", "best", "94.5 %", label=", flipped, 10 passes; four averaged", networks=4, changes=CLOTHES
    ),
}


def main() -> None:
    parser = arguments_parser(__doc__)
    parser.add_argument("rows", nargs="*", choices=[[], *ROWS], default=[], metavar="ROW")
    parser.add_argument("--runs", type=int, default=1)
    arguments = parser.parse_args()
    lines = table([ROWS[name] for name in arguments.rows or ROWS], arguments.runs)
    publish("best", lines, recorded=arguments.record)


if __name__ == "__main__":
    main()

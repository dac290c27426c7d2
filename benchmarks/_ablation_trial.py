"""One row of ablations.py, in a process of its own: a training for each turn, each with the next seed."""

from __future__ import annotations

import argparse
import time

from _ablations import BASES
from _turns import Turns

from glyphnet import load
from glyphnet.training import Examples, Fitting


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("base", choices=BASES)
    parser.add_argument("change")
    parser.add_argument("--runs", type=int, required=True)
    arguments = parser.parse_args()
    turns = Turns()
    base = BASES[arguments.base]
    change = base.changes[arguments.change]
    change.engine()
    splits = base.part(load(base.data))
    recipe = base.recipe(splits).override(change.settings)
    train, judged = (Examples.of(part.images, part.labels) for part in (splits.train, splits.validation))

    def fitted(seed: int, examples: Examples) -> Fitting:
        fitting = Fitting(recipe.override({"seed": seed}), examples, None, len(splits.classes))
        change.begin(fitting)
        return fitting

    few = Examples.of(train.inputs[: 20 * recipe.batch_size], train.labels[: 20 * recipe.batch_size])
    fitted(0, few).run()
    turns.tell(trained=len(train), judged=len(judged))
    for seed in range(arguments.runs):
        began = time.perf_counter()
        result = fitted(seed, train).run()
        seconds = time.perf_counter() - began
        turns.tell(seconds=seconds, accuracy=100 * change.validate(result, judged, recipe))


if __name__ == "__main__":
    main()

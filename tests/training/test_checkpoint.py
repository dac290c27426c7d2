"""When checkpoints are written; what is in them, tests/test_resume.py tells."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import torch

from glyphnet.training import Callback, CheckpointWriter, Examples, Fitting, Recipe, StepInfo, TrainingState
from glyphnet.training.checkpoint import write_checkpoint


class Looks(Callback):
    """Notes after each step whether the checkpoint has changed; called after its writer, as all other callbacks are."""

    def __init__(self, checkpoint: Path) -> None:
        self.checkpoint, self.seen, self.first = checkpoint, list[bool](), checkpoint.read_bytes()

    def after_step(self, info: StepInfo, state: TrainingState) -> bool:
        self.seen.append(self.checkpoint.read_bytes() != self.first)
        time.sleep(0.06)
        return len(self.seen) == 3


def test_a_first_step_that_takes_long_is_not_written_down_before_the_others_are_told(tmp_path: Path) -> None:
    digits = Examples.of(torch.zeros(32, 8, 8, 1, dtype=torch.uint8), torch.arange(32) % 2)
    fitting = Fitting(Recipe.parse({"network": "linear", "batch_size": 4}), digits, None, classes=2)
    writer = CheckpointWriter(tmp_path / "checkpoint", {}, every=0.05)
    writer.at_start(fitting.state)
    looks = Looks(tmp_path / "checkpoint")
    time.sleep(0.06)  # as the start of several processes may take
    fitting.run(callbacks=[writer, looks])
    assert looks.seen == [False, True, True]


@pytest.mark.parametrize("network", ["mlp", "rnn"])  # gradients by hand, and by autograd
def test_lbfgs_resumes_to_the_bit(network: str, train_examples: Examples, tmp_path: Path) -> None:
    recipe = Recipe.parse({"network": network, "optimizer": "lbfgs", "l2": 0.01, "epochs": 20, "precision": "fp32"})
    whole = Fitting(recipe, train_examples, None, 10, "cpu")
    expected = whole.run()
    stopped = Fitting(recipe, train_examples, None, 10, "cpu")
    stopped.run(epochs=13)  # more than the steps that it remembers
    write_checkpoint(tmp_path / "checkpoint", stopped.state, stopped.terms)
    resumed = Fitting(recipe, train_examples, None, 10, "cpu")
    resumed.read_checkpoint(tmp_path / "checkpoint", resumed.terms)
    found = resumed.run()
    for name, tensor in expected.network.state_dict().items():
        assert torch.equal(found.network.state_dict()[name], tensor), name
    assert [row["loss"] for row in found.history] == [row["loss"] for row in expected.history]

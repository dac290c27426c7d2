"""What holds on a GPU. Skipped where there is none."""

from __future__ import annotations

import pytest
import torch

from glyphnet.training import Examples, Recipe, fit
from glyphnet.training.optimizers import AdamW

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")

RECIPE = Recipe.parse(
    {
        "network": {"kind": "cnn", "stem": 8, "channels": [8], "dense": [16], "stem_stride": 1, "batch_norm": True},
        "optimizer": {"name": "adamw", "lr": 0.01},
        "schedule": "one-cycle",
        "precision": "fp32",
        "epochs": 3,
        "batch_size": 30,  # 200 examples in 7 batches of two sizes: two graphs
    }
)


def test_a_step_in_a_graph_does_what_the_step_does(
    train_examples: Examples, validation_examples: Examples, monkeypatch: pytest.MonkeyPatch
) -> None:
    graphed = fit(RECIPE, train_examples, validation_examples, classes=10, device="cuda")
    monkeypatch.setattr(AdamW, "capturable", False)
    eager = fit(RECIPE, train_examples, validation_examples, classes=10, device="cuda")
    for one, other in zip(graphed.history, eager.history, strict=True):
        assert one["loss"] == pytest.approx(other["loss"], rel=1e-3)


def test_it_learns_what_the_processor_learns(train_examples: Examples, validation_examples: Examples) -> None:
    recipe = RECIPE.override({"augment": {"shift": 1}, "network.dropout": 0.1, "ema": 0.9, "epochs": 20})
    accuracies = [
        fit(recipe, train_examples, validation_examples, classes=10, device=device).history[-1]["val_accuracy"]
        for device in ("cpu", "cuda")
    ]
    assert min(accuracy or 0 for accuracy in accuracies) > 0.8

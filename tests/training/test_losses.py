"""Losses against their formulas."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import expit, log_softmax, softmax
from sklearn.utils.class_weight import compute_class_weight

from glyphnet.errors import SettingsError
from glyphnet.training import Examples, Recipe, fit
from glyphnet.training.losses import BinaryCrossEntropy, CrossEntropy, Focal, class_weights

LOGITS = torch.tensor([[2.0, -1.0, 0.5], [0.0, 0.0, 3.0]], dtype=torch.float64)
LABELS = torch.tensor([0, 1])
ONE_HOT = np.eye(3)[LABELS.numpy()]


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_cross_entropy(smoothing: float) -> None:
    wanted = ONE_HOT * (1 - smoothing) + smoothing / 3
    expected = -(wanted * log_softmax(LOGITS.numpy(), axis=1)).sum(1)
    loss = CrossEntropy(label_smoothing=smoothing)
    np.testing.assert_allclose(loss.per_image(LOGITS, LABELS), expected)
    np.testing.assert_allclose(loss.per_image(LOGITS, torch.from_numpy(ONE_HOT)), expected)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("classes", [2, 10, 60])
def test_cross_entropy_is_autograds_and_each_image_has_its_own(classes: int, smoothing: float) -> None:
    draw = torch.Generator().manual_seed(0)
    logits = torch.randn(2_000, classes, generator=draw) * 10
    logits[:2] *= 1_000  # surely right, surely wrong: no infinity
    labels = torch.randint(classes, (len(logits),), generator=draw)
    labels[:2] = torch.stack((logits[0].argmax(), logits[1].argmin()))
    loss = CrossEntropy(label_smoothing=smoothing)
    counted = loss.per_image(logits, labels)
    torch.testing.assert_close(counted, loss.per_image(logits.clone().requires_grad_(), labels).detach())
    both = loss.with_gradient(logits, labels)
    torch.testing.assert_close(both, (counted, loss.gradient(logits, labels)))
    for first in (0, 1, 7, 1_000):
        for count in (1, 2, 31, 64, 333):
            part = slice(first, first + count)
            assert torch.equal(loss.per_image(logits[part], labels[part]), counted[part])


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_binary_cross_entropy(smoothing: float) -> None:
    wanted, yes = ONE_HOT * (1 - smoothing) + smoothing / 3, expit(LOGITS.numpy())
    expected = -(wanted * np.log(yes) + (1 - wanted) * np.log(1 - yes)).sum(1)
    loss = BinaryCrossEntropy(label_smoothing=smoothing)
    np.testing.assert_allclose(loss.per_image(LOGITS, LABELS), expected)
    np.testing.assert_allclose(loss.per_image(LOGITS, torch.from_numpy(ONE_HOT)), expected)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_focal_loss_is_its_formula_and_its_gradient_autograds(gamma: float) -> None:
    loss, share = Focal(gamma=gamma), softmax(LOGITS.numpy(), axis=1)
    expected = -(ONE_HOT * (1 - share) ** gamma * np.log(share)).sum(1)
    np.testing.assert_allclose(loss.per_image(LOGITS, LABELS), expected)
    logits = LOGITS.clone().requires_grad_()
    loss.per_image(logits, torch.tensor([[0.2, 0.8, 0.0], [0.0, 0.5, 0.5]], dtype=torch.float64)).sum().backward()
    by_hand = loss.gradient(LOGITS, torch.tensor([[0.2, 0.8, 0.0], [0.0, 0.5, 0.5]], dtype=torch.float64))
    torch.testing.assert_close(by_hand, logits.grad)
    surely = torch.tensor([[1e3, 0.0]])
    assert torch.isfinite(loss.gradient(surely, torch.tensor([0]))).all()
    assert torch.isfinite(loss.gradient(surely, torch.tensor([1]))).all()


def test_balanced_weights_are_scikit_learns() -> None:
    labels = torch.tensor([0] * 7 + [1] * 2 + [2])
    expected = compute_class_weight("balanced", classes=np.arange(3), y=labels.numpy())
    found = class_weights(CrossEntropy(class_weight="balanced"), labels, 3)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_class_weights_must_be_as_many_as_classes(blobs: Examples) -> None:
    recipe = Recipe.parse({"network": "linear", "loss": {"name": "cross_entropy", "class_weight": [1, 2, 3]}})
    with pytest.raises(SettingsError, match=r"loss\.class_weight has 3 weights for 2 classes"):
        fit(recipe, blobs, classes=2)


def test_weights_of_examples_and_of_classes_act_alike(blobs: Examples) -> None:
    base = {"network": "linear", "epochs": 2, "batch_size": 30}
    by_class = Recipe.parse({**base, "loss": {"name": "cross_entropy", "class_weight": [1.0, 3.0]}})
    first = fit(by_class, blobs, classes=2, device="cpu")
    weights = torch.tensor([1.0, 3.0])[blobs.labels]
    second = fit(Recipe.parse(base), Examples(blobs.inputs, blobs.labels, weights), classes=2, device="cpu")
    assert first.history[-1]["loss"] == second.history[-1]["loss"]


@pytest.mark.parametrize(("penalty", "value"), [("l1", 0.01), ("l2", 0.1)])
def test_penalties_shrink_the_weights_and_leave_the_biases(penalty: str, value: float, blobs: Examples) -> None:
    def size(strength: float) -> float:
        recipe = Recipe.parse({"network": "linear", "epochs": 20, "optimizer": "lbfgs", penalty: strength})
        return float(fit(recipe, blobs, classes=2, device="cpu").network.head.weight.detach().abs().sum())  # type: ignore[union-attr, operator]

    assert size(value) < 0.8 * size(value / 100)

"""The search space where none is given: what most often pays, about the recipe's own values."""

from __future__ import annotations

from ..augment import AUGMENTATIONS
from ..training import Recipe

_TENFOLD = 10.0


def default_search(recipe: Recipe) -> dict[str, str]:
    """The learning rate and the strengths of what keeps a network from learning by heart.

    - ``optimizer.lr`` (and Muon's ``adam_lr``): from a tenth to ten times the recipe's, logarithmic.
    - ``optimizer.weight_decay``, or ``l2`` where the optimizer has none: the same about the recipe's, or 1e-5 to 0.1.
    - ``network.dropout``: 0 to 0.5, where the network has it.
    - ``loss.label_smoothing``: 0 to 0.2.
    - each augmentation that the recipe has: from off to twice its strength.

    Sizes of the network, of the batch and the number of epochs are left alone: they change how long a training
    takes, and more is mostly better. For a full-batch optimizer, which needs a loss without chance, ``l2`` is left.
    """
    optimizer = recipe.optimizer
    if optimizer.full_batch:
        return {"l2": _about(recipe.l2), "loss.label_smoothing": "0..0.2"}
    search = {
        f"optimizer.{name}": _about(getattr(optimizer, name)) for name in ("lr", "adam_lr") if _has(optimizer, name)
    }
    if _has(optimizer, "weight_decay"):
        search["optimizer.weight_decay"] = _about(optimizer.weight_decay)  # type: ignore[union-attr]
    else:
        search["l2"] = _about(recipe.l2)
    if _has(recipe.network, "dropout"):
        search["network.dropout"] = "0..0.5"
    search["loss.label_smoothing"] = "0..0.2"
    for name, strength in recipe.augment.items():
        if strength:
            search[f"augment.{name}"] = f"0..{min(2 * strength, AUGMENTATIONS[name].most):g}"
    return search


def _has(section: object, name: str) -> bool:
    return hasattr(section, name)


def _about(value: float) -> str:
    return f"{value / _TENFOLD:.3g}..{value * _TENFOLD:.3g}:log" if value else "1e-5..0.1:log"

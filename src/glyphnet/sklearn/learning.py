"""Running the training loop for an estimator: from where it left off, and with errors in its words."""

from __future__ import annotations

import copy
from typing import Any

from torch import nn

from ..errors import DivergedError
from ..nn import Preprocessing
from ..training import FitResult, Fitting, HistoryRow, Recipe, TrainingState, Watcher


def go_on(
    fitting: Fitting,
    before: Recipe,
    network: nn.Module,
    preprocessing: Preprocessing,
    state: dict[str, Any] | None = None,
) -> None:
    """Begin from the weights of an earlier training, behind the preprocessing that they were trained with.

    Args:
        before: the recipe of the earlier training.
        network: its result.
        state: all of its `TrainingState`, to go on with its optimizer as well; it is copied.

    Raises:
        ValueError: the network is another one now.
    """
    if fitting.recipe.network != before.network:
        raise ValueError(
            f"The network is now {fitting.recipe.network!r}, but the weights to go on from are of "
            f"{before.network!r}. Begin anew: clone the estimator, or fit with warm_start=False."
        )
    fitting.state.preprocessing = preprocessing
    if state is None:
        fitting.state.network.load_state_dict(network.state_dict())
    else:
        fitting.state.load_state_dict(copy.deepcopy(state))


def learn(fitting: Fitting, *, verbose: bool, epochs: int | None = None) -> FitResult:
    """Run the training to its end, or for so many epochs.

    Raises:
        DivergedError: the loss became NaN or infinite.
    """
    try:
        return fitting.run(watchers=[_Printer()] if verbose else [], epochs=epochs)
    except DivergedError as error:
        told = DivergedError(str(error).replace("optimizer.lr", "learning_rate_init"))
        told.result = error.result
        raise told from None


class _Printer(Watcher):
    """Prints a line an epoch."""

    def after_epoch(self, row: HistoryRow, state: TrainingState) -> bool:
        accuracy = row["val_accuracy"]
        judged = "" if accuracy is None else f", validation accuracy {accuracy:.4f}"
        print(f"Epoch {state.epoch}: loss {row['loss']:.6f}{judged}")
        return False

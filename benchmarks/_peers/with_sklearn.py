"""scikit-learn's MLPClassifier, an epoch a call of partial_fit; float32, which it keeps."""

from __future__ import annotations

import warnings

import numpy as np
from _turns import Turns
from _works import CLASSES, Data, Int64Array, Work
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

_ACTIVATIONS = {"relu": "relu", "sigmoid": "logistic"}


def train(work: Work, data: Data, turns: Turns, wanted: int) -> tuple[Int64Array, str]:
    """Train for so many turns; the labels given to the test images, and a note."""
    warnings.simplefilter("ignore", ConvergenceWarning)  # stopping at the wanted iteration is the work
    inputs, test = data.floats(work)
    if work.optimizer == "lbfgs":

        def fit(seed: int) -> tuple[MLPClassifier, int]:
            model = _model(work, seed).fit(inputs, data.labels)
            return model, model.n_iter_

        model = turns.of_fits(wanted, work.fits, fit)
    else:
        model = _model(work, 0)
        for _ in range(wanted * work.epochs):
            model.partial_fit(inputs, data.labels, classes=np.arange(CLASSES))
            turns.epoch_over()
    return model.predict(test), ""


def _model(work: Work, seed: int) -> MLPClassifier:
    return MLPClassifier(
        work.hidden, activation=_ACTIVATIONS[work.activation], solver=work.optimizer, alpha=0.0, tol=1e-12,
        batch_size=work.batch, learning_rate_init=work.rate, momentum=0.0, nesterovs_momentum=False,
        max_iter=work.epochs, random_state=seed,
    )  # fmt: skip

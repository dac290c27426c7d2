# ruff: noqa: N803, N806  # X, Y, W1, D, H, K: the names of the formulas
"""A neural network with one hidden layer: the formulas, and two ways to train by them.

X holds N rows of D features, Y their classes one-hot (N, K), there are H hidden units, and σ is the sigmoid::

    forward    z2 = X·W1ᵀ + b1     a2 = σ(z2)     z3 = a2·W2ᵀ + b2     a3 = σ(z3)
    cost       J  = Σ [ −Y·log a3 − (1−Y)·log(1−a3) ]  +  l2/2·Σw² + l1/2·Σ|w|     w: W1 and W2, not b1 and b2
    backward   δ3 = a3 − Y         δ2 = (δ3·W2) ⊙ a2 ⊙ (1−a2)
               ∂W2 = δ3ᵀ·a2 + l2·W2 + l1/2·sign W2     ∂b2 = Σ δ3     over the rows
               ∂W1 = δ2ᵀ·X  + l2·W1 + l1/2·sign W1     ∂b1 = Σ δ2     over the rows

Source: D. E. Rumelhart, G. E. Hinton and R. J. Williams, "Learning representations by back-propagating errors",
Nature 323 (1986); C. M. Bishop, "Pattern Recognition and Machine Learning" (2006), section 5.3.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.optimize import OptimizeResult, minimize
from threadpoolctl import threadpool_limits

Array = npt.NDArray[Any]  # float64, or float32 where speed was asked for; everything has the type of the weights
Labels = npt.NDArray[np.intp]  # the number of each row's class, (N,)
Sizes = tuple[int, int, int]  # D, H, K


class Weights(NamedTuple):
    """What is learnt. Row j of ``W1`` is what hidden unit j looks for in the D features.

    A bias is the weight of a feature that is always 1; kept apart, it needs no column of ones beside X.
    """

    W1: Array  # (H, D)
    b1: Array  # (H,)
    W2: Array  # (K, H)
    b2: Array  # (K,)


class Step(NamedTuple):
    """Results of one forward pass over some rows."""

    cost: float  # J
    loss: float  # the first part of J, without the penalty
    right: int  # rows whose own class has the largest output


def split(flat: Array, sizes: Sizes) -> Weights:
    """The four arrays as views of one flat vector, because an optimizer moves one point in the space of all weights."""
    D, H, K = sizes
    W1, b1, W2, b2 = np.split(flat, np.cumsum([H * D, H, K * H]))
    return Weights(W1.reshape(H, D), b1, W2.reshape(K, H), b2)


def random_weights(sizes: Sizes, generator: np.random.Generator) -> Array:
    """A flat vector, uniform in [−1, 1). Not zeros: units that start equal get equal gradients and stay equal."""
    D, H, K = sizes
    return generator.uniform(-1.0, 1.0, size=H * (D + 1) + K * (H + 1))


def sigmoid(z: Array) -> Array:
    """σ(z) = 1/(1 + e⁻ᶻ), as ½ + ½·tanh(z/2): the same function, which cannot overflow and is fast in NumPy."""
    activation: Array = 0.5 + 0.5 * np.tanh(0.5 * z)
    return activation


def forward(weights: Weights, X: Array) -> tuple[Array, Array]:
    """The hidden activations a2 (N, H), and the logits z3 (N, K): the outputs before their sigmoid."""
    a2 = sigmoid(X @ weights.W1.T + weights.b1)
    return a2, a2 @ weights.W2.T + weights.b2


def cross_entropy(logits: Array, Y: Array) -> Array:
    """The cost of every output for every row: (N, K).

    −log σ(z) = log(1 + eᶻ) − z, where y is 1, and −log(1 − σ(z)) = log(1 + eᶻ), where it is 0. Written like this, no
    logarithm of a rounded 0 is taken, and a very wrong output costs much instead of infinity. With
    log(1 + eᶻ) = max(z, 0) + log(1 + e^−|z|) no power overflows.
    """
    cost: Array = np.maximum(logits, 0.0) + np.log1p(np.exp(-np.abs(logits))) - Y * logits
    return cost


def penalty(weights: Weights, l1: float, l2: float) -> float:
    """l2/2·Σw² + l1/2·Σ|w|. Not of the biases: they move the boundaries, but do not make them wilder."""
    return float(sum(l2 / 2 * np.vdot(W, W) + l1 / 2 * np.abs(W).sum() for W in (weights.W1, weights.W2)))


def pull(W: Array, l1: float, l2: float) -> Array:
    """The slope of `penalty`. That of |w| is 1 or −1, however small w is: it drives needless weights to 0 itself."""
    slope: Array = l2 * W
    return slope + l1 / 2 * np.sign(W) if l1 else slope


def backpropagate(weights: Weights, X: Array, Y: Array, a2: Array, logits: Array, l1: float, l2: float) -> Array:
    """The gradient of J, flat, from what `forward` has computed: the chain rule, from the outputs to the inputs."""
    # The derivatives of the logarithm and of the sigmoid cancel. What is left says how wrong each output is.
    delta3 = sigmoid(logits) - Y
    # Blame goes back along the weights that the signal came by. A saturated unit (a2 near 0 or 1) takes none.
    delta2 = (delta3 @ weights.W2) * (a2 * (1.0 - a2))
    W1 = delta2.T @ X + pull(weights.W1, l1, l2)
    W2 = delta3.T @ a2 + pull(weights.W2, l1, l2)
    return np.concatenate([W1.ravel(), delta2.sum(axis=0), W2.ravel(), delta3.sum(axis=0)])


def look(weights: Weights, X: Array, labels: Labels, l1: float, l2: float) -> tuple[Array, Step]:
    """Forward and backward once: the gradient, flat, and what the rows cost."""
    X = X.astype(weights.W1.dtype, copy=False)
    Y = np.eye(len(weights.b2), dtype=X.dtype)[labels]
    a2, logits = forward(weights, X)
    loss = float(cross_entropy(logits, Y).sum(dtype=np.float64))
    right = int(np.count_nonzero(logits.argmax(axis=1) == labels))
    return backpropagate(weights, X, Y, a2, logits, l1, l2), Step(loss + penalty(weights, l1, l2), loss, right)


def descend(
    flat: Array,
    sizes: Sizes,
    X: Array,
    labels: Labels,
    generator: np.random.Generator,
    each_epoch: Callable[[list[Step]], None],
    *,
    l1: float,
    l2: float,
    epochs: int,
    learning_rate: float,
    momentum: float,
    decay: float,
    cumulative_decay: bool,
    shuffle: bool,
    minibatches: int,
) -> str:
    """Stochastic gradient descent: move ``flat``, in place, a step down the slope of each mini-batch's own J.

    The slope of a few rows points in roughly the same direction as that of all rows, at a fraction of the cost.

    Returns:
        Why it ended.
    """
    weights = split(flat, sizes)
    step = np.zeros_like(flat)
    order = np.arange(len(X))
    batch = np.empty((-(-len(X) // minibatches), X.shape[1]), dtype=flat.dtype)  # reusing the memory is faster
    rate = learning_rate
    for epoch in range(epochs):
        # Long steps first, to get near; short ones later, because batch noise prevents convergence.
        rate = (rate if cumulative_decay else learning_rate) / (1.0 + epoch * decay)
        if shuffle:  # otherwise every epoch has the same batches; rows sorted by class give one class per batch
            order = generator.permutation(len(X))
        steps = []
        for rows in np.array_split(order, minibatches):
            batch[: len(rows)] = X[rows]
            gradient, measured = look(weights, batch[: len(rows)], labels[rows], l1, l2)
            # A ball that keeps rolling: it gains speed where slopes agree; where they alternate they cancel.
            step *= momentum
            step -= rate * gradient
            flat += step
            steps.append(measured)
        each_epoch(steps)
    return f"{epochs} epochs done"


def minimise(
    method: str,
    flat: Array,
    sizes: Sizes,
    X: Array,
    labels: Labels,
    each_iteration: Callable[[list[Step]], None],
    *,
    l1: float,
    l2: float,
    iterations: int,
) -> str:
    """Move ``flat``, in place, by SciPy's BFGS or L-BFGS: J of all rows, with curvature estimated from earlier steps.

    Returns:
        Why it ended, in SciPy's words.
    """
    X = X.astype(np.float64, copy=False)
    last: dict[bytes, Step] = {}  # of the last evaluated point, which is nearly always the accepted one

    def cost_and_gradient(point: Array) -> tuple[float, Array]:
        gradient, measured = look(split(point, sizes), X, labels, l1, l2)
        last.clear()
        last[point.tobytes()] = measured
        return measured.cost, gradient

    def accepted(intermediate_result: OptimizeResult) -> None:
        flat[:] = intermediate_result.x
        if flat.tobytes() not in last:
            cost_and_gradient(flat)
        each_iteration([last[flat.tobytes()]])

    limits = {"maxiter": iterations} | ({"maxfun": 100 * iterations} if method == "lbfgs" else {})
    name = {"lbfgs": "L-BFGS-B", "bfgs": "BFGS"}[method]
    # NumPy and SciPy bring an OpenBLAS each, and the threads of one are busy waiting while the other computes: with two
    # threads 784–50–10 took 2.4 times as long as with one, and 64–32–10 30 times.
    with threadpool_limits(1, user_api="blas"):
        result = minimize(cost_and_gradient, flat.copy(), jac=True, method=name, callback=accepted, options=limits)
    return str(result.message)


Gradient = Callable[[Weights, Array, Array, Array, Array, float, float], Array]
STEP = 3e-5  # a longer step adds curvature error, a shorter one rounding error


@dataclass(frozen=True, eq=False)
class GradientCheck:
    """Backpropagation compared with central differences, by matrix: "W1", "b1", "W2", "b2".

    Attributes:
        backpropagated, differences: slopes of the checked weights, float64 (M,).
        tolerance: upper bound of the relative error.
    """

    backpropagated: dict[str, Array]
    differences: dict[str, Array]
    tolerance: float = 1e-7

    @property
    def relative_errors(self) -> dict[str, float]:
        """‖a − b‖ / (‖a‖ + ‖b‖) of each matrix: 0 if equal, 1 if unrelated."""
        errors = {}
        for name, a in self.backpropagated.items():
            b = self.differences[name]
            size = np.linalg.norm(a) + np.linalg.norm(b)
            errors[name] = float(np.linalg.norm(a - b) / size) if size else 0.0
        return errors

    @property
    def passed(self) -> bool:
        """Whether every matrix has a relative error below the tolerance."""
        return all(error < self.tolerance for error in self.relative_errors.values())

    def __str__(self) -> str:
        return "\n".join(
            f"{name}: relative error {error:.1e} over {len(self.differences[name])} weights, "
            f"{'right' if error < self.tolerance else 'WRONG'}"
            for name, error in self.relative_errors.items()
        )


def check_gradient(
    flat: Array,
    sizes: Sizes,
    X: Array,
    labels: Labels,
    generator: np.random.Generator,
    *,
    l1: float,
    l2: float,
    most: int,
    gradient: Gradient = backpropagate,
) -> GradientCheck:
    """Estimate the slope of J along single weights: move each a little up and down and measure the cost.

    Differences are taken per output and then summed: the difference of two large sums would keep few digits.

    Args:
        most: weights of each matrix to check, drawn by ``generator`` if there are more.
        gradient: function to check, with the arguments of `backpropagate`.
    """
    X, Y, flat = X.astype(np.float64), np.eye(sizes[2])[labels], flat.astype(np.float64)
    weights = split(flat, sizes)
    slopes = split(gradient(weights, X, Y, *forward(weights, X), l1, l2), sizes)
    # The unit's sum must move little: in the first layer it moves by the weight's step times the feature.
    first = STEP / max(1.0, float(np.abs(X).max()))
    backpropagated, differences = {}, {}
    for name, values, slope in zip(Weights._fields, weights, slopes, strict=True):
        step = first if name == "W1" else STEP
        # Within one step of 0 lies the corner of |w|, where the slope is undefined.
        usable = np.flatnonzero(np.abs(values) > step) if l1 else np.arange(values.size)
        chosen = np.sort(generator.choice(usable, size=min(most, usable.size), replace=False))
        found = []
        for where in zip(*np.unravel_index(chosen, values.shape), strict=True):
            middle = values[where]
            values[where] = above = middle + step
            costs = cross_entropy(forward(weights, X)[1], Y)
            values[where] = below = middle - step
            costs -= cross_entropy(forward(weights, X)[1], Y)
            values[where] = middle
            penalties = penalty(_alone(name, above), l1, l2) - penalty(_alone(name, below), l1, l2)
            found.append((costs.sum() + penalties) / (above - below))
        backpropagated[name], differences[name] = slope.ravel()[chosen], np.array(found)
    return GradientCheck(backpropagated, differences)


def _alone(name: str, value: float) -> Weights:
    """Weights with a single entry: the penalty is a sum over weights, and only this one moved."""
    return Weights(**{field: np.full(1, value if field == name else 0.0) for field in Weights._fields})

"""Stochastic gradient descent, one point a step, for many tiny networks at once.

A network of two or three units is so small that a step of one costs nothing but the calls. Here each call is made for
all networks together, on arrays that are there already, and the gradient is written down by hand: a sigmoid under
cross-entropy leaves (p − y), and the chain rule does the rest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from .nets import Float64Array, Int64Array, Nets, cross_entropy


@dataclass(frozen=True, eq=False)
class Course:
    """How the learning went.

    Attributes:
        nets: as they are at the end.
        loss: float64 (E, B): the losses of an epoch's steps added up, each as it was before its step.
        accuracy: float64 (E, B): the share of the points that were right before their step.
    """

    nets: Nets
    loss: Float64Array
    accuracy: Float64Array


def learn(
    nets: Nets,
    inputs: Float64Array,
    labels: Float64Array,
    *,
    lr: float,
    epochs: int,
    first: int = 0,
    progress: Callable[[int], None] | None = None,
) -> Course:
    """Train all networks for so many epochs; those given stay as they are.

    Args:
        nets: where they begin.
        inputs: float64 (N, D).
        labels: float64 (N,), 0 or 1.
        lr: the learning rate.
        epochs: E.
        first: number of the first epoch, where it goes on from an earlier course.
        progress: called with the number of epochs done.
    """
    state = _State(nets, len(inputs), lr)
    loss, accuracy = np.empty((epochs, len(nets))), np.empty((epochs, len(nets)))
    for epoch in range(epochs):
        order = orders(nets.seeds, first + epoch, len(inputs))
        targets = labels[order]
        logits = state.epoch(inputs[order].transpose(0, 2, 1), targets)
        loss[epoch] = cross_entropy(logits, targets).sum(axis=0)
        accuracy[epoch] = ((logits > 0) == (targets > 0.5)).mean(axis=0)
        if progress:
            progress(epoch + 1)
    return Course(Nets(state.inward, state.outward, nets.widths, nets.seeds), loss, accuracy)


def orders(seeds: Int64Array, epoch: int, points: int) -> Int64Array:
    """In which order each network sees the points in an epoch: int64 (points, B), the same for the same seed."""
    drawn = np.random.default_rng(epoch).random((int(seeds.max()) + 1, points))
    return drawn.argsort(axis=1)[seeds].T


class _State:
    """The weights as they change, and the arrays that every step writes into."""

    def __init__(self, nets: Nets, points: int, lr: float) -> None:
        self.inward, self.outward, self.lr = nets.inward.copy(), nets.outward.copy(), lr
        most = len(self.outward) - 1
        self._inputs = np.ones((points, len(self.inward), 1, len(nets)))  # the last of each point is the bias's 1
        self._logits = np.empty((points, len(nets)))
        self._hidden = np.ones((most + 1, len(nets)))  # the last is the bias's 1
        self._error = np.empty(len(nets))
        self._back = np.empty((most, len(nets)))
        self._by_input, self._by_unit = np.empty_like(self.inward), np.empty_like(self.outward)

    def epoch(self, inputs: Float64Array, targets: Float64Array) -> Float64Array:
        """One step for each row of inputs (N, D, B) and targets (N, B); the logits before each step (N, B)."""
        self._inputs[:, :-1, 0] = inputs
        for point, target, logit in zip(self._inputs, targets, self._logits, strict=True):
            self._step(point, target, logit)
        return self._logits

    def _step(self, point: Float64Array, target: Float64Array, logit: Float64Array) -> None:
        """Forward, backward and update, for every network with a point of its own."""
        inward, outward, hidden, back = self.inward, self.outward, self._hidden, self._back
        by_input, by_unit, error = self._by_input, self._by_unit, self._error
        units = hidden[:-1]

        np.multiply(inward, point, out=by_input)
        np.add.reduce(by_input, axis=0, out=units)
        expit(units, out=units)
        np.multiply(outward, hidden, out=by_unit)
        np.add.reduce(by_unit, axis=0, out=logit)

        expit(logit, out=error)  # δ = lr · (p − y)
        np.subtract(error, target, out=error)
        np.multiply(error, self.lr, out=error)
        np.subtract(1, units, out=back)  # δ · w · a · (1 − a), with w from before the step
        np.multiply(back, units, out=back)
        np.multiply(back, outward[:-1], out=back)
        np.multiply(back, error, out=back)

        np.multiply(hidden, error, out=by_unit)
        np.subtract(outward, by_unit, out=outward)
        np.multiply(point, back, out=by_input)
        np.subtract(inward, by_input, out=inward)

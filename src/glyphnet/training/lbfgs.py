"""L-BFGS: the last steps tell how the loss bends, and so where its lowest point should be.

After Nocedal and Wright, "Numerical Optimization", 2nd edition, 2006: the direction by algorithm 7.4, the length of the
step by algorithms 3.5 and 3.6. PyTorch's own goes through the past vector by vector and weight by weight, which for
small networks takes several times as long as all looks at the images. Here the past is one matrix; one product with
itself has every inner product that the recursion asks for, which then goes on with a few dozen plain numbers (Chen,
Wang and Zhou, "Large-scale L-BFGS using MapReduce", 2014).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from .eager import eager

MOST_LOOKS = 25
"""Looks at the loss in one search along a line."""

SUFFICIENT = 1e-4
"""Share of the loss that the slope at the start promises, which a step must bring (strong Wolfe, c₁)."""

FLATTER = 0.9
"""Share of the slope at the start that may be left at the end of a step (strong Wolfe, c₂)."""

NOISE = 1e-8
"""Share of the loss that float32 does not show."""


class Point(NamedTuple):
    """A place on the line that is searched.

    Attributes:
        length: how far from the start, in directions.
        loss: there.
        slope: of the loss along the line.
        gradient: float (n,).
    """

    length: float
    loss: float
    slope: float
    gradient: Tensor


@eager
class LBFGS(torch.optim.Optimizer):
    """Each step is one iteration, which leaves the weights as they are if it finds nothing better.

    Args:
        weights: what it changes.
        lr: length of the first step tried on each line.
        history_size: number of past steps that are kept, m.
        tolerance: no step where no derivative is larger.

    Attributes:
        looked_here: whether the closure was last called at the weights that are there now: what it gave still holds.
    """

    def __init__(self, weights: Iterable[nn.Parameter], *, lr: float, history_size: int, tolerance: float) -> None:
        super().__init__(weights, {"lr": lr, "history_size": history_size, "tolerance": tolerance})
        self._weights: list[Tensor] = self.param_groups[0]["params"]
        self._sizes = [weight.numel() for weight in self._weights]
        self.looked_here = False

    def step(self, closure: Callable[[], Tensor]) -> bool:  # type: ignore[override]
        """One iteration; whether it has found a better place.

        Args:
            closure: gives the loss at the present weights and writes their gradients; autograd is on.
        """
        closure = torch.enable_grad()(closure)
        start = torch.cat([weight.reshape(-1) for weight in self._weights])
        loss, gradient = self._look(closure)
        if not math.isfinite(loss) or float(gradient.abs().max()) <= self.param_groups[0]["tolerance"]:
            return False
        past = self._past(gradient)
        while not (moved := self._go(closure, start, loss, gradient, past)) and past["count"]:
            past["count"] = 0  # what it remembers misleads: once more, straight downhill
        return moved

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what ``state_dict`` gave; the weights may be others, too."""
        super().load_state_dict(state_dict)
        self.looked_here = False

    def _go(
        self, closure: Callable[[], Tensor], start: Tensor, loss: float, gradient: Tensor, past: dict[str, Any]
    ) -> bool:
        """Search along one line from ``start``, and remember the step; whether there was a better place."""
        direction, slope = _direction(past, gradient)

        def look(length: float) -> Point:
            self._write(torch.add(start, direction, alpha=length))
            there, slopes = self._look(closure)
            return Point(length, there, float(slopes.dot(direction)), slopes)

        first = 1.0 if past["count"] else min(1.0, 1.0 / float(gradient.abs().sum()))
        begin = Point(0.0, loss, slope, gradient)
        if not slope < 0.0:
            return False
        found, last = search(look, begin, first * self.param_groups[0]["lr"])
        if found is not last:
            self._write(torch.add(start, direction, alpha=found.length))
        if found is begin:
            return False
        _remember(past, direction * found.length, found.gradient - gradient)
        return True

    def _past(self, gradient: Tensor) -> dict[str, Any]:
        """Under the first weight: ``rows``, float (2m + 1, n), the m last steps, the changes of the gradient in each,
        and the present gradient; ``count`` of the steps remembered since the last one forgotten."""
        slots: dict[str, Any] = self.state[self._weights[0]]
        if not slots:
            slots["rows"] = gradient.new_zeros(2 * self.param_groups[0]["history_size"] + 1, len(gradient))
            slots["count"] = 0
        return slots

    def _look(self, closure: Callable[[], Tensor]) -> tuple[float, Tensor]:
        """The loss, and all derivatives in one row: float (n,)."""
        loss = float(closure())
        self.looked_here = True
        gradients = (torch.zeros_like(weight) if weight.grad is None else weight.grad for weight in self._weights)
        return loss, torch.cat([gradient.reshape(-1) for gradient in gradients])

    def _write(self, flat: Tensor) -> None:
        self.looked_here = False
        parts = flat.split(self._sizes)
        torch._foreach_copy_(self._weights, [part.view_as(w) for part, w in zip(parts, self._weights, strict=True)])


def _direction(past: dict[str, Any], gradient: Tensor) -> tuple[Tensor, float]:
    """Minus the inverse Hessian that the past tells times the gradient: float (n,); and the slope in that direction."""
    rows, count = past["rows"], past["count"]
    kept = len(rows) // 2
    rows[-1] = gradient
    products: npt.NDArray[np.float64] = (rows @ rows.T).cpu().double().numpy()
    shares = np.zeros(len(rows))  # the direction as a sum of rows
    shares[-1] = -1.0
    order = [index % kept for index in range(max(0, count - kept), count)]  # from the oldest on
    alphas = {}
    for step in reversed(order):
        alphas[step] = products[step] @ shares / products[step, kept + step]
        shares[kept + step] -= alphas[step]
    if order:
        step, change = order[-1], kept + order[-1]
        shares *= products[step, change] / products[change, change]
    for step in order:
        beta = products[kept + step] @ shares / products[step, kept + step]
        shares[step] += alphas[step] - beta
    direction = torch.tensor(shares, dtype=rows.dtype).to(rows.device) @ rows
    return direction, float(products[-1] @ shares)


def _remember(past: dict[str, Any], step: Tensor, change: Tensor) -> None:
    """Keep a step and the change of the gradient in it, unless they say that the loss bends downwards."""
    rows = past["rows"]
    kept = len(rows) // 2
    if not float(step.dot(change)) > torch.finfo(change.dtype).eps * float(change.dot(change)):
        return
    index = past["count"] % kept
    rows[index], rows[kept + index] = step, change
    past["count"] += 1


def search(look: Callable[[float], Point], begin: Point, length: float) -> tuple[Point, Point]:
    """A point on a line where the loss is lower and flatter (the strong Wolfe conditions), or the lowest one seen.

    Args:
        look: gives the point at a length.
        begin: the start, from where the loss falls.
        length: to try first.

    Returns:
        That point, ``begin`` itself if none was lower; and the point that was looked at last.
    """
    low, high = begin, None  # the lowest so far; and, once known, the other end of where a good one must lie
    here = begin
    for _ in range(MOST_LOOKS):
        before, here = low, look(length)
        too_high = not here.loss <= begin.loss + SUFFICIENT * here.length * begin.slope  # also where it is no number
        if too_high or (low is not begin and here.loss >= low.loss):
            high = here
        elif abs(here.slope) <= -FLATTER * begin.slope:
            return here, here
        else:
            if here.slope * ((high.length if high else math.inf) - low.length) >= 0:
                high = low
            low = here
        if high is None:
            length = _lowest_between(before, here, here.length * 1.1, here.length * 10)
            continue
        apart = high.length - low.length
        length = _lowest_between(low, high, low.length + 0.1 * apart, low.length + 0.9 * apart)
        if abs(apart * begin.slope) <= NOISE * abs(begin.loss):
            break
    return low, here


def _lowest_between(a: Point, b: Point, least: float, most: float) -> float:
    """Where the cubic through two points and their slopes is lowest, kept between two bounds; else in their middle."""
    least, most = min(least, most), max(least, most)
    if not math.isfinite(b.loss) or not math.isfinite(b.slope):
        return (least + most) / 2
    one = a.slope + b.slope - 3 * (a.loss - b.loss) / (a.length - b.length)
    square = one * one - a.slope * b.slope
    if square < 0:
        return (least + most) / 2
    two = math.copysign(math.sqrt(square), b.length - a.length)
    under = b.slope - a.slope + 2 * two
    lowest = b.length - (b.length - a.length) * (b.slope + two - one) / under if under else math.nan
    return min(max(lowest, least), most) if math.isfinite(lowest) else (least + most) / 2

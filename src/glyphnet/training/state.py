"""Everything that changes during training, in one place: the content of a checkpoint."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ..augment import Augmenter
from ..errors import SettingsError
from ..nn import Preprocessing, build
from ..nn.spec import InputShape
from ..seeding import derived_seed
from .collective import ALONE, Collective
from .fast.layers import Backpropagation
from .losses import Loss
from .recipe import Recipe

HistoryRow = dict[str, float | None]
"""One epoch: epoch (from 1), loss, accuracy, val_loss, val_accuracy (None without validation), lr, seconds."""

HISTORY_KEYS = ("epoch", "loss", "accuracy", "val_loss", "val_accuracy", "lr", "seconds")


@dataclass(frozen=True, eq=False)
class Pretrained:
    """What a training begins with: weights of a network without its head, and how its inputs were scaled."""

    weights: Mapping[str, Tensor]
    preprocessing: Preprocessing


@dataclass(eq=False)
class TrainingState:
    """One training in progress.

    Attributes:
        recipe, preprocessing, augmenter, collective: fixed.
        network: the network in training, on its device, channels last.
        average: the averaged weights, where the recipe asks for them.
        full_rates: the learning rate of each of the optimizer's groups, before the schedule.
        epoch, total_steps: finished epochs and steps since the start.
        step: finished steps of the epoch now running.
        seconds: time spent in the epoch now running, before the last pause.
        best: weights and buffers of the epoch to keep, on the CPU; ``best_epoch`` is which that was.
        monitored, stale: early stopping's best value, and the epochs since then.
        shares: the share of each class in the answers to unlabelled pictures, a moving average: float32 (K,), on the
            device; None where there are no such pictures.
        converged: whether a full-batch optimizer has found nothing more to gain.
        random: torch's random numbers, by device, as they were when the training last paused.
    """

    recipe: Recipe
    network: nn.Module
    preprocessing: Preprocessing
    augmenter: Augmenter
    optimizer: torch.optim.Optimizer
    average: WeightAverage | None
    metrics: Metrics
    full_rates: tuple[float, ...]
    collective: Collective = ALONE
    epoch: int = 0
    step: int = 0
    total_steps: int = 0
    seconds: float = 0.0
    history: list[HistoryRow] = field(default_factory=list)
    best: dict[str, Tensor] | None = None
    best_epoch: int = 0
    monitored: float | None = None
    stale: int = 0
    shares: Tensor | None = None
    converged: bool = False
    random: dict[str, Tensor] = field(default_factory=dict)

    @classmethod
    def start(
        cls, recipe: Recipe, input_shape: InputShape, classes: int, preprocessing: Preprocessing, device: torch.device,
        collective: Collective = ALONE, weights: Mapping[str, Tensor] | None = None,
    ) -> TrainingState:  # fmt: skip
        """The state before the first step. The caller's random state does not change.

        ``weights`` are those to begin with, but for the head; None for random ones.
        """
        network = initial_network(recipe, input_shape, classes)
        if weights:
            _check_fit(network, weights)
            network.load_state_dict(network.state_dict() | dict(weights))
        network = network.to(device=device)
        network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch has it
        alone = device.type == "cpu" and collective.size == 1
        if alone and not recipe.optimizer.full_batch and Backpropagation.covers(network):
            Backpropagation.lay_out(network)
        optimizer = recipe.optimizer.build(network)
        return cls(
            recipe=recipe,
            network=network,
            preprocessing=preprocessing,
            augmenter=Augmenter(recipe.augment, recipe.augment_share),
            optimizer=optimizer,
            average=WeightAverage(network, recipe.ema) if recipe.ema else None,
            metrics=Metrics(recipe.loss, device),
            full_rates=tuple(float(group["lr"]) for group in optimizer.param_groups),
            shares=torch.zeros(classes, device=device) if recipe.unlabelled else None,
            collective=collective,
        )

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return self.metrics.device

    @property
    def totals(self) -> Tensor:
        """Summed loss and number of right answers in the running epoch: float64 (2,), the live tensor."""
        return self.metrics.totals()

    def eval_model(self) -> nn.Module:
        """The network to validate: the averaged one if there is one."""
        if self.average is None:
            return self.network
        self.average.update_buffers(self.network)
        return self.average.network

    def weights_to_keep(self) -> dict[str, Tensor]:
        """A copy of weights and buffers of `eval_model`, on the CPU, row by row."""
        kept = self.eval_model().state_dict()
        return {name: tensor.cpu().clone(memory_format=torch.contiguous_format) for name, tensor in kept.items()}

    def seed_random(self, seed: int) -> None:
        """Restart torch's random numbers, as ``torch.manual_seed`` does."""
        if self.device.type == "cpu":
            torch.default_generator.manual_seed(seed)  # the other also looks for all kinds of devices: half a ms
        else:
            torch.manual_seed(seed)

    def keep_random(self) -> None:
        """Remember where torch's random numbers stand."""
        self.random = {"cpu": torch.get_rng_state()}
        if self.device.type == "cuda":
            self.random["cuda"] = torch.cuda.get_rng_state(self.device)

    @contextmanager
    def own_random(self) -> Iterator[None]:
        """Inside the block torch's random numbers continue from where `keep_random` found them, if it was called."""
        if "cpu" in self.random:
            torch.set_rng_state(self.random["cpu"])
        if "cuda" in self.random:
            torch.cuda.set_rng_state(self.random["cuda"], self.device)
        yield
        self.keep_random()

    def state_dict(self) -> dict[str, Any]:
        """Everything that changes; tensors are the live ones, not copies."""
        return {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": self.average.network.state_dict() if self.average else None,
            "totals": self.totals,
            "shares": self.shares,
            **{name: getattr(self, name) for name in _PLAIN},
        }

    def load_state_dict(self, values: dict[str, Any]) -> None:
        """Go back to where `state_dict` was called."""
        self.network.load_state_dict(values["network"])
        rates = [group["lr"] for group in self.optimizer.param_groups]
        self.optimizer.load_state_dict(values["optimizer"])
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            group["lr"] = rate  # the same object: on CUDA a tensor; its value is set before each step
        for parameter, slots in self.optimizer.state.items():
            for name, slot in slots.items():
                if isinstance(slot, Tensor) and slot.shape == parameter.shape:
                    # A file holds tensors row by row; fused steps need moments laid out as their weights are.
                    slots[name] = torch.empty_like(parameter, dtype=slot.dtype).copy_(slot)
        if self.average:
            self.average.network.load_state_dict(values["average"])
        self.totals.copy_(values["totals"])
        if self.shares is not None:
            self.shares.copy_(values["shares"])
        for name in _PLAIN:
            setattr(self, name, values[name])


def _check_fit(network: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Raise SettingsError unless weights are all those of a network but its head's."""
    wanted = {name: tensor.shape for name, tensor in network.state_dict().items() if not name.startswith("head.")}
    found = {name: tensor.shape for name, tensor in weights.items()}
    if wrong := sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name)):
        raise SettingsError(
            f"network: the backbone's weights are of another network ({len(wrong)} do not fit, such as {wrong[0]}). "
            "Leave out the network's settings: the backbone brings its own."
        )


def initial_network(recipe: Recipe, input_shape: InputShape, classes: int) -> nn.Module:
    """The untrained network, the same at each call. The caller's random state does not change."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derived_seed(recipe.seed, "weights"))
        return build(recipe.network, input_shape, classes)


_PLAIN = (
    "epoch", "step", "total_steps", "seconds", "history", "best", "best_epoch", "monitored", "stale",
    "converged", "random",
)  # fmt: skip


class WeightAverage:
    """A moving average of a network's weights: w̄ ← d·w̄ + (1−d)·w after each step (Polyak and Juditsky, 1992).

    Early on, when there is little to average, d is smaller: min(decay, (1 + t) / (10 + t)) at step t.

    Attributes:
        network: the averaged network, in evaluation mode; complete after `update_buffers`.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network = copy.deepcopy(network).eval()
        self.network.requires_grad_(False)
        self._decay = decay
        self._averages: list[Tensor] = list(self.network.parameters())

    def update(self, network: nn.Module, step: int) -> None:
        """Move towards ``network``'s weights after its step number ``step`` (from 0)."""
        decay = min(self._decay, (1 + step) / (10 + step))
        with torch.no_grad():
            torch._foreach_lerp_(self._averages, list(network.parameters()), 1.0 - decay)

    def update_buffers(self, network: nn.Module) -> None:
        """Take over ``network``'s buffers (the statistics of its batch norms), which are averages already."""
        for average, buffer in zip(self.network.buffers(), network.buffers(), strict=True):
            average.copy_(buffer)


# Metrics of the running epoch

COUNTED_AT_ONCE = 64
"""Steps whose answers are counted together: for small networks counting costs as much as a step's arithmetic."""


class Answers(NamedTuple):
    """A network's logits for a batch, float32 (n, K), not changed any more; the rest: see `Batch`."""

    logits: Tensor
    labels: Tensor
    targets: Tensor
    weights: Tensor | None

    @property
    def right(self) -> Tensor:
        """Which answers are right: bool (n,)."""
        return self.logits.max(1).indices == self.labels  # half the time of argmax, and the same

    def weighted(self, losses: Tensor) -> Tensor:
        """Losses of these examples, float32 (n,), each times its weight."""
        return losses if self.weights is None else losses * self.weights


class Metrics:
    """The totals of the epoch now running."""

    def __init__(self, loss: Loss, device: torch.device) -> None:
        self.device = device
        self._loss = loss
        self._totals = torch.zeros(2, dtype=torch.float32 if device.type == "mps" else torch.float64, device=device)
        self._waiting: list[Answers] = []

    def totals(self) -> Tensor:
        """Summed loss and number of right answers, all of them: float64 (2,) on the device, the live tensor."""
        if self._waiting:
            self._count_waiting()
        return self._totals

    def counts(self, losses: Tensor, right: Tensor) -> Tensor:
        """What a batch adds to the totals, from weighted losses, float (n,), and right, bool (n,).

        Nothing is read back from the device.
        """
        return torch.stack((losses.detach().sum().to(self._totals.dtype), right.sum().to(self._totals.dtype)))

    def add(self, counts: Tensor) -> None:
        """Add what `counts` gave."""
        self._totals += counts

    def count_later(self, answers: Answers) -> None:
        """Add a batch when the totals are next read, or together with the next few dozen."""
        self._waiting.append(answers)
        if len(self._waiting) >= COUNTED_AT_ONCE:
            self._count_waiting()

    def losses(self, answers: Answers) -> Tensor:
        """The weighted loss of each example: float32 (n,)."""
        return answers.weighted(self._loss.per_image(answers.logits, answers.targets))

    def _count_waiting(self) -> None:
        logits, labels, targets, weights = zip(*self._waiting, strict=True)
        self._waiting.clear()
        wanted = torch.cat(labels)
        all_targets = wanted if targets[0] is labels[0] else torch.cat(targets)
        together = Answers(torch.cat(logits), wanted, all_targets, None if weights[0] is None else torch.cat(weights))
        # One after another: a run may stop in between, so how many are counted together must not show.
        losses = self.losses(together).to(self._totals.dtype)
        self._totals[0] = torch.cat((self._totals[:1], losses)).cumsum(0)[-1]
        self._totals[1] += together.right.sum()

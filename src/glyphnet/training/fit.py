"""The training loop: the only one in the project."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from ..errors import DivergedError, SettingsError, TrainingError
from ..nn import Inputs, Preprocessing, build, logits_in_batches, without_head
from ..nn.inference import keep_freed_memory
from ..nn.kinds import LinearSpec
from ..nn.modules import head_of
from ..seeding import derived_seed
from .callbacks import Callback, StepInfo
from .checkpoint import read_checkpoint
from .collective import ALONE, Collective
from .consistency import ConsistencyStep, check_unlabelled, paired_batches, steps_an_epoch
from .device import Arithmetic, flushing_denormals, using_threads
from .examples import Batches, Examples, balanced_order, batch_count, epoch_order
from .features import Features
from .optimizers import LBFGS
from .recipe import Recipe
from .state import HISTORY_KEYS, HistoryRow, Pretrained, TrainingState
from .steps import Step, make_step, set_learning_rate

LOOK_EVERY = 1.0
"""Seconds between two looks at whether the loss is still a number: a look waits for the device."""

HEAD_L2 = (0.01, 0.03, 0.1, 0.3, 1.0)
"""Strengths of l2 that are tried for the last layer over a backbone."""
HEAD_IMAGES = 1000
"""The last layer over a backbone is fitted on so many images, augmented copies among them where there are fewer."""

Ending = Literal["finished", "early_stopping", "converged", "stopped"]


@dataclass(frozen=True, eq=False)
class FitResult:
    """The result of a training.

    Attributes:
        network: on the CPU, in evaluation mode, with the weights of ``best_epoch``.
        preprocessing: measured on the training inputs.
        history: a row an epoch; see `HistoryRow`.
        best_epoch: the epoch (from 1) whose weights were kept; 0 if none was finished.
        ending: "finished" all epochs, "early_stopping", "converged" (L-BFGS), or "stopped" by a callback.
        seconds: spent in training and validation, pauses left out.
        device, precision, threads, processes: how the arithmetic was done; the threads are those of one process.
    """

    network: nn.Module
    preprocessing: Preprocessing
    history: list[HistoryRow]
    best_epoch: int
    ending: Ending
    seconds: float
    device: str
    precision: str
    threads: int
    processes: int = 1

    def right(self, images: Inputs, labels: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Which images, uint8 (N, H, W, C), the network names as their labels (N,) say: bool (N,)."""
        logits = torch.cat(list(logits_in_batches(self.network, self.preprocessing, images)))
        right: npt.NDArray[np.bool_] = logits.argmax(1).cpu().numpy() == labels
        return right


class Fitting:
    """A resumable training run. `fit`, which tells of the arguments, is the convenience wrapper.

    Of several processes, the ``collective``, each makes this with the same arguments.

    Attributes:
        arithmetic: on which device, in which precision, with how many threads.
        state: everything that changes.
        batches: what its steps look at.
        features: what has computed the features of a backbone, after the first epoch; None before, and without one.
    """

    def __init__(
        self, recipe: Recipe, train: Examples, validation: Examples | None, classes: int, device: str = "auto",
        collective: Collective = ALONE, threads: int | None = None, pretrained: Pretrained | None = None,
        unlabelled: Examples | None = None, keep_features: bool = False,
    ) -> None:  # fmt: skip
        check_together(recipe, train, validation, classes)
        check_unlabelled(recipe, train, unlabelled, collective.size)
        self.recipe, self.classes, self.collective = recipe, classes, collective
        self.features: Features | None = None
        self._keep_features = keep_features  # in the cache, for the next training
        check_parts(collective.size, len(train), recipe)
        self.arithmetic = Arithmetic.choose(
            recipe, train.input_shape, classes, len(train), device, collective.place, threads
        )
        where = self.arithmetic.device
        if pretrained is None:
            if recipe.backbone is not None:
                raise SettingsError(
                    "backbone: its weights were not given here. Set backbone to null to begin at random."
                )
            pretrained = Pretrained({}, Preprocessing.measure(train.inputs, recipe.preprocessing))
        self.state = TrainingState.start(
            recipe, train.input_shape, classes, pretrained.preprocessing, where, collective, pretrained.weights
        )
        self.validation = validation.on(where) if validation is not None and len(validation) else None
        self.unlabelled = unlabelled.on(where) if unlabelled is not None and recipe.unlabelled else None
        self.learn_from(train)

    def read_checkpoint(self, path: str | os.PathLike[str], terms: dict[str, Any]) -> dict[str, Any]:
        """Restore the state of a checkpoint of the same recipe, data and terms.

        The precision and, where as many processes share the work, the threads become those of then.

        Returns:
            The terms of then.

        Raises:
            RunFolderError, CorruptFileError: see `checkpoint.read_checkpoint`.
        """
        then = read_checkpoint(path, self.state, terms)
        as_many = then.get("processes", 1) == self.collective.size
        self._compute_as(then, threads=as_many)
        return then

    def learn_from(self, train: Examples) -> None:
        """Continue with other examples of the same shape and classes."""
        self.train = train.on(self.state.device)
        self.batches = Batches(self.state, self.train, self.classes)
        self._step: Step
        if self.unlabelled is None:
            self.steps_an_epoch = batch_count(len(train), self.recipe.batch_size)
            self._looked_at = len(train)  # labelled images that an epoch looks at
            self._step = make_step(self.state, self.batches, self.arithmetic.dtype)
        else:
            self.steps_an_epoch = steps_an_epoch(self.recipe, len(train), len(self.unlabelled))
            self._looked_at = self.steps_an_epoch * self.recipe.batch_size
            self._step = ConsistencyStep(self.state, self.batches, self.unlabelled, self.arithmetic.dtype)

    def _compute_as(self, terms: dict[str, Any], *, threads: bool = True) -> None:
        """Take over the precision of ``terms``, and the number of threads."""
        self.arithmetic = self.arithmetic.as_then(terms, threads=threads)
        self.learn_from(self.train)

    @property
    def terms(self) -> dict[str, Any]:
        """Settings that must match for bitwise-identical results."""
        return self.arithmetic.terms

    def run(self, *, callbacks: Sequence[Callback] = (), epochs: int | None = None) -> FitResult:
        """Train from the current state to the recipe's last epoch, or for ``epochs`` more.

        The caller's random numbers and number of threads are left as they were.

        Raises:
            DivergedError: the loss became NaN or infinite. Its ``result`` is a `FitResult` with the last good weights.
        """
        last = self.recipe.epochs if epochs is None else self.state.epoch + epochs
        cuda = [self.state.device] if self.state.device.type == "cuda" else []
        keep_freed_memory()
        self._follow_first()
        threads, own_random = using_threads(self.arithmetic.threads), self.state.own_random()
        with threads, flushing_denormals(), torch.random.fork_rng(devices=cuda), own_random:
            for callback in reversed(callbacks):  # signals are listened to before a checkpoint shows that they are
                callback.at_start(self.state)
            ending = self._run(last, callbacks)
            for callback in callbacks:
                callback.at_end(self.state)
            return self.result(ending)

    def result(self, ending: Ending) -> FitResult:
        """The network with the weights to keep, and how it was trained."""
        state = self.state
        kept = state.best or state.weights_to_keep()
        with torch.device("meta"):
            network = build(self.recipe.network, self.train.input_shape, self.classes)
        network.load_state_dict(kept, assign=True)
        return FitResult(
            network=network.to(memory_format=torch.channels_last).eval(),  # type: ignore[call-overload]  # torch has it
            preprocessing=state.preprocessing,
            history=list(state.history),
            best_epoch=state.best_epoch,
            ending=ending,
            seconds=sum(row["seconds"] or 0.0 for row in state.history) + state.seconds,
            **self.terms,
        )

    def _follow_first(self) -> None:
        """Copy the first process' state: it may have read a checkpoint, and chosen the precision."""
        if self.collective.size == 1:
            return
        self.collective.begin(self.state.device)
        first = self.collective.from_first({"terms": self.terms, "state": self.state.state_dict()})
        if self.collective.rank:
            self.state.load_state_dict(first["state"])
            self._compute_as(first["terms"])

    def _run(self, last: int, callbacks: Sequence[Callback]) -> Ending:
        while (ending := self._ending(last)) is None:
            if not self._run_epoch(last, callbacks):
                return "stopped"
            # A list, so that all are called, also after one that stops.
            asked = [callback.after_epoch(self.state.history[-1], self.state) for callback in callbacks]
            if self.collective.any(any(asked)):
                return self._ending(last) or "stopped"
        return ending

    def _ending(self, last: int) -> Ending | None:
        """Why the training is complete, from the state alone, so that a resumed run ends like an unbroken one."""
        early = self.recipe.early_stopping
        if self.state.converged:
            return "converged"
        if early is not None and self.state.stale >= early.patience:
            return "early_stopping"
        return "finished" if self.state.epoch >= last else None

    def _run_epoch(self, last: int, callbacks: Sequence[Callback]) -> bool:
        """Run an epoch, or the rest of one; false if a callback stopped it."""
        state = self.state
        first, before = state.step, state.seconds
        began = looked = time.perf_counter()
        if first == 0:
            state.seed_random(derived_seed(self.recipe.seed, "steps", state.epoch))
            state.totals.zero_()
        if not state.network.training or self.recipe.backbone is not None:
            state.network.train()
            if self.recipe.backbone is not None:
                freeze_norms(state.network)
        if self.recipe.backbone is not None and state.epoch == 0:
            self._fit_head()
            batches = []
        else:
            batches = self._batches()
            if self.unlabelled is None:
                self.batches.expect(batches, first)
        for batch in batches[first:]:
            self._before_step(len(batches))
            self._step(batch)
            self._after_step()
            now = time.perf_counter()
            state.seconds = before + now - began
            if not self.collective.looks_after(state.step, len(batches)):
                continue
            if now - looked > LOOK_EVERY or self.collective.size > 1:  # all find it after the same step
                self._check_loss()
                looked = now
            stop = False
            if callbacks:
                speed = (state.step - first) * self._looked_at / len(batches) / (now - began)
                info = StepInfo(state.epoch + 1, last, state.step, len(batches), speed)
                asked = [callback.after_step(info, state) for callback in callbacks]
                stop = any(asked)
            if self.collective.agree_to_stop(stop) and state.step < len(batches):
                return False
        self._check_loss(weights_too=True)
        row = self._judge()
        row["seconds"] = before + time.perf_counter() - began
        self._keep(row)
        return True

    def _fit_head(self) -> None:
        """Fit the last layer on the backbone's features, which are computed once: logistic regression.

        Its l2 is that with the smallest loss on validation. Of few images copies are made as each step would augment
        them: with one image a class, that is worth ten points on digits.
        """
        state, body = self.state, without_head(self.state.network)
        how = (*self.terms.items(), torch.__version__)
        features = self.features = Features(body, state.preprocessing, how, self._keep_features)
        parts = [self._with_copies(features)]
        if self.validation is not None:
            held = self.validation
            known = features(held.inputs, lambda: self._features(body, held.inputs))
            parts.append(Examples(known, held.labels, held.weights))
        best: FitResult | None = None
        for l2 in HEAD_L2 if len(parts) > 1 else (0.1,):
            loss = self.recipe.loss.model_copy(update={"label_smoothing": 0.0})
            recipe = Recipe(network=LinearSpec(), loss=loss, optimizer=LBFGS(), l2=l2, epochs=100, keep_best=False)
            found = fit(recipe, *parts, classes=self.classes, device=str(state.device), threads=self.arithmetic.threads)
            if best is None or (found.history[-1]["val_loss"] or 0) < (best.history[-1]["val_loss"] or 0):
                best = found
        assert best is not None
        mean, std = (
            torch.tensor(each, device=state.device) for each in (best.preprocessing.mean, best.preprocessing.std)
        )
        fitted, head = head_of(best.network).to(state.device), head_of(state.network)
        with torch.no_grad():
            head.weight.copy_(fitted.weight / std)
            head.bias.copy_(fitted.bias - head.weight @ mean)
        if state.average:
            state.average.network.load_state_dict(state.network.state_dict())
        last = best.history[-1]
        state.totals.copy_(torch.tensor([last["loss"] or 0.0, last["accuracy"] or 0.0]) * len(self.train))

    def _with_copies(self, features: Features) -> Examples:
        """The features of the training images, and of augmented copies if they are few."""
        train, augmenter, body = self.train, self.state.augmenter, features.body
        rounds = max(1, HEAD_IMAGES // len(train)) if augmenter.changes_images else 1

        def compute() -> torch.Tensor:
            copies = (augmenter.of_pixels(train.inputs) for _ in range(rounds - 1))
            return torch.cat([self._features(body, each) for each in (train.inputs, *copies)])

        by_chance = (rounds, self.recipe.seed, self.recipe.augment, self.recipe.augment_share) if rounds > 1 else ()
        found = features(train.inputs, compute, *by_chance)
        weights = None if train.weights is None else train.weights.repeat(rounds)
        return Examples(found, train.labels.repeat(rounds), weights)

    def _features(self, body: nn.Module, inputs: torch.Tensor) -> torch.Tensor:
        """What the last layer is given: float32 (N, F)."""
        return torch.cat(list(logits_in_batches(body, self.state.preprocessing, inputs)))

    def _batches(self) -> list[torch.Tensor]:
        """The indices of each step of the running epoch, on the device."""
        if self.recipe.optimizer.full_batch:
            return [torch.arange(len(self.train), device=self.state.device)]
        seed, epoch = self.recipe.seed, self.state.epoch
        if self.unlabelled is not None:
            return paired_batches(self.recipe, self.train.labels, len(self.unlabelled), epoch)
        if self.recipe.sampler == "balanced":
            order = balanced_order(self.train.labels.cpu(), seed, epoch).to(self.state.device)
        else:
            order = epoch_order(len(self.train), seed, epoch).to(self.state.device)
        # Even parts: no small last batch whose step weighs as much as the others'.
        return list(order.tensor_split(self.steps_an_epoch))

    def _before_step(self, steps: int) -> None:
        """Set the scheduled learning rate of the next optimizer step, of ``steps`` in an epoch."""
        state, recipe = self.state, self.recipe
        done = (state.total_steps + 0.5) / (steps * (recipe.epochs - (recipe.backbone is not None)))
        set_learning_rate(state, recipe.schedule.factor(min(done, 1.0), state.epoch))
        if self.collective.size > 1:  # each its own, and newly drawn: one checkpoint holds but one process' numbers
            purpose = f"steps of process {self.collective.rank}"
            state.seed_random(derived_seed(recipe.seed, purpose, state.total_steps))

    def _after_step(self) -> None:
        state = self.state
        if state.average:
            state.average.update(state.network, state.total_steps)
        state.step += 1
        state.total_steps += 1

    def _check_loss(self, *, weights_too: bool = False) -> None:
        """Raise DivergedError if the loss of this epoch, or a weight, is no number any more.

        Damage to the weights by the last step would only show in the next one's loss.
        """
        state = self.state
        sound = math.isfinite(state.totals[0].item())
        if sound and weights_too:
            norms = torch._foreach_norm(list(state.network.parameters()))
            sound = math.isfinite(torch.stack(norms).sum().item())
        if not sound:
            error = DivergedError(how_it_diverged(state))
            error.result = self.result("stopped") if state.best_epoch else None
            raise error

    def _judge(self) -> HistoryRow:
        """The row of the finished epoch, without its time."""
        state, count = self.state, self._looked_at
        loss, right = state.totals.tolist()
        row: HistoryRow = dict.fromkeys(HISTORY_KEYS)
        row.update(epoch=float(state.epoch + 1), loss=loss / count, accuracy=right / count)
        row["lr"] = float(state.optimizer.param_groups[0]["lr"])
        if self.validation is not None:
            network = state.eval_model()
            row["val_loss"], row["val_accuracy"] = validate(
                network, state.preprocessing, self.validation, self.recipe, self.collective
            )
        return row

    def _keep(self, row: HistoryRow) -> None:
        """Close the epoch: its row, the weights if they are the best so far, early stopping's count."""
        state = self.state
        state.history.append(row)
        chooses = self.recipe.keep_best and self.validation is not None
        if state.best is None or not chooses or _quality(row) > _quality(state.history[state.best_epoch - 1]):
            state.best, state.best_epoch = state.weights_to_keep(), state.epoch + 1
        if early := self.recipe.early_stopping:
            value = row[early.monitor]
            assert value is not None  # _check: what is monitored is measured
            score = value if early.monitor == "val_accuracy" else -value
            if state.monitored is None or score > state.monitored + early.min_delta:
                state.monitored, state.stale = score, 0
            else:
                state.stale += 1
        state.epoch, state.step, state.seconds = state.epoch + 1, 0, 0.0


def freeze_norms(network: nn.Module) -> None:
    """Let batch norms use the mean and variance of the backbone's training, which saw more images than these are."""
    for layer in network.modules():
        if isinstance(layer, _BatchNorm):
            layer.eval()


def fit(
    recipe: Recipe, train: Examples, validation: Examples | None = None, *, classes: int, device: str = "auto",
    threads: int | None = None, callbacks: Sequence[Callback] = (), unlabelled: Examples | None = None,
) -> FitResult:  # fmt: skip
    """Train a network as ``recipe`` says.

    Args:
        recipe: every setting.
        train: inputs uint8 (N, H, W, C) or float32 (N, D), labels in [0, ``classes``).
        validation: what each epoch is judged by; None or empty for none.
        classes: number of classes, K.
        device: "auto", "cpu", "cuda", "cuda:N", "mps".
        threads: how many to compute with; None chooses.
        callbacks: called after every step and epoch.
        unlabelled: further inputs, if the recipe learns from such; their labels are not read.

    Raises:
        SettingsError: the recipe does not go with these examples.
        DeviceError: the device is not there.
        DivergedError: the loss became NaN or infinite.
    """
    fitting = Fitting(recipe, train, validation, classes, device, threads=threads, unlabelled=unlabelled)
    return fitting.run(callbacks=callbacks)


# Checks: what cannot work is refused before training, and divergence is explained


def check_together(recipe: Recipe, train: Examples, validation: Examples | None, classes: int) -> None:
    """Refuse what cannot work before anything is built."""
    if not len(train):
        raise TrainingError("there are no training examples.")
    monitored = recipe.early_stopping.monitor if recipe.early_stopping else ""
    if monitored.startswith("val_") and not (validation and len(validation)):
        raise SettingsError(
            f"early_stopping.monitor is {monitored}, but there are no validation examples. Set "
            "data.validation_fraction above 0, or early_stopping.monitor to loss."
        )
    weights = recipe.loss.class_weight
    if isinstance(weights, tuple) and len(weights) != classes:
        raise SettingsError(f"loss.class_weight has {len(weights)} weights for {classes} classes.")
    if recipe.augment and train.inputs.ndim != 4:
        raise SettingsError(
            f"augment.{next(iter(recipe.augment))} changes images, but the inputs are vectors of "
            f"{train.inputs.shape[1]} features. Leave augment empty."
        )


def check_parts(processes: int, examples: int, recipe: Recipe) -> None:
    """Raise SettingsError unless each of so many processes gets an image of every batch."""
    if processes < 1:
        raise SettingsError(f"processes is {processes}: it must be 1 at least.")
    batches = 1 if recipe.optimizer.full_batch else batch_count(max(1, examples), recipe.batch_size)
    if 0 < (smallest := examples // batches) < processes:
        raise SettingsError(
            f"{processes} processes cannot share batches of {smallest} images: each needs one at least. "
            "Take fewer processes, or a larger batch_size."
        )


def how_it_diverged(state: TrainingState) -> str:
    """When the loss became NaN or infinite, what is kept, and what to try.

    The inputs are checked before training, so the cause is nearly always too large a step.
    """
    rate = max(float(group["lr"]) for group in state.optimizer.param_groups)
    best, optimizer = state.best_epoch, state.recipe.optimizer
    kept = f"the weights of epoch {best} are kept" if best else "no epoch was finished before it"
    if optimizer.full_batch:
        advice = "Try a little l2, or another optimizer."
    else:
        also = ", or precision=fp32" if state.recipe.precision == "bf16" else ""
        advice = f"Most likely the learning rate is too high: try optimizer.lr={optimizer.lr / 10:.1g}{also}."
    return (
        f"The loss became NaN or infinite in epoch {state.epoch + 1}, by step {state.step} (learning rate {rate:.3g}); "
        f"{kept}. {advice}"
    )


# Validation


def validate(
    network: nn.Module, preprocessing: Preprocessing, examples: Examples, recipe: Recipe, collective: Collective = ALONE
) -> tuple[float, float]:
    """Mean loss (without penalties and weights) and accuracy of ``network`` on ``examples``.

    Of several processes each looks at a part, and all get the same figures.
    """
    loss = right = 0.0
    inputs, labels = collective.part(examples.inputs), collective.part(examples.labels)
    for logits in logits_in_batches(network, preprocessing, inputs) if len(labels) else ():
        wanted, labels = labels[: len(logits)], labels[len(logits) :]
        loss += recipe.loss.per_image(logits, wanted).sum().item()
        right += (logits.argmax(1) == wanted).sum().item()
    loss, right = collective.sum(torch.tensor([loss, right], dtype=torch.float64)).tolist()
    return loss / len(examples), right / len(examples)


def _quality(row: HistoryRow) -> tuple[float, float]:
    """What makes an epoch's validation better: the accuracy, and the loss where that is equal."""
    return row["val_accuracy"] or 0.0, -(row["val_loss"] or 0.0)

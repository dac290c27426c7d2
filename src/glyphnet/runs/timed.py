"""Training for a given time: from a small network to larger ones, as long as there is time and validation gains.

Each step is a training with a schedule of its own, judged on validation images; where these are few, by
cross-validation. What was tried, and what is tried now, stands in the run folder's ``time.json``: a run that is stopped
in a step resumes there to the same bits, and decides the next one by the time that is left.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from ..data import Splits
from ..errors import CorruptFileError, DivergedError, SettingsError
from ..evaluation.labels import cross_validated_probabilities
from ..files import atomic_write_json, atomic_write_text, move, read_input, remove
from ..nn import summary
from ..nn.modules import join
from ..settings import Settings, parse_settings
from ..training import Callback, Examples, FitResult, Fitting, Recipe
from ..training.fit import validate
from ..training.loggers import LogTo
from ..units import duration, percent, plural
from .pace import seconds_an_epoch
from .run import Trained
from .trainer import Trainer

PLANNED = 0.92
"""Share of the time that is planned for: a machine is not equally quick all the time."""
TRIED = 0.02
"""Share of the time in which the pace of each network is measured; two steps at least, after two that warm up."""
ENOUGH = 0.8
"""Share of a network's own passes from which on it is tried: with half of its passes `balanced` was no better than
`fast` with more (benchmarks/passes.py)."""
MOST = 8
"""Times its own passes, at most: so many still gained half a point on clothes, nothing on digits."""
GROWTH = 3
"""Times as many passes as before, where no larger network fits."""
LAST = 2
"""Times its own passes, at most, for the largest network that fits: what it leaves of the time is of no other use."""
WORTH = 1.5
"""Times as many passes as before, at least: fewer are not worth a training."""
MEASURED = 10.0
"""Seconds of that, at most."""
QUICKER = 0.2
"""Seconds a FLOP of a large network, at best, beside a small one's: `balanced` took four times as long for one as the
network of `deep`, which multiplies in bfloat16 (CIFAR-10, AMD EPYC)."""
NEVER = 1e12
"""Seconds of an epoch that cannot be."""
FLAT = 2
"""Steps without a gain after which validation counts as flat."""
JUDGES = 50
"""Validation images that choose; where there are fewer, the choice is cross-validated."""
FOLDS = 4
AVERAGED, MEMBERS = 2_000, 5
"""Up to so many training images, networks of so many seeds are averaged, if they fit."""
CHECKING = 0.6
"""Share of the time for a training with unlabelled pictures that few labels check: the check takes half as long."""


class Rung(Settings):
    """A recipe that may be tried.

    Attributes:
        name: for the user.
        recipe: its epochs are the passes that it needs.
        flops: of its network for an image.
        an_epoch: measured seconds; 0 where that was not asked yet.
    """

    name: str
    recipe: Recipe
    flops: Annotated[int, Field(ge=0)] = 0
    an_epoch: Annotated[float, Field(ge=0)] = 0.0


class Step(Settings):
    """A training.

    Attributes:
        rung: which recipe.
        epochs: of this training.
        accuracy, loss: on the images that judge; None while it runs, and where nothing judges.
        seconds: that it took, judgement included.
        done: whether it has ended.
    """

    rung: Annotated[int, Field(ge=0)]
    epochs: Annotated[int, Field(ge=1)]
    accuracy: Annotated[float, Field(ge=0, le=1)] | None = None
    loss: float | None = None
    seconds: Annotated[float, Field(ge=0)] = 0.0
    done: bool = False

    @property
    def quality(self) -> tuple[float, float]:
        """What is better is larger."""
        return self.accuracy or 0.0, -(0.0 if self.loss is None else self.loss)


class TimePlan(Settings):
    """What a training of a given time has tried, and what it tries now; the content of ``time.json``.

    Attributes:
        budget_seconds: the given time.
        judged_by: what chooses.
        images: how many images judge.
        rungs: the recipes, by how long they take.
        steps: the trainings; the last one may run.
        spent: seconds until this was written.
        ended: why no further step follows; "" while some may.
        members: how many networks are averaged at the end.
        said: the sentences for the user so far.
    """

    budget_seconds: Annotated[float, Field(gt=0)]
    judged_by: Literal["validation", "cross-validation", "nothing"]
    images: Annotated[int, Field(ge=0)]
    rungs: Annotated[tuple[Rung, ...], Field(min_length=1)]
    steps: tuple[Step, ...] = ()
    spent: Annotated[float, Field(ge=0)] = 0.0
    ended: str = ""
    members: Annotated[int, Field(ge=1, le=MEMBERS)] = 1
    said: tuple[str, ...] = ()

    @classmethod
    def read(cls, path: Path) -> TimePlan:
        """The plan in a file; CorruptFileError if it is none."""
        try:
            plan = parse_settings(cls, json.loads(read_input(path)))
            if any(step.rung >= len(plan.rungs) for step in plan.steps) or any(not s.done for s in plan.steps[:-1]):
                raise ValueError("a step of no recipe, or one that never ended")
        except (ValueError, SettingsError) as error:
            raise CorruptFileError(
                f"{path}: is no plan that GlyphNet wrote ({str(error)[:150].rstrip('.')}). Start the training again."
            ) from None
        return plan

    def recipe(self, step: Step) -> Recipe:
        """Of a step."""
        return self.rungs[step.rung].recipe.override({"epochs": step.epochs})

    @property
    def best(self) -> int | None:
        """The number of the best step that has ended, by accuracy, then by loss; None before there is one."""
        done = [number for number, step in enumerate(self.steps) if step.done]
        return max(done, key=lambda number: self.steps[number].quality) if done else None

    @property
    def flat(self) -> int:
        """How many steps have ended since the highest accuracy was reached first."""
        found = [step.accuracy or 0.0 for step in self.steps if step.done]
        return len(found) - 1 - found.index(max(found)) if found else 0

    def name(self, step: Step) -> str:
        """The recipe and its passes: "fast, 2 passes"."""
        rung = self.rungs[step.rung]
        passes = (
            "the last layer alone"
            if rung.recipe.backbone and step.epochs == 1
            else plural(step.epochs, "pass", "passes")
        )
        return ", ".join(filter(None, (rung.name, passes)))


def check_time(seconds: float | None, changes: Mapping[str, Any], processes: int) -> None:
    """Raise SettingsError unless a training with these settings can be fitted to a time."""
    if seconds is None:
        return
    if not 0 < seconds < float("inf"):
        raise SettingsError(f"the time for the training is {seconds:g} s: it must be more than 0.")
    if "epochs" in changes:
        raise SettingsError("a time for the training and epochs exclude each other: give one of them.")
    if processes > 1:
        raise SettingsError(
            "a time for the training is for one process: the processes would have to agree on what they measure. Give "
            "epochs instead."
        )


def plan_time(seconds: float, candidates: Mapping[str, Recipe], splits: Splits) -> TimePlan:
    """The plan before the first step.

    Args:
        seconds: for training and judging, the measuring of the pace included.
        candidates: the recipes by name, the quickest first; their epochs say how many passes they need.
    """
    shape, classes, judges = splits.image_shape, len(splits.classes), len(splits.validation)
    rungs = tuple(
        Rung(name=name, recipe=recipe, flops=summary(recipe.network, shape, classes).flops)
        for name, recipe in candidates.items()
    )
    judged_by: Literal["validation", "cross-validation", "nothing"] = "validation"
    if judges < JUDGES:
        together = len(splits.train) + judges
        special = any(rung.recipe.unlabelled for rung in rungs)
        judged_by = "nothing" if special or together < 2 * FOLDS else "cross-validation"
        judges = 0 if judged_by == "nothing" else together
    return TimePlan(budget_seconds=seconds, judged_by=judged_by, images=judges, rungs=rungs)


class TimedTraining:
    """Climbs the rungs of a plan; see the module.

    Args:
        plan: a new one, or that of the run that is resumed.
        trainer: trains a step, and brings data and folder.
    """

    def __init__(self, plan: TimePlan, trainer: Trainer) -> None:
        self.plan, self.trainer = plan, trainer
        self._logs: Sequence[Callback] = [each for each in trainer.callbacks if isinstance(each, LogTo)]
        trainer.callbacks = [each for each in trainer.callbacks if not isinstance(each, LogTo)]
        self._before, self._began = plan.spent, time.perf_counter()
        self._kept: tuple[Fitting, FitResult] | None = None  # the best step's

    def run(self) -> Trained:
        """Train until the plan has ended, or a callback stops it.

        Raises:
            DivergedError: the first step has diverged; of a later one that is said, and it is not taken.
        """
        while not self.plan.ended:
            if self.plan.steps and not self.plan.steps[-1].done:
                step = self.plan.steps[-1]
            else:
                chosen = self._next()
                if isinstance(chosen, str):
                    self._end(chosen)
                    break
                step = self._begin(chosen)
            if (stopped := self._try(step)) is not None:
                return stopped
        return self._product()

    # What comes next

    @property
    def _spent(self) -> float:
        return self._before + time.perf_counter() - self._began

    @property
    def _left(self) -> float:
        """Seconds that may still be planned for."""
        share = CHECKING if self.plan.judged_by == "nothing" and self._is_unlabelled else PLANNED
        return share * self.plan.budget_seconds - self._spent

    @property
    def _is_unlabelled(self) -> bool:
        return self.plan.rungs[0].recipe.unlabelled is not None

    def _next(self) -> Step | str:
        """The next step, or why there is none."""
        plan = self.plan
        if not plan.steps:
            return self._first()
        if plan.judged_by == "nothing":
            return "nothing judges a second one"
        if plan.flat >= FLAT:
            return f"validation has been flat for {FLAT} steps"
        return self._larger(1 + max(step.rung for step in plan.steps)) or self._longer()

    def _first(self) -> Step | str:
        """The first step: the quickest recipe, with as many of its passes as fit."""
        if self.plan.judged_by == "nothing":
            return self._larger(0) or self._as_long_as_fits(0)
        if self.plan.judged_by == "cross-validation" and self._cost(0, self._own(0)) > self._left:
            self.plan = self.plan.model_copy(update={"judged_by": "nothing", "images": 0})
            return self._first()
        return self._as_long_as_fits(0)

    def _as_long_as_fits(self, rung: int) -> Step:
        return Step(rung=rung, epochs=max(1, min(self._room(rung), self._own(rung))))

    def _larger(self, first: int) -> Step | None:
        """A larger network that fits: the smallest after which the largest that fits would fit, too."""
        fitting = [
            number
            for number in range(first, len(self.plan.rungs))
            if self._may_fit(number) and self._room(number) >= self._enough(number)
        ]
        if not fitting:
            return None
        last = fitting[-1]
        if self.plan.judged_by == "nothing":
            return Step(rung=last, epochs=min(self._room(last), LAST * self._own(last)))
        least = self._cost(last, self._enough(last))
        for number in fitting[:-1]:
            if self._cost(number, self._own(number)) + least <= self._left:
                return Step(rung=number, epochs=self._own(number))
        return Step(rung=last, epochs=min(self._room(last), LAST * self._own(last)))

    def _longer(self) -> Step | str:
        """More passes of the best recipe, or why there are none."""
        plan = self.plan
        assert plan.best is not None
        rung = plan.steps[plan.best].rung
        done = max(step.epochs for step in plan.steps if step.rung == rung)
        own, tuned = plan.rungs[rung].recipe.epochs, plan.rungs[rung].recipe.backbone is not None
        most = own if tuned else MOST * own
        least = done + 1 if tuned else WORTH * done
        if least > most:
            passes = plural(done, "pass", "passes")
            return f"the recipe's {passes} are done" if tuned else f"more than {passes} would gain nothing"
        wanted = min(self._room(rung), most if tuned else GROWTH * done, most)
        if wanted < least:
            if self._left < 1:
                return "the time is used up"
            return f"neither a larger network nor more passes fit into the {duration(self._left)} left"
        return Step(rung=rung, epochs=wanted)

    def _own(self, rung: int) -> int:
        """The passes of a recipe's first step."""
        recipe = self.plan.rungs[rung].recipe
        return recipe.epochs if recipe.backbone is None or self.plan.judged_by == "nothing" else 1

    def _enough(self, rung: int) -> int:
        """The least passes with which a recipe is tried."""
        return max(1, round(ENOUGH * self._own(rung)))

    def _may_fit(self, number: int) -> bool:
        """Whether it is worth measuring."""
        plan = self.plan
        rung, known = plan.rungs[number], [each for each in plan.rungs if each.an_epoch and each.flops]
        if rung.an_epoch or not known or not rung.flops:
            return True
        a_flop = min(each.an_epoch / each.flops for each in known)
        return QUICKER * ENOUGH * rung.recipe.epochs * rung.flops * a_flop * self._repeats < self._left

    @property
    def _repeats(self) -> int:
        """How many trainings a step takes: with cross-validation the last one on all images, too."""
        return FOLDS if self.plan.judged_by == "cross-validation" else 1

    def _cost(self, rung: int, epochs: int) -> float:
        """Expected seconds of a step."""
        first = max((step.seconds for step in self.plan.steps if step.rung == rung and step.epochs == 1), default=0.0)
        if self.plan.rungs[rung].recipe.backbone is None:
            first, tuned = 0.0, epochs
        else:
            tuned = epochs - 1
        return first + (self._repeats * tuned * self._an_epoch(rung) if tuned else 0.0)

    def _room(self, rung: int) -> int:
        """How many epochs of a recipe fit."""
        if self.plan.rungs[rung].recipe.backbone is not None:
            if not any(step.rung == rung for step in self.plan.steps):
                return 1  # how long the features take is known after the first step
            return 1 + int((self._left - self._cost(rung, 1)) / self._an_epoch(rung))
        return int(self._left / (self._repeats * self._an_epoch(rung)))

    def _an_epoch(self, number: int) -> float:
        """Measured seconds of an epoch of a recipe."""
        rung = self.plan.rungs[number]
        if rung.an_epoch:
            return rung.an_epoch
        alike = (each.an_epoch for each in self.plan.rungs if each.an_epoch and _same_work(each, rung))
        found = next(alike, 0.0) or self._measured(rung)
        rungs = list(self.plan.rungs)
        rungs[number] = rung.model_copy(update={"an_epoch": found})
        self.plan = self.plan.model_copy(update={"rungs": tuple(rungs)})
        return found

    def _measured(self, rung: Rung) -> float:
        """Seconds of an epoch, from a few steps; `NEVER` if they diverge."""
        most = min(MEASURED, TRIED * self.plan.budget_seconds)
        try:
            return max(1e-6, seconds_an_epoch(self.trainer.fitting(rung.recipe), self.trainer.splits, most))
        except DivergedError as error:
            if not self.plan.steps:
                raise
            self._say(f"{rung.name[:1].upper()}{rung.name[1:]} is not tried, it diverged. {error}")
            return NEVER

    # A step

    def _begin(self, step: Step) -> Step:
        """Write down that a step begins, with the folder ready for it."""
        plan, folder = self.plan, self.trainer.folder
        seconds = self._cost(step.rung, step.epochs)
        about = f", about {duration(seconds)}" if seconds else ""
        self._say(f"{'Next' if plan.steps else 'First'}: {plan.name(step)}{about}.")
        if folder is not None:
            remove(folder.checkpoint, folder.history)  # before: they are of another recipe
        self._write(steps=(*plan.steps, step))
        return step

    def _try(self, step: Step) -> Trained | None:
        """Train and judge the last step; the training, if it was stopped."""
        began, recipe, folder = time.perf_counter(), self.plan.recipe(step), self.trainer.folder
        if folder is not None:
            atomic_write_text(folder.recipe, recipe.to_yaml())
        note, seconds = "", 0.0
        if self.plan.judged_by == "cross-validation":
            judged = self._cross_validated(step, recipe)
        else:
            fitting = self.trainer.fitting(recipe)
            if folder is not None:
                self.trainer.read(fitting, folder.checkpoint)
            if len(self.plan.steps) == 1:
                self.trainer.reporter.say(str(fitting.arithmetic))
            try:
                trained = self.trainer.train(fitting)
            except DivergedError as error:
                if self.plan.best is None:
                    raise
                note, judged = f"diverged. {error}", step.model_copy(update={"accuracy": 0.0})
            else:
                result, seconds = trained.result, trained.result.seconds
                if result.ending == "stopped":
                    return self._stopped(trained)
                row = result.history[result.best_epoch - 1]
                judged = step.model_copy(update={"accuracy": row["val_accuracy"], "loss": row["val_loss"]})
                self._keep(fitting, result, judged)
        # Of a step that was resumed, its seconds before that count, too.
        took = max(time.perf_counter() - began, seconds)
        self._before += took - (time.perf_counter() - began)
        judged = judged.model_copy(update={"seconds": took, "done": True})
        self._write(steps=(*self.plan.steps[:-1], judged))
        self._say(self._outcome(judged, note))
        return None

    def _cross_validated(self, step: Step, recipe: Recipe) -> Step:
        """The step with accuracy and loss on all labelled images, each by a network that has not learnt from it."""
        splits = self.trainer.splits
        parts = [part for part in (splits.train, splits.validation) if len(part)]
        found = cross_validated_probabilities(
            parts, recipe, folds=FOLDS, seed=recipe.seed, device=self.trainer.device,
            progress=self.trainer.reporter.progress,
        )  # fmt: skip
        probabilities, labels = np.concatenate(found), np.concatenate([part.labels for part in parts])
        known = ~np.isnan(probabilities[:, 0])
        probabilities, labels = probabilities[known], labels[known]
        if not len(labels):
            return step.model_copy(update={"accuracy": 0.0})
        of_truth = probabilities[np.arange(len(labels)), labels]
        return step.model_copy(update={
            "accuracy": float((probabilities.argmax(1) == labels).mean()),
            "loss": float(-np.log(np.maximum(of_truth, 1e-12)).mean()),
        })  # fmt: skip

    def _keep(self, fitting: Fitting, result: FitResult, judged: Step) -> None:
        """Keep the result of the running step if it is the best so far."""
        plan, folder = self.plan, self.trainer.folder
        if plan.best is not None and judged.quality <= plan.steps[plan.best].quality:
            return
        self._kept = fitting, result
        if folder is not None:
            self.trainer.write(fitting, folder.best)

    def _stopped(self, trained: Trained) -> Trained:
        """What there is when a callback has stopped a step: the best step's network, if there is one."""
        self._write()
        kept = self._best_so_far()
        if kept is None:
            return trained
        return replace(trained, result=replace(kept[1], ending="stopped"), recipe=kept[0].recipe)

    def _best_so_far(self) -> tuple[Fitting, FitResult] | None:
        """The best step's training; read again if another process has trained it."""
        plan, folder = self.plan, self.trainer.folder
        if self._kept is None and plan.best is not None and folder is not None:
            fitting = self.trainer.fitting(plan.recipe(plan.steps[plan.best]))
            self.trainer.read(fitting, folder.best if folder.best.exists() else folder.checkpoint)
            self._kept = fitting, fitting.run()
        return self._kept

    # What is said

    def _outcome(self, step: Step, note: str) -> str:
        """What a step has found, in a sentence."""
        plan = self.plan
        name = f"{plan.name(step)} ({duration(step.seconds)})"
        name = name[:1].upper() + name[1:]
        if note:
            return f"{name}: {note}"
        if step.accuracy is None:
            return f"{name}: too few validation images to judge it."
        how = "validation images" if plan.judged_by == "validation" else "labelled images, by cross-validation"
        gain = ", no gain" if plan.flat else ""
        return f"{name}: {percent(step.accuracy, 2)} of {plan.images:,} {how}{gain}."

    def _say(self, sentence: str) -> None:
        self.plan = self.plan.model_copy(update={"said": (*self.plan.said, sentence)})
        self.trainer.reporter.say(sentence)

    def _write(self, **changes: Any) -> None:
        """Change the plan, and write it down."""
        self.plan = self.plan.model_copy(update={**changes, "spent": self._spent})
        if self.trainer.folder is not None:
            atomic_write_json(self.trainer.folder.time, self.plan.model_dump(mode="json"))

    # The end

    def _end(self, why: str) -> None:
        """Close the plan: the best step is kept, and how many networks of its recipe are averaged is decided."""
        plan = self.plan
        assert plan.best is not None
        step, members = plan.steps[plan.best], 1
        recipe = plan.recipe(step)
        if len(self.trainer.splits.train) <= AVERAGED and recipe.backbone is None and recipe.unlabelled is None:
            # A step of cross-validation takes FOLDS - 1 trainings' time.
            one = step.seconds / max(1, self._repeats - 1)
            more = int(self._left / max(one, 1e-3)) + (plan.judged_by == "validation")
            members = max(1, min(MEMBERS, more))
        kept = "" if plan.judged_by == "nothing" else f"; {plan.name(step)} is kept"
        averaged = f", averaged over {members} seeds, as the images are few" if members > 1 else ""
        self._say(f"Stopping: {why}{kept}{averaged}.")
        self._write(ended=why, members=members)

    def _product(self) -> Trained:
        """The network of the plan that has ended."""
        plan, trainer, folder = self.plan, self.trainer, self.trainer.folder
        assert plan.best is not None
        recipe = plan.recipe(plan.steps[plan.best])
        if folder is not None:
            atomic_write_text(folder.recipe, recipe.to_yaml())
        if len(plan.rungs) > 1:
            trainer.reporter.say(*recipe.about_pictures)
        kept = self._best_so_far() if plan.judged_by != "cross-validation" else None
        if kept is None:
            fitting = trainer.fitting(recipe)
            if folder is not None:
                trainer.read(fitting, folder.checkpoint)
            trained = trainer.train(fitting)
            if trained.result.ending == "stopped":
                return trained
            kept = fitting, trained.result
        elif folder is not None and folder.best.exists():
            move(folder.best, folder.checkpoint)
        if self._logs:
            kept[0].run(callbacks=self._logs)  # it has ended: they are given its history, and no step
        return self._averaged(kept[1], recipe)

    def _averaged(self, first: FitResult, recipe: Recipe) -> Trained:
        """The network of the first seed, averaged with those of further seeds if the plan says so."""
        trainer, results = self.trainer, [first]
        alone = Trained(first, recipe, trainer.splits, trainer.began, tried=self.plan.said)
        for more in range(1, self.plan.members):
            seeded = recipe.override({"seed": recipe.seed + more})
            trained = trainer.train(trainer.fitting(seeded), written=False)
            if trained.result.ending == "stopped":
                return replace(alone, result=replace(first, ending="stopped"))
            results.append(trained.result)
        if len(results) == 1:
            return alone
        network = join([each.network for each in results])
        if self.plan.judged_by == "validation":
            held = Examples.of(trainer.splits.validation.images, trainer.splits.validation.labels)
            together = validate(network, first.preprocessing, held, recipe)[1]
            best = first.history[first.best_epoch - 1]["val_accuracy"] or 0.0
            kept = together >= best
            self._say(
                f"Averaged over {len(results)} seeds: {percent(together, 2)} of {len(held):,} validation images, by "
                f"one {percent(best, 2)}: the {'average' if kept else 'one'} is kept."
            )
            if not kept:
                return replace(alone, tried=self.plan.said)
        seconds = sum(each.seconds for each in results)
        joined = replace(first, network=network, seconds=seconds)
        return replace(alone, result=joined, members=len(results), tried=self.plan.said)


def _same_work(one: Rung, other: Rung) -> bool:
    """Whether two recipes differ in their epochs alone."""
    return one.recipe.model_dump(exclude={"epochs"}) == other.recipe.model_dump(exclude={"epochs"})

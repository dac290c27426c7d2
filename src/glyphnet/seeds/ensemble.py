"""The ensemble of trained classifiers: one classifier, calibrated, judged and written down as every other is."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ..classifier import Classifier
from ..data import Splits
from ..data.listing import Progress
from ..errors import SettingsError
from ..evaluation.evaluate import findings_of
from ..evaluation.normalizing import decide_normalizing
from ..files import atomic_write_text, make_folder
from ..hardware import hardware
from ..modelfile import library_versions
from ..nn.ensemble import join
from ..nn.networks import MOST_MEMBERS, EnsembleSpec
from ..runs import RunFolder, write_judgement
from ..runs.calibration import calibrated
from ..runs.judgement import judge_after_training
from .plan import Plan
from .results import Ensemble


def check_members(seeds: int, ensemble: bool) -> None:
    """Raise SettingsError if there are more members than an ensemble may have."""
    if ensemble and seeds > MOST_MEMBERS:
        raise SettingsError(f"an ensemble has {MOST_MEMBERS} members at most, not {seeds}: train fewer seeds.")


def average(members: Sequence[Classifier], recipe_of_members: Plan, splits: Splits) -> Classifier:
    """The classifier whose logits are the mean of those of ``members``, trained as the plan says.

    How it reads pictures and when it is not to be believed is chosen on the validation images, as theirs was.
    """
    plan, first = recipe_of_members, members[0]
    plain = replace(
        first,
        network=join([member.network for member in members]),
        spec=EnsembleSpec(members=len(members), member=plan.recipe.network),
        temperature=1.0,
        threshold=None,
        prototypes=None,
        foreign_threshold=None,
        conformal=None,
        metrics={"seeds": list(plan.seeds), "members": [member.metrics["accuracy"] for member in members]},
    )
    return calibrated(decide_normalizing(plain, splits.train, splits.validation), splits, plan.recipe)


def conclude(
    members: Sequence[Classifier],
    plan: Plan,
    splits: Splits,
    folder: RunFolder | None,
    progress: Progress | None,
    command: str,
) -> Ensemble:
    """Make the ensemble, judge it, and write it down if there is a folder."""
    judged = judge_after_training(average(members, plan, splits), splits, progress)
    assert judged is not None  # `train_seeds` has seen to it that there are images to judge by
    classifier, evaluation, held = judged
    if folder is not None:
        make_folder(folder.path)
        atomic_write_text(folder.recipe, plan.recipe.to_yaml())
        classifier.save(folder.model)
        write_judgement(
            folder,
            classifier,
            evaluation,
            history=None,
            findings=(*findings_of(evaluation), *held.findings),
            command=command,
            provenance={
                "seeds of the members": json.dumps(plan.seeds),
                "hardware": hardware(),
                "versions": library_versions(),
                "data": {name: len(part) for name, part in splits},
                "fingerprint of the training data": splits.train.fingerprint,
            },
            splits=splits,
            model=shlex.quote(str(folder.model)),
        )
    return Ensemble(classifier, evaluation, None if folder is None else Path(folder.path))

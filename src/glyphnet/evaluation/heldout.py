"""Which images of a data set may judge a classifier: those that it has not learned from."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..data import Finding, ImageDataset, Splits, load, look_over
from ..data.corrections import apply_decisions
from ..data.groups import parse_group_by
from ..data.inspect import ABOUT_LEARNING
from ..data.settings import DataSettings
from ..errors import DataError, SettingsError

if TYPE_CHECKING:
    from ..classifier import Classifier
    from .evaluate import Progress

_DIVISION = ("validation_fraction", "test_fraction", "seed", "group_by")


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Images to judge a classifier by.

    Attributes:
        dataset: the images.
        data: what they are called ("mnist, test part").
        notes: how they were read.
        findings: what a reader of the figures must know.
    """

    dataset: ImageDataset
    data: str
    notes: tuple[str, ...]
    findings: tuple[Finding, ...]

    @property
    def warnings(self) -> tuple[str, ...]:
        """The sentences of the findings."""
        return tuple(finding.sentence for finding in self.findings)


def held_out(
    classifier: Classifier,
    data: str | os.PathLike[str] | DataSettings = "digits",
    *,
    progress: Progress | None = None,
) -> HeldOut:
    """Load the images of ``data`` that the classifier may be judged by, in its size and colour.

    Data that it was trained on, told by their fingerprint, are divided as in its training, and the test
    part is taken. Of other data the test part is taken if they have one of their own, and else all images.

    Args:
        classifier: whose recipe tells how its data were divided.
        data: a name or a path, as for `glyphnet.load`, or settings, of which ``on_bad_file``, ``layout`` and ``only``
            count. Where they are not set and the model was trained on this source, those of its training count. All
            else comes from the model.
        progress: called as ``progress(done, total, what)`` while data are read.

    Raises:
        DataError: the data cannot be used, or hold no image.
    """
    height, width, channels = classifier.input_shape
    settings = data if isinstance(data, DataSettings) else DataSettings(source=os.fspath(data))
    told = classifier.recipe.get("data") or {}
    how: dict[str, Any] = {"size": (height, width), "color": "grey" if channels == 1 else "rgb"}
    if told.get("source") == settings.source:
        how |= {name: told[name] for name in _as_in_training(settings) if name in told}
    settings = settings.with_values(how)

    def read(division: Mapping[str, Any]) -> Splits:
        given = settings.with_values({"labels": None, **division})
        return load(given, to_train=False, reading=classifier.reading, progress=progress)

    division = {"group_by": "none", **{name: told[name] for name in _DIVISION if name in told}}
    try:
        splits = _with_decisions(read(division), told.get("labels"))
        if splits.train.fingerprint == classifier.provenance.fingerprint:
            return held_out_in_training(splits)
    except (DataError, SettingsError):
        if division["group_by"] == "none":
            raise
        # Other data need not have the column, or the names, by which the training's pictures were grouped.
    # Nothing is to be drawn from these: either they have a test part, or they are one.
    splits = read({"validation_fraction": 0.0, "test_fraction": 0.0, "group_by": "none"})
    findings = [each for each in look_over(splits).findings if each.code not in ABOUT_LEARNING]
    if (table := told.get("labels")) and not os.path.isfile(table):
        sentence = (
            f"The model was trained with the decisions on labels in {table}, which is not there any more: whether it "
            "has learnt from these images is not known."
        )
        findings.append(Finding("decisions_missing", sentence))
    group_table = division["group_by"]
    if parse_group_by(group_table).kind == "file" and not os.path.isfile(os.path.expanduser(group_table)):
        sentence = (
            f"The model was trained with the groups in {group_table}, which is not there any more: whether it has "
            "learnt from these images is not known."
        )
        findings.append(Finding("groups_missing", sentence))
    if len(splits.test):
        return HeldOut(splits.test, f"{splits.name}, test part", splits.notes, tuple(findings))
    sentence = (
        "These data have no test part, and all their images were judged. "
        "If the model was trained on some of them, the figures are too good."
    )
    findings.append(Finding("no_test_part", sentence))
    return HeldOut(splits.train, f"{splits.name}, all images", splits.notes, tuple(findings))


def _as_in_training(settings: DataSettings) -> set[str]:
    """The settings to take from the training: those that the user did not set."""
    given = settings.model_fields_set
    return {"on_bad_file"} - given | ({"layout", "only"} if given.isdisjoint({"layout", "only"}) else set())


def _with_decisions(splits: Splits, table: str | None) -> Splits:
    """The splits with the decisions on labels of the training, where they fit: of other data they need not."""
    try:
        return splits if table is None else apply_decisions(splits, table)
    except DataError:
        return splits


def held_out_in_training(splits: Splits) -> HeldOut:
    """What was held out of the very data that a classifier was trained on.

    The test part if there is one; else the validation part; else, with a warning, the training part.
    """
    findings = look_over(splits).findings
    if len(splits.test):
        return HeldOut(splits.test, f"{splits.name}, test part", splits.notes, findings)
    if len(splits.validation):
        sentence = "The training held out no test part: on its validation part the figures are a little too good."
        judged_on = Finding("judged_on_validation", sentence)
        return HeldOut(splits.validation, f"{splits.name}, validation part", splits.notes, (*findings, judged_on))
    sentence = "The model was trained on all these images: the figures say nothing about new ones."
    judged_on = Finding("judged_on_training", sentence)
    return HeldOut(splits.train, f"{splits.name}, training part", splits.notes, (*findings, judged_on))

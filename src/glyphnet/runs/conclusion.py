"""The end of a training: make a classifier, judge it, write the run folder."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..classifier import Classifier
from ..conformal import Conformal, choose_score
from ..data import Finding, ImageDataset, Splits, load, look_over
from ..data.ink import measure_ink
from ..errors import DivergedError, SettingsError
from ..evaluation import Evaluation, choose_thresholds, evaluate, fit_temperature
from ..evaluation.calibration import softmax
from ..evaluation.evaluate import HeldOut, held_out_in_training
from ..evaluation.normalizing import decide_normalizing
from ..files import atomic_write_json
from ..images import Batch, seen
from ..modelfile import Provenance, library_versions, pick_samples
from ..nn.prototypes import fit_prototypes
from ..nn.spec import BaseSpec
from ..progress import SILENT, Progress, Reporter
from ..training import Callback, FitResult, Recipe
from ..training.device import hardware, using_threads
from .benefit import check_benefit
from .diagnosis import diagnose
from .mirrored import with_mirror_image
from .preparation import fitting_of
from .review import Review, review
from .run import Run, RunFolder, Trained, today, write_history

if TYPE_CHECKING:
    from ..report import SuspectPart
    from ..report.curves import History

_SEARCH = 0.1  # share of the time of the training that the search for near duplicates may take


def conclude(
    trained: Trained,
    folder: RunFolder | None,
    reporter: Reporter,
    command: str,
    *,
    check_labels: bool,
    report: bool = True,
    more: Callable[[Classifier, Evaluation], Sequence[Finding]] | None = None,
) -> Run:
    """Make a classifier of a training, judge it if it was trained to the end, and write both to the folder.

    Args:
        reporter, command, check_labels: as for `glyphnet.train`.
        report: write report.html, too.
        more: gives further findings on the judged classifier.
    """
    trained, benefit = check_benefit(trained, reporter.progress)
    findings: tuple[Finding, ...] = () if benefit is None else (benefit,)
    trained = with_mirror_image(trained)
    reporter.say(*(each.sentence for each in findings))
    if trained.mirrored:
        reporter.say(trained.mirrored)
    result, splits = trained.result, trained.splits
    classifier = make_classifier(trained, reporter)
    if classifier is not None:
        reporter.say(classifier.about_normalizing)
    if folder is not None:
        write_history(folder.history, result.history)
        if classifier is not None:
            classifier.save(folder.model)  # judging may be interrupted: the model is there then
    if classifier is None or result.ending == "stopped":
        return trained.run(classifier, folder=folder)
    look_over(splits, most_seconds=_SEARCH * result.seconds)
    doubts: Review | None = None
    with using_threads(result.threads):
        judged = judge_after_training(classifier, splits, reporter.progress)
        if judged is not None:
            classifier, evaluation, held = judged
            findings += diagnose(trained.run(classifier, evaluation))
    if judged is not None:
        findings = (*findings, *(more(classifier, evaluation) if more else ()), *held.findings)
    if check_labels:
        doubts = review(splits, device=result.device, progress=reporter.progress)
        if folder is not None:
            doubts.write_csv(folder.suspects)
    if judged is None:
        return trained.run(classifier, None, folder, doubts)
    if folder is not None:
        classifier.save(folder.model)
        with using_threads(result.threads):
            write_judgement(
                folder, classifier, evaluation, doubts, history=result.history, findings=findings, command=command,
                provenance=_provenance(trained), splits=splits, model=shlex.quote(str(folder.model)), report=report,
            )  # fmt: skip
    return trained.run(classifier, evaluation, folder, doubts, findings)


def classifier_of(result: FitResult, network: BaseSpec, splits: Splits, **more: Any) -> Classifier:
    """The classifier with the network of a training, and with ``more`` parameters of `Classifier`."""
    return Classifier(
        network=result.network, spec=network, input_shape=splits.image_shape, classes=splits.classes,
        preprocessing=result.preprocessing, reading=splits.reading, **more,
    )  # fmt: skip


def make_classifier(trained: Trained, reporter: Reporter = SILENT) -> Classifier | None:
    """The calibrated classifier of a training; None if it was stopped in its first epoch."""
    result, recipe, splits = trained.result, trained.recipe, trained.splits
    if not result.best_epoch:
        return None
    plain = classifier_of(
        result,
        trained.network,
        splits,
        recipe=recipe.model_dump(mode="json"),
        metrics={"best_epoch": result.best_epoch, "ending": result.ending},
        provenance=Provenance(
            data=splits.name, fingerprint=splits.train.fingerprint, created=trained.began, versions=library_versions()
        ),
        samples=pick_samples((splits.validation if len(splits.validation) else splits.test).images, recipe.samples),
        ink=measure_ink(splits.train.images),
    )
    with using_threads(result.threads):  # sums in another order have other last bits
        return calibrated(decide_normalizing(plain, splits.train, splits.validation), splits, recipe, reporter)


def _provenance(trained: Trained) -> dict[str, Any]:
    """Where and when, for the report."""
    result, splits = trained.result, trained.splits
    return {
        "seed": trained.recipe.seed,
        "training time": f"{result.seconds:.1f} s",
        "hardware": hardware(),
        "device": result.device,
        "precision": result.precision,
        "threads": result.threads,
        "for the same bits again": f"--threads {result.threads}",
        "processes": result.processes,
        "versions": library_versions(),
        "data": {name: len(part) for name, part in splits},
        "data as read": " ".join(splits.notes),
        "fingerprint of the training data": splits.train.fingerprint,
        **({"tried in the given time": " ".join(trained.tried)} if trained.tried else {}),
        **({"mirrored pictures": trained.mirrored} if trained.mirrored else {}),
    }


# After the training: what is chosen on validation images

SAMPLE = 5000  # training images among which prototypes are sought: more take longer and find no better ones


def calibrated(plain: Classifier, splits: Splits, recipe: Recipe, reporter: Reporter = SILENT) -> Classifier:
    """The classifier with prototypes of its training images and all that validation images choose.

    These are the temperature, the thresholds below and above which an answer is not believed, and the calibration of
    sets. Without validation images they stay as they are.

    Args:
        plain: the trained classifier, with the temperature 1.
        recipe: may request a precision of the answers, of which ``reporter`` is given a sentence.
    """
    train, validation = splits.train, splits.validation
    some = np.sort(np.random.default_rng(0).permutation(len(train))[:SAMPLE])
    prototypes = fit_prototypes(plain.compared(Batch.as_seen(train.images[some])), train.labels[some])
    compared = replace(plain, prototypes=prototypes)
    if not len(validation):
        if recipe.answer_precision is not None:
            reporter.say(f"answer_precision {recipe.answer_precision:g}: there are no validation images to choose by.")
        return compared
    given = seen(validation, plain)  # as it reads pictures for prediction
    logits, foreign = compared.logits_and_scores(given)
    temperature = fit_temperature(logits, validation.labels)
    probabilities = softmax(logits / np.float32(temperature))
    thresholds = choose_thresholds(probabilities, validation.labels, foreign, recipe.answer_precision)
    if thresholds.note:
        reporter.say(thresholds.note)
    score = choose_score(probabilities, validation.labels)
    return replace(
        compared,
        temperature=temperature,
        threshold=thresholds.confidence,
        foreign_threshold=thresholds.foreign,
        conformal=Conformal.calibrate(probabilities, validation.labels, score),
    )


# Judging a classifier: after a training and for ``glyphnet evaluate``


def judge_after_training(
    classifier: Classifier, splits: Splits, progress: Progress | None
) -> tuple[Classifier, Evaluation, HeldOut] | None:
    """The classifier with its accuracy in its metrics, the evaluation, and the data that judged it.

    These are the test part, or the validation part where there is no test part; None where nothing was held out.
    """
    if not len(splits.test) and not len(splits.validation):
        return None
    held = held_out_in_training(splits)
    evaluation = evaluate(classifier, held.dataset, data=held.data, part=held.part, progress=progress)
    interval, headline = evaluation.accuracy_interval, evaluation.figures[evaluation.headline].interval
    measured = {
        "judged_on": evaluation.data,
        "part": evaluation.part,
        "accuracy": evaluation.accuracy,
        "interval": [interval.low, interval.high],
        "headline": evaluation.headline,
        "balanced_accuracy": evaluation.balanced_accuracy,
        "majority_share": evaluation.majority_share,
        "headline_interval": None if headline is None else [headline.low, headline.high],
        "n": len(evaluation),
    }
    return replace(classifier, metrics={**classifier.metrics, **measured}), evaluation, held


def write_judgement(
    folder: RunFolder,
    classifier: Classifier,
    evaluation: Evaluation,
    review: Review | None = None,
    *,
    history: History | None,
    findings: Sequence[Finding],
    command: str,
    provenance: Mapping[str, Any],
    splits: Splits | None = None,
    model: str = "MODEL",
    report: bool = True,
) -> None:
    """Write evaluation.json, predictions.csv and report.html, each all or nothing.

    Args:
        folder: it must exist.
        review: the labels that look wrong, if requested; the report shows those of the judged images in any case.
        history: the training's rows, for the learning curves, if known.
        command: the command line that makes this again.
        provenance: versions, hardware, fingerprints: plain values, may be nested.
        splits: all the data, if known.
        model: the name of the model file in commands.
    """
    atomic_write_json(folder.evaluation, judgement_to_dict(evaluation, findings))
    evaluation.write_predictions_csv(folder.predictions)
    if not report:
        return
    from ..report import write_report  # templates and pictures: a training can begin without

    write_report(
        folder.report, evaluation, classifier=classifier, history=history,
        best_epoch=classifier.metrics.get("best_epoch") or None, splits=splits, suspects=suspects(evaluation, review),
        findings=findings, command=command, model=model, provenance=provenance,
    )  # fmt: skip


def judgement_to_dict(evaluation: Evaluation, findings: Sequence[Finding]) -> dict[str, Any]:
    """All figures with their intervals, and the findings, as evaluation.json holds them."""
    return {**evaluation.to_dict(), "findings": [each.to_dict() for each in findings]}


def suspects(evaluation: Evaluation, review: Review | None) -> list[SuspectPart]:
    """The labels that look wrong: those of the review, and of the judged images if it does not have them."""
    from ..report import SuspectPart

    reviewed = () if review is None else review.parts
    parts = [SuspectPart(part.name, part.dataset, part.issues) for part in reviewed]
    # Of the training part no label can be suspected: the model has learnt it.
    judged = evaluation.part
    if judged not in ("", "train", *(part.name for part in parts)):
        dataset = ImageDataset(
            np.asarray(evaluation.images), evaluation.labels.astype(np.int64), evaluation.classes, evaluation.names
        )
        parts.append(SuspectPart(judged, dataset, evaluation.label_issues()))
    return parts


# How much a random division flatters: the same training once more, with groups of pictures on both sides


def check_group_gap(recipe: Recipe, splits: Splits, processes: int) -> None:
    """Raise SettingsError unless the gap can be measured."""
    if processes > 1:
        raise SettingsError("the group gap is not measured by several processes: train with one.")
    if recipe.data is None:
        raise SettingsError("the group gap needs data that can be read again: give their name or path, not Splits.")
    if recipe.unlabelled is not None:
        raise SettingsError("the group gap is not measured with unlabelled pictures: leave out one of them.")
    if splits.group_by == "none":
        raise SettingsError("the group gap needs groups, and none were found: name them by --group-by (group_by).")


def measure_group_gap(
    classifier: Classifier,
    evaluation: Evaluation,
    trained: Trained,
    *,
    device: str,
    threads: int | None,
    callbacks: Sequence[Callback],
    reporter: Reporter,
) -> tuple[Finding, ...]:
    """The accuracy on new groups beside that of a training with a random division, as a finding.

    Both are judged on their test parts; where the data have a test part of their own, on their validation parts. A
    second training that was stopped or diverged is named. Nothing is reported if a part to compare is empty.
    """
    recipe, splits, progress = trained.recipe, trained.splits, reporter.progress
    assert recipe.data is not None  # `check_group_gap` has seen to it
    at_random = load(recipe.data.model_copy(update={"group_by": "none"}), progress=progress)
    part = "test" if set(at_random.test.names) != set(splits.test.names) else "validation"
    own, other = dict(splits)[part], dict(at_random)[part]
    if not len(own) or not len(other):
        return ()
    by_group = evaluation if part == "test" else evaluate(classifier, own, data=part, progress=progress)
    numbers: dict[str, int | float | str | None] = {"by_group": by_group.accuracy, "part": part}
    start = f"On new groups {_figure(by_group)} of the {part} images are right"
    try:
        result = fitting_of(recipe, at_random, device, threads=threads).run(callbacks=callbacks)
    except DivergedError as error:
        return (Finding("group_gap", f"{start}; with a random division the training diverged: {error}", numbers),)
    at_random_classifier = make_classifier(with_mirror_image(Trained(result, recipe, at_random, today())))
    if at_random_classifier is None or result.ending == "stopped":
        return (Finding("group_gap", f"{start}; the training with a random division was stopped.", numbers),)
    flattered = evaluate(at_random_classifier, other, data=part, progress=progress)
    gap = flattered.accuracy - by_group.accuracy
    sentence = (
        f"{start}; with a random division, which puts pictures of a group on both sides, {_figure(flattered)}: "
        f"{100 * gap:+.1f} points that new pictures will not have."
    )
    return (Finding("group_gap", sentence, {**numbers, "at_random": flattered.accuracy, "gap": gap}),)


def _figure(evaluation: Evaluation) -> str:
    interval = evaluation.accuracy_interval
    return f"{evaluation.accuracy:.2%} [{interval.low:.1%}, {interval.high:.1%}] ({len(evaluation):,})"

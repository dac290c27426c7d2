"""A search from its first trial to the winner on the test images."""

from __future__ import annotations

import csv
import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import glyphnet
from glyphnet import Splits
from glyphnet.data import ImageDataset
from glyphnet.errors import BadFileError, MissingExtraError, OutputError, RunFolderError, SettingsError, TrainingError
from glyphnet.files import Replacing
from glyphnet.nn import NETWORKS, parse_network, summary
from glyphnet.progress import Reporter
from glyphnet.studies.tuning import SearchCallback, Trial, Tuning
from glyphnet.studies.tuning.results import score
from glyphnet.studies.tuning.sizes import networks_within, parameters_of
from glyphnet.training import StepInfo, TrainingState

Tune = Callable[..., Tuning]


pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("little_ink")]


def facts(trial: Trial) -> tuple[object, ...]:
    """All of a trial but the time it took."""
    return trial.number, dict(trial.settings), replace(trial.outcome, seconds=0.0), trial.is_base


def test_the_loss_decides_between_equal_accuracies_and_nothing_else() -> None:
    assert score(90, 100, 0.2) > score(90, 100, 0.3)
    assert score(90, 100, 50.0) > score(89, 100, 0.0)
    assert score(90, 100, float("inf")) > score(89, 100, 0.0)


def test_the_winner_is_trained_as_its_trial_was_and_judged_on_the_test_images(tune: Tune, tmp_path: Path) -> None:
    said: list[str] = []
    found = tune(trials=4, out=tmp_path / "out", reporter=Reporter(said.append))
    assert found.ending == "trials"
    assert [trial.number for trial in found.trials] == [0, 1, 2, 3]
    assert found.base_trial is not None
    assert found.base_trial.settings == {"optimizer.lr": 0.01}, "the first trial is the recipe as it is"
    best, run = found.best, found.run
    assert best is not None
    assert run is not None
    assert best.score == max(trial.score for trial in found.trials)
    assert run.recipe.optimizer.lr == best.settings["optimizer.lr"]
    assert run.history[run.best_epoch - 1]["val_accuracy"] == pytest.approx(best.accuracy), "the same training again"
    assert run.evaluation is not None
    assert found.test is not None
    assert (found.test.accuracy, found.test.n) == (run.evaluation.accuracy, len(found.run.splits.test))
    assert found.test.low < found.test.accuracy < found.test.high
    assert "Searched: optimizer.lr=0.001..0.1:log." in said
    assert f"Training the winner (trial {best.number}) once more, for its run folder." in said
    again = tune(trials=4, out=tmp_path / "out")
    assert again.run is None, "it is trained once"
    assert again.test is not None
    assert again.test.accuracy == pytest.approx(found.test.accuracy, abs=1e-6)  # as evaluation.json has it
    assert again.notes == ()


def test_the_test_images_choose_nothing(tune: Tune, digits: Splits) -> None:
    """Other test images: the same trials, the same winner, another test accuracy."""
    test = digits.test
    wrong = ImageDataset(test.images, (test.labels + 1) % 10, test.classes, test.names)
    found, other = tune(), tune(data=Splits("digits", digits.train, digits.validation, wrong))
    assert list(map(facts, found.trials)) == list(map(facts, other.trials))
    assert found.test is not None
    assert other.test is not None
    assert found.test.accuracy > 0.8 > 0.2 > other.test.accuracy


def test_the_files_say_what_was_found(tune: Tune, tmp_path: Path) -> None:
    found = tune(trials=11, settings={"network": {"kind": "mlp"}, "epochs": 2}, out=tmp_path, pruning=False,
                 search={"network.dropout": "0..0.9", "network.hidden": "[16],[8,8]"})  # fmt: skip
    with (tmp_path / "trials.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["trial"]) for row in rows] == list(range(11))
    assert {row["network.hidden"] for row in rows} == {"[16]", "[8,8]"}
    assert [float(row["val_accuracy"]) for row in rows] == pytest.approx([t.accuracy for t in found.trials], abs=1e-6)
    shares = json.loads((tmp_path / "importance.json").read_text(encoding="utf-8"))["shares"]
    assert sum(shares.values()) == pytest.approx(1, abs=1e-5)
    assert max(shares, key=lambda name: shares[name]) == "network.hidden", "see slices.png: two layers of 8 never do"
    from glyphnet.runs import read_recipe

    assert found.run is not None
    assert read_recipe(tmp_path / "best.yaml") == found.run.recipe
    assert (tmp_path / "winner" / "report.html").is_file()
    for name in ("history", "slices", "importance"):
        with Image.open(tmp_path / f"{name}.png") as picture:
            assert picture.width > 900
            assert len(np.unique(np.asarray(picture.convert("L")))) > 20, f"{name}.png is blank"
    text = str(found)
    assert text.splitlines()[0] == "digits: 11 trials (11 finished) on 144 validation images; all trials are done."
    assert "was selected on these scores, so its own score is optimistic" in text
    assert "accuracy on digits, test part, which chose nothing: " in text
    assert "PED-ANOVA, 11 finished trials" in text
    json.dumps(found.to_dict(), allow_nan=False)


def test_an_interrupted_search_goes_on_as_an_unbroken_one(tune: Tune, tmp_path: Path) -> None:
    unbroken = tune(trials=5)
    tune(trials=2, storage=tmp_path / "b.db")
    said: list[str] = []
    resumed = tune(trials=5, storage=tmp_path / "b.db", reporter=Reporter(said.append))
    assert f"Resuming {tmp_path / 'b.db'}: 2 trials have ended." in said
    assert list(map(facts, resumed.trials)) == list(map(facts, unbroken.trials))
    assert len({trial.settings["optimizer.lr"] for trial in resumed.trials}) == 5, "each trial draws anew"


def test_a_second_winner_says_that_the_test_images_were_looked_at(tune: Tune, tmp_path: Path) -> None:
    assert tune(trials=1, storage=tmp_path / "study.db").notes == ()
    later = tune(trials=6, storage=tmp_path / "study.db")
    assert later.best is not None
    assert later.best.number > 0
    assert later.notes == (
        "The test images were looked at before, for an earlier winner (trial 0): "
        "if their result made you continue the search, they are no longer independent.",
    )
    assert later.notes[0] in str(later)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"search": {"optimizer.lr": "1e-2..0.1:log"}},
         "--search optimizer.lr was 0.001..0.1:log and is 0.01..0.1:log"),
        ({"search": {"network.hidden": [[4], [8]]}, "settings": {"network": {"kind": "mlp"}}},
         "--search network.hidden was nothing and is [4],[8]; --search optimizer.lr was 0.001..0.1:log and is nothing"),
        ({"changes": {"epochs": 2}}, "epochs was 3 and is 2. Use the same settings, or start a new search with"),
        ({"changes": {"seed": 2}}, "seed was 0 and is 2"),
        ({"data": "other"}, "another search: other images of digits."),
    ],
)  # fmt: skip
def test_another_search_in_the_same_place_is_refused(
    other: dict[str, object], message: str, tune: Tune, digits: Splits, study: Path
) -> None:
    if "data" in other:
        other = {"data": Splits("digits", digits.validation, digits.train, digits.test)}
    with pytest.raises(RunFolderError) as raised:
        tune(trials=1, storage=study, **other)
    assert f"{study}: holds another search: " in str(raised.value)
    assert message in str(raised.value)


def test_trials_that_diverge_or_are_impossible_are_not_the_end(tune: Tune) -> None:
    found = tune(
        trials=12, settings={"network": {"kind": "cnn", "stem": 2, "dense": [], "downsample": "pool"}, "epochs": 1},
        search={"network.channels": [[2], [2, 2, 2, 2, 2, 2]], "optimizer.lr": [0.01, 1e30]},
    )  # fmt: skip
    endings = {trial.ending for trial in found.trials}
    assert endings == {"finished", "impossible", "diverged"}, [t.outcome for t in found.trials]
    reasons = {trial.ending: trial.outcome.reason for trial in found.trials}
    assert "Give channels fewer entries" in reasons["impossible"]
    assert "The loss became NaN or infinite" in reasons["diverged"]
    assert found.best is not None
    assert found.best.settings == {"network.channels": "[2]", "optimizer.lr": "0.01"}


def test_where_no_trial_comes_to_its_end_the_last_reason_is_told(tune: Tune) -> None:
    with pytest.raises(TrainingError, match="No trial finished. The last one: The loss became NaN or infinite"):
        tune(trials=2, search={"optimizer.lr": "1e30..1e31:log"})


def test_what_was_drawn_before_is_not_trained_again_and_a_used_up_space_ends_the_search(tune: Tune) -> None:
    class Count(SearchCallback):
        trained = 0

        def trial_began(self, progress: object) -> None:
            self.trained += 1

    count = Count()
    found = tune(trials=1000, settings={"epochs": 1}, search={"batch_size": "64..128:step64"}, callbacks=[count])
    assert found.ending == "repeats"
    assert count.trained == 2


def test_the_time_is_kept_also_in_the_midst_of_a_trial(tune: Tune) -> None:
    with pytest.raises(TrainingError, match=r"No trial finished in 0.3 s. Give more time, or start from a"):
        tune(trials=None, seconds=0.3, settings={"epochs": 100_000})


def test_trials_among_the_worst_are_pruned_and_not_unless_wanted(tune: Tune) -> None:
    arguments = {
        "trials": 16,
        "search": {"optimizer.lr": "1e-7..0.1:log"},
        "settings": {"epochs": 6, "batch_size": 256},
    }
    found, whole = tune(**arguments), tune(**arguments, pruning=False)
    pruned = [trial for trial in found.trials if trial.ending == "pruned"]
    assert pruned
    assert all(trial.outcome.epochs < 6 for trial in pruned)
    assert {trial.ending for trial in whole.trials} == {"finished"}
    assert found.best is not None
    assert whole.best is not None
    assert found.best.settings == whole.best.settings


def test_a_callback_stops_the_search_and_what_was_found_is_kept(tune: Tune, tmp_path: Path) -> None:
    class StopInThird(SearchCallback):
        trial = -1
        ended = False

        def trial_began(self, progress: object) -> None:
            self.trial += 1

        def after_step(self, info: StepInfo, state: TrainingState) -> bool:
            return self.trial == 2

        def search_ended(self) -> None:
            self.ended = True

    callback = StopInThird()
    found = tune(trials=9, out=tmp_path, callbacks=[callback])
    assert found.ending == "stopped"
    assert [trial.ending for trial in found.trials] == ["finished", "finished", "stopped"]
    assert (found.run, found.test) == (None, None)
    assert callback.ended
    assert not (tmp_path / "winner").exists()
    assert len((tmp_path / "trials.csv").read_text().splitlines()) == 4
    resumed = tune(trials=3, storage=tmp_path / "study.db")
    assert [trial.ending for trial in resumed.trials] == ["finished", "finished", "stopped", "finished"]


@pytest.mark.parametrize("content", [b"no database at all" * 99, None])
def test_a_file_that_is_no_study_is_left_alone(content: bytes | None, tune: Tune, tmp_path: Path) -> None:
    file = tmp_path / "other.db"
    if content is None:
        import sqlite3
        from contextlib import closing

        with closing(sqlite3.connect(file)) as connection, connection:
            connection.execute("CREATE TABLE mine (a)")
    else:
        file.write_bytes(content)
    before = file.read_bytes()
    with pytest.raises(BadFileError, match=r"other.db: it .* Choose another file with --storage."):
        tune(storage=file)
    assert file.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["other.db"]


def test_a_path_may_hold_any_character(tune: Tune, tmp_path: Path) -> None:
    file = tmp_path / "a?b#c %d.db"
    tune(trials=1, storage=file)
    assert file.is_file()
    assert len(tune(trials=2, storage=file).trials) == 2


def test_without_validation_images_there_is_nothing_to_choose_by(tune: Tune, digits: Splits) -> None:
    none = digits.validation.subset(np.zeros(len(digits.validation), dtype=bool))
    with pytest.raises(SettingsError, match="Trials are judged on validation images, and there are none"):
        tune(data=Splits("digits", digits.train, none, digits.test))


def test_optuna_is_optional_and_says_nothing(
    tune: Tune, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    import optuna

    before = optuna.logging.get_verbosity()
    tune(trials=2)
    assert capfd.readouterr() == ("", "")
    assert optuna.logging.get_verbosity() == before, "the caller's own studies log as before"
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MissingExtraError, match=r'Tuning needs an optional part. .*: pip install "glyphnet\[tune\]"'):
        glyphnet.tune("digits")


def test_torchrun_is_told_that_it_is_not_needed(tune: Tune, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.setenv(name, "0")
    for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE"):
        monkeypatch.setenv(name, "2")
    with pytest.raises(SettingsError, match="torchrun divides one training, not a search. Start the same command"):
        tune()


@pytest.mark.parametrize(("budget", "message"), [({"trials": 0}, "trials (=0)"), ({"seconds": -1.0}, "seconds (=-1)")])
def test_a_budget_that_is_none(budget: dict[str, float], message: str, tune: Tune) -> None:
    with pytest.raises(SettingsError) as raised:
        tune(**{"trials": None, **budget})
    assert message in str(raised.value)


@pytest.mark.parametrize(
    "name", ["winner", "winner/model.safetensors", "winner/.lock", "study.db", "study.db-journal", "trials.csv"]
)
def test_links_in_a_folder_that_was_received_are_not_followed(
    tune: Tune, study: Path, tmp_path: Path, name: str
) -> None:
    received, outside = tmp_path / "received", tmp_path / "outside"
    (received / "winner").mkdir(parents=True)
    shutil.copy(study, received / "study.db")
    place = received / name
    if place.exists():
        place.rename(outside)
    else:
        outside.write_text("mine")
    place.symlink_to(outside)
    before = {path: path.read_bytes() for path in [outside, *outside.rglob("*")] if path.is_file()}
    for rules in (Replacing(is_default=True), Replacing(overwrite=True)):
        with pytest.raises(OutputError, match=f"{place.name}: is (a link, which is not followed|needed for a lock)"):
            tune(trials=2, out=received, replacing=rules)
    assert {path: path.read_bytes() for path in [outside, *outside.rglob("*")] if path.is_file()} == before


def test_of_networks_within_a_size_the_best_is_searched(digits: Splits, tmp_path: Path) -> None:
    found = glyphnet.tune(
        digits, preset="fast", changes={"epochs": 2}, trials=3, max_parameters=900, device="cpu", out=tmp_path / "out"
    )
    assert found.run is not None
    assert found.run.classifier is not None
    assert found.run.classifier.summary().parameters <= 900
    assert all("kind" in str(trial.settings["network"]) for trial in found.trials)
    assert len({trial.settings["network"] for trial in found.trials}) > 1, "several networks were tried"


def test_a_network_that_is_drawn_too_large_is_not_trained(tune: Tune) -> None:
    found = tune(trials=3, max_parameters=700, search={"network": ["linear", '{"kind": "mlp", "hidden": [64]}']})
    endings = {trial.settings["network"]: trial.outcome for trial in found.trials}
    assert endings["linear"].ending == "finished"
    too_large = [trial.outcome for trial in found.trials if trial.settings["network"] != "linear"]
    assert all(outcome.ending == "impossible" for outcome in too_large)
    assert all("4,810 parameters, more than max_parameters (=700)" in outcome.reason for outcome in too_large)
    with pytest.raises(SettingsError, match="the smallest network for images of 8×8×1 and 10 classes"):
        tune(search=None, max_parameters=20)


@pytest.mark.parametrize(("most", "shape"), [(8000, (28, 28, 1)), (700, (28, 28, 1)), (20_000, (32, 32, 3))])
def test_each_family_is_as_wide_as_the_size_allows(most: int, shape: tuple[int, int, int]) -> None:
    specs = [parse_network(json.loads(text)) for text in networks_within(most, shape, 10)]
    assert len(specs) > 5
    assert all(parameters_of(spec, shape, 10) <= most for spec in specs)
    assert max(parameters_of(spec, shape, 10) for spec in specs) > 0.9 * most


@pytest.mark.parametrize("kind", NETWORKS)
def test_parameters_are_counted_as_in_the_summary(kind: str) -> None:
    spec = parse_network(kind)
    assert parameters_of(spec, (32, 32, 1), 10) == summary(spec, (32, 32, 1), 10).parameters

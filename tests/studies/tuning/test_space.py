"""What is searched: how it is written, what is refused, and where the search begins."""

from __future__ import annotations

import optuna
import pytest

from glyphnet.errors import SettingsError
from glyphnet.studies.tuning.space import Choice, Range, default_search, read_space
from glyphnet.training import Recipe, preset

RECIPE = preset("fast", (8, 8, 1), 1293, 10)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ({"optimizer.lr": "1e-4..1e-1:log"}, Range("optimizer.lr", 1e-4, 0.1, log=True)),
        ({"network.dropout": "0..0.5"}, Range("network.dropout", 0.0, 0.5)),
        ({"network.dropout": "0..0.5:step0.1"}, Range("network.dropout", 0.0, 0.5, step=0.1)),
        ({"network.stem": "8..32:step8"}, Range("network.stem", 8, 32, whole=True, step=8)),
        ({"network.stem": "8..30:step8"}, Range("network.stem", 8, 24, whole=True, step=8)),
        ({"batch_size": " 32..256 "}, Range("batch_size", 32, 256, whole=True)),
        ({"augment.rotate": "0..20"}, Range("augment.rotate", 0, 20)),
        ({"augment.shift": "0..2"}, Range("augment.shift", 0, 2, whole=True)),
        ({"early_stopping.patience": "2..5"}, Range("early_stopping.patience", 2, 5, whole=True)),
        ({"optimizer": "adamw, sgd,muon"}, Choice("optimizer", ("adamw", "sgd", "muon"))),
        ({"optimizer.name": "adamw,sgd"}, Choice("optimizer", ("adamw", "sgd"))),
        ({"network.channels": "[8],[8,16]"}, Choice("network.channels", ("[8]", "[8,16]"))),
        ({"network.channels": [[8], (8, 16)]}, Choice("network.channels", ("[8]", "[8, 16]"))),
        ({"network.batch_norm": [True, False]}, Choice("network.batch_norm", ("true", "false"))),
    ],
)
def test_what_is_written_is_read(written: dict[str, str], read: Range | Choice) -> None:
    assert read_space(written, RECIPE).dimensions == (read,)


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ({"optimizer.lrr": "0.1..1"}, 'unknown setting "optimizer.lrr"; did you mean "lr"?'),
        ({"augment.rotat": "0..5"}, 'unknown augmentation "rotat"; did you mean "rotate"?'),
        ({"optimizer": "adamw,sdg"}, 'unknown optimizer "sdg"; did you mean "sgd"?'),
        ({"optimizer.lr": "0..1"}, "optimizer.lr=0.0 must be greater than 0"),
        ({"network.dropout": "0..1.5"}, "network.dropout=1.5 must be less than 1"),
        ({"augment.shift": "0..99"}, "shift=99.0 must be from 0 to 64 (pixels)"),
        ({"optimizer.lr": "1..0.1"}, "optimizer.lr=1..0.1 is empty: the first number must be below the second"),
        ({"network.dropout": "0..0.5:log"}, "network.dropout=0..0.5:log: a logarithmic range must start above 0"),
        ({"batch_size": "32..64:step64"}, "batch_size=32..64:step64: the step must be above 0 and at most the"),
        ({"network.stem": "8.5..32"}, "network.stem=8.5..32 must be whole numbers"),
        ({"network.channels": "8..32"}, "network.channels is not a number: give choices separated by commas"),
        ({"optimizer.lr": "a..b"}, 'optimizer.lr: "a" is not a number: write LOW..HIGH'),
        ({"optimizer.lr": "1..2:lin"}, "optimizer.lr=1..2:lin is not a range"),
        ({"optimizer": "sgd"}, "optimizer=sgd leaves nothing to search"),
        ({"optimizer": "sgd,sgd"}, "optimizer=sgd,sgd names a choice twice"),
        ({"optimizer": "sgd,"}, "optimizer=sgd, has an empty choice"),
        ({"optimizer": "adamw,sgd", "optimizer.name": "adamw,muon"}, "a setting is named twice"),
        ({"optimizer": "adamw,lbfgs"}, "optimizer lbfgs needs a loss that does not change by chance"),
        ({"data.size": "8..16"}, "data.size cannot be searched: the images are read once, for all trials"),
        ({"seed": "0..9"}, "seed cannot be searched: a lucky seed gains nothing on other images"),
        ({"early_stopping.patience": "20..50"}, "early_stopping has no effect: its patience (20) is not below epochs"),
    ],
)
def test_what_cannot_be_searched_is_told(written: dict[str, str], message: str) -> None:
    with pytest.raises(SettingsError) as raised:
        read_space(written, RECIPE)
    assert message in str(raised.value)


def test_all_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(SettingsError, match="optimizer.lr=0.0 must be.*; .*network.dropout=2.0 must be"):
        read_space({"optimizer.lr": "0..1", "network.dropout": "0..2"}, RECIPE)


def test_a_setting_without_effect_beside_the_others_is_refused() -> None:
    """With L-BFGS alone the batch size does nothing; where SGD may be drawn as well, it does something."""
    plain = RECIPE.override({"augment": {}, "optimizer": "lbfgs", "schedule": "constant"})
    with pytest.raises(SettingsError, match="batch_size has no effect: lbfgs looks at all images in every step"):
        read_space({"batch_size": "32..64"}, plain)
    assert len(read_space({"batch_size": "32..64", "optimizer": "lbfgs,sgd"}, plain)) == 2


def test_settings_that_only_some_kinds_have_are_drawn_only_for_those() -> None:
    space = read_space({"optimizer.momentum": "0..0.9", "optimizer": "adamw,sgd", "optimizer.lr": "0.01..0.1"}, RECIPE)
    assert {each.name: each.only for each in space.dimensions} == {
        "optimizer": (), "optimizer.momentum": ("sgd",), "optimizer.lr": (),
    }  # fmt: skip
    study = optuna.create_study()
    for _ in range(10):
        settings = space.suggest(study.ask())
        assert ("optimizer.momentum" in settings) == (settings["optimizer"] == "sgd")
        assert RECIPE.override(settings).optimizer.name == settings["optimizer"]


def test_the_bounds_are_those_of_every_kind_that_has_the_setting() -> None:
    with pytest.raises(SettingsError, match="optimizer.momentum=1.0 must be less than 1"):
        read_space({"optimizer": "adamw,sgd", "optimizer.momentum": "0..1"}, RECIPE)


def test_whole_numbers_stay_whole_and_steps_are_kept() -> None:
    space = read_space({"network.stem": "8..32:step8", "batch_size": "16..64:log"}, RECIPE)
    study = optuna.create_study()
    drawn = [space.suggest(study.ask()) for _ in range(20)]
    assert {settings["network.stem"] for settings in drawn} <= {8, 16, 24, 32}
    assert all(isinstance(settings["batch_size"], int) for settings in drawn)


def test_the_search_begins_with_the_recipe_itself_where_it_can_be_drawn() -> None:
    space = read_space({"optimizer": "sgd,muon", "optimizer.lr": "1e-3..1:log", "network.stem": "8..32"}, RECIPE)
    assert space.values_of(RECIPE) == {"optimizer": "muon", "optimizer.lr": 0.04, "network.stem": 16}
    assert read_space({"optimizer.lr": "0.1..1"}, RECIPE).values_of(RECIPE) is None
    assert read_space({"network.stem": "8..32:step7"}, RECIPE).values_of(RECIPE) is None
    assert read_space({"augment.rotate": "0..10"}, RECIPE).values_of(RECIPE) == {"augment.rotate": 0.0}


@pytest.mark.parametrize("name", ["fast", "balanced", "best"])
@pytest.mark.parametrize("optimizer", ["adamw", "adam", "sgd", "muon", "lbfgs"])
def test_the_default_space_is_sound_and_begins_with_the_recipe(name: str, optimizer: str) -> None:
    recipe = preset(name, (28, 28, 1), 54_000, 10)
    if optimizer == "lbfgs":
        recipe = recipe.override({"network": "linear", "augment": {}, "schedule": "constant"})
    recipe = recipe.override({"optimizer": optimizer})
    space = read_space(default_search(recipe), recipe)
    assert len(space) >= 2
    if optimizer == "adamw":
        assert space.values_of(recipe) is not None, space.to_dict()
        assert {f"augment.{each}" for each in recipe.augment} < set(space.to_dict())


def test_a_space_is_written_as_it_is_read() -> None:
    written = {"optimizer.lr": "0.0001..0.1:log", "network.stem": "8..32:step8", "optimizer": "adamw,sgd"}
    assert read_space(read_space(written, RECIPE).to_dict(), RECIPE) == read_space(written, RECIPE)


def test_a_recipe_without_the_section_can_still_be_searched_in_it() -> None:
    space = read_space({"early_stopping.patience": "2..5"}, RECIPE)
    assert RECIPE.early_stopping is None
    assert space.values_of(RECIPE) is None
    assert isinstance(RECIPE.override({"early_stopping.patience": 3}), Recipe)

"""The recipe: what it refuses, what it says, and that YAML loses nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glyphnet.errors import SettingsError
from glyphnet.training import PRESETS, EarlyStopping, Recipe, preset


def test_yaml_brings_every_preset_back_as_it_was() -> None:
    for name in PRESETS:
        for shape, images in (((8, 8, 1), 1300), ((28, 28, 1), 54_000), ((64, 48, 3), 300)):
            recipe = preset(name, shape, images, 10)
            assert Recipe.from_yaml(recipe.to_yaml()) == recipe


@given(st.floats(1e-12, 1e3), st.floats(0, 0.9), st.integers(0, 2**63 - 1))
def test_yaml_keeps_every_bit_of_a_number(lr: float, ema: float, seed: int) -> None:
    recipe = Recipe.parse({"network": "mlp", "optimizer": {"name": "sgd", "lr": lr}, "ema": ema, "seed": seed})
    assert Recipe.from_yaml(recipe.to_yaml()) == recipe


def test_a_number_with_an_exponent_is_a_number() -> None:
    assert Recipe.from_yaml("network: mlp\noptimizer: {name: adam, lr: 1e-3}").optimizer.lr == 1e-3
    assert Recipe.parse({"network": "mlp"}).override({"optimizer.lr": "5e-2"}).optimizer.lr == 0.05


def test_all_wrong_settings_are_told_at_once_with_the_near_miss() -> None:
    with pytest.raises(SettingsError) as caught:
        Recipe.parse(
            {
                "network": {"kind": "mlp", "hiden": [3]},
                "loss": {"name": "cross_entropy", "label_smothing": 0.1},
                "epochs": 0,
                "batchsize": 32,
                "optimizer": {"name": "adan"},
                "augment": {"rotat": 3},
            }
        )
    message = str(caught.value)
    for part in (
        'unknown setting "network.hiden"; did you mean "hidden"?',
        'unknown setting "loss.label_smothing"; did you mean "label_smoothing"?',
        'unknown setting "batchsize"; did you mean "batch_size"?',
        'unknown optimizer "adan"; did you mean "adam"?',
        'unknown augmentation "rotat"; did you mean "rotate"?',
        "epochs=0 must be greater than or equal to 1",
    ):
        assert part in message


def test_a_setting_in_the_wrong_section_is_pointed_to_its_own() -> None:
    with pytest.raises(SettingsError, match='unknown setting "lr"; did you mean "optimizer.lr"'):
        Recipe.parse({"network": "mlp"}).override({"lr": "0.1"})
    with pytest.raises(SettingsError, match='did you mean "loss.label_smoothing"'):
        Recipe.parse({"network": "mlp"}).override({"label_smoothing": 0.1})


def test_a_setting_of_another_kind_is_said_to_be_that() -> None:
    with pytest.raises(SettingsError, match=r'unknown setting "network\.hidden" for cnn: mlp and rnn have it$'):
        Recipe.parse({"network": "cnn"}).override({"network.hidden": [64]})
    with pytest.raises(SettingsError, match='"optimizer.momentum" for adam: sgd and muon have it$'):
        Recipe.parse({"network": "mlp", "optimizer": "adam"}).override({"optimizer.momentum": 0.9})


def test_another_kind_starts_its_section_afresh_whatever_the_order() -> None:
    recipe = Recipe.parse({"network": "mlp", "optimizer": {"name": "adamw", "weight_decay": 0.5}})
    changed = recipe.override({"optimizer.momentum": "0.5", "optimizer.name": "sgd", "network": "linear"})
    assert changed.optimizer.model_dump() == {"name": "sgd", "lr": 0.1, "momentum": 0.5, "nesterov": False}
    assert changed.network.kind == "linear"
    same = recipe.override({"optimizer": "adamw"})
    assert same.optimizer == recipe.optimizer


def test_settings_without_effect_are_named() -> None:
    recipe = Recipe.parse({"network": "mlp"})
    changed = recipe.override({"optimizer": "lbfgs", "batch_size": 3, "schedule": "cosine"})
    assert changed.without_effect(["batch_size", "optimizer", "schedule"]) == (
        "batch_size has no effect: lbfgs looks at all images in every step.",
        "schedule has no effect: lbfgs searches for its own step.",
    )
    assert changed.override({"schedule": "constant"}).without_effect(given=()) == ()
    sgd = Recipe.parse({"network": "mlp", "optimizer": {"name": "sgd", "momentum": 0.0, "nesterov": True}})
    assert sgd.without_effect() == ("optimizer.nesterov has no effect: optimizer.momentum is 0.",)
    patient = Recipe.parse({"network": "mlp", "epochs": 5, "early_stopping": {"patience": 5}})
    assert patient.without_effect() == ("early_stopping has no effect: its patience (5) is not below epochs (5).",)
    for augment, count in (({}, 1), ({"noise": 0}, 1), ({"noise": 0.1}, 0)):
        said = Recipe.parse({"network": "mlp", "augment": augment, "augment_share": 0.5}).without_effect()
        assert ["augment_share (=0.5) has no effect" in each for each in said] == [True] * count


def test_chance_in_a_line_search_is_refused() -> None:
    with pytest.raises(
        SettingsError,
        match=r"lbfgs needs a loss that does not change by chance: set augment\.shift, "
        r"network\.dropout to 0",
    ):
        Recipe.parse({"network": {"kind": "mlp", "dropout": 0.5}, "augment": {"shift": 1}, "optimizer": "lbfgs"})


@pytest.mark.parametrize("text", ["", "- 3", "epochs: [", "network: mlp\nnetwork: {kind"])
def test_what_is_no_recipe_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="recipe"):
        Recipe.from_yaml(text)


def test_a_recipe_cannot_be_changed() -> None:
    recipe = Recipe.parse({"network": "mlp", "early_stopping": {}})
    assert recipe.early_stopping == EarlyStopping()
    with pytest.raises(ValueError, match="frozen"):
        recipe.epochs = 3  # type: ignore[misc]


def test_unknown_presets_are_answered_with_the_near_miss() -> None:
    with pytest.raises(SettingsError, match='unknown preset "fats"; did you mean "fast"'):
        preset("fats", (28, 28, 1), 1000, 10)

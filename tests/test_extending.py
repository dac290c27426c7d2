"""Another package extends GlyphNet as docs/extending.md says: the page's own examples are installed, and used."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from glyphnet import plugins
from glyphnet.errors import ExportError, PluginError, SettingsError
from glyphnet.nn import BaseSpec, build, parse_network
from glyphnet.nn.kinds import LinearSpec
from glyphnet.nn.layers import LAYERS, Dense, LayerType, Residual, layers_of, parted_layers, plain_layers
from glyphnet.nn.scoring import parts_of
from glyphnet.plugins import GROUPS, Table
from glyphnet.settings import by_tag, not_a
from glyphnet.training import Recipe
from glyphnet.training.fast.layers import RULES
from glyphnet.training.losses import REGULARIZERS

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def install(folder: Path, name: str, version: str, groups: dict[str, dict[str, str]], module: str = "") -> None:
    """Put a package where ``pip install --target`` would: its module, and its metadata beside it."""
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", encoding="utf-8")
    lines = [
        line for group, rows in groups.items() for line in (f"[{group}]", *(f"{k} = {v}" for k, v in rows.items()))
    ]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / f"{name.replace('-', '_')}.py").write_text(module, encoding="utf-8")


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which the package of the page is installed."""
    folder = tmp_path_factory.mktemp("installed")
    [text] = blocks("toml")
    project = tomllib.loads(text)["project"]
    install(folder, project["name"], project["version"], project["entry-points"], "\n\n".join(blocks("python")))
    return folder


def python(script: str, folder: Path, *paths: Path) -> subprocess.CompletedProcess[str]:
    """Run a script in a new process with more folders of packages."""
    places = [str(ROOT / "src"), *map(str, paths)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(places), "GLYPHNET_CACHE": str(folder / "cache")}
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=240,
    )  # fmt: skip


TRAIN = """
import json, glyphnet
from glyphnet.data.named import read_digits
from glyphnet.errors import ExportError
from glyphnet.export.export import export

images, labels, _ = read_digits()
with open("digits.bits", "w") as file:
    for image, label in zip(images, labels):
        print(label, "".join(str(min(9, pixel // 28)) for pixel in image.ravel()), file=file)

changes = {
    "network": "bottleneck", "optimizer": "rmsprop", "schedule": "linear",
    "regularizers.log_cosh": 1e-4, "augment": {"invert": 0.01}, "epochs": 3,
}
from glyphnet.training import LogTo
run = glyphnet.train("digits.bits", changes=changes, callbacks=[LogTo("lines:figures.txt")])
run.classifier.save("model.safetensors")
told = {
    "log": open("figures.txt").read().splitlines(),
    "accuracy": run.evaluation.accuracy,
    "penalties": [strength for _, strength in run.recipe.penalties],
    "notes": run.splits.notes,
    "labels": run.classifier.predict(images[:5]),
}
again = glyphnet.load_model("model.safetensors")
told["same"] = again.predict(images[:5]) == told["labels"]
for name in ("model.onnx", "model.html", "model.pt2"):
    told[name] = export(again, name).proof.same_labels
soft = glyphnet.train("digits.bits", changes={"network": {"kind": "bottleneck", "soft": True}, "epochs": 1}).classifier
told["soft.onnx"] = export(soft, "soft.onnx").proof.same_labels
try:
    export(soft, "soft.html")
except ExportError as error:
    told["soft.html"] = str(error)
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def trained(package: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A folder in which a model was trained with everything that the package adds, and what was found."""
    folder = tmp_path_factory.mktemp("trained")
    done = python(TRAIN, folder, package)
    assert done.returncode == 0, done.stderr
    return folder, json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
def test_everything_that_a_package_adds_trains_predicts_and_is_exported(trained: tuple[Path, dict[str, Any]]) -> None:
    folder, told = trained
    assert told["accuracy"] > 0.5  # three epochs through a bottleneck; chance is 0.1
    assert "Read as a .bits file by glyphnet-example 1.0." in told["notes"]
    assert told["penalties"] == [1e-4]
    assert told["same"]
    assert [line.split(" ")[0] for line in told["log"]] == ["glyphnet:", "1.0", "2.0", "3.0", "test"]
    assert told["log"][-1] == f"test accuracy {told['accuracy']}"
    assert told["model.onnx"] == told["model.html"] == told["model.pt2"] == told["soft.onnx"] == 100
    assert "PlainSoftsign" in told["soft.html"]
    assert ".onnx" in told["soft.html"]
    assert not (folder / "soft.html").exists()


@pytest.mark.slow
def test_a_file_of_the_package_is_predicted_whichever_is_imported_first(
    trained: tuple[Path, dict[str, Any]], package: Path
) -> None:
    folder, _ = trained
    script = """
import sys, glyphnet_example
from glyphnet.__main__ import main
sys.argv = ["glyphnet", "predict", "model.safetensors", "digits.bits", "--out", "found.csv"]
main()
"""
    done = python(script, folder, package)
    assert done.returncode == 0, done.stderr
    rows = (folder / "found.csv").read_text(encoding="utf-8").splitlines()
    assert len(rows) == 1798  # a header, and every line of the file
    assert rows[1].startswith("digits.bits#0,")


@pytest.mark.slow
def test_a_model_of_a_package_that_is_not_here_is_refused_and_names_it(trained: tuple[Path, dict[str, Any]]) -> None:
    folder, _ = trained
    done = python("import glyphnet; glyphnet.load_model('model.safetensors')", folder)
    last = done.stderr.splitlines()[-1]
    assert last.startswith("glyphnet.errors.UnsupportedFileError: model.safetensors:")
    assert "bottleneck" in last
    assert "made with 'glyphnet-example' '1.0', which is not installed here" in last


def test_help_and_import_load_no_package(tmp_path: Path) -> None:
    folder = tmp_path / "installed"
    install(folder, "broken", "1", {f"glyphnet.{group}": {"row": "broken:ROW"} for group in GROUPS}, "raise OSError")
    script = """
import sys, glyphnet
sys.argv = ["glyphnet", "--help"]
from glyphnet.__main__ import main
try:
    main()
finally:
    assert "torch" not in sys.modules and "broken" not in sys.modules
"""
    done = python(script, tmp_path, folder)
    assert done.returncode == 0, done.stderr
    assert "Usage: glyphnet" in done.stdout


# What is wrong with a row is said with the package and the entry point


@pytest.fixture
def added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Table[type[BaseSpec]]]:
    """Install packages, and make a table of networks that takes rows from them."""

    def table(*packages: tuple[str, dict[str, str], str]) -> Table[type[BaseSpec]]:
        for name, rows, module in packages:
            install(tmp_path, name, "2.1", {"glyphnet.networks": rows}, module)
            monkeypatch.delitem(sys.modules, name.replace("-", "_"), raising=False)
        monkeypatch.syspath_prepend(tmp_path)
        plugins._installed.cache_clear()
        return Table("networks", by_tag(LinearSpec), not_a(BaseSpec))

    yield table  # type: ignore[misc]
    monkeypatch.undo()
    plugins._installed.cache_clear()


SPEC = """
from typing import Literal
from glyphnet.nn.kinds import MLPSpec

class Spec(MLPSpec):
    kind: Literal["deep"] = "deep"
"""


def test_rows_of_packages_come_after_ours(added: Callable[..., Table[type[BaseSpec]]]) -> None:
    table = added(("pkg-one", {"deep": "pkg_one:Spec"}, SPEC))
    assert list(table) == ["linear", "deep"]
    assert table["deep"].__module__ == "pkg_one"
    assert (table.package("deep"), table.package("linear")) == ("pkg-one 2.1", None)
    assert plugins.packages() == {"pkg-one": "2.1"}


def test_nothing_is_loaded_before_it_is_needed(added: Callable[..., Table[type[BaseSpec]]]) -> None:
    table = added(("pkg-two", {"deep": "pkg_two:Spec"}, SPEC))
    assert table["linear"] is LinearSpec
    assert "pkg_two" not in sys.modules
    assert "deep" in table
    assert "pkg_two" in sys.modules


@pytest.mark.parametrize(
    ("packages", "words"),
    [
        ([("pkg-a", {"linear": "pkg_a:Spec"}, SPEC)], ["pkg-a 2.1", '"linear = pkg_a:Spec"', "GlyphNet itself"]),
        (
            [("pkg-b", {"deep": "pkg_b:Spec"}, SPEC), ("pkg-c", {"deep": "pkg_c:Spec"}, SPEC)],
            ["pkg-c 2.1", '"deep = pkg_c:Spec" of glyphnet.networks', "pkg-b 2.1", "Uninstall"],
        ),
        ([("pkg-d", {"deep": "pkg_d:Spec"}, "1 / 0")], ["pkg-d 2.1", "ZeroDivisionError: division by zero", "Repair"]),
        ([("pkg-e", {"deep": "pkg_e:Nothing"}, SPEC)], ["pkg-e 2.1", "AttributeError", "Nothing"]),
        ([("pkg-f", {"deep": "pkg_f:Literal"}, SPEC)], ["pkg-f 2.1", "no subclass of glyphnet.nn.spec.BaseSpec"]),
        ([("pkg-g", {"shallow": "pkg_g:Spec"}, SPEC)], ["pkg-g 2.1", "kind is 'deep'", '"shallow"']),
    ],
    ids=["ours", "another's", "raises", "is not there", "is something else", "is called otherwise"],
)
def test_a_row_that_cannot_be_used_names_package_and_entry_point(
    added: Callable[..., Table[type[BaseSpec]]], packages: list[Any], words: list[str]
) -> None:
    table = added(*packages)
    for _ in range(2):  # the second time it is no less true
        with pytest.raises(PluginError) as caught:
            list(table)
        for word in words:
            assert word in str(caught.value)


@pytest.mark.parametrize("group", ["glyphnet.network", "glyphnet.regularisers", "glyphnet.optimisers"])
def test_a_group_that_is_called_almost_as_ours_is_refused(
    added: Callable[..., Table[type[BaseSpec]]], tmp_path: Path, group: str
) -> None:
    install(tmp_path, "pkg-h", "2.1", {group: {"row": "pkg_h:ROW"}})
    with pytest.raises(PluginError, match=f'^pkg-h 2.1: its entry points of "{group}" .* "glyphnet.'):
        list(added())


def test_a_group_for_something_else_is_none_of_our_business(
    added: Callable[..., Table[type[BaseSpec]]], tmp_path: Path
) -> None:
    install(tmp_path, "pkg-i", "2.1", {"glyphnet.example.colours": {"row": "pkg_i:ROW"}, "other": {"x": "pkg_i:X"}})
    assert list(added()) == ["linear"]
    assert plugins.packages() == {}


def test_a_path_that_two_packages_claim_is_refused(tmp_path: Path, package: Path) -> None:
    other = tmp_path / "other"
    module = "import glyphnet_example\nBITS = glyphnet_example.Source('bits', lambda p: p.suffix == '.bits', None)"
    install(other, "rival", "3", {"glyphnet.sources": {"rival": "rival:BITS"}}, module)
    (tmp_path / "a.bits").write_text("0 0000", encoding="utf-8")
    done = python("import glyphnet; glyphnet.load('a.bits')", tmp_path, package, other)
    last = done.stderr.splitlines()[-1]
    assert last.startswith("glyphnet.errors.DataError: a.bits:")
    assert '"bits" of glyphnet-example 1.0 and "rival" of rival 3' in last


# Regularizers by name


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"l2": 0.1}, "l2 is a setting of its own"),
        ({"l3": 0.1}, 'unknown regularizer "l3"'),
        ({"halving": -1.0}, "greater than or equal to 0"),
    ],
)
def test_strengths_of_regularizers_are_checked(
    given: dict[str, float], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(REGULARIZERS, "halving", REGULARIZERS["l2"])
    with pytest.raises(SettingsError, match=words):
        Recipe.parse({"network": "linear", "regularizers": given})


def test_a_regularizer_takes_part_with_its_strength(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(REGULARIZERS, "halving", REGULARIZERS["l2"])
    recipe = Recipe.parse({"network": "linear", "l1": 0.5}).override({"regularizers.halving": 0.25})
    assert recipe.penalties == [(REGULARIZERS["l1"], 0.5), (REGULARIZERS["halving"], 0.25)]
    assert Recipe.from_yaml(recipe.to_yaml()) == recipe


# Layers, and networks that are no chain of them


class Fork(nn.Module):
    """Two branches, their sum, and a ReLU that is made last and computed first."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Linear(4, 3), nn.Linear(4, 3)
        self.relu = nn.ReLU()
        self.head = nn.Linear(3, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.relu(x)
        result: torch.Tensor = self.head(self.left(x) + self.right(x))
        return result


def plain_fork(fork: Fork) -> list[Any]:
    branches = (tuple(plain_layers(fork.left)), tuple(plain_layers(fork.right)))
    return [*plain_layers(fork.relu), Residual(*branches), *plain_layers(fork.head)]


def test_the_parts_of_a_network_that_is_no_chain_give_what_it_gives() -> None:
    fork, x = Fork().eval(), torch.randn(20, 4)
    parts = parts_of(fork)
    assert torch.equal(parts.head(parts.activation(parts.body(x))), fork(x))


def test_a_network_that_is_no_chain_is_exported_by_a_row_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ExportError, match=r"type Fork cannot be exported.*\.pt2"):
        layers_of(Fork())
    monkeypatch.setitem(LAYERS, "Fork", LayerType(Fork, plain_fork))
    parted = parted_layers(Fork())
    assert [type(layer).__name__ for layer in parted.body] == ["Activation", "Residual"]
    assert [type(layer) for layer in parted.rest] == [Dense]


def test_a_class_that_only_has_the_name_of_a_row_is_no_layer_of_the_table() -> None:
    Linear = type("Linear", (nn.Linear,), {})  # noqa: N806  # a class
    with pytest.raises(ExportError, match="type Linear cannot be exported"):
        layers_of(nn.Sequential(Linear(2, 2)))


def test_every_layer_with_a_hand_written_pass_is_in_the_table() -> None:
    assert {row.module for row in LAYERS.values()} >= set(RULES)


@pytest.mark.parametrize("kind", ["linear", "mlp", "cnn", "rnn", "resnet"])
def test_every_layer_of_a_network_has_a_row(kind: str) -> None:
    network = build(parse_network(kind), (28, 28, 1), 10)
    assert all(type(layer).__name__ in LAYERS for layer in network)


# What the page says of our own tables


ROWS = re.findall(r"^\| (an? .+?) \| (.+?) \| `(\w+)` in `src/(.+?)\.py` \|$", PAGE, re.MULTILINE)


def test_the_page_names_every_table_that_takes_rows() -> None:
    assert len(ROWS) >= 13
    [text] = blocks("toml")
    assert {group.removeprefix("glyphnet.") for group in tomllib.loads(text)["project"]["entry-points"]} == (
        set(GROUPS) - {"losses"}
    )


@pytest.mark.parametrize(("what", "code", "table", "module"), ROWS, ids=[row[0] for row in ROWS])
def test_a_row_is_where_the_page_says(what: str, code: str, table: str, module: str) -> None:
    assert len(getattr(import_module(module.replace("/", ".")), table)) > 0
    # At most one other file holds what a row refers to; a lab is an experiment and a page.
    places = re.findall(r"`(src/[\w/.]+)`", code)
    assert len(places) == 1
    assert (ROOT / places[0]).exists()

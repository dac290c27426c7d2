"""A name says what is in a file: every function that writes one refuses a name of another format before it works."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from matplotlib.figure import Figure

import glyphnet
from glyphnet.classifier import Classifier
from glyphnet.data.corrections import write_decisions
from glyphnet.data.inspect import write_pairs
from glyphnet.errors import OutputError
from glyphnet.evaluation import Evaluation, evaluate
from glyphnet.evaluation.suggest import write_suggestions
from glyphnet.explain import save_figure
from glyphnet.export import export, write_card
from glyphnet.filekinds import check_suffix, suffix_of
from glyphnet.modelhub import pull
from glyphnet.nn import Preprocessing, build, parse_network
from glyphnet.predictfiles import write_predictions
from glyphnet.report import write_report
from glyphnet.studio import Folder
from glyphnet.training import LogTo


@pytest.fixture(scope="module")
def judged() -> tuple[Classifier, Evaluation]:
    splits = glyphnet.load("digits")
    spec = parse_network("linear")
    with torch.random.fork_rng(devices=[]):
        network = build(spec, (8, 8, 1), 10)
    classifier = Classifier(network, spec, (8, 8, 1), splits.classes, Preprocessing.measure(splits.train.images))
    return classifier, evaluate(classifier, splits.test.subset(range(20)), data="digits", part="test")


WRITERS: dict[str, tuple[str, Callable[[Path, Classifier, Evaluation], object]]] = {
    "save": (".onnx", lambda path, model, _: model.save(path)),
    "save, PyTorch's suffix": (".pt", lambda path, model, _: model.save(path)),
    "export": (".onnx", lambda path, model, _: export(model, path, "html")),
    "write_card": (".html", lambda path, model, _: write_card(model, path)),
    "save_figure": (".jpg", lambda path, *_: save_figure(Figure(), path)),
    "write_report": (".pdf", lambda path, _, judged: write_report(path, judged)),
    "write_predictions_csv": (".json", lambda path, _, judged: judged.write_predictions_csv(path)),
    "write_suggestions": (".xlsx", lambda path, *_: write_suggestions(path, [], [])),
    "write_pairs": (".tsv", lambda path, *_: write_pairs([], path)),
    "write_decisions": (".parquet", lambda path, *_: write_decisions(path, [])),
    "write_predictions": (".xlsx", lambda path, *_: write_predictions(path.parent / "no", [], path)),
    "pull": (".onnx", lambda path, *_: pull("hf:a/b", path)),
    "a log": (".json", lambda path, *_: LogTo(f"csv:{path}")),
    "a folder of train": (".safetensors", lambda path, *_: glyphnet.train("digits", preset="fast", out=path)),
    "a folder of the studio": (".html", lambda path, *_: Folder(path)),
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_name_of_another_format_is_refused(judged: tuple[Classifier, Evaluation], tmp_path: Path, name: str) -> None:
    suffix, write = WRITERS[name]
    with pytest.raises(OutputError, match=rf"x\{suffix}: ends in \{suffix}, but .* is written. Choose another name: x"):
        write(tmp_path / f"x{suffix}", *judged)
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("name", ["x", "x.v2", "x.txt", "x.bak", "x.html", "x.HTM", "html"])
def test_the_usual_names_and_names_of_no_format_pass(name: str) -> None:
    check_suffix(name, (".html",))
    assert suffix_of("PAGE.HTM") == ".html"

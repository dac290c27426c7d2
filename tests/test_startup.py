"""What is imported when: a training begins as soon as PyTorch is there, and so does a prediction.

Each of these packages takes from a tenth of a second to more than PyTorch itself, as its compiler does
(``torch._dynamo``, which imports ``sympy``).
"""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = (
    "fastapi", "jinja2", "matplotlib", "onnx", "onnxruntime", "optuna", "pandas", "pyarrow", "ray", "rich",
    "scipy", "sklearn", "sympy", "torch._dynamo", "torch._inductor", "xgboost",
)  # fmt: skip

SCRIPT = f"""
import json, sys

def loaded(when):
    print(json.dumps([when, [name for name in {HEAVY} if name in sys.modules]]))

import glyphnet.runs, glyphnet.runs.review, glyphnet.evaluation, glyphnet.explain, glyphnet.answers, glyphnet.onnxmodel
loaded("the packages are imported")

import glyphnet.cli.train, glyphnet.cli.predict, glyphnet.cli.evaluate, glyphnet.cli.data, glyphnet.cli.explain
loaded("the verbs are imported")

import torch
from glyphnet.nn import NETWORKS, build, parse_network, summary
for kind in NETWORKS:
    with torch.device("meta"):
        build(parse_network(kind), (32, 32, 1), 10)
loaded("networks of every kind are described")
for kind in NETWORKS:
    assert summary(parse_network(kind), (32, 32, 1), 10).flops > 0
loaded("networks of every kind are summed up")

from glyphnet.training import Callback

class Stop(Callback):
    def after_step(self, info, state):
        loaded("a step of " + state.recipe.optimizer.name + " is done")
        return True

def step(optimizer, network="mlp"):
    changes = {{"network": network, "optimizer": optimizer, "augment": {{}}, "epochs": 1}}
    glyphnet.train("digits", changes=changes, callbacks=[Stop()])

step("adamw", "resnet")
step("adam", "cnn")
step("sgd")
step("muon")
step("lbfgs")

import tempfile
with tempfile.TemporaryDirectory() as folder:
    glyphnet.train("digits", preset="fast", changes={{"epochs": 1}}, out=folder + "/run")
loaded("a run is written")
"""


@pytest.fixture(scope="module")
def loaded() -> dict[str, list[str]]:
    run = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return dict(map(json.loads, run.stdout.splitlines()))


@pytest.mark.parametrize(
    "when",
    [
        "the packages are imported",
        "the verbs are imported",
        "networks of every kind are described",
        "networks of every kind are summed up",
        *(f"a step of {name} is done" for name in ("adamw", "adam", "sgd", "muon", "lbfgs")),
    ],
)
def test_nothing_is_imported_that_is_needed_later_or_by_others(loaded: dict[str, list[str]], when: str) -> None:
    assert loaded[when] == []


def test_a_run_with_its_report_is_written_without_scikit_learn(loaded: dict[str, list[str]]) -> None:
    assert set(loaded["a run is written"]) <= {"jinja2", "scipy"}  # SciPy finds the pieces of large drawings


ENDING = """
import atexit, gc, sys
from glyphnet.cli import main
atexit.register(lambda: print(gc.get_freeze_count() > 10_000))
sys.argv = ["glyphnet", "--version"]
main()
"""


def test_at_the_end_python_does_not_look_for_garbage_once_more() -> None:
    """Among PyTorch's objects that takes half a second."""
    run = subprocess.run([sys.executable, "-c", ENDING], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines()[1:] == ["True"]


IMPORTING = """
import gc
looks = []
gc.callbacks.append(lambda phase, about: looks.append(about["generation"]) if phase == "start" else None)
from glyphnet.cli.options import large_import
with large_import():
    import torch
print(len(looks), gc.isenabled(), gc.get_freeze_count() > 100_000)
with large_import():
    made = [[] for _ in range(100_000)]
print(len(looks) > 0)
"""


def test_while_pytorch_is_imported_python_does_not_look_for_garbage() -> None:
    run = subprocess.run([sys.executable, "-c", IMPORTING], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    first, after = run.stdout.splitlines()
    count, *rest = first.split()
    assert int(count) < 100, "a few while the options are imported"
    assert rest == ["True", "True"]
    assert after == "True", "once PyTorch is there it does as always"

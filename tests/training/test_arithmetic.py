"""With how many threads a training computes, and what says so."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch

from glyphnet.data import Splits
from glyphnet.errors import SettingsError
from glyphnet.progress import Reporter
from glyphnet.runs import resume, train
from glyphnet.training import Callback, Recipe, StepInfo, TrainingState, device
from glyphnet.training.callbacks import Slowdown
from glyphnet.training.device import Arithmetic, Place

SMALL = Recipe.parse({"network": {"kind": "mlp", "hidden": [8]}, "optimizer": "sgd", "epochs": 1, "precision": "fp32"})
LARGE = SMALL.override({"network.hidden": [2000, 2000], "batch_size": 100})


@pytest.fixture
def two_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine of two cores on which nobody has chosen a number of threads."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(device, "usable_cores", lambda: 2)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def choose(recipe: Recipe, threads: int | None = None, place: Place | None = None) -> Arithmetic:
    return Arithmetic.choose(recipe, (8, 8, 1), 10, 1000, "cpu", place, threads)


@pytest.mark.usefixtures("two_threads")
def test_one_thread_where_other_programs_leave_less_than_two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "free_cores", lambda: 0.4)
    busy = choose(LARGE)
    assert (busy.threads, busy.why) == (1, "other programs leave 0.4 of 2 cores free")
    assert "1 thread (other programs leave 0.4 of 2 cores free; see --threads)." in str(busy)
    assert choose(LARGE, threads=2).threads == 2
    monkeypatch.setattr(device, "free_cores", lambda: 1.9)
    assert choose(LARGE).threads == 2
    assert choose(SMALL).threads == 1
    assert choose(LARGE, place=Place(1, 2, 1, 2)).threads == 1
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    monkeypatch.setattr(device, "free_cores", lambda: pytest.fail("the user has chosen"))
    assert choose(LARGE).threads == 2
    with pytest.raises(SettingsError, match="threads is 0"):
        choose(LARGE, threads=0)


@pytest.mark.skipif(not Path("/proc/stat").exists(), reason="reads it")
def test_free_cores_are_those_that_the_system_calls_idle() -> None:
    looked = device._Look.now()
    assert looked is not None
    assert 0 < looked.idle <= looked.whole
    assert 0.0 <= device.free_cores() <= device.usable_cores() <= (os.cpu_count() or 1)


@pytest.mark.skipif(not Path("/proc/stat").exists(), reason="reads it")
def test_cores_that_this_process_has_taken_were_free(monkeypatch: pytest.MonkeyPatch) -> None:
    cores, tick = len(os.sched_getaffinity(0)), os.sysconf("SC_CLK_TCK")
    before = device._Look(when=10.0, idle=500, whole=2000, own=3.0)
    after = device._Look(when=11.0, idle=500 + 40, whole=2000 + 200, own=3.0 + 60 / tick)
    assert after.free_since(before) == cores * (40 + 60) / 200
    monkeypatch.setattr(device, "usable_cores", lambda: cores)
    slept: list[float] = []
    monkeypatch.setattr(device.time, "sleep", slept.append)
    monkeypatch.setattr(device, "_AT_IMPORT", before)
    free = replace(after, idle=500 + 140)
    monkeypatch.setattr(device._Look, "now", lambda: free)
    assert device.free_cores() == cores
    assert slept == []
    for old in (replace(before, when=0.5), replace(before, when=10.95), replace(before, own=5.0)):
        monkeypatch.setattr(device, "_AT_IMPORT", old)
        device.free_cores()
    monkeypatch.setattr(device, "_AT_IMPORT", before)
    monkeypatch.setattr(device._Look, "now", lambda: after)
    device.free_cores()
    assert slept == [device.LOOKED_FOR] * 4, "what was not free then may be now"


class StopAt(Callback):
    def after_step(self, info: StepInfo, state: TrainingState) -> bool:
        return state.total_steps >= 2


def test_a_resumed_run_keeps_its_number_of_threads_and_says_it(few: Splits, tmp_path: Path) -> None:
    recipe, said = SMALL.override({"batch_size": 20}), list[str]()
    train(
        few, recipe=recipe, device="cpu", threads=2, out=tmp_path, callbacks=[StopAt()], reporter=Reporter(said.append)
    )
    assert any("2 threads (as you asked; see --threads)" in line for line in said)
    said.clear()
    run = resume(tmp_path, splits=few, device="cpu", reporter=Reporter(said.append))
    assert run.ending == "finished"
    assert any("2 threads (as before; see --threads)" in line for line in said)
    assert "--threads 2" in (tmp_path / "report.html").read_text()


@dataclass
class Clock:
    now: float = 0.0

    def perf_counter(self) -> float:
        return self.now


def test_steps_that_become_slow_are_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, said = Clock(), list[str]()
    monkeypatch.setattr(time, "perf_counter", clock.perf_counter)
    callback, state = Slowdown(said.append), TrainingState.__new__(TrainingState)
    for seconds, count in ((0.1, 60), (0.2, 60)):
        for _ in range(count):
            clock.now += seconds
            callback.after_step(StepInfo(1, 1, 1, 9, 1.0), state)
    assert said == []
    for _ in range(100):
        clock.now += 0.5
        callback.after_step(StepInfo(1, 1, 1, 9, 1.0), state)
    assert len(said) == 1
    assert said[0].startswith("Steps take 5 times as long as at the start")
    assert "--threads 1" in said[0]

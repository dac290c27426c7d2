"""How a training computes: which process on which device, in what precision, with how many threads."""

from __future__ import annotations

import ctypes
import os
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import torch

from ..errors import DeviceError, SettingsError, TrainingError
from ..nn import InputShape, summary
from ..processes import usable_cores
from ..units import plural
from .fast.layers import processor
from .optimizers import AT_ONCE
from .recipe import Recipe

SMALL_STEP = 30e6
"""Forward work of one step, in FLOPs, under which a second thread costs more than it brings.

On two idle cores it may bring a sixth from a fifth of this on. But where another program takes one of the cores, the
threads wait for each other at every operation: such steps then took twenty times as long.
"""

LOOKED_FOR, LOOKED_BACK = 0.1, 10.0
"""Seconds for which `free_cores` measures: at least that many, and none that lie further back."""

BF16_STEP = 700e6
"""Forward work of one step, in FLOPs, from which bfloat16 pays on processors that multiply it quickly.

Below, the conversions take what the products save: on an AMD EPYC a step of 7 million took twice as long in bfloat16,
those of 60 to 670 million from half longer to a tenth less, larger ones a sixth to a third less
(benchmarks/arithmetic.py).
"""

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16}


def choose_device(name: str = "auto") -> torch.device:
    """The device called ``name`` ("cpu", "cuda", "cuda:1", "mps"), or for "auto" the fastest one there is.

    Raises:
        DeviceError: it is not there, or no such device exists.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise DeviceError(f'unknown device "{name}". Use auto, cpu, cuda, cuda:N or mps.') from None
    if device.type not in ("cpu", "cuda", "mps"):
        raise DeviceError(f'device "{name}" cannot train here. Use auto, cpu, cuda, cuda:N or mps.')
    if (device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count()) or (
        device.type == "mps" and not torch.backends.mps.is_available()
    ):
        raise DeviceError(f'device "{name}" is not on this machine. Use --device auto or cpu.')
    return device


@dataclass(frozen=True)
class Place:
    """Which of the processes this is.

    Attributes:
        rank: its number, from 0, of ``size``.
        local_rank: its number on this machine, from 0, of ``local_size``.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1

    @staticmethod
    def from_environment() -> Place:
        """The place that torchrun gave this process; alone if torchrun did not start it.

        Raises:
            TrainingError: only a part of torchrun's environment is there, or it makes no sense.
        """
        if os.environ.get("WORLD_SIZE", "1") == "1":
            return Place()
        names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_PORT")
        values = {name: os.environ.get(name, "") for name in names}
        wrong = [
            f"{name}={value}" if value else f"no {name}" for name, value in values.items() if not value.isdecimal()
        ]
        wrong += [] if os.environ.get("MASTER_ADDR") else ["no MASTER_ADDR"]
        if not wrong:
            place = Place(*(int(values[name]) for name in names[:4]))
            if place.rank < place.size and place.local_rank < place.local_size:
                return place
            wrong = [f"{name}={value}" for name, value in values.items()]
        raise TrainingError(
            f"WORLD_SIZE says that several processes train together, but the environment has {', '.join(wrong)}. "
            "Start them with torchrun (torchrun --nproc-per-node 2 -m glyphnet train …), or unset WORLD_SIZE."
        )

    def device(self, name: str) -> torch.device:
        """Where this process computes: as `choose_device`, but each on a GPU of its own.

        Raises:
            DeviceError: there are not enough GPUs, or the device cannot be shared.
        """
        if self.size == 1:
            return choose_device(name)
        if name in ("auto", "cuda") and torch.cuda.is_available():
            if self.local_size > torch.cuda.device_count():
                raise DeviceError(
                    f"{self.local_size} processes need a GPU each, and there are {torch.cuda.device_count()} on this "
                    "machine. Take fewer processes, or --device cpu."
                )
            return torch.device("cuda", self.local_rank)
        device = choose_device("cpu" if name == "auto" else name)
        if device.type != "cpu":
            raise DeviceError(f'several processes cannot train on device "{name}". Use auto, cpu or cuda.')
        return device


def compute_dtype(precision: str, device: torch.device, flops_a_step: float) -> torch.dtype:
    """The type in which layers multiply: bfloat16 or float32.

    "auto" takes bfloat16 where it is known to be faster: on CUDA from compute capability 8 on, and for large steps on
    processors with AMX, and on AMD's with AVX-512 BF16. On Intel's without AMX convolutions were slower in bfloat16.
    """
    if precision != "auto":
        return PRECISIONS[precision]
    faster: object = device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type == "cpu" and platform.machine() in ("x86_64", "AMD64") and flops_a_step >= BF16_STEP:
        features = torch.cpu.get_capabilities()
        faster = features.get("amx_bf16") or (features.get("avx512_bf16") and "AMD" in processor("vendor_id"))
    return torch.bfloat16 if faster else torch.float32


@dataclass(frozen=True)
class _Look:
    """What the system says of the usable cores at a moment.

    Attributes:
        when: in seconds, on the clock of `time.perf_counter`.
        idle, whole: ticks since the start of the system: when the cores had nothing to do, and all.
        own: processor time of this process and of its children that have ended, in seconds.
    """

    when: float
    idle: int
    whole: int
    own: float

    @classmethod
    def now(cls) -> _Look | None:
        """None where the system does not show how busy each core is."""
        try:
            usable = {f"cpu{number}" for number in os.sched_getaffinity(0)}
            rows = [line.split() for line in Path("/proc/stat").read_text().splitlines()]
            ticks = [[int(each) for each in row[1:9]] for row in rows if row[0] in usable]
        except (OSError, ValueError, IndexError, AttributeError):
            return None
        idle, whole = sum(row[3] + row[4] for row in ticks), sum(map(sum, ticks))
        return cls(time.perf_counter(), idle, whole, sum(os.times()[:4]))

    def free_since(self, before: _Look) -> float | None:
        """How many cores other programs have left free since a look before; None where no tick has passed.

        What this process has taken was free.
        """
        if (whole := self.whole - before.whole) <= 0:
            return None
        own = (self.own - before.own) * os.sysconf("SC_CLK_TCK")
        return len(os.sched_getaffinity(0)) * (self.idle - before.idle + own) / whole


_AT_IMPORT = _Look.now()


def free_cores() -> float:
    """How many of the usable cores other programs leave free, over a tenth of a second at least.

    A command that has just read its data knows it from the time since this module was imported. Where that does not
    show all cores free (its own helpers may have been at work), and in a process that has lived longer or is a copy of
    another, it is measured anew. Where the system does not show how busy each core is: by the load of the last minute,
    which counts this process too.
    """
    cores, before, after = usable_cores(), _AT_IMPORT, _Look.now()
    if before and after and LOOKED_FOR <= after.when - before.when <= LOOKED_BACK and after.own >= before.own:
        free = after.free_since(before)
        if free is not None and free > cores - 0.5:
            return min(float(cores), free)
    before = after
    time.sleep(LOOKED_FOR)
    after = _Look.now()
    if before and after and (free := after.free_since(before)) is not None:
        return min(float(cores), max(0.0, free))
    return max(0.0, cores - os.getloadavg()[0]) if hasattr(os, "getloadavg") else float(cores)


@contextmanager
def using_threads(count: int) -> Iterator[None]:
    """Compute with ``count`` threads inside the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def flushing_denormals() -> Iterator[None]:
    """Flush numbers below 1.2e-38 to 0 inside the block, in all of torch's threads.

    The averaged gradients of weights that hardly ever get one fade to such numbers, and many processors take a hundred
    times as long to multiply them: an epoch of a small network took twice the time from the second epoch on. Where the
    processor cannot do it, this does nothing.
    """
    before = not torch.full((), 1e-39).mul_(1.0).view(torch.int32).item()
    torch.set_flush_denormal(True)
    _restart_worker_threads()
    try:
        yield
    finally:
        torch.set_flush_denormal(before)
        _restart_worker_threads()


def _restart_worker_threads() -> None:
    """End torch's worker threads: new ones inherit this thread's floating-point mode, old ones would not."""
    if pause := _openmp_pause():
        pause(2)  # omp_pause_hard, of OpenMP 5.0


@cache
def _openmp_pause() -> Callable[[int], int] | None:
    """GNU OpenMP's ``omp_pause_resource_all``, of the library that torch has loaded."""
    for library in (Path(torch.__file__).parent / "lib").glob("libgomp*.so*"):
        return getattr(ctypes.CDLL(str(library)), "omp_pause_resource_all", None)
    return None


# All of it decided once, before anything is built


@dataclass(frozen=True)
class Arithmetic:
    """The settings, beside recipe and data, that must match for bitwise-identical results.

    Attributes:
        device: where the network is.
        dtype: in which layers multiply.
        threads: of each process.
        processes: how many share the work.
        why: why so many threads, in words.
    """

    device: torch.device
    dtype: torch.dtype
    threads: int
    processes: int = 1
    why: str = ""

    @classmethod
    def choose(
        cls, recipe: Recipe, input_shape: InputShape, classes: int, examples: int, device: str = "auto",
        place: Place | None = None, threads: int | None = None,
    ) -> Arithmetic:  # fmt: skip
        """Decide, with the ``threads`` that the user wants, or None to choose.

        Raises:
            DeviceError: the device is not there.
            SettingsError: the number of threads is below 1.
        """
        place = place or Place()
        where = place.device(device)
        images = min(AT_ONCE if recipe.optimizer.full_batch else recipe.batch_size, examples)
        if recipe.unlabelled is not None:
            images = recipe.batch_size * (1 + recipe.unlabelled.ratio)
        flops = summary(recipe.network, input_shape, classes).flops * (images // place.size)
        if recipe.precision == "auto" and recipe.optimizer.full_batch:
            dtype = torch.float32  # a line search compares losses that bfloat16 would round to the same number
        else:
            dtype = compute_dtype(recipe.precision, where, flops)
        if threads is not None and threads < 1:
            raise SettingsError(f"threads is {threads}: it must be 1 at least.")
        count, why = (threads, "as you asked") if threads else _threads_for(flops, place.local_size, where)
        return cls(where, dtype, count, place.size, why)

    def as_then(self, terms: dict[str, Any], *, threads: bool = True) -> Arithmetic:
        """The same, with the precision and threads of a checkpoint's `terms`."""
        found = replace(self, dtype=PRECISIONS[terms["precision"]])
        return replace(found, threads=terms["threads"], why="as before") if threads else found

    @property
    def precision(self) -> str:
        """ "fp32" or "bf16"."""
        return next(name for name, dtype in PRECISIONS.items() if dtype == self.dtype)

    @property
    def terms(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "device": self.device.type, "precision": self.precision, "threads": self.threads,
            "processes": self.processes,
        }  # fmt: skip

    def __str__(self) -> str:
        """One line for the user."""
        threads = plural(self.threads, "thread")
        each = "" if self.processes == 1 else f" in each of {self.processes} processes"
        return f"Computing on {self.device.type} in {self.precision}, {threads}{each} ({self.why}; see --threads)."


def _threads_for(flops: float, processes: int, device: torch.device) -> tuple[int, str]:
    """The number of threads with which a step of so many FLOPs a process is fastest, and why."""
    if flops < SMALL_STEP:
        return 1, "small steps"
    if os.environ.get("OMP_NUM_THREADS", "").isdecimal():
        return torch.get_num_threads(), "as the environment says"
    threads = min(torch.get_num_threads(), usable_cores())
    if processes > 1:
        return min(threads, max(1, usable_cores() // processes)), "a share of the cores"
    if threads > 1 and device.type == "cpu" and (free := free_cores()) < 1.5:
        return 1, f"other programs leave {free:.1f} of {usable_cores()} cores free"
    return threads, "one a core" if threads > 1 else "one core"


# What machine this is, in one line: no figure is worth anything without it


def hardware() -> str:
    """Processor, cores and GPU: ``AMD EPYC 9R14, 2 cores`` or ``…, NVIDIA H200``."""
    name = processor("model name") or platform.processor() or platform.machine()
    gpu = [torch.cuda.get_device_name()] if torch.cuda.is_available() else []
    return ", ".join([f"{name}, {usable_cores()} cores", *gpu])

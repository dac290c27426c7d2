"""Device, precision, threads and memory of the arithmetic."""

from __future__ import annotations

import ctypes
import inspect
import os
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TypeVar, cast

import torch

from ..errors import DeviceError
from ..processes import usable_cores
from .fast.layers import processor

SMALL_STEP = 30e6
"""Forward work of one step, in FLOPs, under which a second thread costs more than it brings.

On two idle cores it may bring a sixth from a fifth of this on. But where another program takes one of the cores, the
threads wait for each other at every operation: such steps then took twenty times as long.
"""

LOOKED_FOR = 0.1
"""Seconds for which `free_cores` measures."""

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


def free_cores() -> float:
    """How many of the usable cores other programs leave free, measured for a tenth of a second.

    Where the system does not show how busy each core is: by the load of the last minute, which counts this process too.
    """
    cores = usable_cores()
    try:
        before = _idle_and_all()
        time.sleep(LOOKED_FOR)
        after = _idle_and_all()
        idle, whole = (now - then for now, then in zip(after, before, strict=True))
        if whole > 0:
            return min(float(cores), len(os.sched_getaffinity(0)) * idle / whole)
    except (OSError, ValueError, IndexError, AttributeError):
        pass
    return max(0.0, cores - os.getloadavg()[0]) if hasattr(os, "getloadavg") else float(cores)


def _idle_and_all() -> tuple[int, int]:
    """Ticks of the usable cores since the start of the system: when they had nothing to do, and all."""
    usable = {f"cpu{number}" for number in os.sched_getaffinity(0)}
    rows = [line.split() for line in Path("/proc/stat").read_text().splitlines()]
    ticks = [[int(each) for each in row[1:9]] for row in rows if row[0] in usable]
    return sum(row[3] + row[4] for row in ticks), sum(map(sum, ticks))


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


# What machine this is, in one line: no figure is worth anything without it


def hardware() -> str:
    """Processor, cores and GPU: ``AMD EPYC 9R14, 2 cores`` or ``…, NVIDIA H200``."""
    name = processor("model name") or platform.processor() or platform.machine()
    gpu = [torch.cuda.get_device_name()] if torch.cuda.is_available() else []
    return ", ".join([f"{name}, {usable_cores()} cores", *gpu])


# PyTorch's optimizers without the way to its compiler


Kind = TypeVar("Kind", bound=torch.optim.Optimizer)

_WRAPPED = ("add_param_group", "zero_grad", "state_dict", "load_state_dict")


def without_dynamo(kind: type[Kind]) -> type[Kind]:
    """A subclass of an optimizer's class that loads no compiler; ``differentiable=True`` is not supported.

    Its methods are PyTorch's own, out of their wrapping; from a PyTorch that wraps them in another way they come as
    they are, and only the time is lost.
    """
    methods = {name: inspect.unwrap(getattr(kind, name)) for name in _WRAPPED}
    step = torch.no_grad()(inspect.unwrap(kind.step))
    return cast("type[Kind]", type(kind.__name__, (kind,), {**methods, "step": step}))

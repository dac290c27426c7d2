"""How a training computes: device, precision and threads, decided once, before anything is built."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import Any

import torch

from ..errors import SettingsError
from ..nn import InputShape, summary
from ..processes import usable_cores
from ..units import plural
from .collective import Place
from .device import PRECISIONS, SMALL_STEP, compute_dtype, free_cores
from .recipe import Recipe
from .steps import AT_ONCE


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

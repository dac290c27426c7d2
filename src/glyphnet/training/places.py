"""The places of the processes that train one network together: which there are, and what each needs."""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch

from ..errors import DeviceError, SettingsError, TrainingError
from .device import choose_device
from .examples import batch_count
from .recipe import Recipe


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


ALONE = Place()


def place_from_environment() -> Place:
    """The place that torchrun gave this process; ALONE where torchrun did not start it.

    Raises:
        TrainingError: the environment is torchrun's in part only, or makes no sense.
    """
    if os.environ.get("WORLD_SIZE", "1") == "1":
        return ALONE
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_PORT")
    values = {name: os.environ.get(name, "") for name in names}
    wrong = [f"{name}={value}" if value else f"no {name}" for name, value in values.items() if not value.isdecimal()]
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


def check_parts(processes: int, examples: int, recipe: Recipe) -> None:
    """Raise SettingsError unless each of so many processes gets an image of every batch."""
    if processes < 1:
        raise SettingsError(f"processes is {processes}: it must be 1 at least.")
    batches = 1 if recipe.optimizer.full_batch else batch_count(max(1, examples), recipe.batch_size)
    if 0 < (smallest := examples // batches) < processes:
        raise SettingsError(
            f"{processes} processes cannot share batches of {smallest} images: each needs one at least. "
            "Take fewer processes, or a larger batch_size."
        )


def device_at(name: str, place: Place) -> torch.device:
    """Where the process at ``place`` computes: like `choose_device`, but each on a GPU of its own.

    Raises:
        DeviceError: there are not enough GPUs, or the device cannot be shared.
    """
    if place.size == 1:
        return choose_device(name)
    if name in ("auto", "cuda") and torch.cuda.is_available():
        if place.local_size > torch.cuda.device_count():
            raise DeviceError(
                f"{place.local_size} processes need a GPU each, and there are {torch.cuda.device_count()} on this "
                "machine. Take fewer processes, or --device cpu."
            )
        return torch.device("cuda", place.local_rank)
    device = choose_device("cpu" if name == "auto" else name)
    if device.type != "cpu":
        raise DeviceError(f'several processes cannot train on device "{name}". Use auto, cpu or cuda.')
    return device

"""Several processes that train one network: who they are, and what they tell one another.

Every process (a *rank* of torch.distributed's process group) holds the whole network, learns from its part of every
batch, and averages its gradients with the others': what comes out is what one process makes of the same batches, but
for rounding. The first one also shows, writes down and judges. Without a group everything here is as for one process.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
from torch import Tensor

from ..errors import TrainingError
from .packing import pack, unpack
from .places import ALONE, Place, device_at

if TYPE_CHECKING:  # there are builds of PyTorch without it
    from torch._C._distributed_c10d import Store

PATIENCE = timedelta(seconds=20)
"""How long machines wait for one another: one that loses its power says no farewell. On one machine the kernel tells
of a process that has ended, so that nobody needs to run out of patience (and Ctrl-Z may last)."""

_READING = timedelta(days=7)
"""How long the others wait while the first one reads the data."""


class PeerLostError(TrainingError):
    """Another process of the training has ended or does not answer any more."""


class _Here:
    """Where this process stands now; a process can be in one group at a time."""

    place = ALONE
    board: Store | None = None
    """Where torchrun's processes leave word for one another, also after the group has ended."""
    joined = 0
    """How often this process has been in a group of torchrun's, whose store forgets nothing."""


def world_size() -> int:
    """How many processes train together; 1 without a group."""
    return _Here.place.size


def rank() -> int:
    """The number of this process among them, from 0."""
    return _Here.place.rank


def own_device(name: str) -> torch.device:
    """Where this process computes: see `device_at`."""
    return device_at(name, _Here.place)


def own_threads(threads: int) -> int:
    """``threads``, or fewer where the processes of this machine would have more than it has cores."""
    if world_size() == 1:
        return threads
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(threads, max(1, cores // _Here.place.local_size))


@contextmanager
def joined(place: Place, store: Store | None, device: str) -> Iterator[None]:
    """Be one of the processes inside the block, and alone again after it.

    Args:
        place: which one; ALONE does nothing.
        store: through which they find one another; None for torchrun's.
        device: as for `device_at`: gloo connects processors, NCCL GPUs.

    Raises:
        PeerLostError: another process has ended or does not answer.
        TrainingError: they cannot be connected.
    """
    if place.size == 1:
        yield
        return
    if not dist.is_available() or not dist.is_gloo_available():
        raise TrainingError(
            "this build of PyTorch cannot connect processes: it lacks gloo. Install the official one "
            "(pip install torch), or train with one process."
        )
    from torch.distributed.distributed_c10d import PrefixStore
    from torch.distributed.rendezvous import rendezvous

    backend, where = "gloo", device_at(device, place)
    if where.type == "cuda":
        backend = "cpu:gloo,cuda:nccl"
        torch.cuda.set_device(where)
    patience = PATIENCE if place.local_size < place.size else dist.default_pg_timeout
    try:
        if store is None:
            store, _, _ = next(rendezvous("env://", place.rank, place.size))
            _Here.joined += 1
            _Here.board = store = PrefixStore(f"training {_Here.joined}", store)
        dist.init_process_group(
            backend, store=PrefixStore("group", store), rank=place.rank, world_size=place.size, timeout=patience
        )
    except (RuntimeError, ValueError) as error:
        raise TrainingError(f"the processes cannot be connected: {_in_short(error)}.") from error
    _Here.place = place
    try:
        yield
    except RuntimeError as error:
        if not _tells_of_a_peer(error):
            raise
        raise PeerLostError(
            "another process of this training has ended or does not answer "
            f"({_in_short(error)}). Go on with --resume; the number of processes may be another."
        ) from error
    finally:
        _Here.place = ALONE
        dist.destroy_process_group()


def _tells_of_a_peer(error: RuntimeError) -> bool:
    """Whether it comes from the connection to other processes: gloo has no class for its errors."""
    return isinstance(error, dist.DistError) or "gloo" in str(error)


def _in_short(error: Exception) -> str:
    """The first sentence, without the place in the C++ sources that it may begin with."""
    return re.sub(r"^\[[^]]*\.cc:\d+\] ", "", str(error).strip()).partition("\n")[0].partition(". ")[0].rstrip(".")


def may_tell() -> bool:
    """Whether it is for this process to tell the user what went wrong: the first one to ask may, also for itself again.

    What stops one stops all, and nobody wants to read of it as often as there are processes.
    """
    me = f"{os.uname().nodename} {os.getpid()}"
    if _Here.board is None:
        return True
    try:
        return _Here.board.compare_set("told", "", me) == me.encode()
    except RuntimeError:
        return True  # whoever kept the store is gone


@contextmanager
def first_in_turn() -> Iterator[None]:
    """Let the first process go through the block, then the others: what it decodes or downloads is there for them.

    Raises:
        PeerLostError: in the others, if the first one failed.
    """
    board = _Here.board
    if world_size() == 1 or board is None:
        yield
    elif rank() == 0:
        try:
            yield
        except BaseException:
            may_tell()
            board.set("turn", "failed")
            raise
        board.set("turn", "done")
    else:
        board.wait(["turn"], _READING)
        if board.get("turn") == b"failed":
            raise PeerLostError("the first process could not begin. See its message.")
        yield


def from_first(value: Any) -> Any:
    """The first process' value, in all of them.

    Args:
        value: as for `pack`: plain values, and tensors, which come on the CPU. The others' is not looked at.
    """
    if world_size() == 1:
        return value
    packed, tensors = pack(value) if rank() == 0 else (None, {})
    message: list[Any] = [packed, {name: tensor.cpu() for name, tensor in tensors.items()}]
    dist.broadcast_object_list(message, src=0, device=torch.device("cpu"))
    return unpack(message[0], message[1]) if rank() else value


def check_same(what: str, value: str) -> None:
    """Raise TrainingError, in all processes of a group, unless all have the same ``value``."""
    values: list[Any] = [None] * world_size()
    dist.all_gather_object(values, value)
    if others := [number for number, theirs in enumerate(values) if theirs != values[0]]:
        raise TrainingError(
            f"{what} of process {others[0] + 1} differs from that of the first one. "
            "All must read the same files with the same version of GlyphNet."
        )


def own_part(rows: Tensor) -> Tensor:
    """This process' part of the rows of a tensor that all have: even parts, to within one row."""
    return rows.tensor_split(world_size())[rank()] if world_size() > 1 else rows


def sum_of_all(values: Tensor) -> Tensor:
    """``values`` added up over the processes, in place."""
    if world_size() > 1:
        dist.all_reduce(values)
    return values


def mean_of_all(value: Tensor) -> Tensor:
    """The mean of the processes' values, in place."""
    return sum_of_all(value).div_(world_size()) if world_size() > 1 else value


def any_of_all(answer: bool) -> bool:
    """Whether any process' answer is true."""
    return bool(sum_of_all(torch.tensor(int(answer)))) if world_size() > 1 else answer


def share_of_mean(losses: Tensor, total: int) -> Tensor:
    """What this process adds to the mean of ``total`` losses, of which it has some: averaged over all, the mean."""
    return losses.mean() if len(losses) == total else losses.sum() * (world_size() / total)

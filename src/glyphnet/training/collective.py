"""What the processes that train one network exchange: a `Collective`, which is passed to what needs it.

Every process (a *rank* of torch.distributed's process group) holds the whole network, learns from its part of every
batch, and averages its gradients with the others': the result is that of one process on the same batches, but for
rounding. The first one also shows, writes and judges. A process alone is the null collective, `ALONE`.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
from torch import Tensor

from ..errors import DeviceError, SettingsError, TrainingError
from .device import choose_device
from .examples import batch_count
from .recipe import Recipe

if TYPE_CHECKING:  # there are builds of PyTorch without it
    from torch._C._distributed_c10d import Store

LAUNCHER = "GLYPHNET_LAUNCHER"
"""Environment variable with the number of the process that has launched this one: see `launch`."""

FAILED, LOST = 1, 3
"""Exit status of a process that fails and says why, and of one that ends because another has."""

LOOK_EVERY_ON_GPU = 16
"""Steps between two looks at what the others ask for, on GPUs, where a look waits for the device."""

BEAT = 1.0
"""Seconds between two signs of life of a process."""

SILENCE = 12
"""Beats of its own for which a process waits for the next one's sign of life. Counted, not timed: Ctrl-Z and a laptop
that sleeps stop all alike."""

PATIENCE = timedelta(seconds=20)
"""How long machines wait for one another: one that loses its power says no farewell."""

_READING = timedelta(days=7)
"""How long the others wait while the first process reads the data."""


class PeerLostError(TrainingError):
    """Another process of the training has ended or does not answer.

    Attributes:
        told: whether another process reports why.
    """

    told = False


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


def is_launched() -> bool:
    """Whether `launch` has started this process; the launcher then reports why it ended."""
    return LAUNCHER in os.environ


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


class Collective:
    """The collective of a process that trains alone: every operation returns its own value."""

    place = Place()

    @property
    def rank(self) -> int:
        """The number of this process, from 0."""
        return self.place.rank

    @property
    def size(self) -> int:
        """How many processes train together."""
        return self.place.size

    def part(self, rows: Tensor) -> Tensor:
        """This process' rows of a tensor that all have: even parts, to within one row."""
        return rows

    def sum(self, values: Tensor) -> Tensor:
        """``values`` added up over the processes, in place."""
        return values

    def any(self, answer: bool) -> bool:
        """Whether any process' answer is true."""
        return answer

    def agree_to_stop(self, asked: bool) -> bool:
        """Whether to stop after this step: true in all processes after the same step, soon after one has asked."""
        return asked

    def looks_after(self, step: int, steps: int) -> bool:
        """Whether the training checks its totals and calls its callbacks after step ``step`` of ``steps``."""
        return True

    def from_first(self, value: Any) -> Any:
        """The first process' value, in all of them.

        Args:
            value: as for `pack`: plain values, and tensors, which come on the CPU. That of the others is ignored.
        """
        return value

    def check_same(self, what: str, value: str) -> None:
        """Raise TrainingError, in all processes, unless all have the same ``value``."""

    @contextmanager
    def first_in_turn(self) -> Iterator[None]:
        """Run the block in the first process, then in the others, which find what it has decoded or downloaded.

        Raises:
            PeerLostError: in the others, if the first one failed.
        """
        yield


ALONE = Collective()


class Group(Collective):
    """One of several processes, connected by torch.distributed.

    Args:
        place: which one.
        store: through which they found one another.
    """

    def __init__(self, place: Place, store: Store) -> None:
        self.place, self._store = place, store
        self._asked, self._stop = False, torch.zeros(())

    def part(self, rows: Tensor) -> Tensor:
        """See `Collective`."""
        return rows.tensor_split(self.size)[self.rank]

    def sum(self, values: Tensor) -> Tensor:
        """See `Collective`."""
        dist.all_reduce(values)
        return values

    def any(self, answer: bool) -> bool:
        """See `Collective`."""
        return bool(self.sum(torch.tensor(int(answer))))

    def agree_to_stop(self, asked: bool) -> bool:
        """See `Collective`: the request travels with the gradients of the next step, at no cost."""
        self._asked |= asked
        return bool(self._stop.item())

    def looks_after(self, step: int, steps: int) -> bool:
        """See `Collective`: on GPUs every few steps, because a check waits for the device."""
        return not self._stop.is_cuda or step % LOOK_EVERY_ON_GPU == 0 or step == steps

    def begin(self, device: torch.device) -> None:
        """Forget the requests of an earlier training."""
        self._asked, self._stop = False, torch.zeros((), device=device)

    def sum_of_step(self, values: Tensor) -> None:
        """Sum the values of a step, in place; the last value is the group's own: whether one asks to stop."""
        values[-1] = float(self._asked)
        dist.all_reduce(values)
        self._stop = values[-1].clone()

    def from_first(self, value: Any) -> Any:
        """See `Collective`."""
        packed, tensors = pack(value) if self.rank == 0 else (None, {})
        message: list[Any] = [packed, {name: tensor.cpu() for name, tensor in tensors.items()}]
        dist.broadcast_object_list(message, src=0, device=torch.device("cpu"))
        return unpack(message[0], message[1]) if self.rank else value

    def check_same(self, what: str, value: str) -> None:
        """See `Collective`."""
        values: list[Any] = [None] * self.size
        dist.all_gather_object(values, value)
        if others := [number for number, theirs in enumerate(values) if theirs != values[0]]:
            raise TrainingError(
                f"{what} of process {others[0] + 1} differs from that of the first one. "
                "All must read the same files with the same version of GlyphNet."
            )

    @contextmanager
    def first_in_turn(self) -> Iterator[None]:
        """See `Collective`."""
        if self.rank:
            self._store.wait(["turn"], _READING)
            if self._store.get("turn") == b"failed":
                raise PeerLostError("the first process could not begin. See its message.")
            yield
            return
        try:
            yield
        except BaseException:
            self.may_tell()
            self._store.set("turn", "failed")
            raise
        self._store.set("turn", "done")

    def may_tell(self) -> bool:
        """Whether this process reports what went wrong: the first one that asks may, also if it asks again.

        What stops one stops all, and one message is enough.
        """
        me = str(self.rank)
        try:
            return self._store.compare_set("told", "", me) == me.encode()
        except RuntimeError:
            return True  # the process with the store is gone


class FlatGradients:
    """The gradients of a network in one vector, so that one message averages them all.

    One message of a fixed size is also what makes resumed trainings exact: how numbers are added up between three or
    more processes depends on where in a message they stand.

    Args:
        parameters: of the network, all on one device.
        group: whose processes average them.
    """

    def __init__(self, parameters: Sequence[torch.nn.Parameter], group: Group) -> None:
        self._group, self._parameters = group, list(parameters)
        sizes = [parameter.numel() for parameter in self._parameters]
        first = self._parameters[0]
        # Behind the gradients: summed loss, right answers, and whether a process asks to stop.
        self._row = torch.zeros(sum(sizes) + 3, dtype=first.dtype, device=first.device)
        *rows, self._rest = self._row.split([*sizes, 3])
        # Laid out in memory as the parameters are: else autograd would copy.
        self._views = [
            row.as_strided(each.shape, each.stride(), row.storage_offset())
            for row, each in zip(rows, self._parameters, strict=True)
        ]

    def clear(self) -> None:
        """Set all gradients to zero: `backward` adds to them."""
        self._row.zero_()
        for parameter, view in zip(self._parameters, self._views, strict=True):
            parameter.grad = view

    def average(self, counts: Tensor) -> Tensor:
        """Average the gradients over the processes; ``counts`` (2,) summed over them."""
        self._rest[:2] = counts
        self._group.sum_of_step(self._row)
        counts = self._rest[:2].clone()
        self._row.div_(self._group.size)
        return counts


_joined = 0
"""How often this process has been in a group: torchrun's store forgets nothing, so each group needs a prefix."""


@contextmanager
def joined(place: Place, device: str) -> Iterator[Collective]:
    """Connect this process with the others that torchrun started; `ALONE` where there are none.

    Args:
        place: `Place.from_environment`.
        device: as for `Place.device`: gloo connects processors, NCCL GPUs.

    Raises:
        PeerLostError: another process has ended or does not answer.
        TrainingError: they cannot be connected.
    """
    if place.size == 1:
        yield ALONE
        return
    group, pulse = _connect(place, device)
    try:
        with pulse:
            yield group
    except Exception as error:
        lost = isinstance(error, RuntimeError) and _is_of_a_peer(error)
        if not lost and group.may_tell():
            raise
        told = PeerLostError(
            "another process of this training has ended or does not answer "
            f"({_first_sentence(error)}). Resume with --resume; the number of processes may be another."
        )
        told.told = not group.may_tell()
        if is_launched():
            time.sleep(1)  # the one that failed may still be saying why: the launcher ends all when one has ended
        raise told from error
    finally:
        dist.destroy_process_group()


def _connect(place: Place, device: str) -> tuple[Group, Pulse]:
    global _joined
    if not dist.is_available() or not dist.is_gloo_available():
        raise TrainingError(
            "this build of PyTorch cannot connect processes: it lacks gloo. Install the official one "
            "(pip install torch), or train with one process."
        )
    from torch.distributed.distributed_c10d import PrefixStore
    from torch.distributed.rendezvous import rendezvous

    backend, where = "gloo", place.device(device)
    if where.type == "cuda":
        backend = "cpu:gloo,cuda:nccl"
        torch.cuda.set_device(where)
    on_one_machine = place.local_size == place.size
    try:
        found, _, _ = next(rendezvous("env://", place.rank, place.size))
        _joined += 1
        store = PrefixStore(f"training {_joined}", found)
        pulse = Pulse(place, PrefixStore(f"training {_joined}", found.clone()))
        with _loopback() if on_one_machine else contextlib.nullcontext():
            dist.init_process_group(
                backend, store=PrefixStore("group", store), rank=place.rank, world_size=place.size,
                timeout=dist.default_pg_timeout if on_one_machine else PATIENCE,
            )  # fmt: skip
    except (RuntimeError, ValueError) as error:
        raise TrainingError(f"the processes cannot be connected: {_first_sentence(error)}.") from error
    return Group(place, store), pulse


@contextmanager
def _loopback() -> Iterator[None]:
    """Let gloo use the loopback interface, which no other machine can reach."""
    name = "GLOO_SOCKET_IFNAME"
    interface = next((each for _, each in socket.if_nameindex() if each in ("lo", "lo0")), None)
    if interface is None or name in os.environ:
        yield
        return
    os.environ[name] = interface
    try:
        yield
    finally:
        del os.environ[name]


def _is_of_a_peer(error: RuntimeError) -> bool:
    """Whether an error comes from the connection to other processes; gloo has no class for its errors."""
    return isinstance(error, dist.DistError) or "gloo" in str(error)


def _first_sentence(error: Exception) -> str:
    """The first sentence, without the C++ source location that it may begin with."""
    return re.sub(r"^\[[^]]*\.cc:\d+\] ", "", str(error).strip()).partition("\n")[0].partition(". ")[0].rstrip(".")


class Pulse(threading.Thread):
    """A heartbeat each second; ends this process when the next one sends none, or when the launcher is gone.

    The connections show a process that has ended, but not one that is stopped (SIGSTOP) or a machine without
    power. A stopped process of this machine is continued, to find that the others have ended, and to end too: a
    launcher would wait 30 s for it. A process whose launcher was killed would run for ever.

    Args:
        place: of this process.
        store: of its own, for nobody else may wait at it.
    """

    def __init__(self, place: Place, store: Store) -> None:
        super().__init__(daemon=True, name="glyphnet-pulse")
        self._place, self._store, self._left = place, store, threading.Event()
        self._next = (place.rank + 1) % place.size
        self._launcher = os.getppid()
        store.set_timeout(timedelta(seconds=10))

    def __enter__(self) -> Pulse:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._left.set()
        self.join()

    def run(self) -> None:
        """Send heartbeats until the group is left."""
        beats, silent, last = 0, 0, b""
        while not self._left.wait(BEAT):
            if os.getppid() != self._launcher:
                os._exit(LOST)
            beats += 1
            try:
                self._store.set(f"beat/{self._place.rank}", f"{beats} {os.getpid()}")
                theirs = self._store.get(f"beat/{self._next}") if self._store.check([f"beat/{self._next}"]) else b""
            except RuntimeError:
                continue  # the store itself is stopped or gone: the connections will fail
            silent, last = (0, theirs) if theirs != last else (silent + 1, last)
            if silent >= SILENCE and theirs != b"left":
                self._give_up(theirs)
        with contextlib.suppress(RuntimeError):
            self._store.set(f"beat/{self._place.rank}", "left")

    def _give_up(self, last: bytes) -> None:
        """End this process, and ask the silent one to end.

        Args:
            last: its last sign of life, with the number of its process.
        """
        first = self._place.rank - self._place.local_rank  # of this machine
        if last and first <= self._next < first + self._place.local_size:
            with contextlib.suppress(OSError):
                os.kill(int(last.split()[1]), signal.SIGCONT)
        if Group(self._place, self._store).may_tell():
            print(
                f"glyphnet: process {self._next + 1} of {self._place.size} has given no sign of life for "
                f"{SILENCE * BEAT:.0f} s: it is stopped, or its machine is gone. The training has ended. Resume with "
                "--resume; the number of processes may be another.",
                file=sys.stderr, flush=True,
            )  # fmt: skip
            os._exit(FAILED)
        time.sleep(BEAT)
        os._exit(LOST)


# Nested states as plain JSON beside named tensors: the form in which a checkpoint is written


def pack(value: Any) -> tuple[Any, dict[str, Tensor]]:
    """``value`` as JSON, and its tensors by the names that the JSON refers to.

    Args:
        value: None, bool, int, float, str, tensors, and dicts, lists and tuples of such.

    Raises:
        TypeError: anything else, with its type and place.
    """
    tensors: dict[str, Tensor] = {}
    return _pack(value, "", tensors), tensors


def unpack(packed: Any, tensors: dict[str, Tensor]) -> Any:
    """What `pack` was given."""
    if not isinstance(packed, dict):
        return packed
    (kind, content), *_ = packed.items()
    if kind == "tensor":
        return tensors[content]
    if kind == "float":
        return float.fromhex(content)
    if kind == "dict":
        return {unpack(key, tensors): unpack(value, tensors) for key, value in content}
    items = [unpack(item, tensors) for item in content]
    return tuple(items) if kind == "tuple" else items


def _pack(value: Any, place: str, tensors: dict[str, Tensor]) -> Any:
    if isinstance(value, Tensor):
        # Positions, not paths, so that a name of a layer never makes a name of a tensor too long or odd.
        name = f"t{len(tensors):05d}"
        tensors[name] = value
        return {"tensor": name}
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return {"float": value.hex()}
    if isinstance(value, dict):
        rows = [[_pack(key, place, tensors), _pack(item, f"{place}.{key}", tensors)] for key, item in value.items()]
        return {"dict": rows}
    if isinstance(value, list | tuple):
        kind = "tuple" if isinstance(value, tuple) else "list"
        return {kind: [_pack(item, f"{place}[{index}]", tensors) for index, item in enumerate(value)]}
    raise TypeError(f"{place or 'value'} is a {type(value).__name__}, which a checkpoint cannot hold")

"""What the processes that train one network exchange: a `Collective`, which is passed to what needs it.

Every process (a *rank* of torch.distributed's process group) holds the whole network, learns from its part of every
batch, and averages its gradients with the others': the result is that of one process on the same batches, but for
rounding. The first one also shows, writes and judges.
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
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Self

import torch
import torch.distributed as dist
from torch import Tensor
from torch.utils._pytree import tree_map_only

from ..errors import TrainingError
from .device import Place

if TYPE_CHECKING:  # there are builds of PyTorch without it
    from torch._C._distributed_c10d import Store

LAUNCHER = "GLYPHNET_LAUNCHER"
"""Environment variable with the number of the process that has launched this one: see `launch`."""

FAILED, LOST = 1, 3
"""Exit status of a process that fails and says why, and of one that ends because another has."""

LOOK_EVERY_ON_GPU = 16
"""Steps between two looks at what the others ask for, on GPUs, where a look waits for the device."""

BEAT, SILENCE = 1.0, 12
"""Seconds between two signs of life of a process, and how many beats of its own it waits for another's. They are
counted, not timed: Ctrl-Z and a laptop that sleeps stop all alike."""

PATIENCE = timedelta(seconds=20)
"""How long machines wait for one another: one that loses its power says no farewell."""

_READING = timedelta(days=7)
"""How long the others wait while the first process reads the data."""


class PeerLostError(TrainingError):
    """Another process of the training has ended or does not answer; ``reported`` if another one says why."""

    reported = False


def is_launched() -> bool:
    """Whether `launch` has started this process; the launcher then reports why it ended."""
    return LAUNCHER in os.environ


class Collective:
    """The processes that train together. Alone, every operation returns its own value.

    Args:
        place: which of them this is.
        store: through which they found one another; None for a process that trains alone.
    """

    def __init__(self, place: Place | None = None, store: Store | None = None) -> None:
        self.place, self._store = place or Place(), store
        self._asked, self._stop = False, torch.zeros(())

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
        return rows if self.size == 1 else rows.tensor_split(self.size)[self.rank]

    def sum(self, values: Tensor) -> Tensor:
        """``values`` added up over the processes, in place."""
        if self.size > 1:
            dist.all_reduce(values)
        return values

    def any(self, answer: bool) -> bool:
        """Whether any process' answer is true."""
        return bool(self.sum(torch.tensor(int(answer))))

    def begin(self, device: torch.device) -> None:
        """Forget the requests to stop of an earlier training."""
        self._asked, self._stop = False, torch.zeros((), device=device)

    def agree_to_stop(self, asked: bool) -> bool:
        """Whether to stop after this step: true in all processes after the same step, soon after one has asked.

        The request travels with the gradients of the next step, at no cost.
        """
        if self.size == 1:
            return asked
        self._asked |= asked
        return bool(self._stop.item())

    def sum_of_step(self, values: Tensor) -> None:
        """Sum the values of a step, in place; the last value is ours: whether a process asks to stop."""
        values[-1] = float(self._asked)
        dist.all_reduce(values)
        self._stop = values[-1].clone()

    def looks_after(self, step: int, steps: int) -> bool:
        """Whether the training checks its totals and calls its callbacks after step ``step`` of ``steps``.

        On several GPUs only every few steps, because a look waits for the device.
        """
        return not (self.size > 1 and self._stop.is_cuda) or step % LOOK_EVERY_ON_GPU == 0 or step == steps

    def from_first(self, value: Any) -> Any:
        """The first process' value, in all of them; its tensors come on the CPU. That of the others is ignored."""
        if self.size == 1:
            return value
        message = [None if self.rank else tree_map_only(Tensor, Tensor.cpu, value)]
        dist.broadcast_object_list(message, src=0, device=torch.device("cpu"))
        return message[0] if self.rank else value

    def check_same(self, what: str, value: str) -> None:
        """Raise TrainingError, in all processes, unless all have the same ``value``."""
        if self.size == 1:
            return
        values: list[Any] = [None] * self.size
        dist.all_gather_object(values, value)
        if others := [number for number, theirs in enumerate(values) if theirs != values[0]]:
            raise TrainingError(
                f"{what} of process {others[0] + 1} differs from that of the first one. "
                "All must read the same files with the same version of GlyphNet."
            )

    @contextmanager
    def first_in_turn(self) -> Iterator[None]:
        """Run the block in the first process, then in the others, which find what it has decoded or downloaded.

        Raises:
            PeerLostError: in the others, if the first one failed.
        """
        if self._store is None:
            yield
            return
        if self.rank:
            self._store.wait(["turn"], _READING)
            if self._store.get("turn") == b"failed":
                raise PeerLostError("the first process could not begin. See its message.")
            yield
            return
        try:
            yield
        except BaseException:
            self.may_report()
            self._store.set("turn", "failed")
            raise
        self._store.set("turn", "done")

    def may_report(self) -> bool:
        """Whether this process reports what went wrong: the first one that asks may, also if it asks again.

        What stops one stops all, and one message is enough.
        """
        if self._store is None:
            return True
        me = str(self.rank)
        try:
            return self._store.compare_set("told", "", me) == me.encode()
        except RuntimeError:
            return True  # the process with the store is gone


ALONE = Collective()


class FlatGradients:
    """The gradients of a network in one vector, so that one message averages them all.

    One message of a fixed size is also what makes resumed trainings exact: how numbers are added up between three or
    more processes depends on where in a message they stand.
    """

    def __init__(self, parameters: Sequence[torch.nn.Parameter], collective: Collective) -> None:
        self._collective, self._parameters = collective, list(parameters)
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
        self._collective.sum_of_step(self._row)
        counts = self._rest[:2].clone()
        self._row.div_(self._collective.size)
        return counts


_joined = 0
"""How often this process has been in a group: torchrun's store forgets nothing, so each group needs a prefix."""


@contextmanager
def joined(place: Place, device: str) -> Iterator[Collective]:
    """Connect this process with the others that torchrun started; `ALONE` where there are none.

    gloo connects processors, NCCL GPUs: ``device`` is as for `Place.device`.

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
        if not lost and group.may_report():
            raise
        lost_peer = PeerLostError(
            "another process of this training has ended or does not answer "
            f"({_first_sentence(error)}). Resume with --resume; the number of processes may be another."
        )
        lost_peer.reported = not group.may_report()
        if is_launched():
            time.sleep(1)  # the one that failed may still be saying why: the launcher ends all when one has ended
        raise lost_peer from error
    finally:
        dist.destroy_process_group()


def _connect(place: Place, device: str) -> tuple[Collective, Pulse]:
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
        with environment(_loopback() if on_one_machine else {}):
            dist.init_process_group(
                backend, store=PrefixStore("group", store), rank=place.rank, world_size=place.size,
                timeout=dist.default_pg_timeout if on_one_machine else PATIENCE,
            )  # fmt: skip
    except (RuntimeError, ValueError) as error:
        raise TrainingError(f"the processes cannot be connected: {_first_sentence(error)}.") from error
    return Collective(place, store), pulse


def _loopback() -> dict[str, str]:
    """The environment that lets gloo use the loopback interface, which no other machine can reach."""
    name = "GLOO_SOCKET_IFNAME"
    found = [interface for _, interface in socket.if_nameindex() if interface in ("lo", "lo0")]
    return {name: found[0]} if found and name not in os.environ else {}


@contextmanager
def environment(values: dict[str, str]) -> Iterator[None]:
    """Set new environment variables inside the block."""
    os.environ.update(values)
    try:
        yield
    finally:
        for name in values:
            del os.environ[name]


def _is_of_a_peer(error: RuntimeError) -> bool:
    """Whether an error comes from the connection to other processes; gloo has no class for its errors."""
    return isinstance(error, dist.DistError) or "gloo" in str(error)


def _first_sentence(error: Exception) -> str:
    """The first sentence, without the C++ source location that it may begin with."""
    return re.sub(r"^\[[^]]*\.cc:\d+\] ", "", str(error).strip()).partition("\n")[0].partition(". ")[0].rstrip(".")


class Watcher(threading.Thread):
    """A thread that works until the end of a ``with`` block, which sets `over`."""

    def __init__(self, name: str) -> None:
        super().__init__(daemon=True, name=name)
        self.over = threading.Event()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.join()


class Pulse(Watcher):
    """A heartbeat each second; ends this process when the next one sends none, or when the launcher is gone.

    The connections show a process that has ended, but not one that is stopped (SIGSTOP) or a machine without
    power. A stopped process of this machine is continued, to find that the others have ended, and to end too: a
    launcher would wait 30 s for it. A process whose launcher was killed would run for ever. Nobody else may wait at
    ``store``.
    """

    def __init__(self, place: Place, store: Store) -> None:
        super().__init__("glyphnet-pulse")
        self._place, self._store = place, store
        self._next = (place.rank + 1) % place.size
        self._launcher = os.getppid()
        store.set_timeout(timedelta(seconds=10))

    def run(self) -> None:
        """Send heartbeats until the group is left."""
        beats, silent, last = 0, 0, b""
        while not self.over.wait(BEAT):
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
        """End this process, and ask the silent one to end; its ``last`` sign of life has the number of its process."""
        first = self._place.rank - self._place.local_rank  # of this machine
        # A signal of any other name would end the process on Windows.
        if last and first <= self._next < first + self._place.local_size and hasattr(signal, "SIGCONT"):
            with contextlib.suppress(OSError):
                os.kill(int(last.split()[1]), signal.SIGCONT)
        if Collective(self._place, self._store).may_report():
            print(
                f"glyphnet: process {self._next + 1} of {self._place.size} has given no sign of life for "
                f"{SILENCE * BEAT:.0f} s: it is stopped, or its machine is gone. The training has ended. Resume with "
                "--resume; the number of processes may be another.",
                file=sys.stderr, flush=True,
            )  # fmt: skip
            os._exit(FAILED)
        time.sleep(BEAT)
        os._exit(LOST)

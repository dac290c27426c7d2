"""A callback that kills the process in which a training runs, as the system or a power cut would."""

from __future__ import annotations

import os
import signal

from glyphnet.training import Callback, StepInfo, TrainingState


class Killed(Callback):
    """Kills the process after so many steps."""

    def __init__(self, steps: int) -> None:
        self._left = steps

    def after_step(self, info: StepInfo, state: TrainingState) -> bool:
        self._left -= 1
        if not self._left:
            os.kill(os.getpid(), signal.SIGKILL)
        return False

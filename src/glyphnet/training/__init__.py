"""Training: the recipe, the loop and its parts."""

from ..data.settings import DataSettings
from ..nn.inference import keep_freed_memory
from .callbacks import Callback, StepInfo, StopOnSignal
from .checkpoint import CheckpointWriter, read_checkpoint, write_checkpoint
from .device import choose_device
from .examples import Examples
from .fit import FitResult, Fitting, fit, validate
from .loggers import LOGGERS, Logger, LogTo
from .presets import PRESETS, preset
from .recipe import EarlyStopping, Pictures, Recipe
from .state import HISTORY_KEYS, HistoryRow, Pretrained, TrainingState, initial_network

__all__ = [
    "HISTORY_KEYS", "LOGGERS", "PRESETS", "Callback", "CheckpointWriter", "DataSettings", "EarlyStopping", "Examples",
    "FitResult", "Fitting", "HistoryRow", "LogTo", "Logger", "Pictures", "Pretrained", "Recipe", "StepInfo",
    "StopOnSignal", "TrainingState", "choose_device", "fit", "initial_network", "keep_freed_memory", "preset",
    "read_checkpoint", "validate", "write_checkpoint",
]  # fmt: skip

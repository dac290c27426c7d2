"""Every exception that GlyphNet raises on purpose, in one tree.

::

    GlyphNetError                 base of all: catch this one to catch them all
    ├── DataError                 the images, labels or tables given
    │   ├── BadFileError          one file: its path, what is wrong with it, what to do
    │   └── DownloadError         a named data set could not be fetched or is not what it should be
    ├── SettingsError             a recipe or a network has settings that are unknown or impossible (a ValueError)
    ├── ModelFileError            a model or checkpoint file
    │   ├── CorruptFileError      truncated, altered, or not such a file at all
    │   └── UnsupportedFileError  sound, but of a version that this release does not know
    ├── TrainingError             a training that cannot start or continue
    │   ├── DivergedError         the loss became NaN or infinite
    │   └── RunFolderError        the run folder is in use, not empty, or has nothing to resume
    ├── OutputError               writing would destroy something that is not the command's own output
    ├── ExportError               a model that cannot be exported, or an export that answers otherwise than it
    ├── HubError                  a model hub refuses, has no such model, or cannot be reached
    ├── DeviceError               the device asked for is not there
    ├── PluginError               another package's row for one of the tables cannot be used
    └── MissingExtraError         an optional dependency is not installed (an ImportError)

The command line turns each into one line on standard error and exit status 1, so a message must stand alone:
what was wrong, where (file, line, value), and what to do.
"""

from __future__ import annotations

import os


class GlyphNetError(Exception):
    """Base of every error that GlyphNet raises on purpose."""


class DataError(GlyphNetError):
    """The images, labels or tables given cannot be used as they are."""


class BadFileError(DataError):
    """One file cannot be used.

    Args:
        path: the file.
        reason: what is wrong with it, without a full stop ("truncated after 312 of 4,096 bytes").
        remedy: what to do, as a sentence ("Save it again, or pass --on-bad-file skip.").
    """

    def __init__(self, path: str | os.PathLike[str], reason: str, remedy: str = "") -> None:
        self.path = os.fspath(path)
        self.reason = reason
        self.remedy = remedy
        super().__init__(f"{self.path}: {reason}." + (f" {remedy}" if remedy else ""))

    def __reduce__(self) -> tuple[type[BadFileError], tuple[str, str, str]]:
        # Decoding runs in worker processes: the error must survive the trip with all its parts.
        return type(self), (self.path, self.reason, self.remedy)


class DownloadError(DataError):
    """A named data set could not be fetched, or what came is not what it should be."""


class SettingsError(GlyphNetError, ValueError):
    """Settings that are unknown, impossible or contradictory; the message lists all of them."""


class ModelFileError(GlyphNetError):
    """A model or checkpoint file cannot be used."""


class CorruptFileError(ModelFileError):
    """A model or checkpoint file is truncated, altered, or not such a file at all."""


class UnsupportedFileError(ModelFileError):
    """A sound model file of a version or kind that this release does not know."""


class TrainingError(GlyphNetError):
    """A training cannot start or cannot continue."""


class DivergedError(TrainingError):
    """The loss became NaN or infinite.

    Attributes:
        result: a `glyphnet.training.FitResult` with the last good weights, or None if there are none.
    """

    result: object = None


class RunFolderError(TrainingError):
    """The run folder is in use by another run, not empty, or has nothing to resume."""


class OutputError(GlyphNetError):
    """Writing would destroy an input, somebody else's file, or something that is no regular file."""


class ExportError(GlyphNetError):
    """A model cannot be exported so, or what was exported does not answer as the model does."""


class HubError(GlyphNetError):
    """A model hub refuses, has no such model, or cannot be reached."""


class DeviceError(GlyphNetError):
    """The device asked for is not there."""


class PluginError(GlyphNetError):
    """Another installed package adds a row to a table, and the row cannot be used."""


class MissingExtraError(GlyphNetError, ImportError):
    """An optional dependency is not installed.

    Args:
        what: the thing that needs it ("Reading Parquet tables").
        extra: the extra of GlyphNet that brings it ("parquet").
    """

    def __init__(self, what: str, extra: str) -> None:
        self.extra = extra
        super().__init__(f'{what} needs an optional part. Install it with: pip install "glyphnet[{extra}]"')

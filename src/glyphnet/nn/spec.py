"""What every network's description has in common: frozen, closed, bounded."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Annotated, ClassVar

from pydantic import Field
from torch import nn

from ..settings import Settings

InputShape = tuple[int, int, int] | tuple[int]
"""(height, width, channels) of an image, or (features,) of a vector."""

# A description may come out of a stranger's file, so nothing in it is without bound.
Width = Annotated[int, Field(strict=True, ge=1, le=65_536)]
Widths = Annotated[tuple[Width, ...], Field(max_length=64)]
Dropout = Annotated[float, Field(strict=True, ge=0.0, lt=1.0)]
Flag = Annotated[bool, Field(strict=True)]


class BaseSpec(Settings, ABC):
    """The description of one kind of network: closed, serialisable, compared by value.

    A new kind is one file with a subclass of this, and one row in ``networks.py``. The subclass adds a field
    ``kind`` (a Literal with the kind's name) and its settings, each with a default and bounds.
    """

    takes_vectors: ClassVar[bool] = False
    """Whether feature vectors (D,) will do as input; images always do."""

    @abstractmethod
    def network(self, input_shape: InputShape, classes: int) -> nn.Module:
        """The untrained network; called by :func:`glyphnet.nn.build`, which has checked the arguments.

        Its last layer is a Linear called ``head``. Initial weights come from torch's default generator, on
        torch's default device.

        Raises:
            SettingsError: the settings do not go with ``input_shape``.
        """

    def without_effect(self) -> tuple[str, ...]:
        """A sentence for every setting that was given and cannot have an effect with the others."""
        return ()

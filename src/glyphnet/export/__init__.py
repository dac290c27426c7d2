"""Giving a model away: one page for anybody's browser, ONNX, or a PyTorch program; each proves itself first."""

from .export import FORMATS, Exported, Format, export
from .proof import HeldOutImages, Proof

__all__ = ["FORMATS", "Exported", "Format", "HeldOutImages", "Proof", "export"]

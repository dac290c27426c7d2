"""Giving a model away: one page for anybody's browser, ONNX, a PyTorch program, each proved first; and a model card."""

from .card import model_card, write_card
from .export import FORMATS, Exported, Format, export, format_of
from .proof import HeldOutImages, Proof

__all__ = ["FORMATS", "Exported", "Format", "HeldOutImages", "Proof", "export", "format_of", "model_card", "write_card"]

"""Pages complete in themselves: one HTML file each, that asks the network for nothing."""

from .drawing import Card, drawing_page

__all__ = ["Card", "drawing_page"]

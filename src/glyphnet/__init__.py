"""GlyphNet trains, judges, explains and ships neural-network classifiers of small images."""

from ._version import __version__

__all__ = ["__version__"]

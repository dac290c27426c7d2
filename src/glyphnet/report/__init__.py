"""The report: one HTML file in which a person judges a classifier and clicks through its mistakes."""

from .curves import CurveReading, read_curves, read_history
from .data import SuspectPart
from .page import write_report

__all__ = ["CurveReading", "SuspectPart", "read_curves", "read_history", "write_report"]

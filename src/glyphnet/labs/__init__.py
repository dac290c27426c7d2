"""Labs: guided experiments. One command, the real experiment at its real size, pictures, numbers, and what they mean.

A lab is one file with a `Lab` called ``LAB`` in it, and one row in ``LABS``; the contract tests in tests/labs then run
on it.
"""

from .catalogue import LABS, load_lab
from .lab import Findings, Lab, LabSettings, Picture, Question, Section, Table
from .run import LabFolder, run_lab

__all__ = [
    "LABS",
    "Findings",
    "Lab",
    "LabFolder",
    "LabSettings",
    "Picture",
    "Question",
    "Section",
    "Table",
    "load_lab",
    "run_lab",
]

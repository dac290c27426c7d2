"""Labs: guided experiments. One command, the real experiment at its real size, pictures, numbers, and what they mean.

A lab is a module with a `Lab` called ``LAB``: its page is the template of its name. It has a line in
``LABS``; the contract tests in tests/labs then run on it.
"""

from .lab import LABS, Lab, LabFolder, load_lab, run_lab

__all__ = ["LABS", "Lab", "LabFolder", "load_lab", "run_lab"]

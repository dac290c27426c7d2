"""A square pulse out of sigmoids: what each hidden unit adds, in one dimension."""

from .lab import LAB

__all__ = ["LAB"]

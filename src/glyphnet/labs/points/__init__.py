"""The playground in two dimensions: points, and many tiny networks that learn them side by side."""

from .learning import Course, learn
from .nets import Nets, begin
from .sets import POINTS, Points, make_points, read_points

__all__ = ["POINTS", "Course", "Nets", "Points", "begin", "learn", "make_points", "read_points"]

"""Axes that pyplot does not know, and what was drawn into them."""

import matplotlib as mpl
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure


@pytest.fixture(autouse=True)
def no_window():
    with mpl.rc_context({"backend": "Agg"}):
        yield


@pytest.fixture
def make_axes():
    """``make_axes(width, height)``: axes of that many inches in a figure of their own."""

    def made(width=6.0, height=6.0, **grid):
        figure = Figure(figsize=(width, height))
        FigureCanvasAgg(figure)
        return figure.subplots(**grid)

    return made


@pytest.fixture
def ax(make_axes):
    return make_axes()


@pytest.fixture
def draw():
    """Draw for real: what cannot be drawn fails here. Returns the axes."""

    def drawn(ax):
        ax.figure.canvas.draw()
        return ax

    return drawn

"""Drawings and photographs made like the training images.

A digit drawn with a mouse, or photographed, is dark on light, anywhere on the sheet, and of any size; MNIST is light
on dark, 20 pixels long, and centred by mass. `measure_ink` finds such habits in training images, `InkSpec` keeps
them in the model file, and `normalize_picture` applies them, as ``normalizePicture`` in ``pages/js/ink.js`` does in a
browser. Both use whole numbers wherever something is decided, so that both give the same pixels. Every step measures
first: what already is as in training is left as it is. Resizing is Pillow's, rows first, with its box and bicubic
filters.

Every picture of a drawing (`normalize`)
    The picture as a person sees it becomes grey: its brightness, or the difference of two colours where at least
    twice as much stands out in that (red ink on green paper of the same brightness). The planes are tried in turn
    until one shows a drawing. Transparency shows white paper, or black paper under a drawing of one light colour.

Pictures up to twice the model's size, or 64 pixels (`repair`)
    1. Stripes, from 24 pixels: the wave, of any direction and a period of 2 pixels to two fifths of the side, that
       explains most of a frame 3 pixels wide. The median of each of 16 phases is subtracted if the wave explains
       60 % of the frame's variance and what is left of the inner picture lies on one side of it. Lines that hide the
       ink are filled from beside them.
    2. Paper: even, a plane through the medians of the sides, or a morphological opening, whichever parts ink from
       paper best (Otsu 1979). Ink is what less of the border, of the corners and of the picture shows.
    3. Single pixels unlike their neighbours, and noise (Immerkær 1996) above that of training, are smoothed.
    4. Strokes much longer than in training wind everywhere, as noise and textures do: that is no drawing.
    5. Edges softer than in training are sharpened by unsharp masking, as much as it takes.
    6. Ink of the size of training stays as it is, or is moved by whole pixels. Else it is enlarged and drawn again. A
       drawing that touches all four sides of a square picture was stretched to it, and gets the usual proportions.

Larger pictures (`find`), reduced to at most 160 pixels
    1. The paper is an opening over a fifth of the longer side, one level for each 4×4 pixels. Depth is the distance
       from it, in relation to the light that falls there.
    2. In turn, until pieces are left that make a drawing: Otsu's threshold; thin straight lines that cross 70 % of
       the picture go, except where strokes cross them; pieces along the border, frames around another piece,
       underlines and specks go. On paper without lines, ink half as deep beside the strokes belongs to them.
    3. First for ink on the rarer side of the median level, then for the other, unless hardly a pixel around the
       drawing has its level. Of two, the drawing with fewer such pixels.
    4. The drawing is cut out of the given picture, 80 to 160 pixels long, and what is not part of it is taken out
       again.

As in training (`normalize`)
    The ink fills the box, its strokes are thickened or thinned to the usual width, its centre and levels are set.
    Where nothing plausible was found the result is background only, and the reason "no_drawing".

Photographs before an even background: turned to the negative where that brings the background nearer; cut out, moved
in level, resized to the box and centred. Other photographs are resized whole.

How MNIST was made is described at http://yann.lecun.com/exdb/mnist/ (LeCun, Cortes, Burges).
"""

from .measure import Kind, Look, look_at, measure_ink
from .normalize import NoDrawing, Normalized, already_normal, normalize_picture
from .spec import InkSpec, normalizer_version, page_spec

__all__ = [
    "InkSpec", "Kind", "Look", "NoDrawing", "Normalized", "already_normal", "look_at", "measure_ink",
    "normalize_picture", "normalizer_version", "page_spec",
]  # fmt: skip

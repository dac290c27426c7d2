"""Drawings and photographs made like the training images: the way of every picture that is to be classified.

A digit drawn with a mouse, or photographed, is dark on light, anywhere on the sheet, and of any size; MNIST is light
on dark, 20 pixels long, and centred by mass. `measure_ink` finds such habits in training images, `InkSpec` keeps
them in the model file, and `normalize_picture` applies them, as ``normalizePicture`` in ``pages/js/ink.js`` does in a
browser. Both follow this specification, with whole numbers wherever something is decided, so that both give the same
pixels.
``⌊x⌉`` is ⌊x + ½⌋; resizing is Pillow's, rows first, with its box, triangle or
bicubic filter and 22 bits of weight.

1. The picture as a person sees it (the right way up, transparency on white paper) becomes grey: Rec. 601 luma. Only
   for models of photographs without an even background it keeps its colours, is resized whole, the proportions
   kept, the rest filled with the median of its border (`fit_image`), and nothing of the following is done.
2. If it has the model's size and looks like a training image as it is, or turned to its negative, that is the result.
   A drawing does when at least half of its border is nearer to background than to ink; when its bounding box, of
   pixels at least a quarter of the contrast away from the background, fills no less of `box` than 0.9 and no more
   than 1.05 times the extremes of `sizes`; and when its centre lies within `drift` + ½ pixel of `centre`. A
   photograph does when no more of its border is near the background's opposite (within 16 levels) than near the
   background.
3. It is enlarged (bicubic) or reduced (box) by a whole factor until its longer side is at least 160 and at most 320.
   What is left of the last incomplete pixel when reducing is cut off.
4. Drawings: the paper is estimated on a grid of square cells, 32 along the longer side (box). The border's level is
   the median of its cells, its slopes are the differences of the medians of opposite sides; ink is light if the
   sum of the cubes of ⌊cell − that plane⌉ is positive, and else the picture is turned to its negative.
5. Strokes are taken out of the grid: an erosion, then a dilation, over 13×13 cells. The dilation sees 2·a₀ − aₖ
   beyond the border, so that shadows fall evenly across it.
6. The grid, resized to the picture (triangle), is subtracted: what is left is the depth of the ink, 0 to 255.
7. Otsu's threshold parts ink from paper; the mean depth of the ink is full ink. A full ink below 24 levels means an
   empty picture: the result is background and nothing else.
8. Pieces of ink, corners touching, are left out when they lie along more than a quarter of the longer side of
   border (a table's edge), unless all do; then those more than 40 times smaller than the largest (specks). The
   bounding box of the rest is cut out.
9. The depth becomes the amount of ink: 0 up to 30 % of full ink, 255 from 70 %, straight between.
10. It is resized (box) so that it fills `box`, the proportions kept. If the mean width of its strokes before that,
    2·Σv / Σ|Δv| over neighbours in both directions, is out of `strokes` after it, the amount before resizing is
    dilated or eroded by ⌊2/π · what is missing⌉ of its pixels, with a cross and a square in turn, and what of it is
    at least 128 is cut out and resized anew.
11. Its largest value becomes 255. It is moved by whole pixels so that its centre comes nearest to `centre`, and drawn
    with `ink` on `background`.

Photographs before an even background, from step 4: if at least 80 % of the border lies within 16 levels of its
median, the picture is turned to its negative where that brings the median nearer to `background`; what differs
from the median by 24 levels or more, without specks as in step 8, is cut out, moved in level so that the median is
`background`, resized to `box` (bicubic), and centred as in step 11. Otherwise it is resized whole as in step 1.

The way of MNIST is told at http://yann.lecun.com/exdb/mnist/ (LeCun, Cortes, Burges).
"""

from .measure import measure_ink
from .normalize import NoDrawing, Normalized, normalize_picture
from .spec import InkSpec, page_spec
from .version import normalizer_version

__all__ = ["InkSpec", "NoDrawing", "Normalized", "measure_ink", "normalize_picture", "normalizer_version", "page_spec"]

"""The lab of feedback: what its quick version finds, on the embedded digits."""

from __future__ import annotations

import numpy as np

from glyphnet.data import load
from glyphnet.labs.feedback import as_in_service, corrected, together


def test_corrections_help_on_new_pictures_and_alone_they_forget(numbers):
    before, both, alone = numbers["before"], numbers["after"]["both"][-1], numbers["after"]["alone"][-1]
    assert before["new"]["mean"] < before["old"]["mean"] - 0.4
    assert both["new"]["mean"] > before["new"]["mean"] + 0.4
    assert both["old"]["mean"] > alone["old"]["mean"] + 0.3


def test_pictures_in_service_are_moved_and_the_same_for_the_same_seed():
    part = load("digits").test.subset(np.arange(50))
    new = as_in_service(part, 3)
    assert (new.images == as_in_service(part, 3).images).all()
    assert (new.images != as_in_service(part, 4).images).any()
    assert np.corrcoef(new.images[:, 1:, 1:].ravel(), part.images[:, :-1, :-1].ravel())[0, 1] > 0.9
    assert (new.labels == part.labels).all()


def test_so_many_corrections_are_wrong_and_all_images_are_kept():
    part = load("digits").test
    wrong = corrected(part, 0.3, 0)
    assert (wrong.labels != part.labels).sum() == round(0.3 * len(part))
    assert len(together(part, wrong)) == 2 * len(part)

"""Relocation: a lost subject is found where it is, and one that is not lost or has left stays."""

import numpy as np
import pytest

from dreaming.flow.relocation import Subject
from dreaming.flow.warp import warp

SIZE = (80, 120)
BACKDROP = np.random.default_rng(2).integers(60, 120, (*SIZE, 3)).astype(np.uint8)
STILL, ERROR = np.zeros((40, 60, 2), np.float32), np.full((40, 60), 50, np.float32)


def picture(x, y):
    mask = np.zeros(SIZE, bool)
    mask[y : y + 12, x : x + 10] = True
    return np.where(mask[..., None], np.uint8([200, 40, 30]), BACKDROP), mask


@pytest.fixture
def subject():
    return Subject(*picture(20, 30))


@pytest.mark.parametrize(("x", "y"), [(70, 10), (20, 60), (24, 30)])
def test_a_lost_subject_is_found_and_its_mask_moved(subject, x, y):
    image, mask = picture(x, y)
    shift = subject.relocated(STILL, ERROR, image)
    assert shift == pytest.approx((x - 20, y - 30), abs=1)
    flow, visible = subject.moved(STILL, np.ones((40, 60), np.float32), shift)
    moved = warp(subject.mask[::2, ::2].astype(np.float32), flow) > 0.5
    wanted = mask[::2, ::2]
    assert (moved & wanted).sum() / (moved | wanted).sum() >= 0.8
    assert visible[wanted].all()


def test_a_subject_that_is_followed_or_has_left_is_not_moved(subject):
    assert subject.relocated(STILL, ERROR * 0, picture(70, 10)[0]) is None
    assert subject.relocated(STILL, ERROR, BACKDROP) is None

"""Ticks of frames; test_writer.py tests them in files."""

from fractions import Fraction
from pathlib import Path

import pytest

from dreaming.errors import VideoError
from dreaming.video.timeline import Timeline

TIMES = [Fraction(10), Fraction(10) + Fraction(2, 25), Fraction(10) + Fraction(3, 25)]


def test_ticks_are_exact_for_irregular_times():
    line = Timeline(Path("x"), TIMES, None, Fraction(10), Fraction(1, 25))
    assert line.tick == Fraction(1, 25)
    assert [line(index) for index in range(3)] == [[(0, 2)], [(2, 1)], [(3, 1)]]


def test_at_a_constant_rate_a_frame_is_shown_for_whole_ticks():
    line = Timeline(Path("x"), TIMES, 50, Fraction(10), None)
    assert [len(line(index)) for index in range(3)] == [4, 2, 3]
    assert [line(index)[0][0] for index in range(3)] == [0, 4, 6]


def test_more_frames_than_times_are_refused():
    line = Timeline(Path("x"), TIMES, None, Fraction(10), None)
    with pytest.raises(VideoError):
        line(3)
    with pytest.raises(VideoError):
        line.check(2)

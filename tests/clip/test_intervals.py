"""Intervals between hand-masked frames, by hand."""

from dreaming.clip.intervals import FrameInterval, group_by_interval, intervals_between
from dreaming.clip.shots import Shots


def test_hand_masks_cut_a_clip_into_intervals():
    assert intervals_between(Shots("abcdefg"), ["b", "c", "f"]) == [
        FrameInterval(None, ("a",), "b"),
        FrameInterval("c", ("d", "e"), "f"),
        FrameInterval("f", ("g",), None),
    ]


def test_intervals_end_at_cuts():
    assert intervals_between(Shots("abcdefgh", "df"), ["b", "g"]) == [
        FrameInterval(None, ("a",), "b"),
        FrameInterval("b", ("c",), None),
        FrameInterval(None, ("d", "e"), None),
        FrameInterval(None, ("f",), "g"),
        FrameInterval("g", ("h",), None),
    ]


def test_a_clip_masked_all_over_has_none():
    assert intervals_between(Shots("ab"), ["a", "b"]) == []


def test_wanted_frames_are_grouped_by_interval_in_any_order():
    first, second = intervals_between(Shots("abcdefg"), ["b", "e"])[:2]
    groups = group_by_interval(Shots("abcdefg"), ["b", "e"], "acdbdcc")
    assert groups == [
        (first, ["a"]),
        (second, ["c", "d"]),
        (None, ["b"]),
        (second, ["d"]),
        (second, ["c"]),
        (second, ["c"]),
    ]

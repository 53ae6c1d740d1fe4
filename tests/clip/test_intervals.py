"""Runs between hand-masked frames, by hand."""

from dreaming.clip.intervals import FrameInterval, intervals_between


def test_hand_masks_cut_a_clip_into_runs():
    assert intervals_between("abcdefg", ["b", "c", "f"]) == [
        FrameInterval(None, ("a",), "b"),
        FrameInterval("c", ("d", "e"), "f"),
        FrameInterval("f", ("g",), None),
    ]


def test_a_clip_masked_all_over_has_none():
    assert intervals_between("ab", ["a", "b"]) == []

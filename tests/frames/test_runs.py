"""Runs between hand-masked frames, by hand."""

from dreaming.frames.runs import Run, runs_between


def test_hand_masks_cut_a_clip_into_runs():
    assert runs_between("abcdefg", ["b", "c", "f"]) == [
        Run(None, ("a",), "b"),
        Run("c", ("d", "e"), "f"),
        Run("f", ("g",), None),
    ]


def test_a_clip_masked_all_over_has_none():
    assert runs_between("ab", ["a", "b"]) == []

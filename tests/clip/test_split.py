import logging
import subprocess
import sys
from dataclasses import fields

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dreaming.clip.clip import Clip
from dreaming.clip.split import HOLD_OUT_FROM, SHARES, MaskLayout, Split, read_split, split_by_count, write_split
from dreaming.errors import ClipError, MaskError
from dreaming.io.frame_folder import FrameFolder


def names(count):
    return [f"{number:04d}" for number in range(1, count + 1)]


@given(st.integers(HOLD_OUT_FROM, 300))
def test_a_split_is_disjoint_complete_and_in_shares(count):
    split = split_by_count(names(count))
    uses = {use: getattr(split, use) for use in SHARES}
    assert sorted(stem for chosen in uses.values() for stem in chosen) == names(count)
    for use, share in SHARES.items():
        assert abs(len(uses[use]) - share * count) <= 1.5, use
        assert uses[use], "none may be empty"
        assert list(uses[use]) == sorted(uses[use]), "in order of time"
    assert split == split_by_count(names(count)), "the same each time"
    assert split.backsub == split.nn_train
    assert split.nn_test == split.ensemble_test == ()
    assert {names(count)[0], names(count)[-1]} <= set(split.nn_train)


@given(st.integers(20, 300))
def test_each_use_is_spread_over_time(count):
    split = split_by_count(names(count))
    for use, share in SHARES.items():
        places = np.array([int(stem) for stem in getattr(split, use)])
        if len(places) > 1:
            assert np.diff(places).max() <= 2.5 / share + 1, use


@given(st.integers(0, HOLD_OUT_FROM - 1))
def test_few_masks_are_all_learnt_from(count):
    assert split_by_count(names(count)) == Split("folds", nn_train=tuple(names(count)), backsub=tuple(names(count)))


@given(st.integers(HOLD_OUT_FROM, 40), st.integers(0, 40), st.randoms())
def test_masks_without_a_subject_do_not_count_and_leave_no_use_without_one(present, absent, random):
    stems = names(present + absent)
    empty = set(random.sample(stems, absent))
    split = split_by_count(stems, absent=empty)
    uses = [getattr(split, use) for use in SHARES]
    assert sorted(stem for chosen in uses for stem in chosen) == stems
    assert all(set(chosen) - empty for chosen in uses)
    assert {stems[0], stems[-1]} <= set(split.nn_train)


def test_with_few_masks_of_the_subject_nothing_is_held_out():
    stems = names(HOLD_OUT_FROM + 3)
    assert split_by_count(stems, absent=stems[:3]).validation == "split"
    assert split_by_count(stems, absent=stems[:4]).validation == "folds"
    assert split_by_count(stems[:8], "split", absent=stems[:2]).validation == "split"
    with pytest.raises(MaskError, match="found split, and 5 hand masks that show the subject, expected at least 6"):
        split_by_count(stems[:8], "split", absent=stems[:3])


def test_seen_is_all_but_the_test_masks():
    split = Split("explicit", ("1",), ("2",), ("3",), ("4",), ("5",), ("6",), ("1",))
    assert split.seen == {"1", "2", "4", "5"}
    assert split.nn == ("1", "2")


# -- the folders


def put(folder, *stems):
    folder.mkdir(parents=True, exist_ok=True)
    for stem in stems:
        cv2.imwrite(str(folder / f"{stem}.png"), np.full((4, 6, 3), int(stem), np.uint8))


@pytest.fixture
def explicit(tmp_path):
    """REFERENCE.md, section 1: nn/ and ensemble/ with six folders each, and backsub/."""
    places = iter(range(1, 100))
    for half in ("nn", "ensemble"):
        for use in ("train", "valid", "test"):
            stems = [f"{next(places):04d}" for _ in range(3 if use == "train" else 1)]
            put(tmp_path / half / f"{use}_input", *stems)
            put(tmp_path / half / f"{use}_output", *stems)
    put(tmp_path / "backsub", "0001", "0002", "0003")
    put(tmp_path / "frames", *names(12))
    return MaskLayout(tmp_path, FrameFolder(tmp_path / "frames"))


def test_explicit_folders_are_taken_literally(explicit):
    assert explicit.explicit
    assert explicit.exists
    assert explicit.split() == Split(
        "explicit",
        nn_train=("0001", "0002", "0003"),
        nn_valid=("0004",),
        nn_test=("0005",),
        ensemble_train=("0006", "0007", "0008"),
        ensemble_valid=("0009",),
        ensemble_test=("0010",),
        backsub=("0001", "0002", "0003"),
    )
    pairs = {stem: (frames.path, masks.path) for stem, frames, masks in explicit.pairs()}
    assert list(pairs) == names(10)
    assert pairs["0007"] == (explicit.root / "ensemble/train_input", explicit.root / "ensemble/train_output")


def test_backsub_is_the_training_half_where_there_is_none(explicit):
    for path in (explicit.root / "backsub").iterdir():
        path.unlink()
    assert explicit.split().backsub == explicit.split().nn_train


def test_only_what_no_half_has_is_background_subtraction_s_own(explicit):
    put(explicit.root / "backsub", "0005", "0006", "0012")
    pairs = {stem: (frames.path, masks.path) for stem, frames, masks in explicit.pairs()}
    assert list(pairs) == [*names(10), "0012"]
    assert pairs["0012"] == (explicit.root / "frames", explicit.root / "backsub")
    assert pairs["0005"][1] == explicit.root / "nn" / "test_output"
    for validation in ("auto", "folds"):
        split = explicit.split(validation)
        assert split.bootstrap == ("0012",)
        assert split.seen == {*names(9), "0012"} - {"0005"}
    assert split_by_count(names(20)).bootstrap == ()


def test_the_first_program_s_ensemble_folders_are_accepted(explicit):
    # Its code put masks_gmm/ and so on into train_input, where its documentation has frames.
    folder = explicit.root / "ensemble" / "train_input"
    for path in folder.iterdir():
        path.unlink()
    put(folder / "masks_gmm", "0006", "0007", "0008")
    pairs = {stem: frames.path.name for stem, frames, _ in explicit.pairs()}
    assert (pairs["0006"], pairs["0009"]) == ("frames", "valid_input")


def test_a_mask_without_its_frame_is_named(explicit):
    (explicit.root / "nn" / "train_input" / "0002.png").unlink()
    with pytest.raises(MaskError, match=r"train_output/0002\.png: found no frame named 0002 in .*nn/train_input"):
        list(explicit.pairs())


def test_a_mask_in_two_folders_is_refused(explicit):
    put(explicit.root / "ensemble" / "train_output", "0001")
    with pytest.raises(MaskError, match=r"train_output/0001\.png: found a mask that is in nn/train_output too"):
        list(explicit.pairs())


def test_both_layouts_at_once_are_refused(explicit):
    put(explicit.root / "hand_masks", "0001")
    with pytest.raises(ClipError, match="hand_masks/ and nn/ or ensemble/ side by side"):
        list(explicit.pairs())


def test_the_simple_layout_pairs_by_name(tmp_path):
    put(tmp_path / "frames", *names(3))
    frames = FrameFolder(tmp_path / "frames")
    assert not MaskLayout(tmp_path, frames).exists
    put(tmp_path / "hand_masks", "0003", "0001")
    layout = MaskLayout(tmp_path, frames)
    assert layout.exists
    assert [stem for stem, _, _ in layout.pairs()] == ["0001", "0003"]
    assert layout.split().validation == "folds"


def test_a_clip_made_by_make_clip(tmp_path, shared):
    data = tmp_path / "data" / "dog"
    rng = np.random.default_rng(1)
    for number in range(9):
        for name, picture in {
            f"frames/{number:05d}.jpg": rng.integers(0, 255, (36, 48, 3), dtype=np.uint8),
            f"truth/{number:05d}.png": np.pad(np.full((10, 10), 255, np.uint8), ((9, 17), (9, 29))),
        }.items():
            (data / name).parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(data / name), picture)
    command = [sys.executable, shared / "make_clip.py", "dog", tmp_path / "clip", "--split", "--data", data.parent]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    clip = Clip(tmp_path / "clip")
    assert clip.parts == ["subject"]
    split = clip.split("subject")
    assert split == Split(
        "explicit",
        nn_train=("0001", "0009"),
        nn_valid=("0005",),
        ensemble_train=("0003",),
        ensemble_valid=("0007",),
        backsub=("0001", "0009"),
    )
    references = clip.references("subject", split.nn)
    assert references.stems == ("0001", "0005", "0009")
    assert references.masks.sum(axis=(1, 2)).tolist() == [100, 100, 100]


# -- the record


def test_the_record_comes_back(tmp_path):
    splits = {"head": split_by_count(names(20)), "body": split_by_count(names(3))}
    write_split(tmp_path / "split.json", splits)
    assert read_split(tmp_path / "split.json") == splits
    written = (tmp_path / "split.json").stat().st_mtime_ns
    write_split(tmp_path / "split.json", splits)
    assert (tmp_path / "split.json").stat().st_mtime_ns == written, "written once"
    assert read_split(tmp_path / "absent.json") == {}


def test_changed_masks_are_told(tmp_path, caplog):
    write_split(tmp_path / "split.json", {"head": split_by_count(names(3))})
    with caplog.at_level(logging.WARNING):
        write_split(tmp_path / "split.json", {"head": split_by_count(names(4))})
    assert "the hand masks of head changed" in caplog.text
    assert len(read_split(tmp_path / "split.json")["head"].nn_train) == 4


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "3", '{"head": 1}', '{"schema": 1, "parts": {"a": {"validation": "folds"}}}', b"\xff"]
)
def test_a_record_that_cannot_be_read_is_told_and_made_anew(tmp_path, caplog, text):
    (tmp_path / "split.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    assert read_split(tmp_path / "split.json") == {}
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_the_record_names_every_use():
    assert {f.name for f in fields(Split)} == {
        "validation",
        "backsub",
        *(f"{half}_{use}" for half in ("nn", "ensemble") for use in ("train", "valid", "test")),
    }


def test_the_protocol_can_be_set_whatever_the_count():
    few, many = [str(n) for n in range(6)], [str(n) for n in range(12)]
    assert split_by_count(many, "folds").nn == tuple(many)
    held = split_by_count(few, "split")
    assert held.validation == "split"
    assert len(held.ensemble_train) == 2
    assert set(held.nn) | set(held.ensemble_train) == set(few)
    with pytest.raises(MaskError, match="at least 6"):
        split_by_count(few[:5], "split")


def test_folds_hold_back_nothing_of_explicit_folders_but_the_test_masks(disc_clip):
    drawing = disc_clip(masks=())
    for place, stem in {"nn/train": "0003", "ensemble/train": "0002", "ensemble/test": "0005"}.items():
        drawing.save(f"{place}_input/{stem}.png", drawing.images[stem])
        drawing.save(f"{place}_output/{stem}.png", drawing.truth[stem])
    split = Clip(drawing.path, validation="folds").split("subject")
    assert split.validation == "folds"
    assert split.nn == ("0002", "0003")
    assert split.ensemble_train == ()
    assert split.ensemble_test == ("0005",)

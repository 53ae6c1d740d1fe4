import logging
import shutil
import subprocess
import sys
import threading

import filelock
import numpy as np
import pytest

from dreaming.artifacts.manifest import Manifest
from dreaming.clip.clip import Clip
from dreaming.clip.split import read_split
from dreaming.errors import ClipError, FrameError, MaskError, SizeError


def move(drawing, old, new):
    (drawing.path / new).parent.mkdir(parents=True, exist_ok=True)
    (drawing.path / old).rename(drawing.path / new)


# -- frames


def test_a_clip_knows_its_frames(disc_clip):
    clip = disc_clip().clip
    assert (clip.stems, clip.size) == ([f"{n:04d}" for n in range(1, 9)], (32, 48))
    assert not clip.frames_are_made


@pytest.mark.parametrize("ask", [lambda clip: clip.stems, lambda clip: clip.size, lambda clip: clip.frames_fingerprint])
def test_no_frames_are_told(tmp_path, ask):
    with pytest.raises(FrameError, match="frames: found no frames, expected png, jpg, tif or webp pictures; put"):
        ask(Clip(tmp_path))


def test_the_identity_of_own_frames_is_their_content(disc_clip):
    drawing = disc_clip()
    before = drawing.clip.frames_fingerprint
    assert drawing.clip.frames_fingerprint == before
    drawing.save("frames/0003.png", drawing.images["0004"])
    changed = drawing.clip.frames_fingerprint
    (drawing.path / "frames/0008.png").unlink()
    assert len({before, changed, drawing.clip.frames_fingerprint}) == 3


def test_the_identity_of_extracted_frames_is_their_making(disc_clip):
    drawing = disc_clip()
    record = drawing.path / "frames" / "manifest.json"
    Manifest("extract", 1, {"gamma": 1}, {}).write(record)
    before = drawing.clip.frames_fingerprint
    assert drawing.clip.frames_are_made
    Manifest("extract", 1, {"gamma": 1}, {}, seconds=4).write(record)
    assert drawing.clip.frames_fingerprint == before
    Manifest("extract", 1, {"gamma": 2}, {}).write(record)
    assert drawing.clip.frames_fingerprint != before


# -- parts and hand masks


def test_a_lone_subject_needs_no_parts(disc_clip):
    drawing = disc_clip()
    clip = drawing.clip
    assert clip.parts == ["subject"]
    assert clip.masks("subject", "gmm").path == drawing.path / "masks" / "gmm"
    references = clip.references("subject", clip.split("subject").nn)
    assert references.stems == ("0001", "0004", "0008")
    for place, stem in enumerate(references.stems):
        np.testing.assert_array_equal(references.images[place], drawing.images[stem])
        np.testing.assert_array_equal(references.masks[place], drawing.truth[stem])
    np.testing.assert_array_equal(clip.hand_mask("subject", "0004"), drawing.truth["0004"])
    assert clip.hand_mask("subject", "0002") is None
    assert not (drawing.path / "split.json").exists(), "reading writes nothing"
    drawing.save("hand_masks/0002.png", drawing.truth["0002"])
    assert clip.split("subject").nn == references.stems, "decided once for a run"
    clip.record_splits()
    assert read_split(drawing.path / "split.json") == {"subject": clip.split("subject")}


def test_parts_have_masks_of_their_own(disc_clip):
    drawing = disc_clip()
    shutil.copytree(drawing.path / "hand_masks", drawing.path / "parts/head/hand_masks")
    move(drawing, "hand_masks", "parts/body/hand_masks")
    drawing.save("parts/body/hand_masks/0004.png", ~drawing.truth["0004"])
    (drawing.path / "parts/.cache").mkdir()
    (drawing.path / "parts/unpainted").mkdir()
    clip = drawing.clip
    assert clip.parts == ["body", "head"]
    assert clip.references("head", ["0004"]).part == "head"
    np.testing.assert_array_equal(clip.references("body", ["0004"]).masks[0], ~drawing.truth["0004"])
    assert clip.masks("head", "gmm").path == drawing.path / "masks" / "head" / "gmm"


def test_a_lone_part_may_lie_in_parts_under_the_subject_s_name(disc_clip):
    drawing = disc_clip()
    move(drawing, "hand_masks", "parts/subject/hand_masks")
    assert drawing.clip.parts == ["subject"]
    assert len(drawing.clip.references("subject", ["0001"])) == 1


def test_parts_and_masks_of_a_single_subject_are_refused(disc_clip):
    drawing = disc_clip()
    shutil.copytree(drawing.path / "hand_masks", drawing.path / "parts/head/hand_masks")
    with pytest.raises(ClipError) as told:
        _ = drawing.clip.parts
    assert told.value.where == str(drawing.path / "parts")
    assert str(drawing.path / "parts/subject/hand_masks") in told.value.hint


def test_no_masks_are_no_parts(disc_clip):
    clip = disc_clip(masks=()).clip
    assert clip.parts == []
    assert clip.masks("subject", "gmm").path.name == "gmm"


def test_references_of_no_frames_are_empty(disc_clip):
    references = disc_clip().clip.references("subject", [])
    assert (len(references), references.size, references.masks.dtype) == (0, (32, 48), bool)


def test_a_mask_without_a_frame_is_named_even_if_it_is_not_wanted(disc_clip):
    drawing = disc_clip()
    drawing.save("hand_masks/0099.png", drawing.truth["0001"])
    with pytest.raises(MaskError, match=r"hand_masks/0099\.png: found no frame named 0099 in .*frames, expected"):
        drawing.clip.references("subject", ["0001"])


@pytest.mark.parametrize("value", [False, True])
def test_lone_masks_of_one_kind_of_pixel_are_refused(disc_clip, value):
    drawing = disc_clip(masks=(4,))
    drawing.save("hand_masks/0004.png", np.full((32, 48), value))
    with pytest.raises(MaskError):
        drawing.clip.training_references("subject")
    drawing.save("hand_masks/0001.png", drawing.truth["0001"])
    masks = drawing.clip.training_references("subject").masks
    np.testing.assert_array_equal(masks.all(axis=(1, 2)), [False, value])


def test_a_mask_or_frame_of_another_size_is_refused(disc_clip):
    drawing = disc_clip()
    drawing.save("hand_masks/0004.png", drawing.truth["0004"][:30])
    with pytest.raises(SizeError, match=r"hand_masks/0004\.png: found 48x30 pixels, expected 48x32"):
        drawing.clip.references("subject", ["0004"])
    drawing.save("frames/0008.png", drawing.images["0008"][:, :40])
    with pytest.raises(SizeError, match=r"frames/0008\.png: found 40x32"):
        drawing.clip.references("subject", ["0008"])


def test_a_painted_colour_mask_counts_by_its_brightest_channel(disc_clip):
    drawing = disc_clip()
    painted = np.where(drawing.truth["0004"][..., None], np.uint8([200, 0, 0]), np.uint8(0))
    drawing.save("hand_masks/0004.png", painted)
    np.testing.assert_array_equal(drawing.clip.hand_mask("subject", "0004"), drawing.truth["0004"])


# -- keyframes


def test_keyframes_come_with_their_frames(disc_clip):
    drawing = disc_clip(keyframes=(2, 7))
    drawing.save("keyframes/painted/masks/0007.png", drawing.truth["0007"])
    clip = drawing.clip
    keyframes = clip.keyframes(clip.layers[0])
    assert keyframes.stems == ("0002", "0007")
    np.testing.assert_array_equal(keyframes.sources[1], drawing.images["0007"])
    np.testing.assert_array_equal(keyframes.styled[0], drawing.styled["0002"])
    assert keyframes.masks[0].all()
    np.testing.assert_array_equal(keyframes.masks[1], drawing.truth["0007"])


# -- locks

HOLD = """
import sys, time
from pathlib import Path
from dreaming.clip.clip import Clip
with Clip(Path(sys.argv[1])).lock("masks/gmm", "waiting"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_lock_shuts_out_another_process_until_it_dies(tmp_path, caplog):
    with subprocess.Popen([sys.executable, "-c", HOLD, tmp_path], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(filelock.Timeout):
            filelock.FileLock(tmp_path / ".locks" / "masks+gmm.lock").acquire(timeout=0)
        with Clip(tmp_path).lock("masks/unet", "another lock is free"):
            pass
        killer = threading.Timer(0.3, holder.kill)
        killer.start()
        with caplog.at_level(logging.INFO), Clip(tmp_path).lock("masks/gmm", "masks/gmm: waiting"):
            assert holder.wait(10) != 0
    assert [record.message for record in caplog.records] == ["masks/gmm: waiting"]


def test_a_lock_is_released_by_an_error(tmp_path, monkeypatch):
    kept, make = [], filelock.FileLock
    # Keeps the lock alive, so that its release is not left to the garbage collector.
    monkeypatch.setattr(filelock, "FileLock", lambda path: kept.append(make(path)) or kept[-1])
    with pytest.raises(ValueError, match="mine"), Clip(tmp_path).lock("a", ""):
        raise ValueError("mine")
    make(tmp_path / ".locks" / "a.lock").acquire(timeout=0)

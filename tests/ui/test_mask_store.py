"""Hand masks are written where the stages read them, and what others wrote stays in trash/."""

import cv2
import numpy as np
import pytest

from dreaming.errors import ClipError, MaskError, SizeError
from dreaming.ui.mask_store import MaskStore, decode_upload
from dreaming.ui.user_files import ABSENT, FileChangedError

MASK = np.arange(32 * 48).reshape(32, 48) % 5 == 0


def files(path):
    return {file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file()}


def test_a_new_mask_is_read_by_the_stages(disc_clip):
    drawing, store = disc_clip(masks=()), MaskStore()
    assert store.read(drawing.clip, "subject", "0002") == (None, ABSENT)
    version = store.write(drawing.clip, "subject", "0002", MASK, ABSENT)
    mask, read = store.read(drawing.clip, "subject", "0002")
    assert read == version
    np.testing.assert_array_equal(mask, MASK)
    np.testing.assert_array_equal(drawing.clip.references("subject", ["0002"]).masks[0], MASK)


def test_only_the_first_replaced_mask_is_kept(disc_clip):
    drawing, store = disc_clip(masks=(1,)), MaskStore()
    before = (drawing.path / "hand_masks/0001.png").read_bytes()
    _, version = store.read(drawing.clip, "subject", "0001")
    version = store.write(drawing.clip, "subject", "0001", MASK, version)
    store.write(drawing.clip, "subject", "0001", ~MASK, version)
    assert [path.read_bytes() for path in (drawing.path / "trash").rglob("*.png")] == [before]
    np.testing.assert_array_equal(drawing.clip.references("subject", ["0001"]).masks[0], ~MASK)


def test_a_mask_of_another_format_is_replaced_and_kept(disc_clip):
    drawing, store = disc_clip(masks=()), MaskStore()
    drawing.save("hand_masks/0001.tif", drawing.truth["0001"])
    _, version = store.read(drawing.clip, "subject", "0001")
    store.write(drawing.clip, "subject", "0001", MASK, version)
    masks = {file for file in files(drawing.path) if "hand_masks" in file}
    assert masks == {"hand_masks/0001.png", "trash/hand_masks/0001.tif"}


def test_a_mask_in_an_explicit_folder_stays_there_and_new_ones_are_refused(disc_clip):
    drawing, store = disc_clip(masks=()), MaskStore()
    drawing.save("nn/train_output/0001.png", drawing.truth["0001"])
    _, version = store.read(drawing.clip, "subject", "0001")
    store.write(drawing.clip, "subject", "0001", MASK, version)
    assert drawing.clip.references("subject", ["0001"]).masks[0].sum() == MASK.sum()
    with pytest.raises(ClipError):
        store.write(drawing.clip, "subject", "0002", MASK, ABSENT)
    assert not (drawing.path / "hand_masks").exists()


@pytest.mark.parametrize(
    "change",
    [
        lambda store, clip, version: store.write(clip, "subject", "0001", ~MASK, version),
        lambda store, clip, version: store.remove(clip, "subject", "0001", version),
    ],
    ids=["write", "remove"],
)
def test_a_mask_that_changed_on_disk_stays(disc_clip, change):
    drawing, store = disc_clip(masks=(1,)), MaskStore()
    _, version = store.read(drawing.clip, "subject", "0001")
    changed = drawing.save("hand_masks/0001.png", MASK).read_bytes()
    before = files(drawing.path)
    with pytest.raises(FileChangedError) as error:
        change(store, drawing.clip, version)
    assert error.value.version == store.read(drawing.clip, "subject", "0001")[1]
    assert (drawing.path / "hand_masks/0001.png").read_bytes() == changed
    assert files(drawing.path) == before


def test_removed_masks_lie_in_the_trash_side_by_side(disc_clip):
    drawing, store = disc_clip(masks=(1,)), MaskStore()
    for mask in (None, MASK):
        if mask is not None:
            store.write(drawing.clip, "subject", "0001", mask, ABSENT)
        _, version = store.read(drawing.clip, "subject", "0001")
        assert store.remove(drawing.clip, "subject", "0001", version).exists()
    assert len(list((drawing.path / "trash/hand_masks").iterdir())) == 2
    assert store.read(drawing.clip, "subject", "0001") == (None, ABSENT)


def test_a_part_that_was_renamed_meanwhile_gets_no_masks(disc_clip):
    drawing, store = disc_clip(masks=()), MaskStore()
    drawing.save("parts/head/hand_masks/0001.png", drawing.truth["0001"])
    before = files(drawing.path)
    with pytest.raises(ClipError):
        store.write(drawing.clip, "face", "0001", MASK, ABSENT)
    with pytest.raises(ClipError):
        store.remove(drawing.clip, "face", "0001", ABSENT)
    assert files(drawing.path) == before


@pytest.mark.parametrize("linked", ["hand_masks", "trash"])
def test_links_out_of_the_clip_are_refused(disc_clip, tmp_path, linked):
    drawing, store = disc_clip(masks=(1,) if linked == "trash" else ()), MaskStore()
    outside = tmp_path / "outside"
    outside.mkdir()
    (drawing.path / linked).symlink_to(outside)
    _, version = store.read(drawing.clip, "subject", "0001")
    with pytest.raises(ClipError):
        store.write(drawing.clip, "subject", "0001", MASK, version)
    assert not list(outside.iterdir())


GREY = MASK.astype(np.uint8) * 255
OPAQUE = np.dstack([GREY, GREY, GREY, np.full_like(GREY, 255)])


@pytest.mark.parametrize("array", [GREY, OPAQUE[..., :3], OPAQUE], ids=["grey", "colour", "opacity"])
def test_uploads_are_decoded(png, array):
    np.testing.assert_array_equal(decode_upload(png(array), (32, 48)), MASK)


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (lambda png: b"", MaskError),
        (lambda png: cv2.imencode(".jpg", GREY)[1].tobytes(), MaskError),
        (lambda png: png(GREY)[:60], MaskError),
        (lambda png: png(GREY)[:16] + b"\0\0\xff\xff\0\0\xff\xff" + png(GREY)[24:], SizeError),
        (lambda png: png(GREY.T.copy()), SizeError),
        (lambda png: png(GREY // 2), MaskError),
        (lambda png: png(GREY.astype(np.uint16) * 257), MaskError),
        (lambda png: png(np.dstack([GREY, GREY, 255 - GREY])), MaskError),
        (lambda png: png(np.dstack([GREY, GREY, GREY, GREY])), MaskError),
    ],
    ids=["nothing", "jpeg", "truncated", "huge", "turned", "dim", "16 bits", "colours", "transparent"],
)
def test_other_uploads_are_refused(png, data, error):
    with pytest.raises(error):
        decode_upload(data(png), (32, 48))

"""Frames are handed out in full bit depth, and painted files are stored as they are."""

import io

import cv2
import numpy as np
import PIL.Image
import PIL.ImageCms
import pytest

from dreaming.errors import ClipError, KeyframeError
from dreaming.ui.keyframe_store import KeyframeStore, frame_png
from dreaming.ui.user_files import ABSENT, FileChangedError

SIZE = (32, 48)
DEEP = np.arange(32 * 48 * 3, dtype=np.uint16).reshape(*SIZE, 3) * 13


def encoded(array, suffix=".png"):
    return cv2.imencode(suffix, array)[1].tobytes()


PAINTED = encoded(DEEP)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_a_frame_is_handed_out_in_full_bit_depth(disc_clip, suffix):
    drawing = disc_clip(count=1, masks=(), keyframes=(), frames=False)
    path = drawing.path / f"frames/0001{suffix}"
    path.parent.mkdir()
    path.write_bytes(encoded(DEEP, suffix))
    png = frame_png(drawing.clip, "0001")
    assert png.startswith(b"\x89PNG")
    np.testing.assert_array_equal(cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED), DEEP)
    if suffix == ".png":
        assert png == path.read_bytes()


def test_a_frame_keeps_its_profile_and_is_upright(disc_clip):
    drawing = disc_clip(count=1, masks=(), keyframes=(), frames=False)
    profile = PIL.ImageCms.ImageCmsProfile(PIL.ImageCms.createProfile("sRGB")).tobytes()
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    (drawing.path / "frames").mkdir()
    picture = PIL.Image.fromarray(drawing.images["0001"])
    picture.save(drawing.path / "frames/0001.jpg", icc_profile=profile, exif=exif)
    with PIL.Image.open(io.BytesIO(frame_png(drawing.clip, "0001"))) as file:
        assert (file.size, file.info["icc_profile"]) == (SIZE, profile)
        file.load()


def test_transparent_frames_are_handed_out_as_the_stages_see_them(disc_clip):
    drawing = disc_clip(count=1, masks=(), keyframes=(), frames=False)
    (drawing.path / "frames").mkdir()
    half = np.full((*SIZE, 4), 128, np.uint8)
    (drawing.path / "frames/0001.webp").write_bytes(encoded(half, ".webp"))
    png = cv2.imdecode(np.frombuffer(frame_png(drawing.clip, "0001"), np.uint8), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(png[..., ::-1], drawing.clip.frames.read("0001"))


def test_a_painted_file_is_stored_replaced_and_removed(disc_clip):
    drawing, store = disc_clip(keyframes=()), KeyframeStore()
    path, version = store.write(drawing.clip, "sketch", "0002", "my painting.PNG", PAINTED, ABSENT)
    assert path == drawing.path / "keyframes/sketch/0002.png"
    assert path.read_bytes() == PAINTED
    drawing.save("keyframes/sketch/masks/0002.png", drawing.truth["0002"])
    tiff = encoded(DEEP, ".tif")
    path, version = store.write(drawing.clip, "sketch", "0002", "0002.tif", tiff, version)
    assert store.find(drawing.clip, "sketch", "0002") == (drawing.path / "keyframes/sketch/0002.tif", version)
    assert not (drawing.path / "keyframes/sketch/0002.png").exists()
    assert (drawing.path / "trash/keyframes/sketch/0002.png").read_bytes() == PAINTED
    assert store.remove(drawing.clip, "sketch", "0002", version).read_bytes() == tiff
    assert (drawing.path / "trash/keyframes/sketch/masks/0002.png").exists()
    assert not (drawing.path / "keyframes/sketch").exists()


def test_a_layer_with_other_keyframes_stays(disc_clip):
    drawing, store = disc_clip(keyframes=(2, 4)), KeyframeStore()
    store.remove(drawing.clip, "painted", "0002", store.find(drawing.clip, "painted", "0002")[1])
    assert store.find(drawing.clip, "painted", "0002") == (None, ABSENT)
    assert (drawing.path / "keyframes/painted/0004.png").exists()


@pytest.mark.parametrize(
    "change",
    [
        lambda store, clip, version: store.write(clip, "painted", "0004", "a.png", encoded(DEEP // 2), version),
        lambda store, clip, version: store.remove(clip, "painted", "0004", version),
    ],
    ids=["write", "remove"],
)
def test_a_keyframe_that_changed_on_disk_stays(disc_clip, change):
    drawing, store = disc_clip(), KeyframeStore()
    path, version = store.find(drawing.clip, "painted", "0004")
    path.write_bytes(PAINTED)
    with pytest.raises(FileChangedError):
        change(store, drawing.clip, version)
    assert path.read_bytes() == PAINTED
    assert not (drawing.path / "trash").exists()


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.psd", PAINTED),
        ("a", PAINTED),
        ("a.png", b""),
        ("a.png", b"no picture"),
        ("a.png", PAINTED[:-200]),
        ("a.png", PAINTED[:16] + b"\0\0\xff\xff\0\0\xff\xff" + PAINTED[24:]),
        ("a.png", encoded(DEEP[:, :40])),
        ("a.png", encoded(DEEP.swapaxes(0, 1))),
        ("a.png", encoded(np.zeros((*SIZE, 4), np.uint8))),
    ],
    ids=["project", "no suffix", "empty", "text", "truncated", "bomb", "narrow", "turned", "transparent"],
)
def test_other_files_are_refused(disc_clip, name, data):
    drawing = disc_clip(keyframes=())
    with pytest.raises(KeyframeError) as error:
        KeyframeStore().write(drawing.clip, "painted", "0002", name, data, ABSENT)
    assert error.value.where == name
    assert not (drawing.path / "keyframes").exists()


@pytest.mark.parametrize("layer", ["", "..", ".hidden", "a/b", "a\\b", "a\0", "x" * 201])
def test_layers_are_folders_inside_the_clip(disc_clip, layer):
    drawing = disc_clip(keyframes=())
    with pytest.raises(ClipError):
        KeyframeStore().write(drawing.clip, layer, "0002", "a.png", PAINTED, ABSENT)
    assert not (drawing.path / "keyframes").exists()


def test_links_out_of_the_clip_are_refused(disc_clip, tmp_path):
    drawing = disc_clip(keyframes=())
    (tmp_path / "outside").mkdir()
    (drawing.path / "keyframes").symlink_to(tmp_path / "outside")
    with pytest.raises(ClipError):
        KeyframeStore().write(drawing.clip, "painted", "0002", "a.png", PAINTED, ABSENT)
    assert not list((tmp_path / "outside").rglob("*.png"))


def test_several_pictures_in_one_file_are_refused(disc_clip):
    drawing, file = disc_clip(keyframes=()), io.BytesIO()
    pictures = [PIL.Image.new("RGB", SIZE[::-1], colour) for colour in ("red", "blue")]
    pictures[0].save(file, "PNG", save_all=True, append_images=pictures[1:])
    with pytest.raises(KeyframeError):
        KeyframeStore().write(drawing.clip, "sketch", "0002", "moving.png", file.getvalue(), ABSENT)
    assert not (drawing.path / "keyframes").exists()

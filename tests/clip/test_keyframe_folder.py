"""Keyframes as a person hands them in, and what is refused of them."""

import cv2
import numpy as np
import pytest

from dreaming.errors import FrameError, KeyframeError, SizeError


@pytest.mark.parametrize(
    ("place", "picture", "error", "told"),
    [
        ("0077.png", "styled", KeyframeError, r"painted/0077\.png: found no frame named 0077"),
        ("masks/0077.png", "truth", KeyframeError, r"masks/0077\.png: found no frame named 0077"),
        ("masks/0005.png", "truth", KeyframeError, r"masks/0005\.png: found no keyframe named 0005"),
        ("0004.png", "narrow", SizeError, r"painted/0004\.png: found 40x32 pixels, expected 48x32"),
        ("masks/0004.png", "narrow mask", SizeError, r"masks/0004\.png: found 40x32 pixels"),
        ("masks/0004.png", "empty", KeyframeError, r"masks/0004\.png: found a mask without any foreground"),
    ],
)
def test_keyframes_that_do_not_fit_are_refused(disc_clip, place, picture, error, told):
    drawing = disc_clip()
    styled, truth = drawing.styled["0004"], drawing.truth["0004"]
    pictures = {"styled": styled, "truth": truth, "narrow": styled[:, :40], "narrow mask": truth[:, :40]}
    drawing.save(f"keyframes/painted/{place}", pictures.get(picture, np.zeros_like(truth)))
    clip = drawing.clip
    with pytest.raises(error, match=told):
        clip.keyframes(clip.layers[0])


def test_what_is_transparent_in_a_keyframe_is_not_painted(disc_clip):
    drawing = disc_clip(keyframes=(4, 7))
    opacity = np.full(drawing.clip.size, 127, np.uint8)
    opacity[:, 20:40] = 128
    for stem in ("0004", "0007"):
        path = drawing.path / f"keyframes/painted/{stem}.png"
        assert cv2.imwrite(str(path), np.dstack([drawing.styled[stem][..., ::-1], opacity]))
    drawing.save("keyframes/painted/masks/0007.png", drawing.truth["0007"])
    clip = drawing.clip
    masks = clip.keyframes(clip.layers[0]).masks
    np.testing.assert_array_equal(masks[0], opacity == 128)
    np.testing.assert_array_equal(masks[1], (opacity == 128) & drawing.truth["0007"])


@pytest.mark.parametrize(("masked", "told"), [(False, "all over"), (True, "where its mask is white")])
def test_a_keyframe_without_anything_opaque_is_refused(disc_clip, masked, told):
    drawing = disc_clip()
    opacity = np.where(drawing.truth["0004"] | (not masked), 0, 255).astype(np.uint8)
    path = drawing.path / "keyframes/painted/0004.png"
    assert cv2.imwrite(str(path), np.dstack([drawing.styled["0004"][..., ::-1], opacity]))
    if masked:
        drawing.save("keyframes/painted/masks/0004.png", drawing.truth["0004"])
    clip = drawing.clip
    with pytest.raises(KeyframeError, match=rf"painted/0004\.png: found a picture that is transparent {told}"):
        clip.keyframes(clip.layers[0])


def test_an_empty_keyframe_folder_is_refused(disc_clip):
    drawing = disc_clip()
    (drawing.path / "keyframes/painted/0004.png").unlink()
    clip = drawing.clip
    with pytest.raises(KeyframeError, match="painted: found no pictures, expected at least one stylised frame"):
        clip.keyframes(clip.layers[0])


def test_an_unreadable_keyframe_is_named(disc_clip):
    drawing = disc_clip()
    path = drawing.path / "keyframes/painted/0004.png"
    path.write_bytes(path.read_bytes()[:200])
    clip = drawing.clip
    with pytest.raises(FrameError) as error:
        clip.keyframes(clip.layers[0])
    assert error.value.where == str(path)
    assert cv2.imread(str(drawing.path / "frames/0004.png")) is not None

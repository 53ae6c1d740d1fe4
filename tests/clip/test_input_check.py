"""The user's images are checked in every folder of a clip, before any work."""

import shutil

import cv2
import numpy as np
import pytest

from dreaming.artifacts.manifest import Manifest
from dreaming.clip.clip import Clip
from dreaming.clip.input_check import check_inputs
from dreaming.errors import ClipError, FrameError


@pytest.mark.parametrize("folder", ["frames", "hand_masks", "keyframes/painted", "keyframes/painted/masks"])
@pytest.mark.parametrize("how", ["folder", "size", "kind", "empty"])
def test_a_wrong_file_in_any_folder_is_named(disc_clip, folder, how):
    drawing = disc_clip(masks=(1, 4), keyframes=(4,))
    drawing.save("keyframes/painted/masks/0004.png", drawing.truth["0004"])
    check_inputs(drawing.clip)
    path = drawing.path / folder / "0004.png"
    path.unlink()
    match how:
        case "folder":
            path.mkdir()
        case "size":
            drawing.save(f"{folder}/0004.png", np.zeros((9, 9), bool))
        case "kind":
            path = path.with_suffix(".heic")
            path.touch()
        case "empty":
            path.touch()
    with pytest.raises(FrameError) as caught:
        check_inputs(drawing.clip)
    assert caught.value.where == str(path)


@pytest.mark.parametrize("length", [0, 1])
@pytest.mark.parametrize("kind", ["stem", "layer", "part"])
def test_names_are_refused_only_if_they_are_too_long(disc_clip, kind, length):
    drawing = disc_clip(masks=(), keyframes=())
    name = "\u00e4" * (120 if kind == "stem" else 100) + "a" * length
    stem = name if kind == "stem" else "0004"
    (drawing.path / "frames/0004.png").rename(drawing.path / f"frames/{stem}.png")
    drawing.save(f"keyframes/{name if kind == 'layer' else 'painted'}/{stem}.png", drawing.styled["0004"])
    drawing.save(f"parts/{name if kind == 'part' else 'it'}/hand_masks/{stem}.png", drawing.truth["0004"])
    if length == 0:
        check_inputs(drawing.clip)
        return
    with pytest.raises(ClipError) as refused:
        check_inputs(drawing.clip)
    assert name in refused.value.where


@pytest.mark.parametrize("name", [" ", "a ", "a\nb", "nul"])
@pytest.mark.parametrize("kind", ["layer", "part"])
def test_names_that_other_systems_refuse_are_refused(disc_clip, kind, name):
    drawing = disc_clip(masks=(), keyframes=())
    drawing.save(f"keyframes/{name if kind == 'layer' else 'painted'}/0004.png", drawing.styled["0004"])
    drawing.save(f"parts/{name if kind == 'part' else 'it'}/hand_masks/0004.png", drawing.truth["0004"])
    with pytest.raises(ClipError) as refused:
        check_inputs(drawing.clip)
    assert refused.value.where.endswith(f"/{name}")


@pytest.mark.parametrize("folder", ["hand_masks", "parts/it/hand_masks", "keyframes/painted"])
@pytest.mark.parametrize("alone", [True, False])
def test_files_of_painting_programs_are_named_once(disc_clip, caplog, folder, alone):
    drawing = disc_clip(masks=(), keyframes=())
    if not alone:
        drawing.save(f"{folder}/0004.png", drawing.truth["0004"])
    for name in ("0001.psd", "0002.KRA", "0004.xcf"):
        (drawing.path / folder).mkdir(parents=True, exist_ok=True)
        (drawing.path / folder / name).touch()
    check_inputs(drawing.clip)
    ((path, names),) = [record.args for record in caplog.records]
    assert path == drawing.path / folder
    assert names == "0001.psd, 0002.KRA" + (", 0004.xcf" if alone else "")


def test_hand_masks_of_an_unknown_kind_alone_are_named(disc_clip):
    drawing = disc_clip(masks=())
    (drawing.path / "hand_masks").mkdir()
    (drawing.path / "hand_masks/0001.heic").touch()
    with pytest.raises(FrameError) as refused:
        check_inputs(drawing.clip)
    assert refused.value.where == str(drawing.path / "hand_masks/0001.heic")


def test_masks_of_the_explicit_layout_and_of_parts_are_checked(disc_clip):
    for target in ("nn/train_output", "parts/head/hand_masks"):
        drawing = disc_clip(target.split("/")[0], masks=(1, 4))
        shutil.move(drawing.path / "hand_masks", drawing.path / "moved")
        (drawing.path / target).parent.mkdir(parents=True)
        shutil.move(drawing.path / "moved", drawing.path / target)
        check_inputs(drawing.clip)
        cv2.imwrite(str(drawing.path / target / "0004.png"), np.zeros((9, 9), np.uint8))
        with pytest.raises(FrameError) as caught:
            check_inputs(drawing.clip)
        assert caught.value.where == str(drawing.path / target / "0004.png")


def test_frames_with_names_unlike_the_others_are_named(disc_clip, caplog):
    drawing = disc_clip(count=9)
    check_inputs(drawing.clip)
    assert not caplog.records
    path = drawing.save("frames/0004 copy.png", drawing.images["0004"])
    check_inputs(Clip(drawing.path))
    ((named, _),) = [record.args for record in caplog.records]
    assert named == path
    for stem in ("a", "b"):
        drawing.save(f"frames/{stem}.png", drawing.images["0004"])
    caplog.clear()
    check_inputs(Clip(drawing.path))
    assert not caplog.records, "more than a few are no mistake"


def test_a_picture_among_extracted_frames_is_named(disc_clip):
    drawing = disc_clip()
    Manifest("extract", 1, {}, {}, stems=drawing.stems).write(drawing.path / "frames" / "manifest.json")
    check_inputs(drawing.clip)
    path = drawing.save("frames/0004 copy.png", drawing.images["0004"])
    with pytest.raises(FrameError) as caught:
        check_inputs(drawing.clip)
    assert caught.value.where == str(path)

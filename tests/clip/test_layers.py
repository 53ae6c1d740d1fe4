"""Which layers a clip has, by its folders and by clip.yaml."""

import shutil

import pytest

from dreaming.clip.config import Layer
from dreaming.errors import ClipError


def settings(drawing, text):
    (drawing.path / "clip.yaml").write_text(text)
    return drawing.clip


def test_a_lone_keyframe_folder_is_the_subject_s_layer(disc_clip):
    assert disc_clip("with").clip.layers == [Layer("painted", part="subject")]
    assert disc_clip("without", masks=()).clip.layers == [Layer("painted")]
    assert disc_clip("unpainted", keyframes=()).clip.layers == []


def test_folders_named_like_parts_are_their_layers(disc_clip):
    drawing = disc_clip()
    for part in ("head", "body"):
        shutil.copytree(drawing.path / "hand_masks", drawing.path / f"parts/{part}/hand_masks")
        shutil.copytree(drawing.path / "keyframes/painted", drawing.path / f"keyframes/{part}")
    for folder in ("hand_masks", "keyframes/painted"):
        shutil.rmtree(drawing.path / folder)
    (drawing.path / "keyframes/.ipynb_checkpoints").mkdir()
    assert drawing.clip.layers == [Layer("body", part="body"), Layer("head", part="head")]


def test_folders_that_could_be_read_in_two_ways_are_refused(disc_clip):
    drawing = disc_clip()
    shutil.copytree(drawing.path / "keyframes/painted", drawing.path / "keyframes/other")
    with pytest.raises(ClipError, match=r"found keyframes of other, painted and masks of subject, .* clip\.yaml"):
        _ = drawing.clip.layers


def test_keyframes_outside_a_layer_s_folder_are_refused(disc_clip):
    drawing = disc_clip(keyframes=())
    drawing.save("keyframes/0004.png", drawing.styled["0004"])
    with pytest.raises(ClipError, match=r"found 1 keyframes that belong to no layer.*move them to .*keyframes/painted"):
        _ = drawing.clip.layers


def test_clip_yaml_lists_layers_from_bottom_to_top(disc_clip):
    drawing = disc_clip()
    text = "layers: [{name: ground, part: subject, invert: true, keyframes: painted}, {name: painted}]"
    clip = settings(drawing, text)
    assert clip.layers == [Layer("ground", "subject", True, "painted"), Layer("painted")]
    assert clip.styled(clip.layers[0]).path.name == "ground"
    assert clip.keyframe_folder(clip.layers[0]).path == drawing.path / "keyframes" / "painted"


def test_a_listed_layer_may_wait_for_its_keyframes(disc_clip):
    drawing = disc_clip()
    assert settings(drawing, "layers: [{name: painted}, {name: later}]").layers == [Layer("painted")]
    shutil.rmtree(drawing.path / "keyframes")
    assert drawing.clip.layers == []


def test_a_misspelt_folder_or_part_is_refused(disc_clip):
    drawing = disc_clip()
    with pytest.raises(ClipError, match=r"found no folder keyframes/paintd, but painted, which no layer names"):
        _ = settings(drawing, "layers: [{name: paintd}]").layers
    with pytest.raises(ClipError, match=r"found layer painted of part head, expected a part with hand masks \(subject"):
        _ = settings(drawing, "layers: [{name: painted, part: head}]").layers

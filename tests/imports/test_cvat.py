"""CVAT's segmentation masks."""

import numpy as np
import PIL.Image
import pytest

from dreaming.errors import MaskError
from dreaming.imports.cvat import read_cvat

LABELS = "# label:color_rgb:parts:actions\nbackground:0,0,0::\ncat:250,50,83::\ndog:0,255,0::\n"


@pytest.fixture
def export(tmp_path):
    """A folder as CVAT exports it, with one picture of a cat and a dog."""
    colours = np.zeros((4, 6, 3), np.uint8)
    colours[1], colours[2, 3:] = (250, 50, 83), (0, 255, 0)
    (tmp_path / "SegmentationClass").mkdir()
    PIL.Image.fromarray(colours).save(tmp_path / "SegmentationClass/frame_000004.png")
    (tmp_path / "labelmap.txt").write_text(LABELS)
    return tmp_path


def test_each_colour_is_a_label(export):
    found = read_cvat(export)
    masks = {each.label: each.draw() for each in found.objects}
    assert sorted(masks) == ["cat", "dog"]
    assert masks["cat"].sum() == 6
    assert masks["cat"][1].all()
    assert masks["dog"].sum() == 3
    assert masks["dog"][2, 3:].all()
    assert found.dense == ("frame_000004",)
    assert found.counts_from_zero


@pytest.mark.parametrize(
    "text",
    ["cat:250,50,83::\n", LABELS + "x\n", LABELS + "x:0,0,300::\n", LABELS + "x:0,255,0::\n", "x" * 200_000, ""],
)
def test_labels_that_do_not_explain_the_colours_are_refused(export, text):
    (export / "labelmap.txt").write_text(text)
    with pytest.raises(MaskError):
        read_cvat(export)


def test_an_export_without_masks_is_refused(tmp_path):
    (tmp_path / "labelmap.txt").write_text(LABELS)
    with pytest.raises(MaskError):
        read_cvat(tmp_path)

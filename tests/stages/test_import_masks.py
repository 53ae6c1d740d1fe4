"""Imported masks become hand masks or parts; nothing is overwritten, and nothing half-written."""

import json

import numpy as np
import PIL.Image
import pytest

from dreaming.errors import ClipError, MaskError, SizeError
from dreaming.stages.import_masks import ImportStage


def coco(path, *objects, size=(32, 48)):
    """Write COCO's JSON with a rectangle (label, image, x0, y0, x1, y1) for each object."""
    images, labels = (list(dict.fromkeys(each[i] for each in objects)) for i in (1, 0))
    data = {
        "images": [
            {"id": i, "file_name": f"{name}.png", "height": size[0], "width": size[1]} for i, name in enumerate(images)
        ],
        "categories": [{"id": i, "name": label} for i, label in enumerate(labels)],
        "annotations": [
            {
                "image_id": images.index(image),
                "category_id": labels.index(label),
                "segmentation": [[x0, y0, x1, y0, x1, y1, x0, y1]],
            }
            for label, image, x0, y0, x1, y1 in objects
        ],
    }
    path.write_text(json.dumps(data))
    return path


def rectangle(x0, y0, x1, y1):
    mask = np.zeros((32, 48), bool)
    mask[y0:y1, x0:x1] = True
    return mask


def written(clip):
    return {str(path.relative_to(clip)): path.stat().st_ino for path in clip.rglob("hand_masks/*")}


@pytest.fixture
def bare(disc_clip):
    """A clip of eight frames without hand masks."""
    return disc_clip(masks=(), keyframes=())


def test_a_single_label_becomes_hand_masks(bare, tmp_path):
    objects = [("cat", "0002", 3, 4, 10, 12), ("cat", "0002", 20, 4, 30, 12), ("cat", "0005", 0, 0, 48, 9)]
    ImportStage(source=coco(tmp_path / "x.json", *objects)).run(bare.clip)
    references = bare.clip.references("subject", bare.stems)
    assert references.stems == ("0002", "0005")
    np.testing.assert_array_equal(references.masks[0], rectangle(3, 4, 10, 12) | rectangle(20, 4, 30, 12))
    np.testing.assert_array_equal(references.masks[1], rectangle(0, 0, 48, 9))


def test_several_labels_become_parts(bare, tmp_path):
    objects = [("head", "0002", 3, 4, 10, 12), ("body", "0002", 20, 4, 30, 12), ("body", "0008", 1, 1, 9, 9)]
    ImportStage(source=coco(tmp_path / "x.json", *objects)).run(bare.clip)
    assert bare.clip.parts == ["body", "head"]
    assert bare.clip.references("head", bare.stems).stems == ("0002",)
    np.testing.assert_array_equal(bare.clip.references("body", ["0008"]).masks[0], rectangle(1, 1, 9, 9))
    # another label of the same clip is one more part
    ImportStage(source=coco(tmp_path / "y.json", ("hat", "0001", 1, 1, 9, 9))).run(bare.clip)
    assert bare.clip.parts == ["body", "hat", "head"]


def test_a_colour_that_is_missing_from_a_picture_is_an_empty_mask(bare, tmp_path):
    folder = tmp_path / "davis"
    folder.mkdir()
    for number, mask in enumerate([rectangle(1, 1, 9, 9), rectangle(0, 0, 0, 0), rectangle(4, 4, 9, 9)]):
        picture = PIL.Image.frombytes("P", (48, 32), mask.astype(np.uint8).tobytes())
        picture.putpalette([0, 0, 0] + [128, 0, 0] * 255)
        picture.save(folder / f"{number:05}.png")
    ImportStage(source=folder).run(bare.clip)
    assert sorted(written(bare.path)) == [f"hand_masks/000{number}.png" for number in (1, 2, 3)]
    assert bare.clip.references("subject", bare.stems).present == ("0001", "0003")


def test_importing_again_changes_nothing(bare, tmp_path):
    source = coco(tmp_path / "x.json", ("cat", "0002", 3, 4, 10, 12))
    ImportStage(source=source).run(bare.clip)
    before = written(bare.path)
    ImportStage(source=source).run(bare.clip)
    assert written(bare.path) == before


def test_a_mask_that_exists_is_never_overwritten(disc_clip, tmp_path):
    drawing = disc_clip(masks=(4,))
    before = written(drawing.path)
    source = coco(tmp_path / "x.json", ("cat", "0002", 3, 4, 10, 12), ("cat", "0004", 3, 4, 10, 12))
    with pytest.raises(ClipError) as refused:
        ImportStage(source=source).run(drawing.clip)
    assert refused.value.where.endswith("0004.png")
    assert written(drawing.path) == before
    ImportStage(source=coco(tmp_path / "y.json", ("cat", "0002", 3, 4, 10, 12))).run(drawing.clip)
    assert sorted(written(drawing.path)) == ["hand_masks/0002.png", "hand_masks/0004.png"]


@pytest.mark.parametrize(
    ("objects", "error"),
    [
        ([], MaskError),
        ([("cat", "0002", 0, 0, 5, 5), ("cat", "cat", 0, 0, 5, 5)], MaskError),
        ([("cat", "0009", 0, 0, 5, 5)], MaskError),
        ([("a", "0001", 0, 0, 5, 5), ("b/c", "0002", 0, 0, 5, 5)], MaskError),
        ([("a", "0001", 0, 0, 5, 5), ("..", "0002", 0, 0, 5, 5)], MaskError),
        ([("a", "0001", 0, 0, 5, 5), ("A", "0002", 0, 0, 5, 5)], MaskError),
        ([("\u00e4", "0001", 0, 0, 5, 5), ("a\u0308", "0002", 0, 0, 5, 5)], MaskError),
        ([("a", "0001", 0, 0, 5, 5), ("aux", "0002", 0, 0, 5, 5)], MaskError),
        ([("a", "0001", 0, 0, 5, 5), ("b.", "0002", 0, 0, 5, 5)], MaskError),
    ],
)
def test_what_does_not_fit_the_clip_is_refused_as_a_whole(bare, tmp_path, objects, error):
    with pytest.raises(error):
        ImportStage(source=coco(tmp_path / "x.json", *objects)).run(bare.clip)
    assert not written(bare.path)
    assert not (bare.path / "parts").exists()


def test_other_sizes_and_layouts_are_refused(bare, disc_clip, tmp_path):
    with pytest.raises(SizeError):
        ImportStage(source=coco(tmp_path / "x.json", ("a", "0001", 0, 0, 5, 5), size=(48, 32))).run(bare.clip)
    two = coco(tmp_path / "y.json", ("a", "0001", 0, 0, 5, 5), ("b", "0001", 0, 0, 5, 5))
    with pytest.raises(ClipError):
        ImportStage(source=two).run(disc_clip("masked", masks=(1,)).clip)
    (bare.path / "nn").mkdir()
    with pytest.raises(ClipError):
        ImportStage(source=coco(tmp_path / "z.json", ("a", "0001", 0, 0, 5, 5))).run(bare.clip)
    assert not written(bare.path)


def test_without_a_source_it_is_skipped(bare):
    assert ImportStage().skips(bare.clip) is not None
    assert ImportStage(source="x").skips(bare.clip) is None

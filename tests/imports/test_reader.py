"""The format of a file or folder is decided by its content; each module's own test has the details."""

import json

import numpy as np
import PIL.Image
import pytest

from dreaming.errors import MaskError
from dreaming.imports.reader import read_annotations

COCO = {"images": [], "annotations": [], "categories": []}
LABELME = {"shapes": [], "imagePath": "0001.png", "imageHeight": 4, "imageWidth": 6}
STUDIO = [{"data": {"image": "0001.png"}, "annotations": []}]


def save(path, mode="P"):
    PIL.Image.new(mode, (6, 4)).save(path)


def write(path, data):
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(data))


@pytest.mark.parametrize(("data", "name"), [(COCO, "COCO"), (LABELME, "LabelMe"), (STUDIO, "Label Studio")])
def test_a_json_file_alone_or_in_a_folder(tmp_path, data, name):
    write(tmp_path / "x.json", data)
    assert read_annotations(tmp_path / "x.json").format == name
    assert read_annotations(tmp_path).format == name


def test_folders(tmp_path):
    for name in ("davis", "labelme", "cvat/SegmentationClass", "coco/annotations"):
        (tmp_path / name).mkdir(parents=True)
    for stem in ("0001", "0002"):
        save(tmp_path / f"davis/{stem}.png")
        save(tmp_path / f"labelme/{stem}.png", "RGB")  # LabelMe's frames
        write(tmp_path / f"labelme/{stem}.json", LABELME)
        save(tmp_path / f"cvat/SegmentationClass/{stem}.png", "RGB")
    (tmp_path / "cvat/labelmap.txt").write_text("background:0,0,0::")
    write(tmp_path / "coco/annotations/instances_default.json", COCO)
    for name, found in {"davis": "DAVIS", "labelme": "LabelMe", "cvat": "CVAT", "coco": "COCO"}.items():
        assert read_annotations(tmp_path / name).format == found
    assert read_annotations(tmp_path / "davis/0001.png").format == "DAVIS"


def test_anything_else_is_refused(tmp_path):
    with pytest.raises(MaskError):
        read_annotations(tmp_path)
    for number, data in enumerate([{}, [], 3, [1], {"images": []}]):
        write(tmp_path / f"{number}.json", data)
        with pytest.raises(MaskError):
            read_annotations(tmp_path / f"{number}.json")
    (tmp_path / "x.zip").write_bytes(b"PK")
    with pytest.raises(MaskError):
        read_annotations(tmp_path / "x.zip")
    write(tmp_path / "mixed/a.json", LABELME)
    write(tmp_path / "mixed/b.json", COCO)
    with pytest.raises(MaskError):
        read_annotations(tmp_path / "mixed")
    np.save(tmp_path / "x.npy", np.zeros(3))
    with pytest.raises(MaskError):
        read_annotations(tmp_path / "x.npy")

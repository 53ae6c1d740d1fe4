"""Folders of pictures are named by their path, of every part and layer."""

import cv2
import numpy as np

from dreaming.ui.results import as_png, folders_of, worst_pictures


def test_folders_of_parts_and_previews_are_found(disc_clip):
    drawing = disc_clip(count=1, masks=(), keyframes=(1,))
    for part in ("body", "head"):
        drawing.save(f"parts/{part}/hand_masks/0001.png", drawing.truth["0001"])
    for name in ("masks/head/flow", "styled/sky", "preview/styled/sky", "preview/composite", "masks/.hidden"):
        drawing.save(f"{name}/0001.png", drawing.truth["0001"])
    folders = folders_of(drawing.clip)
    assert {name for name, folder in folders.items() if len(folder)} == {
        "frames", "keyframes/painted", "masks/head/flow", "styled/sky", "preview/styled/sky", "preview/composite"
    }  # fmt: skip


def test_opacity_is_kept(disc_clip, decoded):
    drawing = disc_clip(count=1, masks=(), keyframes=())
    half = np.full((32, 48, 4), (10, 20, 30, 128), np.uint8)
    cv2.imwrite(str(drawing.save("keyframes/painted/0001.png", half[..., 0])), half)
    folder = folders_of(drawing.clip)["keyframes/painted"]
    np.testing.assert_array_equal(decoded(as_png(folder, "0001")), half)


def test_only_the_reports_pictures_are_listed(disc_clip):
    drawing = disc_clip(count=1)
    for name in ("runs/evaluate/1/worst-a.png", "runs/evaluate/1/other.png", "runs/worst-b.png"):
        drawing.save(name, drawing.truth["0001"])
    assert list(worst_pictures(drawing.clip)) == ["runs/evaluate/1/worst-a.png"]

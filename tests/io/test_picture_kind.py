"""Content that is no readable image is called what it is, and not damaged."""

import cv2
import numpy as np
import pytest

from dreaming.io.picture_kind import describe_undecodable

PICTURE = np.full((6, 8, 3), 90, np.uint8)
PNG = cv2.imencode(".png", PICTURE)[1].tobytes()


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"\0\0\0\x18ftypheic" + bytes(50), "HEIC"),
        (b"\0\0\0\x18ftypavif" + bytes(50), "AVIF"),
        (b"\0\0\0\x18ftypisom" + bytes(50), "video"),
        (b"8BPS\0\1" + bytes(50), "Photoshop"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS"),
        (b"\n<!DOCTYPE html>", "web page"),
        (cv2.imencode(".tif", PICTURE.astype(np.float32))[1].tobytes(), "32-bit floating"),
        (cv2.imencode(".tif", PICTURE.astype(np.float64))[1].tobytes(), "64-bit floating"),
        (cv2.imencode(".tif", PICTURE.astype(np.int32))[1].tobytes(), "32-bit integers"),
        (
            cv2.imencode(".tif", PICTURE)[1].tobytes().replace(b"\3\1\3\0\1\0\0\0\5", b"\3\1\3\0\1\0\0\0\x50"),
            "compression",
        ),
        (PNG[:-20], ""),
        (cv2.imencode(".tif", PICTURE)[1].tobytes()[:60], ""),
        (b"II*\0\xff\xff\xff\xff", ""),
        (b"hello", ""),
    ],
)
def test_content_is_named(data, kind):
    found, hint = describe_undecodable(data)
    assert kind in found
    assert bool(found) == bool(hint) == bool(kind)

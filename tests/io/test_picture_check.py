"""Image files that cannot be used are named before anything is decoded or computed."""

import os
import socket
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from unprivileged import as_user

from dreaming.errors import FrameError, SizeError
from dreaming.io.frame_folder import FrameFolder, signed
from dreaming.io.picture_check import check_pictures

PICTURE = np.full((12, 16, 3), 90, np.uint8)


@pytest.fixture
def pictures(tmp_path):
    """A folder of five images of 16x12 pixels."""
    for number in range(1, 6):
        cv2.imwrite(str(tmp_path / f"{number:04d}.png"), PICTURE)
    return tmp_path


def spoil(path, how):
    path.unlink(missing_ok=True)
    match how:
        case "folder":
            path.mkdir()
        case "pipe":
            os.mkfifo(path)
        case "socket":
            with socket.socket(socket.AF_UNIX) as server:
                before = Path.cwd()
                os.chdir(path.parent)  # a socket's path is limited to about 100 bytes
                server.bind(path.name)
                os.chdir(before)
        case "dangling":
            path.symlink_to("nowhere.png")
        case "loop":
            path.symlink_to(path.name)
        case "device":
            path.symlink_to("/dev/zero")
        case "empty":
            path.touch()
        case "text":
            path.write_text("hello")


@pytest.mark.parametrize("dress", [signed, bytes], ids=["ours", "theirs"])
def test_pictures_are_not_decoded(tmp_path, dress):
    noise = np.random.default_rng(0).integers(0, 256, (32, 48, 3), np.uint8)
    png = dress(cv2.imencode(".png", noise)[1].tobytes())
    for name in ("0001", "0002"):
        (tmp_path / f"{name}.png").write_bytes(png[: len(png) // 2])
    check_pictures(FrameFolder(tmp_path))
    (tmp_path / "0003.png").write_bytes(dress(cv2.imencode(".png", np.zeros((8, 8, 3), np.uint8))[1].tobytes()))
    with pytest.raises(FrameError):  # only one of each size is
        check_pictures(FrameFolder(tmp_path))


@pytest.mark.parametrize("how", ["folder", "pipe", "socket", "dangling", "loop", "device", "empty", "text"])
def test_what_is_no_image_file_is_named(pictures, how):
    spoil(pictures / "0002.png", how)
    with pytest.raises(FrameError) as caught:
        check_pictures(FrameFolder(pictures))
    assert caught.value.where == str(pictures / "0002.png")


@pytest.mark.parametrize("name", ["0003.heic", "0003.avif", "0003.GIF", "0003.bmp"])
def test_an_image_of_another_kind_is_named_unless_it_was_converted(pictures, name):
    (pictures / name).write_bytes(b"x")
    (pictures / f"._{name}").write_bytes(b"x")
    check_pictures(FrameFolder(pictures))
    (pictures / "0003.png").unlink()
    with pytest.raises(FrameError) as caught:
        check_pictures(FrameFolder(pictures))
    assert caught.value.where == str(pictures / name)


@pytest.mark.parametrize("odd", [["0001"], ["0005"], ["0002", "0004"]])
def test_the_rarest_size_is_the_wrong_one(pictures, odd):
    for stem in odd:
        cv2.imwrite(str(pictures / f"{stem}.png"), PICTURE[:8])
    with pytest.raises(SizeError) as caught:
        check_pictures(FrameFolder(pictures))
    assert caught.value.where == str(pictures / f"{odd[0]}.png")
    assert "8" in caught.value.found
    with pytest.raises(SizeError) as caught:
        check_pictures(FrameFolder(pictures), (8, 16))
    assert caught.value.where != str(pictures / f"{odd[0]}.png")


def test_a_turned_photo_is_of_its_upright_size(pictures):
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    Image.fromarray(np.zeros((16, 12, 3), np.uint8)).save(pictures / "0006.jpg", exif=exif)
    check_pictures(FrameFolder(pictures))
    Image.fromarray(np.zeros((12, 16, 3), np.uint8)).save(pictures / "0006.jpg", exif=exif)
    with pytest.raises(SizeError) as caught:
        check_pictures(FrameFolder(pictures))
    assert caught.value.where == str(pictures / "0006.jpg")


def test_a_file_without_read_permission_is_named(pictures):
    (pictures / "0002.png").chmod(0)
    named = lambda: _named_as_unusable(pictures) == str(pictures / "0002.png")
    assert as_user(pictures / "0002.png", named) == 0


def _named_as_unusable(pictures):
    try:
        check_pictures(FrameFolder(pictures))
    except FrameError as error:
        return error.where
    return None


def layered(path, *, subfile=0):
    """A TIFF, PNG or WebP of two pictures; the second of a kind that TIFF's NewSubfileType tells."""
    second = Image.fromarray(PICTURE[::-1] // 2)
    second.encoderinfo = {"tiffinfo": {254: subfile}}
    options = {"save_all": True, "append_images": [second]}
    Image.fromarray(PICTURE).save(path, format="MPO" if path.suffix == ".jpg" else None, **options)


@pytest.mark.parametrize("suffix", [".tif", ".png", ".webp"])
def test_a_file_of_several_pictures_is_refused(pictures, suffix):
    layered(pictures / f"0006{suffix}")
    with pytest.raises(FrameError) as caught:
        check_pictures(FrameFolder(pictures))
    assert caught.value.where == str(pictures / f"0006{suffix}")
    assert "2" in caught.value.found


def test_a_thumbnail_or_the_second_picture_of_a_phone_is_none(pictures):
    layered(pictures / "0006.tif", subfile=1)
    layered(pictures / "0007.jpg")
    check_pictures(FrameFolder(pictures))


def test_a_picture_of_floating_point_numbers_is_named_before_it_is_read(pictures):
    Image.fromarray(PICTURE[..., 0].astype(np.float32) / 255).save(pictures / "0006.tif")
    with pytest.raises(FrameError) as caught:
        check_pictures(FrameFolder(pictures))
    assert caught.value.where == str(pictures / "0006.tif")
    assert "32-bit floating" in caught.value.found

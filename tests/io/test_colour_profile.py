"""Images with ICC profiles are converted to sRGB, measured with a colour chart."""

import io
import struct

import numpy as np
import PIL.Image
import pytest
from colour_chart import CHART, XYZ_TO, chart_light, chart_picture, delta_e, patches, srgb_encode
from PIL import ImageCms

from dreaming.io.frame_folder import FrameFolder

_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
_D65, _D50 = np.array([0.95046, 1, 1.08906]), np.array([0.96422, 1, 0.82521])


def icc(space, curve):
    """A display profile (ICC.1, version 2) of primaries and a tone curve; ``space`` None: grey."""

    def s15(values):
        return b"".join(struct.pack(">i", round(value * 65536)) for value in values)

    def xyz(values):
        return b"XYZ \0\0\0\0" + s15(values)

    tags = {b"desc": b"desc\0\0\0\0" + struct.pack(">I", 2) + b"x\0" + bytes(78), b"cprt": b"text\0\0\0\0x\0"}
    table = np.rint(curve(np.linspace(0, 1, 1024)) * 65535).astype(">u2").tobytes()
    curves = b"curv\0\0\0\0" + struct.pack(">I", 1024) + table
    tags[b"wtpt"] = xyz(_D50)
    if space is None:
        tags[b"kTRC"] = curves
    else:
        adapt = np.linalg.inv(_BRADFORD) @ np.diag((_BRADFORD @ _D50) / (_BRADFORD @ _D65)) @ _BRADFORD
        for name, column in zip(b"rgb", (adapt @ np.linalg.inv(XYZ_TO[space])).T, strict=True):
            tags[bytes([name]) + b"XYZ"] = xyz(column)
            tags[bytes([name]) + b"TRC"] = curves
    table, body, offset = b"", b"", 132 + 12 * len(tags)
    for name, content in tags.items():
        table += name + struct.pack(">II", offset + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    header = struct.pack(
        ">I4sI4s4s4s", offset + len(body), b"lcms", 0x02400000, b"mntr", b"GRAY" if space is None else b"RGB ", b"XYZ "
    )
    header += bytes(12) + b"acsp" + bytes(28) + s15(_D50) + bytes(48)
    return header + struct.pack(">I", len(tags)) + table + body


def decode(code):
    return np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4)


PROFILES = {
    "p3": (icc("p3", decode), lambda light: srgb_encode(light)),
    "adobe": (icc("adobe", lambda code: code ** (563 / 256)), lambda light: np.maximum(light, 0) ** (256 / 563)),
}


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
@pytest.mark.parametrize("space", PROFILES)
def test_profiles_are_converted_to_srgb(tmp_path, space, suffix):
    profile, encode = PROFILES[space]
    values = np.rint(np.clip(encode(chart_light(space)), 0, 1) * 255).astype(np.uint8)
    options = {".jpg": {"quality": 100, "subsampling": 0}, ".webp": {"lossless": True}}.get(suffix, {})
    PIL.Image.fromarray(chart_picture(values)).save(tmp_path / f"1{suffix}", icc_profile=profile, **options)
    assert delta_e(values).mean() > 4, "without conversion"
    difference = delta_e(patches(FrameFolder(tmp_path).read("1")))
    assert difference.mean() < 1
    assert difference.max() < 2.5


def test_an_srgb_profile_changes_nothing(tmp_path):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    picture = chart_picture(CHART)
    PIL.Image.fromarray(picture).save(tmp_path / "1.png", icc_profile=profile)
    np.testing.assert_array_equal(FrameFolder(tmp_path).read("1"), picture)


def test_a_grey_profile_is_applied_to_grey_images(tmp_path):
    light = np.linspace(0, 1, 256)[None].repeat(4, axis=0)
    grey = PIL.Image.fromarray(np.rint(light ** (1 / 1.8) * 255).astype(np.uint8))
    grey.save(tmp_path / "1.png", icc_profile=icc(None, lambda code: code**1.8))
    found = FrameFolder(tmp_path).read("1")[..., 0]
    np.testing.assert_allclose(found[:, 8:], srgb_encode(light[:, 8:]) * 255, atol=2)


def test_a_cmyk_image_is_shown_by_its_profile_or_as_before(tmp_path):
    picture = PIL.Image.fromarray(chart_picture(CHART)).convert("CMYK")
    picture.save(tmp_path / "1.jpg", quality=100)
    assert np.abs(patches(FrameFolder(tmp_path).read("1")) - CHART).mean() < 10


def test_a_damaged_profile_causes_one_warning(tmp_path, caplog):
    for name in ("1", "2"):
        PIL.Image.fromarray(chart_picture(CHART)).save(tmp_path / f"{name}.png", icc_profile=b"no profile")
    folder = FrameFolder(tmp_path)
    for _ in range(2):
        np.testing.assert_array_equal(folder.read("1"), chart_picture(CHART))
    assert [record.args[0] for record in caplog.records] == [tmp_path / "1.png"]


def test_the_values_of_a_mask_are_no_colours(tmp_path):
    mask = PIL.Image.fromarray(np.full((8, 8), 100, np.uint8))
    mask.save(tmp_path / "1.png", icc_profile=icc(None, lambda code: code**1.8))
    np.testing.assert_allclose(FrameFolder(tmp_path).read_probability("1"), 100 / 255)


def test_profiles_survive_a_thumbnail(tmp_path):
    """The profile of a camera's JPEG follows its EXIF data."""
    profile, encode = PROFILES["adobe"]
    values = np.rint(np.clip(encode(chart_light("adobe")), 0, 1) * 255).astype(np.uint8)
    exif = PIL.Image.Exif()
    exif[0x0112] = 1
    exif[0x927C] = bytes(50_000)
    file = io.BytesIO()
    PIL.Image.fromarray(chart_picture(values)).save(
        file, "JPEG", icc_profile=profile, exif=exif, quality=100, subsampling=0
    )
    (tmp_path / "1.jpg").write_bytes(file.getvalue())
    assert delta_e(patches(FrameFolder(tmp_path).read("1"))).mean() < 1

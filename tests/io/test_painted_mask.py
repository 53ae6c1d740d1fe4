"""Masks as other programs write them mean what their author sees."""

import cv2
import numpy as np
import pytest
from PIL import Image

from dreaming.io.frame_folder import FrameFolder

ROWS, COLUMNS = np.mgrid[:40, :60]
DISC = (ROWS - 20) ** 2 + (COLUMNS - 25) ** 2 <= 144
RNG = np.random.default_rng(2)
PHOTO = RNG.integers(20, 200, (40, 60, 3), dtype=np.uint8)
VOC = [0, 0, 0, 128, 0, 0, 0, 128, 0, 64, 0, 0, 0, 0, 128]


def palette(indices, colours):
    image = Image.fromarray(indices.astype(np.uint8), mode="P")
    image.putpalette(colours)
    return image


def rgba(colours, opacity):
    return Image.fromarray(np.dstack([colours, opacity.astype(np.uint8) * 255]))


def grey(values, dtype=np.uint8):
    return Image.fromarray(np.where(DISC, *values).astype(dtype))


SAVED = {
    "white": grey((255, 0)),
    "0 and 1": grey((1, 0)),
    "0 and 2": grey((2, 0)),
    "1 and 2": grey((2, 1)),
    "0 and 100": grey((100, 0)),
    "1 bit": Image.fromarray(DISC),
    "16 bits": grey((65535, 0), np.uint16),
    "16 bits, 0 and 1": grey((1, 0), np.uint16),
    "16 bits, 0 and 255": grey((255, 0), np.uint16),
    "palette of white": palette(DISC, [0, 0, 0, 255, 255, 255]),
    "palette of dark blue": palette(DISC, [0, 0, 0, 0, 0, 90]),
    "palette without colours": palette(DISC, [value for value in range(256) for _ in range(3)]),
    "palette of many labels": palette(np.where(DISC, 1 + COLUMNS // 25, 0), VOC),
    "labels 1 to 3": Image.fromarray(np.where(DISC, 1 + COLUMNS // 15, 0).astype(np.uint8)),
    "cut-out": rgba(PHOTO, DISC),
    "dark cut-out": rgba(PHOTO // 10, DISC),
    "white on transparency": rgba(np.full_like(PHOTO, 255), DISC),
    "black on transparency": rgba(np.zeros_like(PHOTO), DISC),
    "red on transparency": rgba(np.full_like(PHOTO, (180, 0, 0)), DISC),
    "white and black on transparency": rgba(
        np.where(DISC, 255, 0)[..., None].repeat(3, 2).astype(np.uint8), COLUMNS < 55
    ),
    "opaque with an alpha channel": rgba(np.where(DISC, 255, 0)[..., None].repeat(3, 2).astype(np.uint8), COLUMNS < 99),
    "soft and dim": Image.fromarray(cv2.GaussianBlur(np.where(DISC, 100, 0).astype(np.uint8), (0, 0), 1)),
}


@pytest.mark.parametrize("name", SAVED)
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_the_subject_is_found(tmp_path, name, suffix):
    SAVED[name].save(tmp_path / f"1{suffix}")
    mask = FrameFolder(tmp_path).read_painted_mask("1", (40, 60))
    assert (mask & DISC).sum() / (mask | DISC).sum() > 0.97


def test_black_is_empty_and_white_is_full(tmp_path):
    for name, value in (("1", 0), ("2", 255), ("3", 1)):
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.full((40, 60), value, np.uint8))
    noisy = RNG.integers(0, 3, (40, 60), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "4.jpg"), noisy)
    folder = FrameFolder(tmp_path)
    assert [folder.read_painted_mask(stem).mean() for stem in "1234"] == [0, 1, 0, 0]


def test_dim_probabilities_of_dreaming_are_no_labels(tmp_path):
    folder = FrameFolder(tmp_path)
    folder.write_probability("1", np.where(DISC, np.float32(0.01), np.float32(0)))
    folder.refresh()
    assert not folder.read_painted_mask("1").any()


def test_soft_edges_of_a_painted_colour_are_cut_at_half(tmp_path):
    soft = cv2.GaussianBlur(np.where(DISC, 255, 0).astype(np.uint8), (0, 0), 1.5)
    red = np.dstack([soft, np.zeros_like(soft), np.zeros_like(soft)])
    Image.fromarray(red).save(tmp_path / "1.png")
    np.testing.assert_array_equal(FrameFolder(tmp_path).read_painted_mask("1"), soft > 127)

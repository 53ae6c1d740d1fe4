"""Run-length codes, written by pycocotools and label-studio-converter, and damaged ones."""

import numpy as np
import pytest

from dreaming.imports.run_length import decode_coco, decode_label_studio

MASK = np.zeros((7, 9), bool)
MASK[2:5, 1:6] = MASK[0, 8] = MASK[6, 0] = True

# pycocotools 2.0.11: mask.encode(np.asfortranarray(MASK.astype(np.uint8)))
COCO = "612220000000<NF"
# label-studio-converter 0.0.59: brush.mask2rle(MASK.astype(np.uint8) * 255)
BRUSH = bytes.fromhex("000000fc391bfe1f008fff1380613ffbe0184ffef80613ffc5e011ffe1f000")


def test_codes_of_other_programs_are_read():
    np.testing.assert_array_equal(decode_coco(COCO, (7, 9)), MASK)
    np.testing.assert_array_equal(decode_coco([6, 1, 2, 3, 4, 3, 4, 3, 4, 3, 4, 3, 16, 1, 6], (7, 9)), MASK)
    rgba = decode_label_studio(BRUSH, (7, 9))
    assert rgba.shape == (7, 9, 4)
    np.testing.assert_array_equal(rgba[..., 3] == 255, MASK)


@pytest.mark.parametrize("size", [(9, 8), (1, 1), (10000, 10000)])
def test_codes_of_another_size_are_refused(size):
    with pytest.raises(ValueError, match=r"\w"):
        decode_coco(COCO, size)
    with pytest.raises(ValueError, match=r"\w"):
        decode_label_studio(BRUSH, size)


@pytest.mark.parametrize("counts", [COCO[:-1], COCO + "~", "\x00", "o" * 20, [64, -1], [], "ü"])
def test_damaged_runs_of_coco_are_refused(counts):
    with pytest.raises(ValueError, match=r"\w"):
        decode_coco(counts, (7, 9))


@pytest.mark.parametrize("data", [b"", BRUSH[:20], BRUSH[:4] + b"\xff" * 30, BRUSH[:-2]])
def test_a_damaged_code_of_a_brush_is_refused(data):
    with pytest.raises(ValueError, match=r"\w"):
        decode_label_studio(data, (7, 9))

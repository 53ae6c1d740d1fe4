"""A real sequence becomes a clip folder of half its size, with keyframes in gold."""

import cv2
import numpy as np
from real_clip import make

PROGRAM = """
import sys, pathlib, cv2, numpy as np
out = pathlib.Path(sys.argv[2])
for name in ("frames", "hand_masks", "keyframes/painted"):
    (out / name).mkdir(parents=True)
    picture = np.zeros((30, 42, 3), np.uint8)
    picture[:, :19] = 255 if name == "hand_masks" else 200
    cv2.imwrite(str(out / name / "0001.png"), picture)
"""


def test_frames_and_masks_have_half_the_size_which_is_even(tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM)
    make(tmp_path / "program.py", "dog", tmp_path / "gallery" / "dog")
    frame, mask = (
        cv2.imread(str(tmp_path / "gallery" / "dog" / name / "0001.png")) for name in ("frames", "hand_masks")
    )
    assert frame.shape == mask.shape == (14, 20, 3)
    assert len(np.unique(frame)) > 2
    painted = cv2.imread(str(tmp_path / "gallery" / "dog" / "keyframes" / "painted" / "0001.png"))
    assert painted.shape == frame.shape
    assert (painted[..., 2] > painted[..., 0]).all(), "gold is redder than blue; the frame is grey"
    assert set(np.unique(mask)) == {0, 255}
    assert [path.name for path in (tmp_path / "gallery").iterdir()] == ["dog"]

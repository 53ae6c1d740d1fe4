"""Scores of mattes: within the soft band, and over time where the frame before is scored, too."""

import numpy as np
import pytest

from dreaming.io.frame_folder import FrameFolder
from dreaming.matting.trimap import soft_band
from dreaming.stages.evaluate import EvaluateStage
from dreaming.stages.scores.mattes import matte_rows


@pytest.fixture
def scored(disc_clip):
    """A clip with mattes that are wrong by an eighth in the soft rows, and true mattes of 8 bits, but for frame 5."""
    drawing = disc_clip()
    mattes, truth = FrameFolder(drawing.path / "mattes/unet"), FrameFolder(drawing.path / "truth/alpha")
    for number, stem in enumerate(drawing.stems):
        true = np.zeros((32, 48), np.uint8)
        true[16:], true[15] = 255, 51
        made = true.astype(np.uint16) * 257
        made[15] += 8192 * (number % 2)
        mattes.write(stem, made)
        if stem != "0005":
            truth.write(stem, true)
    return drawing, FrameFolder(mattes.path), FrameFolder(truth.path)


def test_errors_count_in_the_band(scored):
    drawing, mattes, truth = scored
    rows = {row["frame"]: row for row in matte_rows(drawing.clip, mattes, truth, ["0001", "0002", "0006", "0007"])}
    assert list(rows) == ["0001", "0002", "0006", "0007"]
    band = soft_band(truth.read_matte("0002"))
    assert band.sum() == 21 * 48
    error = 8192 / 65535
    assert rows["0001"]["alpha MSE"] == pytest.approx(0, abs=1e-9)
    assert rows["0002"]["alpha MSE"] == pytest.approx(1000 * error**2 / 21, rel=1e-4)
    assert rows["0002"]["SAD"] == pytest.approx(48 * error / 1000, rel=1e-4)
    assert rows["0002"]["gradient error"] > 0
    assert rows["0002"]["dtSSD"] == pytest.approx(100 * error / np.sqrt(21), rel=1e-4)
    assert "dtSSD" not in rows["0001"]
    assert "dtSSD" not in rows["0006"], "frame 5 has no truth"
    assert rows["0007"]["dtSSD"] == pytest.approx(rows["0002"]["dtSSD"], rel=1e-4)


def test_evaluate_scores_the_mattes_of_the_last_masker(scored):
    drawing, _, truth = scored
    stage = EvaluateStage({"gmm": None, "unet": None}, matte_truth=truth.path)
    assert stage.inputs == ("matte",)
    rows = list(stage._matte_rows(drawing.clip))
    assert {(row["kind"], row["name"]) for row in rows} == {("mattes", "unet")}
    assert [row["frame"] for row in rows] == ["0002", "0003", "0006", "0007"], "hand masks were inputs"

import csv
import json
import logging

import numpy as np
import pytest
import torch

from dreaming.errors import ClipError
from dreaming.metrics.boundary import boundary_f
from dreaming.metrics.likeness import psnr, ssim
from dreaming.stages.evaluate import EvaluateStage


@pytest.fixture
def drawing(disc_clip):
    """A clip with masks, stylised frames and, beside it, the truth of both."""
    drawn = disc_clip()
    for stem in drawn.stems:
        drawn.save(f"../true/masks/{stem}.png", drawn.truth[stem])
        drawn.save(f"../true/styled/{stem}.png", drawn.styled[stem])
        drawn.save(f"masks/exact/{stem}.png", drawn.truth[stem])
        drawn.save(f"masks/left/{stem}.png", drawn.truth[stem] & (np.arange(48) < 24))
        drawn.save(f"styled/painted/{stem}.png", drawn.styled[stem] ^ 4)
    drawn.true = drawn.path.parent / "true"
    return drawn


def evaluate(drawing, **config):
    stage = EvaluateStage(**{"maskers": ["exact", "left"], **config})
    assert stage.skips(drawing.clip) is None
    stage.run(drawing.clip)
    found = json.loads((drawing.path / "evaluation.json").read_text())
    return {row["of"]: row for row in found["summary"]}, found["frames"]


def test_without_truth_it_is_skipped(drawing):
    assert EvaluateStage(maskers=[]).skips(drawing.clip) == "no truth is named (stage.evaluate.truth)"


def test_masks_are_scored_by_area_and_outline(drawing):
    summary, frames = evaluate(drawing, truth=drawing.true / "masks")
    unseen = ["0002", "0003", "0005", "0006", "0007"]  # the others have a hand mask
    assert (summary["exact"]["frames"], summary["exact"]["J"], summary["exact"]["F"]) == (5, 1, 1)
    left = {row["frame"]: row for row in frames if row["of"] == "left"}
    assert list(left) == unseen
    for stem, row in left.items():
        truth, found = drawing.truth[stem], drawing.truth[stem] & (np.arange(48) < 24)
        assert row["J"] == pytest.approx(found.sum() / truth.sum())
        assert row["F"] == pytest.approx(boundary_f(found, truth))
    assert summary["left"]["J"] == pytest.approx(np.mean([row["J"] for row in left.values()]))
    assert "SSIM" not in summary["left"]


def test_frames_are_scored_by_likeness(drawing):
    summary, frames = evaluate(drawing, styled_truth=drawing.true / "styled")
    assert [row["frame"] for row in frames] == [stem for stem in drawing.stems if stem != "0004"]
    found, true = (
        torch.from_numpy(image).permute(2, 0, 1)[None] / 255
        for image in (drawing.styled["0002"] ^ 4, drawing.styled["0002"])
    )
    assert frames[1]["SSIM"] == pytest.approx(float(ssim(found, true)))
    assert frames[1]["PSNR"] == pytest.approx(float(psnr(found, true)))
    assert summary["painted"]["PSNR"] == pytest.approx(20 * np.log10(255 / 4), abs=1e-3)


def test_the_table_and_the_csv_say_the_same(drawing, capsys):
    _, frames = evaluate(drawing, truth=drawing.true / "masks", styled_truth=drawing.true / "styled")
    with (drawing.path / "evaluation.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["kind"], row["of"], row["frame"]) for row in rows] == [
        (row["kind"], row["of"], row["frame"]) for row in frames
    ]
    assert {row["kind"]: row["SSIM"] == "" for row in rows} == {"masks": True, "styled": False}
    shown = capsys.readouterr().out
    assert "masks exact" in shown
    assert "styled painted" in shown


def test_explicit_halves_that_anything_learns_from_are_left_out_but_not_the_test_masks(drawing):
    for path in sorted((drawing.path / "hand_masks").iterdir()):
        path.unlink()
    for place, stem in {"nn/train": "0001", "nn/valid": "0002", "nn/test": "0003", "ensemble/train": "0004"}.items():
        drawing.save(f"{place}_input/{stem}.png", drawing.images[stem])
        drawing.save(f"{place}_output/{stem}.png", drawing.truth[stem])
    _, frames = evaluate(drawing, maskers=["exact"], truth=drawing.true / "masks")
    assert [row["frame"] for row in frames] == ["0003", "0005", "0006", "0007", "0008"]


def test_parts_have_truth_of_their_own(drawing):
    for part in ("head", "body"):
        drawing.save(f"parts/{part}/hand_masks/0001.png", drawing.truth["0001"])
        drawing.save(f"masks/{part}/exact/0002.png", drawing.truth["0002"])
        drawing.save(f"../true/parts/{part}/0002.png", drawing.truth["0002" if part == "head" else "0008"])
    for path in (drawing.path / "hand_masks").iterdir():
        path.unlink()
    summary, _ = evaluate(drawing, maskers=["exact"], truth=drawing.true / "parts")
    assert summary["head/exact"]["J"] == 1
    assert summary["body/exact"]["J"] < 0.2


def test_what_cannot_be_compared_is_told(drawing, caplog):
    with pytest.raises(ClipError, match=r"stage\.evaluate\.truth: found no pictures in .*nowhere"):
        evaluate(drawing, truth=drawing.true / "nowhere")
    with caplog.at_level(logging.WARNING):
        evaluate(drawing, maskers=["absent"], truth=drawing.true / "masks")
    assert "masks/absent holds no masks, and is left out" in caplog.text
    caplog.clear()
    for stem in drawing.stems:
        if stem not in ("0001", "0004"):
            (drawing.true / f"masks/{stem}.png").unlink()
    summary, _ = evaluate(drawing, truth=drawing.true / "masks")
    assert summary == {}
    assert "has no frame of" in caplog.text

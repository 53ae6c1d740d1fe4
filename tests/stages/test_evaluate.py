import csv
import json
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import pytest
import torch
from pytorch_lightning.loggers import WandbLogger

from dreaming.artifacts.fingerprint import NO_EFFECT
from dreaming.errors import ClipError
from dreaming.flow.dis import DisFlow
from dreaming.flow.temporal_filter import MaskSmoothing
from dreaming.io.frame_folder import FrameFolder
from dreaming.maskers.base import Masker
from dreaming.metrics.boundary import boundary_f
from dreaming.metrics.similarity import psnr, ssim
from dreaming.metrics.strokes import crispness, stroke_distance
from dreaming.stages.evaluate import EvaluateStage
from dreaming.stages.mask import MaskStage
from dreaming.stages.scores.record import MATTE


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
    stage = EvaluateStage(**{"maskers": dict.fromkeys(["exact", "left"]), **config})
    assert stage.skips(drawing.clip) is None
    stage.run(drawing.clip)
    evaluation = json.loads((drawing.path / "evaluation.json").read_text())
    return {row["name"]: row for row in evaluation["summary"]}, evaluation["frames"]


def test_scores_that_somebody_changed_are_kept(drawing):
    for name in ("evaluation.json", "evaluation.csv"):
        (drawing.path / name).write_bytes(b"mine")
    evaluate(drawing, truth=drawing.true / "masks")
    for name in ("evaluation.json.kept-1", "evaluation.csv.kept-1"):
        assert (drawing.path / name).read_bytes() == b"mine"


def test_without_truth_and_hand_masks_it_is_skipped(disc_clip):
    clip = disc_clip("bare", masks=()).clip
    assert EvaluateStage(maskers={}).skips(clip)
    assert EvaluateStage(maskers={}, truth=clip.path).skips(clip) is None


def test_a_frame_without_the_subject_scores_1_for_an_empty_mask_and_else_0(drawing):
    drawing.save("hand_masks/0008.png", np.zeros((32, 48), bool))
    for stem in ("0006", "0007"):
        drawing.save(f"../true/masks/{stem}.png", np.zeros((32, 48), bool))
    drawing.save("masks/exact/0006.png", np.zeros((32, 48), bool))
    summary, rows = evaluate(drawing, truth=drawing.true / "masks", worst=2, flow=DisFlow())
    found = {row["frame"]: (row["IoU"], row["boundary F"]) for row in rows if row["name"] == "exact"}
    assert found == {"0002": (1, 1), "0003": (1, 1), "0005": (1, 1), "0006": (1, 1), "0007": (0, 0)}
    assert summary["exact"]["IoU"] == pytest.approx(4 / 5)


@dataclass
class Flat(Masker):
    """The mean of the masks that it is trained on, in every frame; keeps the stems of each fit."""

    tag: list = field(default_factory=list)
    fits: list = field(default_factory=list, init=False)

    def fit(self, clip, references):
        self.fits.append(references.stems)
        self._mean = references.masks.mean(axis=0).astype(np.float32)
        return self

    def predict(self, clip, stems):
        yield from ((stem, self._mean) for stem in stems)


def test_a_held_out_empty_mask_is_scored_and_the_worst_frames_are_drawn(disc_clip, tmp_path):
    drawing = disc_clip(masks=(3, 4, 8))
    drawing.save("hand_masks/0008.png", np.zeros((32, 48), bool))
    masker = Flat()
    EvaluateStage(maskers={"flat": masker}, run_folder=tmp_path / "run").run(drawing.clip)
    assert masker.fits == [("0004", "0008"), ("0003", "0008"), ("0003", "0004")]
    evaluation = json.loads((tmp_path / "run" / "evaluation.json").read_text())
    assert {row["frame"]: row["IoU"] for row in evaluation["frames"]}["0008"] == 0
    assert (tmp_path / "run" / "worst-subject-flat.png").exists()


def test_without_truth_each_mask_is_scored_by_a_masker_trained_without_it(disc_clip, tmp_path):
    drawing, masker = disc_clip(masks=(3, 4, 5)), Flat()
    stage = EvaluateStage(maskers={"flat": masker}, run_folder=tmp_path / "run")
    assert stage.inputs == ("extract",)
    score = stage.run(drawing.clip)
    assert masker.fits == [("0004", "0005"), ("0003", "0005"), ("0003", "0004")]
    evaluation = json.loads((tmp_path / "run" / "evaluation.json").read_text())
    expected = {}
    for stem in ("0003", "0004", "0005"):
        others = np.mean([drawing.truth[other] for other in ("0003", "0004", "0005") if other != stem], axis=0)
        guess, true = np.rint(others * 255) > 127.5, drawing.truth[stem]
        expected[stem] = (guess & true).sum() / (guess | true).sum()
    rows = {row["frame"]: row for row in evaluation["frames"]}
    assert {stem: row["IoU"] for stem, row in rows.items()} == pytest.approx(expected)
    assert evaluation["summary"][0]["scored on"] == "cross-validation"
    assert score == pytest.approx(np.mean(list(expected.values())))
    assert (tmp_path / "run" / "worst-subject-flat.png").exists()
    assert not (drawing.path / "masks").exists()
    assert not (drawing.path / "evaluation.json").exists()


@dataclass
class Late(Masker):
    """The truth in every other frame, and nothing in between."""

    truth: dict = field(default_factory=dict, metadata=NO_EFFECT)
    asked: list = field(default_factory=list, metadata=NO_EFFECT)

    def fit(self, clip, references):
        return self

    def predict(self, clip, stems):
        stems = list(stems)
        self.asked.append(stems)
        for stem in stems:
            yield stem, self.truth[stem].astype(np.float32) * 0.8 * (int(stem) % 2 == 1)


@pytest.mark.parametrize("source", ["hand_masks", "test"])
def test_masks_are_scored_as_they_are_smoothed(disc_clip, tmp_path, source):
    """Without its frame's own mask each is the mean of those around it: as the stage that writes masks has it."""
    drawing = disc_clip(masks=(2, 4, 6) if source == "hand_masks" else ())
    for use, stem in {"nn/train": "0001", "nn/valid": "0008", "nn/test": "0004"}.items() if source == "test" else ():
        drawing.save(f"{use}_input/{stem}.png", drawing.images[stem])
        drawing.save(f"{use}_output/{stem}.png", drawing.truth[stem])
    smooth, masker = MaskSmoothing(DisFlow(), sigma=5.0, radius=1, along_flow=False), Late(drawing.truth)
    MaskStage({"late": masker}, smooth=smooth).run(drawing.clip)
    kept = {stem: drawing.clip.masks("subject", "late").read_mask(stem) for stem in drawing.stems}
    masker.asked.clear()
    EvaluateStage({"late": masker}, smooth=smooth, run_folder=tmp_path / "run").run(drawing.clip)
    rows = json.loads((tmp_path / "run" / "evaluation.json").read_text())["frames"]
    scored = {row["frame"]: row["IoU"] for row in rows}
    expected = {}
    for stem in ("0002", "0004", "0006") if source == "hand_masks" else ("0004",):
        true = drawing.truth[stem]
        expected[stem] = (kept[stem] & true).sum() / (kept[stem] | true).sum()
    assert scored == pytest.approx(expected)
    assert min(scored.values()) > 0.1
    assert ["0003", "0004", "0005"] in masker.asked, "no frame farther away"
    off = MaskSmoothing(DisFlow(), sigma=None)
    EvaluateStage({"late": masker}, smooth=off, run_folder=tmp_path / "off").run(drawing.clip)
    rows = json.loads((tmp_path / "off" / "evaluation.json").read_text())["frames"]
    assert {row["IoU"] for row in rows} == {0}


class Recorder(WandbLogger):
    """Notes what it is sent."""

    def __init__(self, notes, save_dir):
        self.notes = notes
        notes["save_dir"] = save_dir

    @property
    def experiment(self):
        return self

    def log_table(self, key, columns, data):
        self.notes[key] = [dict(zip(columns, row, strict=True)) for row in data]

    def log_image(self, key, images):
        self.notes[key] = images

    def finalize(self, status):
        self.notes["status"] = status

    def finish(self):
        self.notes["finished"] = True


def test_loggers_are_sent_the_table_and_the_worst_frames(disc_clip, tmp_path):
    drawing, notes, folder = disc_clip(masks=(3, 4, 5)), {}, tmp_path / "run"
    loggers = {"csv": None, "wandb": partial(Recorder, notes)}
    EvaluateStage(maskers={"flat": Flat()}, run_folder=folder, loggers=loggers).run(drawing.clip)
    (scored,) = json.loads((folder / "evaluation.json").read_text())["summary"]
    assert scored["frames"] == 3
    others = ("SSIM", "PSNR", "crispness", "stroke distance", "flicker", "source flicker", *MATTE)
    assert notes == {
        "save_dir": str(folder),
        "evaluation": [scored | dict.fromkeys(others)],
        "worst frames": [str(folder / "worst-subject-flat.png")],
        "status": "success",
        "finished": True,
    }


def test_test_masks_come_first_and_nothing_is_left_out_for_them(disc_clip, tmp_path):
    drawing, masker = disc_clip(masks=()), Flat()
    for use, stem in {"nn/train": "0003", "nn/valid": "0004", "ensemble/test": "0005"}.items():
        drawing.save(f"{use}_input/{stem}.png", drawing.images[stem])
        drawing.save(f"{use}_output/{stem}.png", drawing.truth[stem])
    EvaluateStage(maskers={"flat": masker}, run_folder=tmp_path / "run").run(drawing.clip)
    assert masker.fits == [("0003", "0004")]
    rows = json.loads((tmp_path / "run" / "evaluation.json").read_text())["frames"]
    assert [(row["frame"], row["scored on"]) for row in rows] == [("0005", "test masks")]
    EvaluateStage(maskers={"flat": Flat()}, tests=False, run_folder=tmp_path / "choosing").run(drawing.clip)
    rows = json.loads((tmp_path / "choosing" / "evaluation.json").read_text())["frames"]
    assert {row["frame"] for row in rows} == {"0003", "0004"}


def test_flicker_is_measured_of_masks_that_are_up_to_date(disc_clip, tmp_path):
    drawing, masker = disc_clip(masks=(3, 4, 5)), Flat()
    MaskStage({"flat": masker}).run(drawing.clip)
    for other, there in ((masker, True), (Flat(["otherwise"]), False)):
        stage = EvaluateStage(maskers={"flat": other}, flow=DisFlow(), run_folder=tmp_path / "run")
        stage.run(drawing.clip)
        evaluation = json.loads((tmp_path / "run" / "evaluation.json").read_text())
        assert ("flicker" in evaluation["summary"][0]) == there
        assert (sorted(evaluation["areas"].get("flat", {})) == drawing.stems) == there


def test_masks_are_scored_by_area_and_outline(drawing):
    summary, frames = evaluate(drawing, truth=drawing.true / "masks")
    expected = ["0002", "0003", "0005", "0006", "0007"]  # the others have a hand mask
    assert (summary["exact"]["frames"], summary["exact"]["IoU"], summary["exact"]["boundary F"]) == (5, 1, 1)
    left = {row["frame"]: row for row in frames if row["name"] == "left"}
    assert list(left) == expected
    for stem, row in left.items():
        truth, found = drawing.truth[stem], drawing.truth[stem] & (np.arange(48) < 24)
        assert row["IoU"] == pytest.approx(found.sum() / truth.sum())
        assert row["boundary F"] == pytest.approx(boundary_f(found, truth))
    assert summary["left"]["IoU"] == pytest.approx(np.mean([row["IoU"] for row in left.values()]))
    assert "SSIM" not in summary["left"]


def test_only_what_has_a_truth_is_made_first(tmp_path):
    """The style takes minutes to train, and masks do not show it."""
    masks, styled = {"truth": tmp_path}, {"styled_truth": tmp_path}
    assert [EvaluateStage({}, **truth).inputs for truth in (masks, styled, masks | styled, {})] == [
        ("mask",),
        ("stylise",),
        ("mask", "stylise"),
        ("extract",),
    ]


def test_the_worst_frames_are_shown_beside_the_run(drawing, tmp_path):
    before = set(drawing.path.iterdir())
    evaluate(drawing, truth=drawing.true / "masks", run_folder=tmp_path / "run", worst=2)
    made = {path.name for path in set(drawing.path.glob("[!.]*")) - before}
    assert made == {"evaluation.csv", "evaluation.json"}
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [
        "worst-subject-exact.png",
        "worst-subject-left.png",
    ]
    assert FrameFolder(tmp_path / "run").read("worst-subject-left").shape == (2 * 32, 48, 3)
    evaluate(drawing, truth=drawing.true / "masks", run_folder=tmp_path / "none", worst=0)
    assert not (tmp_path / "none").exists()


def test_stylised_frames_are_scored_by_similarity_and_strokes(drawing):
    summary, frames = evaluate(drawing, styled_truth=drawing.true / "styled")
    assert [row["frame"] for row in frames] == [stem for stem in drawing.stems if stem != "0004"]
    found, true = (
        torch.from_numpy(image).permute(2, 0, 1)[None] / 255
        for image in (drawing.styled["0002"] ^ 4, drawing.styled["0002"])
    )
    assert frames[1]["SSIM"] == pytest.approx(float(ssim(found, true)))
    assert frames[1]["PSNR"] == pytest.approx(float(psnr(found, true)))
    assert frames[1]["crispness"] == pytest.approx(crispness(found[0], true[0]))
    assert frames[1]["stroke distance"] == pytest.approx(stroke_distance(found[0], true[0]))
    assert summary["painted"]["PSNR"] == pytest.approx(20 * np.log10(255 / 4), abs=1e-3)


def test_the_table_and_the_csv_are_complete_without_a_terminal(drawing, capsys):
    long = "a_masker_with_a_name_that_is_longer_than_half_a_line_of_a_terminal"
    for stem in drawing.stems:
        drawing.save(f"masks/{long}/{stem}.png", drawing.truth[stem])
    _, frames = evaluate(
        drawing,
        maskers={"exact": None, long: None},
        truth=drawing.true / "masks",
        styled_truth=drawing.true / "styled",
        flow=DisFlow(),
    )
    with (drawing.path / "evaluation.csv").open() as file:
        rows = list(csv.DictReader(file))
    keys = ("kind", "name", "scored on", "frame")
    assert [[row[key] for key in keys] for row in rows] == [[row[key] for key in keys] for row in frames]
    assert {row["kind"]: row["SSIM"] == "" for row in rows} == {"masks": True, "styled": False}
    shown = capsys.readouterr().out
    for word in (
        long,
        "exact",
        "painted",
        "ground truth",
        "IoU",
        "boundary F",
        "SSIM",
        "stroke distance",
        "source flicker",
    ):
        assert word in shown, word
    assert "…" not in shown


def test_masks_of_explicit_folders_are_not_scored_except_the_test_masks(drawing):
    for path in sorted((drawing.path / "hand_masks").iterdir()):
        path.unlink()
    for use, stem in {"nn/train": "0001", "nn/valid": "0002", "nn/test": "0003", "ensemble/train": "0004"}.items():
        drawing.save(f"{use}_input/{stem}.png", drawing.images[stem])
        drawing.save(f"{use}_output/{stem}.png", drawing.truth[stem])
    _, frames = evaluate(drawing, maskers={"exact": None}, truth=drawing.true / "masks")
    assert [row["frame"] for row in frames] == ["0003", "0005", "0006", "0007", "0008"]


def test_parts_have_truth_of_their_own(drawing):
    for part in ("head", "body"):
        drawing.save(f"parts/{part}/hand_masks/0001.png", drawing.truth["0001"])
        drawing.save(f"masks/{part}/exact/0002.png", drawing.truth["0002"])
        drawing.save(f"../true/parts/{part}/0002.png", drawing.truth["0002" if part == "head" else "0008"])
    for path in (drawing.path / "hand_masks").iterdir():
        path.unlink()
    summary, _ = evaluate(drawing, maskers={"exact": None}, truth=drawing.true / "parts")
    assert summary["head/exact"]["IoU"] == 1
    assert summary["body/exact"]["IoU"] < 0.2


def test_a_folder_without_ground_truth_is_an_error_and_one_without_common_frames_a_warning(drawing, caplog):
    (drawing.true / "empty").mkdir()
    with pytest.raises(ClipError) as caught:
        evaluate(drawing, truth=drawing.true / "empty")
    assert caught.value.where == "stage.evaluate.truth"
    caplog.clear()
    evaluate(drawing, maskers={"absent": None}, truth=drawing.true / "masks")
    assert [(record.levelname, record.args) for record in caplog.records] == [
        ("WARNING", (drawing.path / "masks/absent",))
    ]
    caplog.clear()
    for stem in drawing.stems:
        if stem not in ("0001", "0004"):
            (drawing.true / f"masks/{stem}.png").unlink()
    summary, _ = evaluate(drawing, maskers={"exact": None}, truth=drawing.true / "masks")
    assert summary == {}
    assert [(record.levelname, record.args) for record in caplog.records] == [
        ("WARNING", (drawing.path / "masks/exact", drawing.true / "masks"))
    ]

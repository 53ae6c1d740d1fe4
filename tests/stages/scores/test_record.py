"""Scores are read where they are complete."""

import json

import pytest

from dreaming.stages.scores.record import read_scores

SCORE = {"kind": "mask", "name": "flow", "scored on": "truth", "frames": 3, "IoU": 0.5}


def test_scores_on_truth_come_before_the_latest_ones(disc_clip):
    clip = disc_clip(count=1).clip
    assert read_scores(clip) == []
    for time, iou in (("1", 0.1), ("2", 0.2)):
        folder = clip.path / "runs/evaluate" / time
        folder.mkdir(parents=True)
        (folder / "evaluation.json").write_text(json.dumps({"summary": [SCORE | {"IoU": iou}]}))
    assert read_scores(clip)[0]["IoU"] == 0.2
    (clip.path / "evaluation.json").write_text(json.dumps({"summary": [SCORE]}))
    assert read_scores(clip) == [SCORE]


@pytest.mark.parametrize("summary", [7, [7], [{"kind": "mask"}], [SCORE | {"IoU": "high"}], [SCORE | {"name": 7}]])
def test_damaged_scores_are_not_read(disc_clip, caplog, summary):
    clip = disc_clip(count=1).clip
    (clip.path / "evaluation.json").write_text(json.dumps({"summary": summary}))
    assert read_scores(clip) == []
    assert [record.levelname for record in caplog.records] == ["WARNING"]

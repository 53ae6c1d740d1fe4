"""The job of ``dreaming``: which stages run, and what a sweep of a masker may optimise."""

import json

import pytest
from tiny import MACHINE

from dreaming.upkeep import finished


def test_only_the_named_stages_run_without_brackets(disc_clip, run):
    drawing = disc_clip(count=3, masks=(), keyframes=())
    ran = run("dreaming", f"clip={drawing.path}", "stages=extract,report", "logger=csv", "threads=1")
    assert ran.code == 0, ran.err
    assert (drawing.path / "report.html").exists()
    assert ran.out.rstrip().splitlines()[-1].endswith(str(drawing.path / "report.html")), "what to open comes last"
    assert not (drawing.path / "masks").exists()


@pytest.mark.slow
def test_a_sweep_needs_a_score(disc_clip, run):
    drawing = disc_clip(count=2, masks=(1, 2), keyframes=())
    arguments = ("masker=threshold", "sweep=threshold", "stages=[extract]", "sweep.max_failures=1")
    ran = run("dreaming", "-m", f"clip={drawing.path}", *arguments, "logger=csv", "threads=1")
    assert ran.code == 2
    assert "stages without a score" in ran.err
    assert "Error executing job" not in ran.err + ran.out


@pytest.mark.slow
def test_masks_of_other_programs_are_imported_first(disc_clip, run, tmp_path):
    drawing = disc_clip(count=3, masks=(), keyframes=())
    shapes = [{"label": "cat", "points": [[1, 1], [9, 1], [9, 9]], "shape_type": "polygon"}]
    data = {"shapes": shapes, "imagePath": "0002.png", "imageHeight": 32, "imageWidth": 48}
    (tmp_path / "a, b.json").write_text(json.dumps(data))
    ran = run("dreaming", f"clip={drawing.path}", f"import={tmp_path / 'a, b.json'}", "stages=import", "logger=csv")
    assert ran.code == 0, ran.err
    assert drawing.clip.references("subject", drawing.stems).stems == ("0002",)


@pytest.mark.slow
def test_a_finished_command_ends_before_its_stages_start(disc_clip, run, monkeypatch):
    monkeypatch.setattr(finished, "MARGIN", 0.0)  # the clip was drawn within it
    drawing = disc_clip(count=3, masks=(1, 3), keyframes=())
    arguments = [f"clip={drawing.path}", "masker=threshold", "stages=extract,mask,evaluate", *MACHINE]
    first = run("dreaming", *arguments)
    assert (first.code, len(runs := list(drawing.path.glob("runs/dream/*")))) == (0, 1)
    again = run("dreaming", *arguments)
    assert (again.code, list(drawing.path.glob("runs/dream/*"))) == (0, runs)
    tables = [[line for line in ran.out.splitlines() if "│" in line] for ran in (first, again)]
    assert tables[0] == tables[1] != []
    drawing.save("hand_masks/0002.png", drawing.truth["0002"])
    assert run("dreaming", *arguments).code == 0
    assert len(list(drawing.path.glob("runs/dream/*"))) == 2

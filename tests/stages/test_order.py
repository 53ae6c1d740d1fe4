import logging
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from dreaming.artifacts.shard import Shard
from dreaming.stages import composite, draw, evaluate, extract, filter, flow, guide, mask, preview, report, stylise
from dreaming.stages.base import Stage
from dreaming.stages.order import ORDER, run, with_inputs

READS = {"draw": (), "extract": (), "mask": ("extract",), "composite": ("extract", "mask"), "report": ()}


def stages(log, reads=READS, **reasons):
    made = {}
    for name, needed in reads.items():

        @dataclass
        class Noting(Stage):
            name = "noting"

            why: str | None = None
            log: list = field(default_factory=list)

            def skips(self, clip):
                return self.why

            def run(self, clip):
                self.log.append(self.name if self.shard == Shard() else f"{self.name} {self.shard}")

        Noting.name, Noting.reads = name, needed
        made[name] = Noting(reasons.get(name), log)
    return made


def test_a_named_stage_brings_what_it_reads():
    known = stages([])
    assert with_inputs(["composite"], known) == ["extract", "mask", "composite"]
    assert with_inputs(["report", "mask"], known) == ["extract", "mask", "report"]
    assert with_inputs(["draw"], known) == ["draw"]
    assert with_inputs([], known) == []
    assert with_inputs(["composite"], {"composite": known["composite"]}) == ["composite"], "only what there is"


def test_folders_are_listed_equally_often_for_any_number_of_stages(disc_clip, file_accesses):
    @dataclass
    class Reading(Stage):
        name = "reading"

        def run(self, clip):
            assert clip.stems
            assert clip.masks(*clip.parts, "flow").path.name == "flow"
            assert [clip.hand_mask(part, stem).any() for part in clip.parts for stem in clip.split(part).nn]
            assert [clip.keyframes(layer).stems for layer in clip.layers]

    sums = []
    for named in (["mask"], ["mask", "composite", "report"]):
        clip = disc_clip(str(len(named))).clip
        file_accesses.clear()
        run(clip, named, {name: Reading() for name in named})
        listed = [Path(path) for call, path in file_accesses.elements() if call != "stat"]
        folders = ("frames", "hand_masks", "keyframes", "keyframes/painted")
        sums.append([listed.count(clip.path / folder) for folder in folders])
    assert sums[0] == sums[1]
    assert min(sums[0]) > 0


@pytest.mark.parametrize("named", [["report", "composite"], ["composite", "report"], ["report", "composite", "report"]])
def test_stages_run_in_order_whatever_the_names_order(disc_clip, named):
    log = []
    run(disc_clip().clip, named, stages(log))
    assert log == ["extract", "mask", "composite", "report"]


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        (["mask", "composite"], ["extract", "mask 1-of-2", "composite 1-of-2"]),
        (["composite"], ["extract", "mask", "composite 1-of-2"]),
        (["mask", "stylise"], ["extract", "mask", "stylise 1-of-2"]),
        (["mask", "stylise", "composite"], ["extract", "mask", "stylise 1-of-2", "composite 1-of-2"]),
        (["mask", "report"], ["extract", "mask 1-of-2", "report 1-of-2"]),
    ],
)
def test_a_shard_is_of_the_named_stages_that_no_other_needs_all_frames_of(disc_clip, named, expected):
    log = []
    known = stages(log, {**READS, "stylise": ("mask",)})
    type(known["composite"]).reads_its_share = True
    for stage in known.values():
        stage.shard = Shard(1, 2)
    run(disc_clip().clip, named, known)
    assert log == expected


@pytest.mark.parametrize(("named", "level"), [(["composite"], "DEBUG"), (["mask", "composite"], "INFO")])
def test_what_is_skipped_or_added_is_told(disc_clip, caplog, named, level):
    log = []
    with caplog.at_level(logging.DEBUG, "dreaming"):
        run(disc_clip().clip, named, stages(log, mask="the clip has no hand masks"))
    assert log == ["extract", "composite"]
    told = [(record.levelname, record.args) for record in caplog.records]
    readers = ", ".join(named)
    assert told == [("DEBUG", ("extract", readers)), (level, ("mask", "the clip has no hand masks"))]


def test_a_stage_that_makes_nothing_is_up_to_date_in_one_line(disc_clip, caplog):
    clip = disc_clip().clip
    for made in (3, 0):
        known = stages([])
        known["mask"].run = lambda clip, stage=known["mask"], made=made: vars(stage).update(
            frames_needed=8, frames_made=made
        )
        with caplog.at_level(logging.INFO):
            run(clip, ["mask"], known)
        assert [record.args for record in caplog.records] == ([("mask", 8)] if made == 0 else [])


def test_a_stage_sees_the_frames_of_the_one_before(disc_clip):
    drawing = disc_clip(frames=False)
    clip, seen = drawing.clip, []
    assert len(clip.frames) == 0
    known = stages([])
    known["extract"].run = lambda clip: drawing.save("frames/0001.png", drawing.images["0001"])
    known["mask"].run = lambda clip: seen.extend(clip.stems)
    run(clip, ["mask"], known)
    assert seen == ["0001"]


def test_every_stage_stands_in_the_order_after_what_it_reads():
    kinds = [
        draw.DrawStage,
        extract.ExtractStage,
        flow.FlowStage,
        filter.FilterStage,
        guide.GuideStage,
        preview.PreviewStage,
        mask.MaskStage,
        stylise.StyliseStage,
        composite.CompositeStage,
        evaluate.EvaluateStage,
        report.ReportStage,
    ]
    assert {kind.name for kind in kinds} <= set(ORDER)
    for kind in kinds:
        assert all(ORDER.index(needed) < ORDER.index(kind.name) for needed in kind.reads)


def test_the_last_objective_is_returned(disc_clip):
    known = stages([])
    assert run(disc_clip().clip, ["composite"], known) is None
    known["mask"].run = lambda clip: 0.25
    known["report"].run = lambda clip: None
    assert run(disc_clip("other").clip, ["composite", "report"], known) == 0.25

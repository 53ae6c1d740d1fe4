"""The guide stage: every selected guide of every layer, resumed, in shards, remade when its config changes."""

import numpy as np

from dreaming.artifacts.shard import Shard
from dreaming.clip.layer_masks import LayerMasks
from dreaming.flow.dis import DisFlow
from dreaming.guides.base import Guide
from dreaming.guides.edges import EdgeGuide
from dreaming.guides.gauss import GaussGuide
from dreaming.guides.position import PositionGuide
from dreaming.guides.storage import GuideFolder, GuideStack
from dreaming.io.atomic import owner
from dreaming.stages.guide import GuideStage


class Five(Guide):
    """Five channels in two images, filled with the stem's number."""

    channels = 5

    def draw(self, clip, layer, stems):
        for stem in stems:
            yield stem, np.full((*clip.size, 5), int(stem), np.uint8)


GUIDES = {"edges": EdgeGuide(), "position": PositionGuide(), "five": Five()}


def test_selected_guides_of_all_layers_are_written_and_read(disc_clip):
    drawing = disc_clip()
    drawing.save("keyframes/other/0002.png", drawing.styled["0002"])
    (drawing.path / "clip.yaml").write_text("layers: [{name: painted}, {name: other, part: subject}]")
    clip = drawing.clip
    GuideStage(GUIDES, ["five", "edges"]).run(clip)
    for layer in clip.layers:
        assert sorted(path.name for path in clip.guides(layer).iterdir()) == ["edges", "five"]
        stack = GuideStack(clip, layer, {name: GUIDES[name] for name in ("five", "edges")})
        for stem in clip.stems:
            found = stack.read(stem)
            assert (found[..., :5] == int(stem)).all()
            assert np.array_equal(found[..., 5:], EdgeGuide().draw_image(clip.frames.read(stem)))


def test_a_run_after_the_shards_adds_only_what_is_missing(disc_clip):
    drawing = disc_clip()
    for index in (2, 1):
        GuideStage(GUIDES, ["five"], shard=Shard(index, 2)).run(drawing.clip)
    folder = GuideFolder(drawing.path / "guides/painted/five", 5)
    assert folder.stems == drawing.stems
    (drawing.path / "guides/painted/five/2/0003.png").unlink()
    (drawing.path / "guides/painted/five/1" / f".0003.png.{owner()}-0.part").touch()
    before = {path: path.stat().st_mtime_ns for path in folder.path.rglob("*.png") if path.stem != "0003"}
    GuideStage(GUIDES, ["five"]).run(drawing.clip)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert (folder.read("0003") == 3).all()
    assert not list(folder.path.rglob("*.part"))


def test_another_config_remakes_guides(disc_clip):
    drawing = disc_clip()
    GuideStage(GUIDES, ["edges"]).run(drawing.clip)
    read = lambda: GuideFolder(drawing.path / "guides/painted/edges", 1).read("0004")
    before = read()
    GuideStage({"edges": EdgeGuide(max_slope=5.0)}, ["edges"]).run(drawing.clip)
    assert (read() != before).any()


def test_another_version_remakes_guides(disc_clip, monkeypatch):
    drawing = disc_clip()
    GuideStage(GUIDES, ["five"]).run(drawing.clip)
    path = drawing.path / "guides/painted/five/1/0003.png"
    before = path.stat().st_mtime_ns
    monkeypatch.setattr(Five, "version", Five.version + 1)
    GuideStage(GUIDES, ["five"]).run(drawing.clip)
    assert path.stat().st_mtime_ns > before


def test_it_is_skipped_without_guides_or_keyframes(disc_clip):
    assert GuideStage(GUIDES).skips(disc_clip("none").clip) is not None
    assert GuideStage(GUIDES, ["five"]).skips(disc_clip("bare", keyframes=()).clip) is not None
    assert GuideStage(GUIDES, ["five"]).skips(disc_clip("clip").clip) is None


def test_masks_are_an_input_only_of_guides_drawn_from_them():
    gauss = GaussGuide(DisFlow(), LayerMasks(["a"]))
    known = {"gauss": gauss, "position": PositionGuide()}
    assert GuideStage(known, ["position"]).inputs == ("extract",)
    assert GuideStage(known, ["position", "gauss"]).inputs == ("extract", "mask")

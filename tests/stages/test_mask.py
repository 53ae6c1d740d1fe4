"""The mask stage: any masker, every part, remade when its hand masks or its config change."""

import json
import shutil
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
import pytest

from dreaming.artifacts.manifest import Manifest
from dreaming.artifacts.shard import Shard
from dreaming.errors import MaskError, ParameterError
from dreaming.flow.dis import DisFlow
from dreaming.flow.temporal_filter import MaskSmoothing
from dreaming.maskers.base import FrameMasker, Masker
from dreaming.maskers.ensemble import EnsembleMasker
from dreaming.maskers.flow import FlowMasker
from dreaming.maskers.grabcut import GrabCutMasker
from dreaming.maskers.prediction_cache import PredictionCache
from dreaming.maskers.threshold import ThresholdMasker
from dreaming.stages.mask import MaskStage


@dataclass
class NearestColour(FrameMasker):
    """Foreground where a colour is nearer to the subject's mean than to the background's."""

    softness: float = 1.0

    def fit(self, clip, references) -> Self:
        self.fitted = references.stems
        self._inside = references.images[references.masks].mean(axis=0)
        self._outside = references.images[~references.masks].mean(axis=0)
        return self

    def predict_frame(self, image):
        inside, outside = (np.linalg.norm(image - mean, axis=2) for mean in (self._inside, self._outside))
        return (inside < outside).astype(np.float32) * self.softness


def test_masks_of_all_frames_are_written_as_8_bit_probabilities(disc_clip):
    drawing = disc_clip()
    MaskStage({"colour": NearestColour(softness=0.8)}).run(drawing.clip)
    folder = drawing.clip.masks("subject", "colour")
    assert folder.stems == drawing.stems
    values = np.unique(np.rint(folder.read_probability(drawing.stems[0]) * 255))
    assert set(values) <= {0, 204}
    assert np.array_equal(folder.read_mask(drawing.stems[2]), drawing.truth[drawing.stems[2]])


def test_only_a_changed_config_or_hand_mask_remakes_them(disc_clip, caplog):
    drawing = disc_clip(masks=(1, 4))
    stamp = lambda: (drawing.path / "masks" / "colour" / "0002.png").stat().st_mtime_ns
    MaskStage({"colour": NearestColour()}).run(drawing.clip)
    first = stamp()
    MaskStage({"colour": NearestColour(workers=1)}).run(drawing.clip)
    assert stamp() == first
    MaskStage({"colour": NearestColour(softness=0.5)}).run(drawing.clip)
    second = stamp()
    assert second != first
    shutil.copy(drawing.path / "hand_masks" / "0004.png", drawing.path / "hand_masks" / "0005.png")
    caplog.set_level("INFO", "dreaming.artifacts.folder")
    MaskStage({"colour": NearestColour(softness=0.5)}).run(type(drawing.clip)(drawing.path))
    assert stamp() != second
    assert ("masks/colour", "mask 0005") in [record.args for record in caplog.records]


def test_maskers_see_the_nn_half_alone(disc_clip):
    drawing = disc_clip(masks=(1, 4, 8))
    for half, stem in (("nn", "0001"), ("nn", "0008"), ("ensemble", "0004")):
        for side, source in (("input", "frames"), ("output", "hand_masks")):
            folder = drawing.path / half / f"train_{side}"
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy(drawing.path / source / f"{stem}.png", folder)
    shutil.rmtree(drawing.path / "hand_masks")
    masker = NearestColour()
    MaskStage({"colour": masker}).run(drawing.clip)
    assert masker.fitted == ("0001", "0008")


def test_a_clip_without_masks_is_skipped_and_one_mask_is_enough_for_some_maskers(disc_clip):
    assert MaskStage({}).skips(disc_clip("bare", masks=()).clip)
    drawing = disc_clip("one", masks=(4,))
    clip, flow = drawing.clip, FlowMasker(DisFlow())
    assert MaskStage({}).skips(clip) is None
    stage = MaskStage({"flow": flow, "cut": GrabCutMasker(flow)})
    stage.check(clip)
    stage.run(clip)
    for stem in ("0003", "0005"):  # on both sides of the mask
        mask = clip.masks("subject", "flow").read_mask(stem)
        assert (mask & drawing.truth[stem]).sum() / (mask | drawing.truth[stem]).sum() > 0.7
    with pytest.raises(MaskError) as caught:
        MaskStage({"flow": flow, "ensemble": EnsembleMasker(None, None)}).check(clip)
    assert caught.value.where == str(clip.path)


def test_masks_are_smoothed_over_time_where_asked_and_shards_agree(disc_clip):
    whole, shared, plain = (disc_clip(name) for name in ("whole", "shared", "plain"))
    smooth = MaskSmoothing(DisFlow(), sigma=2.0, radius=2, along_flow=False)
    MaskStage({"colour": NearestColour()}, smooth=smooth).run(whole.clip)
    for index in (2, 1):
        MaskStage({"colour": NearestColour()}, smooth=smooth, shard=Shard(index, 2)).run(shared.clip)
    MaskStage({"colour": NearestColour()}, smooth=MaskSmoothing(DisFlow(), sigma=None)).run(plain.clip)
    masks = [drawing.clip.masks("subject", "colour") for drawing in (whole, shared, plain)]
    weights = np.exp(-(np.arange(-2, 3) ** 2) / 8)
    near = [masks[2].read_probability(f"{number:04d}") for number in range(2, 7)]
    expected = np.tensordot(weights / weights.sum(), near, 1)
    np.testing.assert_allclose(masks[0].read_probability("0004"), expected, atol=1 / 255)
    for stem in whole.stems:
        assert np.array_equal(masks[0].read_probability(stem), masks[1].read_probability(stem))


@dataclass
class Trained(NearestColour):
    """Loads its weights once it is trained."""

    weights: ClassVar[list[str]] = []

    def fitted_fingerprint(self, clip, references):
        return "weights" if self.weights else "untrained"

    def fit(self, clip, references) -> Self:
        self.weights.append("weights")
        return super().fit(clip, references)


@dataclass
class Copy(Masker):
    """Takes the predictions of another masker, cached on disk."""

    other: Masker

    @property
    def base_maskers(self):
        return {"colour": self.other}

    def fit(self, clip, references) -> Self:
        self._references = references
        return self

    def predict(self, clip, stems):
        folder = PredictionCache(clip, "colour", self.other, self._references).complete(clip.stems)
        yield from ((stem, folder.read_probability(stem)) for stem in stems)


def test_a_base_masker_is_predicted_once_for_both(disc_clip):
    drawing = disc_clip()
    first, second = Trained(softness=0.8), Trained(softness=0.8)
    Trained.weights.clear()
    MaskStage({"colour": first, "copy": Copy(second)}).run(drawing.clip)
    assert Trained.weights == ["weights"]
    assert vars(first) == vars(second), "the masker passed in keeps no fitted state"
    for stem in drawing.stems:
        mine, copied = (drawing.path / "masks" / name / f"{stem}.png" for name in ("colour", "copy"))
        assert mine.read_bytes() == copied.read_bytes()


def test_the_fit_report_is_stored_in_the_manifest_of_the_masks(disc_clip):
    for name, others in (("alone", {}), ("shared", {"copy": Copy(ThresholdMasker())})):
        drawing = disc_clip(name)
        MaskStage({"colour": ThresholdMasker(), **others}).run(drawing.clip)
        found = Manifest.read(drawing.path / "masks/colour/manifest.json").fit_report
        assert found == json.loads((drawing.path / "runs/threshold/bounds.json").read_text())
        assert found["references"] == ["0001", "0004", "0008"]


def test_a_base_masker_is_trained_before_its_manifest_is_written(disc_clip):
    drawing = disc_clip()
    Trained.weights.clear()
    MaskStage({"colour": Trained(), "copy": Copy(Trained())}).run(drawing.clip)
    assert Manifest.read(drawing.path / "masks/colour/manifest.json").inputs["fitted"] == "weights"


def contents(drawing, name):
    return {path.name: path.read_bytes() for path in (drawing.path / "masks" / name).glob("*.png")}


@dataclass
class CountedFlow(FlowMasker):
    """Optical flow that notes which frames it predicts."""

    kind: ClassVar[str] = FlowMasker.kind

    def predict(self, clip, stems):
        PREDICTED.extend(stems)
        yield from super().predict(clip, stems)


PREDICTED = []


def predicted(drawing, masker, **options):
    """Run the stage with a new clip object; return the frames that were predicted, in order."""
    PREDICTED.clear()
    MaskStage({"flow": masker}, **options).run(drawing.clip)
    return list(PREDICTED)


def test_a_correction_remakes_the_frames_that_it_changes_and_undoing_it_none(disc_clip):
    drawing, masker = disc_clip(masks=(1, 4, 8), count=10), CountedFlow(DisFlow())
    mask = drawing.path / "hand_masks" / "0006.png"
    predicted(drawing, masker)
    before = contents(drawing, "flow")
    drawing.save("hand_masks/0006.png", np.roll(drawing.truth["0006"], 3, axis=1))
    assert predicted(drawing, masker) == ["0005", "0006", "0007"]
    corrected = contents(drawing, "flow")
    assert corrected != before

    mask.unlink()
    assert predicted(drawing, masker) == []
    assert contents(drawing, "flow") == before

    drawing.save("hand_masks/0006.png", np.roll(drawing.truth["0006"], 3, axis=1))
    assert predicted(drawing, masker) == []
    for folder in ("masks", ".previous"):
        shutil.rmtree(drawing.path / folder)
    assert len(predicted(drawing, masker)) == 10
    assert contents(drawing, "flow") == corrected


@pytest.mark.parametrize("smooth", [None, MaskSmoothing(DisFlow(), sigma=1.0, radius=2)])
def test_masks_near_a_frame_are_written_first_and_are_the_same(disc_clip, smooth):
    drawing, masker = disc_clip(count=24, size=(16, 24), masks=(1, 8, 24)), FlowMasker(DisFlow())
    written = []

    def note(stage):
        stage.run(drawing.clip)
        paths = (drawing.path / "masks" / "flow").glob("*.png")
        written.append([int(path.stem) for path in sorted(paths, key=lambda path: path.stat().st_mtime_ns)])
        return contents(drawing, "flow")

    first = note(MaskStage({"flow": masker}, smooth=smooth, writers=1))
    shutil.rmtree(drawing.path / "masks")
    assert note(MaskStage({"flow": masker}, smooth=smooth, near=14, writers=1)) == first
    assert written == [list(range(1, 25)), [*range(10, 19), *range(19, 25), *range(1, 10)]]


def test_a_frame_beyond_the_clip_is_refused(disc_clip):
    with pytest.raises(ParameterError) as error:
        MaskStage({"flow": FlowMasker(DisFlow())}, near=9).check(disc_clip().clip)
    assert (error.value.name, error.value.found) == ("near", "9")

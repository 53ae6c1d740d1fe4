"""The matte stage: 16-bit mattes from the masks of the last masker, remade when these change."""

import cv2
import numpy as np
import pytest

from dreaming.artifacts.manifest import Manifest
from dreaming.artifacts.shard import Shard
from dreaming.flow.dis import DisFlow
from dreaming.imaging.morphology import feather
from dreaming.matting.smoothing import MatteSmoothing
from dreaming.stages.composite import CompositeStage
from dreaming.stages.matte import MatteStage


def stage(sigma=1.0, **config):
    return MatteStage(["gmm", "unet"], MatteSmoothing(DisFlow(), sigma, radius=1), **{"band": 0.05, **config})


@pytest.fixture
def drawing(disc_clip):
    drawn = disc_clip()
    write_masks(drawn)
    return drawn


def write_masks(drawn, **config):
    for stem, truth in drawn.truth.items():
        drawn.save(f"masks/unet/{stem}.png", (feather(truth.astype(np.float32), 1) * 255).astype(np.uint8))
    Manifest("test", 1, config, {}).write(drawn.path / "masks/unet/manifest.json")


def mattes(drawing):
    return {path.stem: cv2.imread(str(path), -1) for path in sorted((drawing.path / "mattes/unet").glob("*.png"))}


def test_mattes_have_16_bits_and_follow_the_frames(drawing):
    stage().run(drawing.clip)
    found = mattes(drawing)
    assert list(found) == drawing.stems
    for stem, matte in found.items():
        assert matte.dtype == np.uint16
        truth = drawing.truth[stem]
        assert (truth & (matte > 32767)).sum() / (truth | (matte > 32767)).sum() > 0.93
    assert len(np.unique(found["0004"])) > 100


def test_a_shard_makes_what_the_whole_makes(drawing):
    stage().run(drawing.clip)
    whole = mattes(drawing)
    for path in (drawing.path / "mattes/unet").glob("000[567].png"):
        path.unlink()
    stage(shard=Shard(2, 2)).run(drawing.clip)
    for stem, matte in mattes(drawing).items():
        np.testing.assert_array_equal(matte, whole[stem])


def test_other_masks_and_bands_make_other_mattes(drawing):
    def time():
        return (drawing.path / "mattes/unet/0004.png").stat().st_mtime_ns

    stage(None).run(drawing.clip)
    first = time()
    stage(None, workers=1).run(drawing.clip)
    assert time() == first
    stage(None, band=0.08).run(drawing.clip)
    second = time()
    write_masks(drawing, other=True)
    stage(None, band=0.08).run(drawing.clip)
    assert first < second < time()


def test_no_method_no_mattes(drawing):
    assert stage(method="none").skips(drawing.clip) is not None
    assert stage().skips(drawing.clip) is None


def test_the_composite_takes_mattes_and_the_layer_s_own_colours(drawing):
    for stem, styled in drawing.styled.items():
        drawing.save(f"styled/painted/{stem}.png", styled)
    Manifest("test", 1, {}, {}).write(drawing.path / "styled/painted/manifest.json")
    stage().run(drawing.clip)
    composite = CompositeStage(["gmm", "unet"], matte="guided", preset="ultrafast")
    assert composite.inputs == ("extract", "matte", "stylise")
    (layer,) = drawing.clip.layers
    opened = composite.open_layer(drawing.clip, layer)
    colours, opacity = composite.read_layer(drawing.clip, opened, "0004")
    np.testing.assert_allclose(opacity, mattes(drawing)["0004"] / 65535, atol=1e-6)
    styled = drawing.styled["0004"]
    np.testing.assert_array_equal(colours[opacity == 1], styled[opacity == 1])
    edge = (opacity > 0.1) & (opacity < 0.9) & ~drawing.truth["0004"]
    inside = styled[drawing.truth["0004"]].mean(0)
    assert np.abs(colours[edge] - inside).mean() < 0.8 * np.abs(styled[edge] - inside).mean()
    composite.run(drawing.clip)
    made = cv2.imread(str(drawing.path / "composite/0004.png"))[..., ::-1]
    alpha, image = opacity[edge][:, None], drawing.images["0004"]
    expected = alpha * inside + (1 - alpha) * [30, 60, 160]  # the backdrop
    over_frame = alpha * styled[edge] + (1 - alpha) * image[edge]
    assert np.abs(made[edge] - expected).mean() < 0.8 * np.abs(over_frame - expected).mean()
    shown = composite.layer_inputs(drawing.clip, [opened])
    assert "mattes subject" in shown
    plain = CompositeStage(["gmm", "unet"], preset="ultrafast")
    assert "masks subject" in plain.layer_inputs(drawing.clip, [plain.open_layer(drawing.clip, layer)])

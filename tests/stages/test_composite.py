import logging
from fractions import Fraction
from itertools import pairwise

import cv2
import numpy as np
import pytest

from dreaming.clip.config import Layer
from dreaming.errors import ClipError, FrameError
from dreaming.io.manifest import Manifest
from dreaming.io.shard import Shard
from dreaming.io.video_reader import probe, read_frames
from dreaming.stages.composite import CompositeStage
from dreaming.stages.extract import ExtractStage

TIMES = [0, 2, 3, 7, 8, 12, 15, 20]  # in 25ths of a second: a phone's varying rate


def stage(**config):
    return CompositeStage(**{"maskers": ["gmm", "unet"], "preset": "ultrafast", **config})


def make(drawing, folder, pictures, **config):
    """Write a folder as an earlier stage would."""
    for stem, picture in pictures.items():
        drawing.save(f"{folder}/{stem}.png", picture)
    Manifest("test", 1, config, {}).write(drawing.path / folder / "manifest.json")


def masked(drawing, scale=255):
    return {stem: truth.astype(np.uint8) * scale for stem, truth in drawing.truth.items()}


@pytest.fixture
def drawing(disc_clip):
    """A clip with masks of the last masker and one stylised layer, as the stages before would leave it."""
    drawn = disc_clip()
    make(drawn, "styled/painted", drawn.styled)
    make(drawn, "masks/unet", masked(drawn))
    return drawn


def blurred(values, sigma):
    """A plain Gaussian of a picture (H, W) that goes on beyond its border."""
    reach = 24
    weights = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * sigma**2))
    weights /= weights.sum()
    padded = np.pad(values, reach, mode="edge")
    rows = sum(w * padded[k : k + values.shape[0]] for k, w in enumerate(weights))
    return sum(w * rows[:, k : k + values.shape[1]] for k, w in enumerate(weights))


def composed(drawing, stem):
    return drawing.clip.composite.read(stem)


def test_a_layer_is_blended_over_the_frame(drawing):
    stage(feather=1.5).run(drawing.clip)
    assert drawing.clip.composite.stems == drawing.stems
    for stem in ("0001", "0005"):
        opacity = blurred(drawing.truth[stem].astype(float), 1.5)[..., None]
        expected = opacity * drawing.styled[stem] + (1 - opacity) * drawing.images[stem]
        assert np.abs(composed(drawing, stem) - expected).max() <= 1.5
        assert np.abs(composed(drawing, stem) - expected).mean() < 0.35


def test_layers_lie_above_each_other_pixel_by_pixel(drawing):
    text = "layers: [{name: ground, part: subject, invert: true}, {name: painted, part: subject}, {name: tint}]"
    (drawing.path / "clip.yaml").write_text(text)
    rng = np.random.default_rng(0)
    ground = {stem: rng.integers(0, 255, (32, 48, 3), dtype=np.uint8) for stem in drawing.stems}
    drawing.save("keyframes/ground/0004.png", ground["0004"])
    make(drawing, "styled/ground", ground)
    stage(feather=0).run(drawing.clip)
    expected = np.empty((32, 48, 3), np.uint8)
    for row, column in np.ndindex(32, 48):
        inside = drawing.truth["0003"][row, column]
        expected[row, column] = (drawing.styled if inside else ground)["0003"][row, column]
    np.testing.assert_array_equal(composed(drawing, "0003"), expected)
    # A layer of no part on top hides them all
    drawing.save("keyframes/tint/0004.png", ground["0004"])
    make(drawing, "styled/tint", {stem: 255 - image for stem, image in ground.items()})
    stage(feather=0).run(drawing.clip)
    np.testing.assert_array_equal(composed(drawing, "0003"), 255 - ground["0003"])


def test_without_hand_masks_the_styled_frame_is_all(disc_clip):
    drawing = disc_clip(masks=())
    make(drawing, "styled/painted", drawing.styled)
    assert drawing.clip.layers == [Layer("painted")]
    stage().run(drawing.clip)
    for stem in drawing.stems:
        np.testing.assert_array_equal(composed(drawing, stem), drawing.styled[stem])


def test_a_layer_is_not_seen_where_its_mask_is_empty(drawing):
    nothing = np.zeros((32, 48), np.uint8)
    make(drawing, "masks/unet", masked(drawing) | {"0002": nothing})
    stage(alpha=True).run(drawing.clip)
    np.testing.assert_array_equal(composed(drawing, "0002"), drawing.images["0002"])
    found = cv2.imread(str(drawing.path / "alpha/painted/0002.png"), cv2.IMREAD_UNCHANGED)
    assert not found[..., 3].any()


def test_masks_are_thresholded_or_kept_soft(drawing):
    make(drawing, "masks/unet", masked(drawing, 102))  # 0.4
    stage(feather=0).run(drawing.clip)
    np.testing.assert_array_equal(composed(drawing, "0002"), drawing.images["0002"])
    stage(feather=0, threshold=0.3).run(drawing.clip)
    inside = drawing.truth["0002"]
    np.testing.assert_array_equal(composed(drawing, "0002")[inside], drawing.styled["0002"][inside])
    stage(feather=0, threshold=None).run(drawing.clip)
    expected = 0.4 * drawing.styled["0002"][inside] + 0.6 * drawing.images["0002"][inside]
    assert np.abs(composed(drawing, "0002")[inside] - expected).max() <= 0.51


def test_the_masker_may_be_named(drawing):
    make(drawing, "masks/gmm", {stem: ~truth for stem, truth in drawing.truth.items()})
    stage(feather=0, masker="gmm").run(drawing.clip)
    outside = ~drawing.truth["0002"]
    np.testing.assert_array_equal(composed(drawing, "0002")[outside], drawing.styled["0002"][outside])


def test_parts_have_masks_of_their_own(disc_clip):
    drawing = disc_clip(masks=(), keyframes=())
    for part, truth in {"left": np.arange(48) < 24, "right": np.arange(48) >= 40}.items():
        mask = np.tile(truth, (32, 1))
        drawing.save(f"parts/{part}/hand_masks/0001.png", mask)
        drawing.save(f"keyframes/{part}/0001.png", drawing.styled["0001"])
        make(drawing, f"masks/{part}/unet", dict.fromkeys(drawing.stems, mask))
        make(
            drawing,
            f"styled/{part}",
            {s: np.full((32, 48, 3), 9 if part == "left" else 7, np.uint8) for s in drawing.stems},
        )
    stage(feather=0).run(drawing.clip)
    found = composed(drawing, "0006")
    assert (found[:, :24] == 9).all()
    assert (found[:, 40:] == 7).all()
    np.testing.assert_array_equal(found[:, 24:40], drawing.images["0006"][:, 24:40])


def test_layers_with_alpha_are_written_when_asked(drawing):
    stage(feather=1.0).run(drawing.clip)
    assert not (drawing.path / "alpha").exists()
    stage(feather=1.0, alpha=True).run(drawing.clip)
    found = cv2.imread(str(drawing.path / "alpha/painted/0004.png"), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(found[..., 2::-1], drawing.styled["0004"])
    expected = 255 * blurred(drawing.truth["0004"].astype(float), 1.0)
    assert np.abs(found[..., 3] - expected).max() <= 1.5
    assert len(list((drawing.path / "alpha/painted").glob("*.png"))) == 8


def test_what_is_up_to_date_is_left_alone_until_something_changes(drawing, caplog):
    stage().run(drawing.clip)
    video = (drawing.path / "dream.mp4").stat().st_mtime_ns
    again = stage(workers=5, writers=1)
    again.run(drawing.clip)
    assert (again.frames_needed, again.frames_made) == (8, 0)
    assert (drawing.path / "dream.mp4").stat().st_mtime_ns == video
    smaller = stage(crf=30)
    smaller.run(drawing.clip)
    assert smaller.frames_made == 0
    assert (drawing.path / "dream.mp4").stat().st_mtime_ns > video, "another quality, the same frames"
    make(drawing, "masks/unet", {stem: ~truth for stem, truth in drawing.truth.items()}, other=True)
    with caplog.at_level(logging.INFO):
        stage().run(drawing.clip)
    assert ("composite", "masks subject") in [record.args for record in caplog.records]


def test_shards_leave_the_video_to_the_last(drawing, caplog):
    with caplog.at_level(logging.INFO):
        stage(shard=Shard(2, 2)).run(drawing.clip)
    assert not (drawing.path / "dream.mp4").exists()
    assert "dream.mp4: waits for the frames that are not made yet" in caplog.text
    stage(shard=Shard(1, 2)).run(drawing.clip)
    assert probe(drawing.path / "dream.mp4").count == 8


def test_what_earlier_stages_have_not_made_is_told(disc_clip):
    drawing = disc_clip()
    with pytest.raises(ClipError, match="styled/painted: found no finished folder of frames"):
        stage().run(drawing.clip)
    make(drawing, "styled/painted", drawing.styled)
    with pytest.raises(ClipError, match="masks/unet: found no finished folder of frames"):
        stage().run(drawing.clip)
    make(drawing, "masks/unet", {"0001": drawing.truth["0001"]})
    with pytest.raises(FrameError, match=r"masks/unet/0002\.png: found no such picture"):
        stage().run(drawing.clip)
    assert not (drawing.path / "dream.mp4").exists()


def test_without_keyframes_there_is_nothing_to_do(disc_clip):
    assert stage().skips(disc_clip("a", keyframes=()).clip) == "the clip has no keyframes"
    assert stage().skips(disc_clip("b").clip) is None


# -- the video


@pytest.fixture
def extracted(disc_clip, film):
    """A clip of a video with sound and varying frame times, stylised."""
    drawn = disc_clip(frames=False, masks=())
    drawn.video = film(drawn.path / "source.mkv", drawn.images.values(), pts=TIMES, sound=True)
    ExtractStage().run(drawn.clip)
    make(drawn, "styled/painted", drawn.styled)
    return drawn


def test_the_video_keeps_the_source_s_times_and_sound(extracted):
    stage(crf=1).run(extracted.clip)
    path = extracted.path / "dream.mp4"
    found = probe(path)
    assert found.times == tuple(Fraction(time, 25) for time in TIMES)
    assert found.sound
    for (_, image), stem in zip(read_frames(path), extracted.stems, strict=True):
        assert np.abs(image.astype(int) - extracted.styled[stem]).mean() < 12, "4:2:0 colour, but the same picture"
    assert [p.name for p in extracted.path.glob(".*.part")] == []


def test_a_rate_overrides_the_times(extracted):
    stage(fps=10).run(extracted.clip)
    times = probe(extracted.path / "dream.mp4").times
    assert {later - earlier for earlier, later in pairwise(times)} == {Fraction(1, 10)}


def test_a_stretch_of_the_video_keeps_its_own_times(disc_clip, film):
    drawing = disc_clip(frames=False, masks=())
    film(drawing.path / "source.mkv", drawing.images.values(), pts=TIMES, sound=True)
    ExtractStage(start=3, end=7, every=2).run(drawing.clip)
    make(drawing, "styled/painted", drawing.styled)
    stage().run(drawing.clip)
    found = probe(drawing.path / "dream.mp4")
    assert found.times == (0, Fraction(8 - 3, 25), Fraction(15 - 3, 25))


def test_own_frames_get_a_stated_rate(drawing, caplog):
    with caplog.at_level(logging.INFO):
        stage().run(drawing.clip)
    assert "dream.mp4: 24 frames a second (stage.composite.fps)" in caplog.text
    found = probe(drawing.path / "dream.mp4")
    assert (found.rate, found.sound, found.size) == (24, False, (32, 48))


def test_a_video_that_is_gone_costs_its_sound_only_where_it_is_made_anew(extracted, caplog):
    stage().run(extracted.clip)
    extracted.video.unlink()
    video = (extracted.path / "dream.mp4").stat().st_mtime_ns
    stage().run(extracted.clip)
    assert (extracted.path / "dream.mp4").stat().st_mtime_ns == video
    assert probe(extracted.path / "dream.mp4").sound
    (extracted.path / "dream.mp4").unlink()
    stage().run(extracted.clip)
    assert "dream.mp4: without sound, for the video that the frames came from is gone" in caplog.text
    assert not probe(extracted.path / "dream.mp4").sound


def test_what_a_kill_left_of_the_video_is_removed(drawing):
    (drawing.path / ".dream.mp4.abc_1234.part").write_bytes(b"half")
    stage().run(drawing.clip)
    assert not list(drawing.path.glob(".dream*"))

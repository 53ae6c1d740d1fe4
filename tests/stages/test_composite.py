"""The composite stage: blending of layers, and the final video."""

import logging
from fractions import Fraction

import cv2
import numpy as np
import pytest

from dreaming.artifacts.manifest import Manifest
from dreaming.artifacts.shard import Shard
from dreaming.cli.arguments import rewrite
from dreaming.cli.config import parse
from dreaming.clip.config import Layer
from dreaming.errors import ClipError, FrameError, ParameterError
from dreaming.imaging.cleanup import Cleanup, grow
from dreaming.instantiation.validation import find_problem, parameters_of
from dreaming.stages.composite import CompositeStage
from dreaming.stages.extract import ExtractStage
from dreaming.video.reader import probe, read_frames
from dreaming.video.writer import write_video

TIMES = [0, 2, 3, 7, 8, 12, 15, 20]  # in 25ths of a second: a phone's varying rate


def stage(**config):
    return CompositeStage(**{"maskers": ["gmm", "unet"], "preset": "ultrafast", **config})


def make(drawing, folder, pictures, **config):
    """Write a folder and its manifest as an earlier stage would."""
    for stem, picture in pictures.items():
        drawing.save(f"{folder}/{stem}.png", picture)
    Manifest("test", 1, config, {}).write(drawing.path / folder / "manifest.json")


def masked(drawing, scale=255):
    return {stem: truth.astype(np.uint8) * scale for stem, truth in drawing.truth.items()}


@pytest.fixture
def drawing(disc_clip):
    """A clip with masks of the last masker and one stylised layer."""
    drawn = disc_clip()
    make(drawn, "styled/painted", drawn.styled)
    make(drawn, "masks/unet", masked(drawn))
    return drawn


def blurred(values, sigma):
    """Gaussian blur of an image (H, W) with replicated borders, in NumPy."""
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


def test_layers_are_stacked_in_their_order(drawing):
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
    # a layer without a part covers all others
    drawing.save("keyframes/tint/0004.png", ground["0004"])
    make(drawing, "styled/tint", {stem: 255 - image for stem, image in ground.items()})
    stage(feather=0).run(drawing.clip)
    np.testing.assert_array_equal(composed(drawing, "0003"), 255 - ground["0003"])


def test_without_hand_masks_the_result_is_the_stylised_frame(disc_clip):
    drawing = disc_clip(masks=())
    make(drawing, "styled/painted", drawing.styled)
    assert drawing.clip.layers == [Layer("painted")]
    stage().run(drawing.clip)
    for stem in drawing.stems:
        np.testing.assert_array_equal(composed(drawing, stem), drawing.styled[stem])


def test_a_layer_with_an_empty_mask_is_invisible(drawing):
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


def test_the_masker_is_selectable(drawing):
    make(drawing, "masks/gmm", {stem: ~truth for stem, truth in drawing.truth.items()})
    stage(feather=0, masker="gmm").run(drawing.clip)
    outside = ~drawing.truth["0002"]
    np.testing.assert_array_equal(composed(drawing, "0002")[outside], drawing.styled["0002"][outside])


def test_each_part_has_its_masks(disc_clip):
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


def test_layers_with_alpha_are_written_on_request(drawing):
    stage(feather=1.0).run(drawing.clip)
    assert not (drawing.path / "alpha").exists()
    stage(feather=1.0, alpha=True).run(drawing.clip)
    found = cv2.imread(str(drawing.path / "alpha/painted/0004.png"), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(found[..., 2::-1], drawing.styled["0004"])
    expected = 255 * blurred(drawing.truth["0004"].astype(float), 1.0)
    assert np.abs(found[..., 3] - expected).max() <= 1.5
    assert len(list((drawing.path / "alpha/painted").glob("*.png"))) == 8


def test_only_outdated_results_are_remade(drawing):
    def times():
        return [(drawing.path / name).stat().st_mtime_ns for name in ("composite/0004.png", "dream.mp4")]

    stage().run(drawing.clip)
    frame, video = times()
    stage(workers=5, writers=1).run(drawing.clip)
    assert times() == [frame, video]
    stage(crf=30).run(drawing.clip)
    assert times()[0] == frame
    assert times()[1] > video, "another quality, the same frames"
    make(drawing, "masks/unet", {stem: ~truth for stem, truth in drawing.truth.items()}, other=True)
    stage().run(drawing.clip)
    assert times()[0] > frame


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("threshold", 1.5),
        ("feather", -1),
        ("fps", 0),
        ("fps", 1e-06),
        ("crf", -1),
        ("workers", 0),
    ],
)
def test_values_out_of_range_do_not_fit(name, value):
    assert find_problem(value, parameters_of(CompositeStage).hints[name])


def test_settings_that_the_encoder_rejects_are_refused_at_once():
    with pytest.raises(ParameterError) as refused:
        stage(codec="nope")
    assert refused.value.name == "codec"


def test_the_last_shard_writes_the_video(drawing):
    stage(shard=Shard(2, 2)).run(drawing.clip)
    assert not (drawing.path / "dream.mp4").exists()
    stage(shard=Shard(1, 2)).run(drawing.clip)
    assert probe(drawing.path / "dream.mp4").count == 8


def test_missing_inputs_are_named(disc_clip):
    drawing = disc_clip()
    with pytest.raises(ClipError) as refused:
        stage().run(drawing.clip)
    assert refused.value.where == str(drawing.path / "styled/painted")
    make(drawing, "styled/painted", drawing.styled)
    with pytest.raises(ClipError) as refused:
        stage().run(drawing.clip)
    assert refused.value.where == str(drawing.path / "masks/unet")
    make(drawing, "masks/unet", {"0001": drawing.truth["0001"]})
    with pytest.raises(FrameError) as refused:
        stage().run(drawing.clip)
    assert refused.value.where == str(drawing.path / "masks/unet/0002.png")
    assert not (drawing.path / "dream.mp4").exists()


def test_a_clip_without_keyframes_is_skipped(disc_clip):
    assert stage().skips(disc_clip("a", keyframes=()).clip) is not None
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
        assert np.abs(image.astype(int) - extracted.styled[stem]).mean() < 12, "equal but for 4:2:0"
    assert [p.name for p in extracted.path.glob(".*.part")] == []


def test_a_rate_overrides_the_times(extracted):
    stage(fps=10).run(extracted.clip)
    times = probe(extracted.path / "dream.mp4").times
    assert times == tuple(Fraction(index, 10) for index in range(8))  # 0.84 s


def test_a_range_of_the_video_keeps_its_times(disc_clip, film):
    drawing = disc_clip(frames=False, masks=())
    film(drawing.path / "source.mkv", drawing.images.values(), pts=TIMES, sound=True)
    ExtractStage(start=3, end=7, every=2).run(drawing.clip)
    make(drawing, "styled/painted", drawing.styled)
    stage().run(drawing.clip)
    found = probe(drawing.path / "dream.mp4")
    assert found.times == (0, Fraction(8 - 3, 25), Fraction(15 - 3, 25))


def test_the_user_s_frames_get_a_default_rate(drawing):
    stage().run(drawing.clip)
    found = probe(drawing.path / "dream.mp4")
    assert (found.rate, found.sound, found.size) == (24, False, (32, 48))


def test_without_the_source_only_a_remade_video_loses_its_sound(extracted, caplog):
    stage().run(extracted.clip)
    extracted.video.unlink()
    stage().run(extracted.clip)
    assert probe(extracted.path / "dream.mp4").sound
    assert not caplog.records
    (extracted.path / "dream.mp4").unlink()
    stage().run(extracted.clip)
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert not probe(extracted.path / "dream.mp4").sound


def test_the_temporary_file_of_a_killed_process_is_removed(drawing):
    (drawing.path / ".dream.mp4.abc-1234-0.part").write_bytes(b"half")
    stage().run(drawing.clip)
    assert not list(drawing.path.glob(".dream*"))


def test_a_video_that_somebody_changed_is_kept(drawing, caplog):
    path = drawing.path / "dream.mp4"
    path.write_bytes(b"mine")
    stage().run(drawing.clip)
    assert (drawing.path / "dream.mp4.kept-1").read_bytes() == b"mine"
    assert [record.args[-1] for record in caplog.records] == ["dream.mp4.kept-1"]
    stage(crf=30).run(drawing.clip)
    path.write_bytes(b"graded")
    stage(crf=30).run(drawing.clip)
    assert path.read_bytes() == b"graded", "used while it is up to date"
    stage(crf=20).run(drawing.clip)
    assert (drawing.path / "dream.mp4.kept-2").read_bytes() == b"graded"
    assert probe(path).count == 8
    assert len(list(drawing.path.glob("dream*"))) == 4


def test_a_video_of_a_killed_process_is_replaced(drawing, monkeypatch):
    def killed(*given, **settings):
        write_video(*given, **settings)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("dreaming.stages.composite.write_video", killed)
        with pytest.raises(KeyboardInterrupt):
            stage(crf=40).run(drawing.clip)
    stage().run(drawing.clip)
    assert sorted(path.name for path in drawing.path.glob("dream*")) == ["dream.json", "dream.mp4"]
    assert probe(drawing.path / "dream.mp4").count == 8


def test_a_linked_video_is_refused(drawing, tmp_path):
    (tmp_path / "holiday.mp4").write_bytes(b"mine")
    (drawing.path / "dream.mp4").symlink_to(tmp_path / "holiday.mp4")
    with pytest.raises(ClipError) as refused:
        stage().run(drawing.clip)
    assert refused.value.where == str(drawing.path / "dream.mp4")
    assert (tmp_path / "holiday.mp4").read_bytes() == b"mine"


def test_masks_are_cleaned_up_as_clip_yaml_or_the_config_says(drawing):
    def alpha(**config):
        made = stage(feather=0, **config)
        (layer,) = drawing.clip.layers
        return made.opacity(drawing.clip, made.open_layer(drawing.clip, layer), "0003")

    def inputs():
        made = stage(feather=0)
        return made.layer_inputs(drawing.clip, [made.open_layer(drawing.clip, layer) for layer in drawing.clip.layers])

    before = inputs()
    mask = drawing.truth["0003"].astype(np.float32)
    np.testing.assert_array_equal(alpha(), mask)
    (drawing.path / "clip.yaml").write_text("cleanup: {subject: [{grow: 1.5}, {feather_out: 3}]}")
    expected = Cleanup.parse("x", [{"grow": 1.5}, {"feather_out": 3}])(mask)
    np.testing.assert_array_equal(alpha(), expected)
    assert inputs().keys() - before.keys() == {"cleanup subject"}
    assert expected.sum() > mask.sum() + 20
    shrunk = alpha(cleanup=[{"shrink": 2}])  # instead of that in clip.yaml
    np.testing.assert_array_equal(shrunk, grow(mask, -2))
    np.testing.assert_array_equal(alpha(cleanup=[]), mask)
    text = "layers: [{name: painted, part: subject, invert: true}]\ncleanup: {subject: [{shrink: 2}]}"
    (drawing.path / "clip.yaml").write_text(text)
    np.testing.assert_array_equal(alpha(), 1 - grow(mask, -2))


@pytest.mark.parametrize("text", ["{body: [{grow: 1}]}", "{subject: [{grow: -1}]}", "{subject: [{erode: 1}]}"])
def test_a_clean_up_that_does_not_exist_is_refused(drawing, text):
    (drawing.path / "clip.yaml").write_text(f"cleanup: {text}")
    with pytest.raises(ClipError) as refused:
        stage().check(drawing.clip)
    assert refused.value.where == str(drawing.path / "clip.yaml")


def test_a_clean_up_on_the_command_line_is_checked():
    hint = parameters_of(CompositeStage).hints["cleanup"]
    (override,) = parse(rewrite(["stage.composite.cleanup=[{grow: 1.5},{clamp:[0.1,0.9]},{fill_holes:1}]"]))
    assert find_problem(override.value(), hint) is None
    assert len(stage(cleanup=override.value()).cleanup) == 3
    assert find_problem([1.5], hint) is not None
    with pytest.raises(ParameterError) as refused:
        stage(cleanup=[{"grow": 1}, {"erode": 1}])
    assert refused.value.name == "cleanup[1]"

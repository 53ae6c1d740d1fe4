"""Exports are decoded and compared with the layers: colours, opacity, frames, names and times."""

from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

from dreaming.artifacts.manifest import Manifest
from dreaming.artifacts.shard import Shard
from dreaming.errors import ConfigError, ParameterError
from dreaming.stages.composite import CompositeStage
from dreaming.stages.export import ExportStage


def stage(*formats, threshold=0.5, feather=1.5, fps=None, **config):
    composite = CompositeStage(maskers=["unet"], threshold=threshold, feather=feather, fps=fps, preset="ultrafast")
    return ExportStage(composite=composite, formats=formats, **config)


def make(drawing, folder, pictures):
    """Write a folder and its manifest as an earlier stage would."""
    for stem, picture in pictures.items():
        drawing.save(f"{folder}/{stem}.png", picture)
    Manifest("test", 1, {}, {}).write(drawing.path / folder / "manifest.json")


@pytest.fixture
def drawing(disc_clip):
    """A clip of eight frames with one stylised layer; the subject is not in frame 6."""
    drawn = disc_clip()
    drawn.truth["0006"][:] = False
    make(drawn, "styled/painted", drawn.styled)
    make(drawn, "masks/unet", {stem: truth.astype(np.uint8) * 255 for stem, truth in drawn.truth.items()})
    return drawn


def opacity_of(drawing, stem):
    mask = drawing.truth[stem].astype(np.float32)
    return np.clip(cv2.GaussianBlur(mask, (0, 0), 1.5, borderType=cv2.BORDER_REPLICATE), 0, 1)[..., None]


def expected(drawing, stem, maximum=255, *, premultiplied=False):
    """RGBA of a frame."""
    opacity = opacity_of(drawing, stem)
    colours = drawing.styled[stem] * (maximum / 255) * (opacity if premultiplied else opacity.any())
    return np.rint(np.dstack([colours, opacity * maximum]))


def read(path):
    picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    return cv2.cvtColor(picture, cv2.COLOR_BGRA2RGBA)


def read_exr(path):
    """RGBA (H, W, 4) of an OpenEXR file."""
    with av.open(str(path), format="exr_pipe") as file:
        frame = next(file.decode(video=0))
    planes = [np.frombuffer(plane, np.float16).reshape(frame.height, -1) for plane in frame.planes]  # G, B, R, A
    return np.dstack([planes[number][:, : frame.width] for number in (2, 0, 1, 3)]).astype(np.float32)


def decoded(path):
    with av.open(str(path)) as file:
        return [(frame.to_ndarray(format="rgba"), frame.time) for frame in file.decode(video=0)]


@pytest.mark.parametrize(("made", "maximum", "kind"), [("png", 255, np.uint8), ("png16", 65535, np.uint16)])
@pytest.mark.parametrize("alpha", ["straight", "premultiplied"])
def test_pictures_are_exact(drawing, made, maximum, kind, alpha):
    stage(made, alpha=alpha).run(drawing.clip)
    for stem in drawing.stems:
        found = read(drawing.path / "export" / made / "painted" / f"disc_painted.{stem}.png")
        wanted = expected(drawing, stem, maximum, premultiplied=alpha == "premultiplied")
        assert found.dtype == kind
        assert np.abs(found.astype(float) - wanted).max() <= (0 if alpha == "straight" and maximum == 255 else 1)
    assert not read(drawing.path / "export" / made / "painted" / "disc_painted.0006.png").any()


def test_exr_is_linear_and_premultiplied(drawing):
    stage("exr").run(drawing.clip)
    for stem in ("0002", "0006"):
        path = drawing.path / "export" / "exr" / "painted" / f"disc_painted.{stem}.exr"
        found = read_exr(path)
        values = drawing.styled[stem] / 255
        linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
        opacity = opacity_of(drawing, stem)
        np.testing.assert_allclose(found, np.dstack([linear * opacity, opacity]), rtol=2**-10, atol=2**-14)


def test_ffv1_is_exact_and_keeps_all_frames(drawing):
    stage("ffv1", fps=24).run(drawing.clip)
    found = decoded(drawing.path / "export/ffv1/disc_painted.mkv")
    assert len(found) == 8
    for number, (stem, (picture, time)) in enumerate(zip(drawing.stems, found, strict=True)):
        np.testing.assert_array_equal(picture, expected(drawing, stem))
        assert abs(time - number / 24) <= 0.001


def test_a_mask_video_shows_the_opacity(drawing):
    stage("mask").run(drawing.clip)
    found = decoded(drawing.path / "export/mask/disc_painted.mp4")
    for stem, (picture, _) in zip(drawing.stems, found, strict=True):
        assert np.abs(picture[..., 1] - 255 * opacity_of(drawing, stem)[..., 0]).max() <= 6
    assert found[5][0][..., :3].max() <= 1


def test_frames_keep_their_numbers(drawing):
    for folder in ("frames", "styled/painted", "masks/unet", "keyframes/painted", "hand_masks"):
        for path in sorted((drawing.path / folder).glob("0*.png"), reverse=True):
            path.rename(path.with_name(f"sh10.{int(path.stem) + 1000}.png"))
    stage("png", "prores", frame_name="{layer}-{frame:06}", video_name="take").run(drawing.clip)
    names = sorted(path.name for path in (drawing.path / "export/png/painted").glob("*.png"))
    assert names == [f"painted-00{number}.png" for number in range(1001, 1009)]
    with av.open(str(drawing.path / "export/prores/take.mov")) as file:
        assert file.streams.video[0].metadata["timecode"] == "00:00:41:17"
        assert file.streams.video[0].frames == 8


def test_layers_are_exported_one_by_one_or_merged(drawing):
    text = "layers: [{name: ground, part: subject, invert: true}, {name: painted, part: subject}]"
    (drawing.path / "clip.yaml").write_text(text)
    drawing.save("keyframes/ground/0004.png", drawing.images["0004"])
    make(drawing, "styled/ground", {stem: 255 - image for stem, image in drawing.images.items()})
    stage("png", layers=["ground"]).run(drawing.clip)
    assert [path.name for path in (drawing.path / "export/png").iterdir()] == ["ground"]
    stage("png", layers="all").run(drawing.clip)
    merged = read(drawing.path / "export/png/all/disc_all.0002.png").astype(float)
    top, under = opacity_of(drawing, "0002"), 1 - opacity_of(drawing, "0002")
    alpha = top + under * (1 - top)
    colours = (drawing.styled["0002"] * top + (255 - drawing.images["0002"]) * under * (1 - top)) / alpha
    assert np.abs(merged - np.dstack([colours, alpha * 255])).max() <= 0.51
    with pytest.raises(ConfigError) as refused:
        stage("png", layers=["sky"]).check(drawing.clip)
    assert refused.value.where == "stage.export.layers"


def test_without_keyframes_the_parts_are_cut_out_of_the_frames(disc_clip):
    drawn = disc_clip(keyframes=())
    make(drawn, "masks/unet", {stem: truth.astype(np.uint8) * 255 for stem, truth in drawn.truth.items()})
    stage("png", feather=0).run(drawn.clip)
    found = read(drawn.path / "export/png/subject/disc_subject.0003.png")
    np.testing.assert_array_equal(found, np.dstack([drawn.images["0003"], drawn.truth["0003"] * np.uint8(255)]))
    assert stage("png").skips(disc_clip("other", masks=(), keyframes=()).clip) is not None


def test_only_what_changed_is_written_again(drawing):
    everything = ("png", "exr", "ffv1")
    stage(*everything).run(drawing.clip)
    files = [path for path in (drawing.path / "export").rglob("*.*") if path.suffix in (".png", ".exr", ".mkv")]
    assert len(files) == 17
    before = {path: path.stat().st_ino for path in files}
    files[0].unlink()
    stage(*everything).run(drawing.clip)
    assert {path: path.stat().st_ino for path in files[1:]} == {path: before[path] for path in files[1:]}
    assert files[0].exists()
    stage(*everything, feather=3.0, frame_name="{frame}").run(drawing.clip)
    found = {path for path in (drawing.path / "export").rglob("*.*") if path.suffix in (".png", ".exr", ".mkv")}
    assert {path.name for path in found} == {f"{s}.{e}" for s in drawing.stems for e in ("png", "exr")} | {
        "disc_painted.mkv"
    }, "the old files are removed"
    drawing.save("export/png/painted/0003.png", drawing.images["0003"])  # the user's
    stage("png").run(drawing.clip)
    np.testing.assert_array_equal(
        cv2.imread(str(drawing.path / "export/png/painted/0003.png"))[..., ::-1], drawing.images["0003"]
    )


@pytest.mark.parametrize(
    ("config", "name"),
    [
        ({"frame_name": "{layer}"}, "frame_name"),
        ({"frame_name": "a/{frame}"}, "frame_name"),
        ({"frame_name": "{frame.x}"}, "frame_name"),
        ({"video_name": "{frame}"}, "video_name"),
        ({"video_name": ""}, "video_name"),
    ],
)
def test_a_pattern_that_makes_no_name_is_refused(config, name):
    with pytest.raises(ParameterError) as refused:
        stage("png", **config)
    assert refused.value.name == name


def test_two_files_of_one_name_are_refused(drawing):
    drawing.save("keyframes/ground/0004.png", drawing.images["0004"])
    (drawing.path / "clip.yaml").write_text("layers: [{name: ground}, {name: painted, part: subject}]")
    with pytest.raises(ConfigError) as refused:
        stage("mask", video_name="x").check(drawing.clip)
    assert refused.value.where == "stage.export.video_name"
    stage("png", video_name="x").check(drawing.clip)


def test_irregular_times_are_kept_without_a_time_code(drawing, film):
    from dreaming.stages.extract import ExtractStage

    video = film(drawing.path.parent / "x.mkv", drawing.images.values(), pts=[0, 2, 3, 7, 8, 12, 15, 20])
    for path in (drawing.path / "frames").iterdir():
        path.unlink()
    ExtractStage(video=video).run(drawing.clip)
    stage("prores").run(drawing.clip)
    with av.open(str(drawing.path / "export/prores/disc_painted.mov")) as file:
        stream = file.streams.video[0]
        assert "timecode" not in stream.metadata
        times = [packet.pts * packet.time_base for packet in file.demux(stream) if packet.size]
    assert times == [Fraction(tick, 25) for tick in (0, 2, 3, 7, 8, 12, 15, 20)]


def test_a_shard_writes_its_pictures_and_no_video(drawing):
    stage("png", "ffv1", shard=Shard(2, 2)).run(drawing.clip)
    found = sorted(path.name for path in (drawing.path / "export").rglob("disc_painted*"))
    assert 3 <= len(found) <= 5
    assert all(name.endswith(".png") for name in found)
    stage("png", "ffv1").run(drawing.clip)
    assert len(list((drawing.path / "export").rglob("disc_painted*"))) == 9

"""The draw stage: a complete clip, drawn once, and never over another one."""

import pytest

from dreaming.clip.clip import Clip
from dreaming.demo.scene import DemoScene
from dreaming.errors import ClipError
from dreaming.instantiation.validation import find_problem, parameters_of
from dreaming.stages import draw
from dreaming.stages.draw import DrawStage


@pytest.fixture
def stage():
    return DrawStage(scene=DemoScene(frames=3, height=32, width=48, samples=1), masks=2, keyframes=1)


def test_the_clip_is_complete(tmp_path, stage):
    clip = Clip(tmp_path / "demo")
    assert stage.skips(clip) is None
    stage.run(clip)
    assert {path.name for path in clip.path.iterdir()} == {
        "source.mp4",
        "hand_masks",
        "keyframes",
        "truth",
        "draw.json",
    }
    assert [path.name for path in sorted((clip.path / "hand_masks").iterdir())] == ["0001.png", "0003.png"]
    assert stage.skips(clip) is not None


def test_another_clip_is_not_overwritten(tmp_path, stage, disc_clip):
    clip = Clip(tmp_path / "demo")
    stage.run(clip)
    stage.masks = 3
    assert stage.skips(clip) is None
    keyframes = disc_clip("keyframes", frames=False, masks=()).clip
    for other in (clip, disc_clip("frames", masks=()).clip, disc_clip("masks", frames=False).clip, keyframes):
        with pytest.raises(ClipError) as refused:
            stage.run(other)
        assert refused.value.where == str(other.path)


def test_interrupted_drawing_is_repeated(tmp_path, stage, monkeypatch):
    clip = Clip(tmp_path / "demo")

    def interrupted(scene, folder, **_):
        (folder / "hand_masks").mkdir(parents=True)
        (folder / "hand_masks" / "0001.png").write_bytes(b"")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(draw, "write_demo", interrupted)
        with pytest.raises(KeyboardInterrupt):
            stage.run(clip)
    assert stage.skips(Clip(clip.path)) is None
    stage.run(Clip(clip.path))
    assert stage.skips(clip) is not None
    assert (clip.path / "hand_masks/0001.png").stat().st_size > 0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("masks", -1),
        ("keyframes", -1),
    ],
)
def test_values_out_of_range_do_not_fit(name, value):
    assert find_problem(value, parameters_of(DrawStage).hints[name])

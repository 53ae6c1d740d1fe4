import pytest

from dreaming.clip.clip import Clip
from dreaming.demo.scene import DemoScene
from dreaming.errors import ClipError
from dreaming.stages import draw
from dreaming.stages.draw import DrawStage


@pytest.fixture
def stage():
    return DrawStage(scene=DemoScene(frames=3, height=32, width=48, samples=1), masks=2, keyframes=1)


def test_the_clip_is_what_a_user_would_hand_in(tmp_path, stage):
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
    assert stage.skips(clip) == "the clip is drawn already"


def test_a_drawn_or_given_clip_is_not_drawn_over(tmp_path, stage, disc_clip):
    clip = Clip(tmp_path / "demo")
    stage.run(clip)
    stage.masks = 3
    assert stage.skips(clip) is None
    with pytest.raises(ClipError, match="demo: found a clip, expected a folder to draw the built-in clip into"):
        stage.run(clip)
    for own in (disc_clip("frames", masks=()), disc_clip("masks", frames=False)):
        with pytest.raises(ClipError, match="found a clip"):
            stage.run(own.clip)


def test_drawing_that_was_cut_off_is_done_again(tmp_path, stage, monkeypatch):
    clip = Clip(tmp_path / "demo")

    def cut_off(scene, folder, **_):
        (folder / "hand_masks").mkdir(parents=True)
        (folder / "hand_masks" / "0001.png").write_bytes(b"")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(draw, "write_demo", cut_off)
        with pytest.raises(KeyboardInterrupt):
            stage.run(clip)
    assert stage.skips(Clip(clip.path)) is None
    stage.run(Clip(clip.path))
    assert stage.skips(clip) is not None
    assert (clip.path / "hand_masks/0001.png").stat().st_size > 0

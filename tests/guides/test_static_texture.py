"""Static texture: drawn if all keyframes share it, and only then."""

import numpy as np
import pytest

from dreaming.clip.clip import Clip
from dreaming.clip.config import Layer
from dreaming.guides.static_texture import MIDDLE_GREY, StaticTextureGuide

LAYER = Layer("painted")


@pytest.fixture
def clip_with_texture(disc_clip):
    """A clip with three keyframes, each with a texture computed from its number."""

    def make(texture):
        made = disc_clip()
        for number, stem in enumerate(("0002", "0005", "0007")):
            image = made.clip.frames.read(stem).astype(np.float32)
            painted = np.clip(0.7 * image + 40 + texture(number)[: image.shape[0], : image.shape[1], None], 0, 255)
            made.save(f"keyframes/painted/{stem}.png", painted.astype(np.uint8))
        return made.clip

    return make


def paper(seed=0):
    return 12 * np.random.default_rng(seed).standard_normal((400, 400)).astype(np.float32)


def deviation(channels):
    return channels[..., 0].astype(np.float32) - MIDDLE_GREY


def test_shared_texture_is_drawn_in_all_frames(clip_with_texture):
    clip = clip_with_texture(lambda number: paper())
    drawn = dict(StaticTextureGuide().draw(clip, LAYER, clip.stems[:3]))
    assert list(drawn) == clip.stems[:3]
    first = drawn[clip.stems[0]]
    assert first.shape == (*clip.size, StaticTextureGuide().channels)
    assert all(np.array_equal(first, channels) for channels in drawn.values())
    truth = paper()[: clip.size[0], : clip.size[1]]
    assert np.corrcoef(deviation(first).ravel(), truth.ravel())[0, 1] > 0.8


def test_faint_texture_is_drawn_as_strong_as_the_rest(clip_with_texture):
    strength = np.where(np.arange(400) < 16, 0.2, 1.0).astype(np.float32)
    clip = clip_with_texture(lambda number: paper() * strength)
    drawn = deviation(next(StaticTextureGuide().draw(clip, LAYER, clip.stems[:1]))[1])
    faint, strong = drawn[:, :12].std(), drawn[:, 20:].std()
    assert 0.6 * strong < faint < strong


def test_in_training_a_keyframe_sees_the_others_only(clip_with_texture):
    # Each keyframe has its own texture in addition to the shared one.
    own = [paper(seed) for seed in (1, 2, 3)]
    clip = clip_with_texture(lambda number: paper() + own[number])
    examples = dict(StaticTextureGuide().training_examples(clip, LAYER, ["0002", "0005"], seed=0))
    assert list(examples) == ["0002", "0005"]
    height, width = clip.size
    for number, channels in enumerate(examples.values()):
        with_own, with_other = (
            np.corrcoef(deviation(channels).ravel(), own[index][:height, :width].ravel())[0, 1]
            for index in (number, 1 - number)
        )
        assert abs(with_own) < 0.1 < with_other


def test_textures_that_differ_are_not_drawn(clip_with_texture):
    clip = clip_with_texture(lambda number: paper(number))
    for channels in (
        *dict(StaticTextureGuide().draw(clip, LAYER, clip.stems[:2])).values(),
        *dict(StaticTextureGuide().training_examples(clip, LAYER, ["0002"], seed=0)).values(),
    ):
        assert (channels == MIDDLE_GREY).all()


def test_a_single_keyframe_has_no_shared_texture(disc_clip):
    made = disc_clip()
    made.save("keyframes/painted/0003.png", np.uint8(255) - made.clip.frames.read("0003"))
    ((_, channels),) = StaticTextureGuide().training_examples(made.clip, LAYER, ["0003"], seed=0)
    assert (channels == MIDDLE_GREY).all()


@pytest.mark.parametrize(
    ("textures", "shared"),
    [((0, 0, 1), [True, False]), ((0, 1, 2), [False, False]), ((0, 0, 0), [True, True]), ((0, 1, 0), [True, True])],
)
def test_texture_crosses_a_cut_only_if_keyframes_on_both_sides_share_it(clip_with_texture, textures, shared):
    """Keyframes 2 and 5 belong to the first shot, 7 to the second."""
    clip = clip_with_texture(lambda number: paper(textures[number]))
    (clip.path / "clip.yaml").write_text("shots: [1, 6]")
    clip = Clip(clip.path)
    drawn = dict(StaticTextureGuide().draw(clip, LAYER, ["0001", "0008"]))
    assert [bool((channels != MIDDLE_GREY).any()) for channels in drawn.values()] == shared
    examples = dict(StaticTextureGuide().training_examples(clip, LAYER, ["0002", "0007"], seed=0))
    assert [bool((channels != MIDDLE_GREY).any()) for channels in examples.values()] == shared

"""Strokes that lie at the same place of every picture: found where the painter has them, and only there."""

import numpy as np
import pytest

from dreaming.clip.config import Layer
from dreaming.errors import ConfigError
from dreaming.guides.static_texture import NOTHING, StaticTextureGuide

LAYER = Layer("painted")


@pytest.fixture
def painted_on(disc_clip):
    """A disc's clip with three keyframes, painted with grain that a function of the keyframe's number draws."""

    def make(grain):
        made = disc_clip()
        for number, stem in enumerate(("0002", "0005", "0007")):
            image = made.clip.frames.read(stem).astype(np.float32)
            painted = np.clip(0.7 * image + 40 + grain(number)[: image.shape[0], : image.shape[1], None], 0, 255)
            made.save(f"keyframes/painted/{stem}.png", painted.astype(np.uint8))
        return made.clip

    return make


def paper(seed=0):
    return 12 * np.random.default_rng(seed).standard_normal((400, 400)).astype(np.float32)


def shown(channels):
    return channels[..., 0].astype(np.float32) - NOTHING


def test_paper_is_found_in_all_frames_alike(painted_on):
    clip = painted_on(lambda number: paper())
    drawn = dict(StaticTextureGuide().draw(clip, LAYER, clip.stems[:3]))
    assert list(drawn) == clip.stems[:3]
    first = drawn[clip.stems[0]]
    assert first.shape == (*clip.size, StaticTextureGuide().channels)
    assert all(np.array_equal(first, channels) for channels in drawn.values())
    truth = paper()[: clip.size[0], : clip.size[1]]
    assert np.corrcoef(shown(first).ravel(), truth.ravel())[0, 1] > 0.8


def test_in_training_a_keyframe_sees_the_others_alone(painted_on):
    # Each has a paper of its own, beside that of all.
    own = [paper(seed) for seed in (1, 2, 3)]
    clip = painted_on(lambda number: paper() + own[number])
    examples = dict(StaticTextureGuide().training_examples(clip, LAYER, ["0002", "0005"], seed=0))
    assert list(examples) == ["0002", "0005"]
    height, width = clip.size
    for number, channels in enumerate(examples.values()):
        with_own, with_other = (
            np.corrcoef(shown(channels).ravel(), own[place][:height, :width].ravel())[0, 1]
            for place in (number, 1 - number)
        )
        assert abs(with_own) < 0.1 < with_other


def test_strokes_laid_anew_are_not_shown(painted_on):
    clip = painted_on(lambda number: paper(number))
    for channels in (
        *dict(StaticTextureGuide().draw(clip, LAYER, clip.stems[:2])).values(),
        *dict(StaticTextureGuide().training_examples(clip, LAYER, ["0002"], seed=0)).values(),
    ):
        assert (channels == NOTHING).all()


def test_one_keyframe_foretells_nothing(disc_clip):
    made = disc_clip()
    made.save("keyframes/painted/0003.png", np.uint8(255) - made.clip.frames.read("0003"))
    ((_, channels),) = StaticTextureGuide().training_examples(made.clip, LAYER, ["0003"], seed=0)
    assert (channels == NOTHING).all()


@pytest.mark.parametrize("wrong", [{"radius": 0}, {"contrast": 0.0}, {"full": -1.0}, {"least": 2.0}])
def test_what_cannot_be_drawn_is_refused(wrong):
    with pytest.raises(ConfigError, match=r"guide\.canvas"):
        StaticTextureGuide(**wrong)

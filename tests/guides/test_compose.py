"""Frames and keyframes composed with the channels of several guides."""

from dataclasses import dataclass

import numpy as np

from dreaming.guides.base import Guide
from dreaming.guides.compose import channel_count, guided_frames, guided_keyframes, painting_channels
from dreaming.guides.storage import GuideStack


@dataclass(frozen=True)
class Flat(Guide):
    """Constant channels; each training example of a keyframe is one level higher than the previous one."""

    width: int
    value: int
    versions: int = 1
    first: int | None = None

    @property
    def channels(self):
        return self.width

    @property
    def painting_channel(self):
        return self.first

    def draw(self, clip, layer, stems):
        for stem in stems:
            yield stem, np.full((*clip.size, self.width), self.value, np.uint8)

    def training_examples(self, clip, layer, stems, seed):
        for stem in stems:
            for version in range(self.versions):
                yield stem, np.full((*clip.size, self.width), self.value + version, np.uint8)


GUIDES = {"one": Flat(2, 10), "other": Flat(4, 50, versions=3, first=1)}


def test_channels_are_counted_and_stylised_images_located():
    assert (channel_count({}), painting_channels({})) == (3, ())
    assert (channel_count(GUIDES), painting_channels(GUIDES)) == (9, (6,))


def test_a_keyframe_is_repeated_for_each_training_example(disc_clip):
    clip = disc_clip(keyframes=(2, 5)).clip
    (layer,) = clip.layers
    plain, guided = clip.keyframes(layer), guided_keyframes(clip, layer, GUIDES, seed=0)
    assert guided.stems == ("0002",) * 3 + ("0005",) * 3
    for index in range(6):
        np.testing.assert_array_equal(guided.sources[index, ..., :3], plain.sources[index // 3])
        np.testing.assert_array_equal(guided.styled[index], plain.styled[index // 3])
        assert (guided.sources[index, ..., 3:5] == 10).all()
        assert (guided.sources[index, ..., 5:] == 50 + index % 3).all()
    np.testing.assert_array_equal(guided_keyframes(clip, layer, {}, 0).sources, plain.sources)


def test_guides_are_read_from_disk_or_drawn_if_an_image_is_missing(disc_clip):
    clip = disc_clip().clip
    (layer,) = clip.layers
    stack = GuideStack(clip, layer, GUIDES)
    expected = {stem: clip.frames.read(stem) for stem in ("0002", "0003")}
    for stem in expected:
        stack.folders[0].write(stem, np.full((*clip.size, 2), 77, np.uint8))
    stack.folders[1].write("0002", np.full((*clip.size, 4), 78, np.uint8))
    for stems, values in ((["0002"], (77, 78)), (["0002", "0003"], (10, 50))):
        found = dict(guided_frames(clip, layer, GUIDES, stems, drawn=GuideStack(clip, layer, GUIDES)))
        assert list(found) == stems
        for stem, channels in found.items():
            np.testing.assert_array_equal(channels[..., :3], expected[stem])
            assert (channels[..., 3:5] == values[0]).all()
            assert (channels[..., 5:] == values[1]).all()
    ((_, drawn),) = guided_frames(clip, layer, GUIDES, ["0002"])
    assert drawn.shape == (*clip.size, 9)
    assert (drawn[..., 3:5] == 10).all()
    ((_, plain),) = guided_frames(clip, layer, {}, ["0002"])
    np.testing.assert_array_equal(plain, expected["0002"])

"""What every guide shares: the fingerprints of its inputs, and training examples without a method of its own."""

from dataclasses import dataclass

import numpy as np

from dreaming.clip.config import Layer
from dreaming.guides.base import Guide


@dataclass(frozen=True)
class Numbered(Guide):
    """One channel with the number of the frame."""

    kind = "numbered"
    channels = 1

    def draw(self, clip, layer, stems):
        for stem in stems:
            yield stem, np.full((*clip.size, 1), int(stem), np.uint8)


LAYER = Layer("painted")


def test_training_examples_are_those_of_draw(disc_clip):
    clip = disc_clip().clip
    ((stem, channels),) = Numbered().training_examples(clip, LAYER, ["0004"], seed=3)
    assert (stem, np.unique(channels).tolist()) == ("0004", [4])


def test_inputs_change_with_keyframes_and_their_masks_and_with_the_version(disc_clip, monkeypatch):
    drawing = disc_clip()
    inputs = [Numbered().inputs(drawing.clip, LAYER)]
    drawing.save("keyframes/painted/0004.png", drawing.styled["0003"])
    inputs.append(Numbered().inputs(drawing.clip, LAYER))
    drawing.save("keyframes/painted/masks/0004.png", drawing.truth["0004"])
    inputs.append(Numbered().inputs(drawing.clip, LAYER))
    monkeypatch.setattr(Numbered, "version", 2)
    inputs.append(Numbered().inputs(drawing.clip, LAYER))
    assert len({each["keyframes"] for each in inputs}) == 3
    assert [each["version"] for each in inputs] == ["1", "1", "1", "2"]
    assert len({each["frames"] for each in inputs}) == 1

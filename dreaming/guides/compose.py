"""Frames and keyframes with the channels of their guides appended to the colours."""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from dreaming.clip.annotations import Keyframes
from dreaming.clip.clip import Clip
from dreaming.clip.config import Layer
from dreaming.guides.base import Channels, Guide
from dreaming.guides.storage import GuideStack
from dreaming.io.frame_folder import FrameFolder

log = logging.getLogger(__name__)

COLOURS = 3


def channel_count(guides: Mapping[str, Guide]) -> int:
    """Number of channels of a frame with these guides."""
    return COLOURS + sum(guide.channels for guide in guides.values())


def painting_channels(guides: Mapping[str, Guide]) -> tuple[int, ...]:
    """First channel of each stylised image (three channels) in a frame with these guides."""
    firsts, first = [], COLOURS
    for guide in guides.values():
        if guide.painting_channel is not None:
            firsts.append(first + guide.painting_channel)
        first += guide.channels
    return tuple(firsts)


def guided_keyframes(
    clip: Clip, layer: Layer, guides: Mapping[str, Guide], seed: int, frames: FrameFolder | None = None
) -> Keyframes:
    """A layer's keyframes with the training examples of their guides; without guides, the keyframes as they are.

    A keyframe is repeated as often as the guide with the most examples has them; the other guides' examples cycle.

    Args:
        clip: The clip.
        layer: The layer.
        guides: The guides by name.
        seed: Seed of the guides' random draws.
        frames: Source of the frames; None: the clip's own.
    """
    keyframes = clip.keyframes(layer, frames)
    if not guides:
        return keyframes
    examples = {
        name: _by_stem(guide.training_examples(clip, layer, keyframes.stems, seed)) for name, guide in guides.items()
    }
    indices, sources = list[int](), list[NDArray[np.uint8]]()
    for index, stem in enumerate(keyframes.stems):
        versions = [by_stem[stem] for by_stem in examples.values()]
        for number in range(max(map(len, versions))):
            indices.append(index)
            channels = [several[number % len(several)] for several in versions]
            sources.append(np.dstack([keyframes.sources[index], *channels]))
    stems = tuple(keyframes.stems[index] for index in indices)
    log.debug("guides %s: %d training examples of %d keyframes", ", ".join(guides), len(stems), len(keyframes))
    return replace(
        keyframes,
        stems=stems,
        sources=np.stack(sources),
        styled=keyframes.styled[indices],
        masks=keyframes.masks[indices],
    )


def guided_frames(
    clip: Clip,
    layer: Layer,
    guides: Mapping[str, Guide],
    stems: Sequence[str],
    *,
    frames: FrameFolder | None = None,
    drawn: GuideStack | None = None,
) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """Yield named frames with their guides' channels, (H, W, 3 + c), in order.

    Args:
        clip: The clip.
        layer: The layer.
        guides: The guides by name.
        stems: Names of frames, in the clip's order.
        frames: Source of the frames; None: the clip's own.
        drawn: Up-to-date guides on disk, of all or some frames; None: there are none.
    """
    channels: Iterable[tuple[Channels, ...]]
    if drawn is not None and all(stem in folder for folder in drawn.folders for stem in stems):
        channels = ((drawn.read(stem),) for stem in stems)
    elif guides:
        iterators = [(each for _, each in guide.draw(clip, layer, stems)) for guide in guides.values()]
        channels = zip(*iterators, strict=True)
    else:
        channels = (() for _ in stems)
    for (stem, image), planes in zip((frames or clip.frames).read_ahead(stems), channels, strict=True):
        yield stem, np.dstack([image, *planes])


def _by_stem(examples: Iterator[tuple[str, Channels]]) -> dict[str, list[Channels]]:
    by_stem = dict[str, list[Channels]]()
    for stem, channels in examples:
        by_stem.setdefault(stem, []).append(channels)
    return by_stem

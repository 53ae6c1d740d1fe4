"""Frames and keyframes with the channels of their guides appended to the colours."""

import logging
from collections import defaultdict
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
    ``seed`` is that of the guides' random draws; ``frames`` contains the frames, by default those of the clip.
    """
    keyframes = clip.keyframes(layer, frames)
    if not guides:
        return keyframes
    examples = [defaultdict[str, list[Channels]](list) for _ in guides]
    for by_stem, guide in zip(examples, guides.values(), strict=True):
        for stem, drawn in guide.training_examples(clip, layer, keyframes.stems, seed):
            by_stem[stem].append(drawn)
    indices, sources = list[int](), list[NDArray[np.uint8]]()
    for index, stem in enumerate(keyframes.stems):
        versions = [by_stem[stem] for by_stem in examples]
        for number in range(max(map(len, versions))):
            indices.append(index)
            channels = [several[number % len(several)] for several in versions]
            sources.append(np.dstack([keyframes.sources[index], *channels]))
    stems = tuple(keyframes.stems[index] for index in indices)
    log.debug("guides %s: %d training examples of %d keyframes", ", ".join(guides), len(stems), len(keyframes))
    styled, masks = keyframes.styled[indices], keyframes.masks[indices]
    return replace(keyframes, stems=stems, sources=np.stack(sources), styled=styled, masks=masks)


def guided_frames(
    clip: Clip,
    layer: Layer,
    guides: Mapping[str, Guide],
    stems: Sequence[str],
    *,
    frames: FrameFolder | None = None,
    drawn: GuideStack | None = None,
) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """Yield named frames, given in the clip's order, with their guides' channels, (H, W, 3 + c).

    ``frames`` contains the frames, by default those of the clip; ``drawn`` are up-to-date guides on disk, of some
    frames or all.
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

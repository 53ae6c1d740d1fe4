"""Keyframes with their guides' channels beside the colours."""

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
    """Channels of a frame with these guides."""
    return COLOURS + sum(guide.channels for guide in guides.values())


def painting_channels(guides: Mapping[str, Guide]) -> tuple[int, ...]:
    """First of each three channels of a guided frame that are a painted picture of it."""
    found, first = [], COLOURS
    for guide in guides.values():
        if guide.painting_channel is not None:
            found.append(first + guide.painting_channel)
        first += guide.channels
    return tuple(found)


def guided_keyframes(
    clip: Clip, layer: Layer, guides: Mapping[str, Guide], seed: int, frames: FrameFolder | None = None
) -> Keyframes:
    """A layer's keyframes with all versions of their guides; without guides, the keyframes as they are.

    A keyframe comes as often as the guide with most versions of it has them; the others' are taken in turn.

    Args:
        clip: The clip.
        layer: Whose keyframes.
        guides: The guides by name.
        seed: Of what guides draw at random.
        frames: Where the frames are taken from; None for the clip's own.
    """
    keyframes = clip.keyframes(layer, frames)
    if not guides:
        return keyframes
    versions = {
        name: _by_stem(guide.training_examples(clip, layer, keyframes.stems, seed)) for name, guide in guides.items()
    }
    places, sources = list[int](), list[NDArray[np.uint8]]()
    for place, stem in enumerate(keyframes.stems):
        known = [found[stem] for found in versions.values()]
        for number in range(max(map(len, known))):
            places.append(place)
            channels = [several[number % len(several)] for several in known]
            sources.append(np.dstack([keyframes.sources[place], *channels]))
    stems = tuple(keyframes.stems[place] for place in places)
    log.info("guides %s: %d versions of %d keyframes", ", ".join(guides), len(stems), len(keyframes))
    return replace(
        keyframes,
        stems=stems,
        sources=np.stack(sources),
        styled=keyframes.styled[places],
        masks=keyframes.masks[places],
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
        layer: Whose guides.
        guides: The guides by name.
        stems: Names of frames, in the clip's order.
        frames: Where the frames are taken from; None for the clip's own.
        drawn: Guides that lie on disk already, as they are now configured, of all or some frames; None: none do.
    """
    channels: Iterable[tuple[Channels, ...]]
    if drawn is not None and all(stem in folder for folder in drawn.folders for stem in stems):
        channels = ((drawn.read(stem),) for stem in stems)
    elif guides:
        made = [(found for _, found in guide.draw(clip, layer, stems)) for guide in guides.values()]
        channels = zip(*made, strict=True)
    else:
        channels = (() for _ in stems)
    for (stem, image), found in zip((frames or clip.frames).read_ahead(stems), channels, strict=True):
        yield stem, np.dstack([image, *found])


def _by_stem(examples: Iterator[tuple[str, Channels]]) -> dict[str, list[Channels]]:
    found = dict[str, list[Channels]]()
    for stem, channels in examples:
        found.setdefault(stem, []).append(channels)
    return found

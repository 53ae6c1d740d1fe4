"""The ``preview`` stage: a few frames beside their stylised versions, to judge by before all are rendered."""

import logging
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import ClassVar

import numpy as np

from dreaming.clip.clip import Clip
from dreaming.clip.layer_masks import LayerMasks
from dreaming.errors import ConfigError
from dreaming.imaging.resize import resize_image
from dreaming.io.frame_folder import FrameFolder
from dreaming.io.manifest import MANIFEST, Manifest
from dreaming.io.shard import Shard
from dreaming.io.types import Image
from dreaming.io.video_writer import check_fps, write_video
from dreaming.stages.base import Stage
from dreaming.stages.composite import UNKNOWN_RATE, CompositeStage
from dreaming.stages.extract import read_video_metadata
from dreaming.stages.filter import FilterStage
from dreaming.stages.guide import GuideStage
from dreaming.stages.stylise import StyliseStage

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FrameRange(Shard):
    """A share that is every ``every``-th frame from the ``start``-th to the ``end``-th, counted from 1."""

    start: int = 1
    end: int | None = None
    every: int = 1

    def take(self, stems: Sequence[str]) -> list[str]:
        """The names that fall to this share."""
        return list(stems[self.start - 1 : self.end : self.every])

    def __str__(self) -> str:
        return f"{self.start}-to-{self.end}-by-{self.every}"


@dataclass(frozen=True)
class Named(Shard):
    """A share that is the frames of some names."""

    names: frozenset[str] = frozenset()

    def take(self, stems: Sequence[str]) -> list[str]:
        """The names that fall to this share."""
        return [stem for stem in stems if stem in self.names]

    def __str__(self) -> str:
        return "of-preview"


@dataclass
class PreviewStage(Stage):
    """Write ``preview.mp4``: the source on the left, the result on the right.

    Frames are stylised at their full size, for strokes look otherwise at another, and kept: what a preview has
    rendered, and a style that it had to train, is not made again by the whole run. Frames of another making that are
    there already stay; the preview's then lie in ``preview/``, which may be deleted at any time. Where masks are there
    the layers are patched together; else each stands beside the source.

    Guides are drawn and frames filtered for the frames shown and those that training reads, and are kept, too; the
    whole run does the others.

    Attributes:
        guide: Draws the guides that are missing.
        filter: Filters the frames that are missing.
        stylise: Makes the stylised frames that are missing.
        composite: Patches them together.
        start: First frame, counted from 1.
        end: Last frame; None for the clip's last.
        frames: Most frames that are shown; of a longer range, every second, third, ... is taken.
        width: Of each picture in the video, in pixels; never larger than the frames.
        fps: Frames of the clip a second, None for the source's; a frame is shown for those left out after it, too.
        crf: Constant rate factor; lower is better and larger.
        preset: The encoder's speed preset.
    """

    kind: ClassVar[str] = "preview_stage"

    name: ClassVar[str] = "preview"
    reads: ClassVar[tuple[str, ...]] = ("extract",)

    guide: GuideStage
    filter: FilterStage
    stylise: StyliseStage
    composite: CompositeStage
    start: int = 1
    end: int | None = None
    frames: int = 24
    width: int = 480
    fps: float | None = None
    crf: int = 23
    preset: str | None = "veryfast"

    def __post_init__(self) -> None:
        check_fps("stage.preview.fps", self.fps)
        for key, least in (("start", 1), ("frames", 1), ("width", 16), ("end", self.start)):
            value = getattr(self, key)
            if value is not None and value < least:
                expected = f"{least} or more"
                raise ConfigError(f"stage.preview.{key}", found=str(value), expected=expected, hint="correct it")

    @property
    def inputs(self) -> tuple[str, ...]:
        """What the style needs and is not made here; masks only where they are there already."""
        made_here = {stage.name: stage.inputs for stage in (self.guide, self.filter)}
        needed = chain.from_iterable(made_here.get(name, (name,)) for name in self.stylise.inputs)
        return tuple(dict.fromkeys([*self.reads, *needed]))

    def skips(self, clip: Clip) -> str | None:
        """Without keyframes there is no style to show."""
        return None if clip.layers else "the clip has no keyframes"

    def check(self, clip: Clip) -> None:
        """Look at what is stylised from."""
        self.stylise.check(clip)

    def run(self, clip: Clip) -> None:
        """Stylise the chosen frames where they are missing, and make the video."""
        stretch = self._stretch(clip)
        stems = stretch.take(clip.stems)
        self._prepare(clip, stems)
        clip = _apart(clip, self.stylise.outputs(clip))
        replace(self.stylise, shard=stretch, writers=self.writers).run(clip)
        columns = [clip.frames, *self._results(clip, stretch, stems)]
        path = clip.path / "preview.mp4"
        fps = self._rate(clip) / stretch.every
        write_video(path, self._rows(columns, stems, clip), fps=fps, crf=self.crf, preset=self.preset)
        log.info("%s: %d frames, %s to %s", path, len(stems), stems[0], stems[-1])

    def _prepare(self, clip: Clip, stems: Sequence[str]) -> None:
        """Filter frames and draw guides where stylising these frames needs them."""
        shown = self.stylise.required_frames(clip, stems)
        if self.filter.name in self.stylise.inputs:
            wanted = Named(names=frozenset([*shown, *self.stylise.training_frames(clip)]))
            replace(self.filter, shard=wanted, writers=self.writers).run(clip)
        if self.guide.name in self.stylise.inputs:
            # Keyframes are carried past many frames to those that training reads: once, on the way to those shown.
            wanted = Named(names=frozenset([*shown, *self.stylise.untrained_frames(clip)]))
            replace(self.guide, shard=wanted, writers=self.writers).run(clip)

    def _rate(self, clip: Clip) -> float:
        """Frames of the clip a second; of a video that was not taken whole, every second frame maybe."""
        source = read_video_metadata(clip)
        if self.fps is not None or source is None:
            return self.fps or UNKNOWN_RATE
        times, _, _ = source.timing([int(stem) for stem in clip.stems])
        return float((len(times) - 1) / (times[-1] - times[0])) if len(times) > 1 else float(source.rate)

    def _stretch(self, clip: Clip) -> FrameRange:
        count = len(clip.stems[self.start - 1 : self.end])
        if not count:
            raise ConfigError(
                "stage.preview.start", found=str(self.start), expected=f"1 to {len(clip.stems)}", hint="correct it"
            )
        return FrameRange(start=self.start, end=self.end, every=math.ceil(count / self.frames))

    def _results(self, clip: Clip, stretch: FrameRange, stems: Sequence[str]) -> list[FrameFolder]:
        cut_by = LayerMasks(self.composite.maskers, self.composite.masker)
        masks = [cut_by.folder(clip, layer) for layer in clip.layers]
        if all(folder is None or set(stems) <= set(folder.stems) for folder in masks):
            clip = _apart(clip, self.composite.outputs(clip))
            replace(self.composite, shard=stretch, writers=self.writers, alpha=False).run(clip)
            return [clip.composite]
        log.info("preview: without masks, which are not there yet, each layer fills the frame")
        return [clip.styled(layer) for layer in clip.layers]

    def _rows(self, columns: Sequence[FrameFolder], stems: Sequence[str], clip: Clip) -> Iterator[Image]:
        height, width = clip.size
        share = min(1.0, self.width / width)
        size = round(height * share), round(width * share)
        for stem in stems:
            yield np.hstack([resize_image(folder.read(stem, clip.size), size) for folder in columns])


def _apart(clip: Clip, outputs: Iterable[tuple[FrameFolder, Manifest]]) -> Clip:
    """The clip, with a folder of the preview's own in place of each that holds frames of another making."""
    others = [folder for folder, wanted in outputs if len(folder) and Manifest.read(folder.path / MANIFEST) != wanted]
    preview_dirs = {str(folder.path.relative_to(clip.path)) for folder in others}
    for place in sorted(preview_dirs):
        log.info("preview: %s holds frames made otherwise, which stay; these lie in preview/%s", place, place)
    return replace(clip, preview_dirs=clip.preview_dirs | preview_dirs)

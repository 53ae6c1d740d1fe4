"""The ``preview`` stage: a short video of some frames beside their stylised versions."""

import logging
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Annotated, ClassVar

import numpy as np

from dreaming.artifacts.manifest import MANIFEST, Manifest
from dreaming.artifacts.shard import Shard
from dreaming.clip.clip import Clip
from dreaming.constraints import NonNegativeInt, PositiveInt, Range
from dreaming.errors import ClipError, ParameterError
from dreaming.imaging.resize import resize_image
from dreaming.io.frame_folder import FrameFolder
from dreaming.io.types import Image
from dreaming.stages.base import Stage
from dreaming.stages.composite import UNKNOWN_RATE, CompositeStage
from dreaming.stages.extract import read_video_metadata
from dreaming.stages.filter import FilterStage
from dreaming.stages.guide import GuideStage
from dreaming.stages.matte import MatteStage
from dreaming.stages.stylise import StyliseStage
from dreaming.video.timeline import FrameRate
from dreaming.video.writer import check_encoder, write_video

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class NamedFrames(Shard):
    """A shard that consists of the named frames, in the clip's order."""

    names: tuple[str, ...] = ()

    def take(self, stems: Sequence[str]) -> list[str]:
        """Names that belong to this shard."""
        wanted = set(self.names)
        return [stem for stem in stems if stem in wanted]

    def __str__(self) -> str:
        return f"{self.names[0]}-to-{self.names[-1]}-{len(self.names)}"


@dataclass
class PreviewStage(Stage):
    """Write ``preview.mp4``: the source on the left, the result on the right.

    If the current style is not trained, existing frames of an earlier one are shown. If there are none, a style is
    trained for ``steps``, or completely if it has no more.

    Frames are stylised at full size, because strokes look different at another size. Those of a completely trained
    style are kept, as are guides and smoothed frames, so the whole run continues from them. Frames of a briefly trained
    style, and all frames where results of another config exist, go to ``preview/``, which may be deleted at any time.
    With masks, the layers are composited; without, each layer is shown beside the source.

    Attributes:
        start: First frame, counted from 1.
        end: Last frame; None for the clip's last.
        steps: Maximum number of training steps.
        frames: Maximum number of frames; of a longer range, every second, third, ... is shown.
        width: Width of each image in the video, in pixels; at most that of the frames.
        fps: Frames of the clip per second, None for the source's rate; skipped frames prolong the one before.
        crf: Constant rate factor; lower gives better quality and larger files.
        preset: The encoder's speed preset.
    """

    name: ClassVar[str] = "preview"
    opens: ClassVar[tuple[str, ...]] = ("preview.mp4",)
    needs = "keyframes"

    guide: GuideStage
    filter: FilterStage
    stylise: StyliseStage
    composite: CompositeStage
    matte: MatteStage
    start: PositiveInt = 1
    end: int | None = None
    steps: PositiveInt = 50
    frames: PositiveInt = 10
    width: Annotated[int, Range(ge=16, le=16384)] = 480
    fps: FrameRate | None = None
    crf: NonNegativeInt = 23
    preset: str | None = "veryfast"

    def __post_init__(self) -> None:
        if self.end is not None and self.end < self.start:
            raise ParameterError("end", found=self.end, expected=f"at least {self.start}, the first frame, or null")
        check_encoder("libx264", self.crf, self.preset)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Inputs of the style that this stage does not make itself."""
        made_here = {stage.name: stage.inputs for stage in (self.guide, self.filter)}
        needed = chain.from_iterable(made_here.get(name, (name,)) for name in self.stylise.inputs)
        return tuple(dict.fromkeys([*self.reads, *needed]))

    def check(self, clip: Clip) -> None:
        """Check the keyframes, and that the range has frames.

        Raises:
            ClipError: If it has none.
        """
        self.stylise.check(clip)
        if self.start > len(clip.stems):
            found, expected = f"{len(clip.stems)} frames", f"at least {self.start}, the first one of the preview"
            raise ClipError(clip.frames.path, found=found, expected=expected, hint="lower stage.preview.start")

    def run(self, clip: Clip) -> None:
        """Stylise the chosen frames that are missing, and write the video."""
        stems = clip.stems[self.start - 1 : self.end]
        trained = self.stylise.is_trained(clip)
        results, made = ([], []) if trained else _existing(clip, stems)
        stems = made or stems
        every = math.ceil(len(stems) / self.frames)
        stems = stems[::every]
        if results:
            names = ", ".join(str(folder.path.relative_to(clip.path)) for folder in results)
            log.info("preview: existing frames of %s; stages=[stylise,preview] trains the current style", names)
        else:
            made_here = self if trained else self._brief()
            if not made_here.stylise.is_trained(clip):
                limits = made_here.stylise.task.limits
                log.info("preview: no style is trained yet; for each layer this takes %s", limits)
            made_here._prepare(clip, stems)
            clip = _separate(clip, made_here.stylise.outputs(clip), every=made_here is not self)
            made_here._run(made_here.stylise, clip, stems)
            results = made_here._results(clip, stems)
        columns = [clip.frames, *results]
        path = clip.path / "preview.mp4"
        fps = self._rate(clip) / every
        write_video(path, self._rows(columns, stems, clip), fps=fps, crf=self.crf, preset=self.preset)
        log.info("preview: %d frames, %s to %s", len(stems), stems[0], stems[-1])

    def _brief(self) -> "PreviewStage":
        """This stage with a style of fewer steps; itself if its style has no more."""
        task = self.stylise.task
        if task.limits.max_steps <= self.steps:
            return self
        brief = replace(task, limits=replace(task.limits, max_steps=self.steps), validate_every=self.steps)
        return replace(self, stylise=replace(self.stylise, task=brief))

    def _run(self, stage: Stage, clip: Clip, stems: Iterable[str]) -> None:
        """Run another stage for some frames only."""
        replace(stage, shard=NamedFrames(names=tuple(stems)), writers=self.writers).run(clip)

    def _prepare(self, clip: Clip, stems: Sequence[str]) -> None:
        """Make the smoothed frames and guides that stylising these frames needs."""
        needed = self.stylise.required_frames(clip, stems)
        if self.filter.name in self.stylise.inputs:
            self._run(self.filter, clip, sorted({*needed, *self.stylise.training_frames(clip)}))
        if self.guide.name in self.stylise.inputs:
            # In one call, because keyframes are propagated past the training frames anyway, on the way to those shown.
            self._run(self.guide, clip, sorted({*needed, *self.stylise.untrained_frames(clip)}))

    def _rate(self, clip: Clip) -> float:
        """Frames of the clip per second, which may be every second frame of the video only."""
        source = read_video_metadata(clip)
        if self.fps is not None or source is None:
            return self.fps or UNKNOWN_RATE
        times = source.timing([int(stem) for stem in clip.stems]).times
        return float((len(times) - 1) / (times[-1] - times[0])) if len(times) > 1 else float(source.rate)

    def _results(self, clip: Clip, stems: Sequence[str]) -> list[FrameFolder]:
        masks = [clip.masks(layer.part, self.matte.source) for layer in clip.layers if layer.part]
        if all(set(clip.stems if self.composite.matte != "none" else stems) <= set(folder.stems) for folder in masks):
            if masks and self.composite.matte != "none":
                self._run(self.matte, clip, stems)
            clip = _separate(clip, self.composite.outputs(clip), every=bool(clip.preview_dirs))
            self._run(replace(self.composite, alpha=False), clip, stems)
            return [clip.composite]
        log.info("preview: masks are missing, so each layer fills the frame")
        return [clip.styled(layer) for layer in clip.layers]

    def _rows(self, columns: Sequence[FrameFolder], stems: Sequence[str], clip: Clip) -> Iterator[Image]:
        height, width = clip.size
        scale = min(1.0, self.width / width)
        size = round(height * scale), round(width * scale)
        for stem in stems:
            yield np.hstack([resize_image(folder.read(stem, clip.size), size) for folder in columns])


def _existing(clip: Clip, stems: Sequence[str]) -> tuple[list[FrameFolder], list[str]]:
    """Folders of earlier results, the composite or else every layer, and which of these frames they have."""
    for folders in ([clip.composite], [clip.styled(layer) for layer in clip.layers]):
        made = [stem for stem in stems if all(stem in folder for folder in folders)]
        if made:
            return folders, made
    return [], []


def _separate(clip: Clip, outputs: Iterable[tuple[FrameFolder, Manifest]], *, every: bool = False) -> Clip:
    """Redirect outputs whose folders hold frames of another config, or every output, to ``preview/``."""
    others = [
        folder
        for folder, wanted in outputs
        if every or (len(folder) and Manifest.read(folder.path / MANIFEST) != wanted)
    ]
    preview_dirs = {str(folder.path.relative_to(clip.path)) for folder in others}
    for name in sorted(preview_dirs):
        log.info("preview: its frames of %s go to preview/%s", name, name)
    return replace(clip, preview_dirs=clip.preview_dirs | preview_dirs)

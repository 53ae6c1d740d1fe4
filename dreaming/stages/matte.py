"""The ``matte`` stage: alpha mattes of all parts, from the masks of the selected masker."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray

from dreaming.artifacts.fingerprint import NO_EFFECT
from dreaming.artifacts.folder import Maker
from dreaming.clip.clip import Clip
from dreaming.constraints import Range, Workers
from dreaming.io.frame_folder import FrameFolder
from dreaming.matting.laplacian import check_installed
from dreaming.matting.refinement import FrameMask, MatteMethod, refine_all
from dreaming.matting.smoothing import FrameMatte, MatteSmoothing
from dreaming.stages.base import Stage, fingerprint_of


@dataclass
class MatteStage(Stage):
    """Write 16-bit alpha mattes of all frames to ``mattes/<masker>/``, by which layers are composited and exported.

    Attributes:
        maskers: Names of the selected maskers.
        smooth: Smooths mattes over time.
        masker: The masker whose masks are refined; None for the last selected one.
        method: How the opacity of uncertain pixels is found; ``none``: the stage does nothing.
        band: Width of what is refined around the outline and around uncertain pixels, as a share of the root of the
            frame's area.
        workers: Frames refined at once.
    """

    name: ClassVar[str] = "matte"
    needs = "hand masks"
    reads: ClassVar[tuple[str, ...]] = ("extract", "mask")

    maskers: Sequence[str] = field(metadata=NO_EFFECT)
    smooth: MatteSmoothing
    masker: str | None = field(default=None, metadata=NO_EFFECT)
    method: MatteMethod = "guided"
    band: Annotated[float, Range(gt=0, le=0.1)] = 0.006
    workers: Workers = field(default=2, metadata=NO_EFFECT)

    @property
    def source(self) -> str:
        """The masker whose masks are refined."""
        return self.masker or self.maskers[-1]

    def skips(self, clip: Clip) -> str | None:
        """Skip a clip without hand masks, and every clip where masks are used as they are."""
        return "matte is none" if self.method == "none" else super().skips(clip)

    def check(self, clip: Clip) -> None:
        """Check that the method is installed."""
        if self.method in ("closed_form", "knn"):
            check_installed(self.method)

    def run(self, clip: Clip) -> None:
        """Refine the masks of each part."""
        for part in clip.parts:
            self._refine(clip, clip.masks(part, self.source), clip.mattes(part, self.source))

    def _refine(self, clip: Clip, masks: FrameFolder, mattes: FrameFolder) -> None:
        manifest = self.manifest(frames=clip.sequence_fingerprint, masks=fingerprint_of(masks))

        def frames(stems: list[str]) -> Iterator[FrameMask]:
            for stem in stems:
                yield stem, clip.frames.read(stem), masks.read_probability(stem, clip.size)

        def refined(stems: list[str]) -> Iterator[tuple[str, FrameMatte]]:
            return refine_all(frames(stems), self.method, self.band, self.workers)

        def make(stems: list[str]) -> Iterator[tuple[str, NDArray[np.uint16]]]:
            for stem, matte in self.smooth.smooth(clip, refined, stems):
                yield stem, np.rint(matte * 65535).astype(np.uint16)

        def begin(_: list[str]) -> Maker:
            return make

        self.complete(clip, mattes, clip.stems, lambda: manifest, begin)

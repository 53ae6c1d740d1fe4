"""The ``mask`` stage: fits every selected masker and predicts all frames of every part."""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from dreaming.clip.annotations import References
from dreaming.clip.clip import Clip
from dreaming.clip.mask_check import warn_of_unusual_masks
from dreaming.clip.split import Validation
from dreaming.errors import MaskError
from dreaming.flow.temporal_filter import MaskSmoothing
from dreaming.flow.temporal_window import ReadPictures
from dreaming.io.artifact_folder import Maker
from dreaming.io.manifest import NO_EFFECT, Manifest, describe, fingerprint
from dreaming.io.shard import undivided
from dreaming.io.types import Probability
from dreaming.maskers.base import Masker
from dreaming.maskers.prediction_cache import PredictionCache
from dreaming.stages.base import Stage

log = logging.getLogger(__name__)


@dataclass
class MaskStage(Stage):
    """Write 8-bit foreground probabilities of all frames to ``masks/<masker>/``.

    ``validation`` decides whether some hand masks are held out; the program passes it to the clip, for every stage.
    """

    name: ClassVar[str] = "mask"
    version: ClassVar[int] = 2
    needs = "hand masks"

    maskers: Mapping[str, Masker] = field(metadata=NO_EFFECT)
    validation: Validation = field(default="auto", metadata=NO_EFFECT)
    smooth: MaskSmoothing | None = None

    def __post_init__(self) -> None:
        if self.smooth is not None and self.smooth.sigma is None:
            # Without a sigma nothing is smoothed, and the other keys do not change the result.
            self.smooth = None

    def check(self, clip: Clip) -> None:
        """Check the hand masks and their number, and warn of unusual ones."""
        for part in clip.parts:
            warn_of_unusual_masks(clip, part)
            count = len(clip.training_references(part))
            for name, masker in self.maskers.items():
                if count < masker.min_references:
                    raise MaskError(
                        clip.path,
                        found=f"{count} hand mask{'s' * (count != 1)} of the {part}",
                        expected=f"at least {masker.min_references} for masker={name}",
                        hint="paint another, or use masker=pixels or masker=flow, which propagate a single one",
                    )

    def run(self, clip: Clip) -> None:
        """Fit each masker on each part's references and write its masks."""
        clip.record_splits()
        for part in clip.parts:
            split = clip.split(part)
            references = clip.training_references(part)
            log.info("%s: %d hand masks, validation: %s", part, len(references), split.validation)
            for name, masker in self.maskers.items():
                self._mask(clip, references, name, masker)

    def _mask(self, clip: Clip, references: References, name: str, masker: Masker) -> None:
        frames = clip.frames_fingerprint
        pairs = zip(references.stems, references.images, references.masks, strict=True)
        # One input per hand mask, so that the log names those that changed.
        masks = {f"mask {stem}": fingerprint(image, mask) for stem, image, mask in pairs}
        # A masker that is also the base masker of another one is predicted once, for both.
        base_maskers = [describe(base) for other in self.maskers.values() for base in other.base_maskers.values()]
        cache = PredictionCache(clip, name, masker, references) if describe(masker) in base_maskers else None
        report: dict[str, Any] = {}
        keys = {"masker": f"masker.{name}", "stage": f"stage.{self.name}"}

        def manifest() -> Manifest:
            fitted = masker.fitted_fingerprint(clip, references)
            config = {"masker": describe(masker), "stage": describe(self)}
            inputs = {"frames": frames, "fitted": fitted, **masks}
            return Manifest(self.name, self.version, config, inputs, fit_report=report, keys=keys)

        def begin(stems: list[str]) -> Maker:
            if cache is not None:
                cache.complete(stems)
                report.update(cache.fit_report)
                return partial(_quantised, cache.predict, self.smooth, clip)
            fitted = masker.fit(clip, references).prepare(clip, stems)
            report.update(fitted.fit_report)
            return partial(_quantised, partial(fitted.predict, clip), self.smooth, clip)

        folder = clip.masks(references.part, name)
        share_out = masker.share_out if cache is None else undivided
        self.complete(clip, folder, clip.stems, manifest, begin, share_out)


def _quantised(
    predict: ReadPictures[Probability], smooth: MaskSmoothing | None, clip: Clip, stems: list[str]
) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    for stem, probability in predict(stems) if smooth is None else smooth.smooth(clip, predict, stems):
        yield stem, np.rint(np.clip(probability, 0, 1) * 255).astype(np.uint8)

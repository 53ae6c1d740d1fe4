"""The ``mask`` stage: fits every selected masker and predicts all frames of every part."""

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from dreaming.artifacts.fingerprint import NO_EFFECT, describe, fingerprint
from dreaming.artifacts.folder import Maker
from dreaming.artifacts.manifest import Manifest
from dreaming.artifacts.shard import undivided
from dreaming.clip.annotations import References
from dreaming.clip.clip import Clip
from dreaming.clip.mask_check import warn_of_unusual_masks
from dreaming.clip.split import Validation
from dreaming.constraints import PositiveInt
from dreaming.errors import MaskError, ParameterError
from dreaming.flow.temporal_filter import MaskSmoothing
from dreaming.flow.temporal_window import ReadPictures
from dreaming.io.types import Probability
from dreaming.maskers.base import Masker
from dreaming.maskers.prediction_cache import PredictionCache
from dreaming.stages.base import Stage

log = logging.getLogger(__name__)

MASK = "mask "
"""Prefix of the names of the hand masks among a manifest's inputs."""

NEAR = 4
"""Frames before and after ``MaskStage.near`` that are written first."""


@dataclass
class MaskStage(Stage):
    """Write 8-bit foreground probabilities of all frames to ``masks/<masker>/``.

    ``validation`` decides whether some hand masks are held out; the program passes it to the clip, for every stage.

    Attributes:
        near: Frame, counted from 1, whose masks and those around it are written first; None: the clip's order.
    """

    name: ClassVar[str] = "mask"
    version: ClassVar[int] = 3
    needs = "hand masks"

    maskers: Mapping[str, Masker] = field(metadata=NO_EFFECT)
    validation: Validation = field(default="auto", metadata=NO_EFFECT)
    smooth: MaskSmoothing | None = None
    near: PositiveInt | None = field(default=None, metadata=NO_EFFECT)

    def __post_init__(self) -> None:
        if self.smooth is not None and self.smooth.sigma is None:
            # Without a sigma nothing is smoothed, and the other keys do not change the result.
            self.smooth = None

    def check(self, clip: Clip) -> None:
        """Check the hand masks and their number, and warn of unusual ones.

        Raises:
            MaskError: If a masker needs more of them.
            ParameterError: If ``near`` is no frame of the clip.
        """
        if self.near is not None and self.near > len(clip.stems):
            raise ParameterError("near", found=self.near, expected=f"a frame, 1 to {len(clip.stems)}")
        for part in clip.parts:
            warn_of_unusual_masks(clip, part)
            count = len(clip.training_references(part))
            for name, masker in self.maskers.items():
                if count < masker.min_references:
                    raise MaskError(
                        clip.path,
                        topic="too-few-hand-masks",
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
            clip.shots.warn_without(references.stems, part, "hand mask to train on")
            for name, masker in self.maskers.items():
                self._mask(clip, references, name, masker)

    def _mask(self, clip: Clip, references: References, name: str, masker: Masker) -> None:
        frames = clip.sequence_fingerprint
        pairs = zip(references.stems, references.images, references.masks, strict=True)
        # One input per hand mask, so that the log names those that changed.
        masks = {f"{MASK}{stem}": fingerprint(image, mask) for stem, image, mask in pairs}
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
                return partial(_quantised, cache.predict, self.smooth, clip, self.near)
            fitted = masker.fit(clip, references).prepare(clip, stems)
            report.update(fitted.fit_report)
            return partial(_quantised, partial(fitted.predict, clip), self.smooth, clip, self.near)

        def unchanged(before: Manifest, now: Manifest) -> Collection[str]:
            (others, then), (inputs, current) = (_split_inputs(each.inputs) for each in (before, now))
            equal = (others, before.config, before.version) == (inputs, now.config, now.version)
            return masker.unchanged(clip.shots, then, current) if equal and self.smooth is None else ()

        folder = clip.masks(references.part, name)
        share_out = masker.share_out if cache is None else undivided
        self.complete(clip, folder, clip.stems, manifest, begin, share_out, unchanged)


def _split_inputs(inputs: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """The inputs of a manifest without hand masks, and the hand masks by frame."""
    masks = {name.removeprefix(MASK): value for name, value in inputs.items() if name.startswith(MASK)}
    return {name: value for name, value in inputs.items() if not name.startswith(MASK)}, masks


def _quantised(
    predict: ReadPictures[Probability], smooth: MaskSmoothing | None, clip: Clip, near: int | None, stems: list[str]
) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    for block in near_first(clip.stems, stems, near):
        for stem, probability in predict(block) if smooth is None else smooth.smooth(clip, predict, block):
            yield stem, np.rint(np.clip(probability, 0, 1) * 255).astype(np.uint8)


def near_first(every: Sequence[str], stems: Sequence[str], near: int | None) -> list[list[str]]:
    """Divide frames into those within ``NEAR`` of a frame, counted from 1, those after and those before these."""
    if near is None:
        return [list(stems)]
    distances = {stem: number - near for number, stem in enumerate(every, start=1)}
    sides = {stem: 0 if abs(distances[stem]) <= NEAR else 1 if distances[stem] > 0 else 2 for stem in stems}
    return [block for side in range(3) if (block := [stem for stem in stems if sides[stem] == side])]

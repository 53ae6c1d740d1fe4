"""Masks by background subtraction, restarted at every hand mask, with feedback that keeps the subject out.

Exposure is compensated, and a subject at rest is recognised by its colours.
"""

import hashlib
import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, ClassVar, Literal, Self, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from dreaming.artifacts.fingerprint import fingerprint
from dreaming.clip.annotations import References
from dreaming.clip.clip import Clip
from dreaming.clip.intervals import FrameInterval
from dreaming.clip.split import Split
from dreaming.constraints import NonNegativeInt, PositiveFloat, Range, Seed, Sigma
from dreaming.flow.camera_motion import MotionModel, accumulate_transforms, mosaic_extent
from dreaming.flow.mosaic import Mosaic
from dreaming.imaging.colour_histogram import ColourBins, rgb_to_lab
from dreaming.imaging.exposure import match_exposure
from dreaming.imaging.morphology import Cleaning
from dreaming.io.disk_buffer import DiskBuffer
from dreaming.io.types import Image, Mask, Size
from dreaming.maskers.base import Predictions, SequenceMasker, is_whole

log = logging.getLogger(__name__)

MARGIN = 0.1
"""Added to each side of a subject's box, as a share of its longer side, because the box is interpolated."""

REPEATS = 4
"""Updates of a nearest-neighbour model with its first picture, after which each pixel holds two samples of it."""

PLATES = 7
"""Frames of an interval from which the background behind the subject is filled in."""

LIKELY = 1.0
"""Log likelihood ratio of a colour, subject against background, above which a pixel is kept out of the model."""

EROSION, CLOSING, BLUR = 0.25, 0.5, 0.1
"""Largest ``erosion``, ``cleaning.closing`` and ``blur``, in square roots of the smallest hand mask's area."""

LARGEST = 2.0
"""Height and width of the mosaic that a panned clip is laid into, at most, in those of a frame; bounds its memory."""

BYTES = 0.005
"""Size per pixel of a mask in the temporary file, compressed: .0043 on dance-twirl."""


Subtractor: TypeAlias = Literal["mog2", "knn"]
"""Model of a pixel's background colours."""

MODELS: Mapping[Subtractor, Any] = {
    "mog2": cv2.createBackgroundSubtractorMOG2,
    "knn": cv2.createBackgroundSubtractorKNN,
}


@dataclass
class BackgroundMasker(SequenceMasker):
    """Subtract the background in both directions, from each hand mask to the next.

    The model restarts at every hand-masked frame. It is not updated where the predicted subject has the subject's
    colours, and by random colours in the rest of the eroded prediction, so that a subject at rest does not become
    background. Every frame is divided by its gain relative to the background. The masks of both directions are blended
    by distance in time. Lengths in pixels are limited for a small subject. Hand masks that are only in ``backsub/`` are
    used in addition to the references.

    Attributes:
        subtractor: Gaussian mixture (Zivkovic 2004) or nearest neighbours (Zivkovic and van der Heijden 2006).
        threshold: Squared distance of foreground: in standard deviations for ``mog2``, in grey levels for ``knn``.
        learning_rate: Share of each new frame in the model; at a higher rate a subject at rest vanishes faster. None:
            OpenCV's own rate, which starts at one half and falls.
        erosion: Side in pixels of the square that erodes the replaced region; 0: no feedback.
        stabilise: Model of the camera motion that is compensated first.
        plate: Whether to fill in the background behind the subject of a hand-masked frame from other frames.
        blur: Sigma in pixels of a Gaussian applied to every frame; 0: none.
        cleaning: Post-processing of each mask; it keeps blobs of half the smallest hand mask in any case.
    """

    kind: ClassVar[str] = "background_masker"

    subtractor: Subtractor = "mog2"
    threshold: PositiveFloat = 150.0
    learning_rate: Annotated[float, Range(gt=0, le=1)] | None = 0.05
    erosion: NonNegativeInt = 10
    stabilise: MotionModel = "homography"
    plate: bool = True
    blur: Sigma = 2.0
    cleaning: Cleaning = field(default_factory=Cleaning)
    seed: Seed = 0

    def fit(self, clip: Clip, references: References) -> Self:
        """Keep the references and the hand masks in ``backsub/``."""
        super().fit(clip, references)
        own = clip.bootstrap(references.part).without(references.stems)
        self._masks.update(zip(own.stems, own.masks, strict=True))
        size = min((float(mask.sum()) ** 0.5 for mask in self._masks.values() if mask.any()), default=math.inf)
        self._blur, self._erosion = min(self.blur, size * BLUR), int(min(self.erosion, max(size * EROSION, 1)))
        self._cleaning = self._capped_cleaning(size, logging.INFO if is_whole(clip, references) else logging.DEBUG)
        return self

    def _capped_cleaning(self, size: float, level: int) -> Cleaning:
        """The cleaning, limited to half the smallest hand mask so that no subject is a speck."""
        smallest, closing = self.cleaning.smallest, self.cleaning.closing
        cleaning = self.cleaning
        if closing is not None and closing > size * CLOSING:
            cleaning = replace(cleaning, closing=2 * int(size * CLOSING / 2) + 1)
        areas = [float(mask.mean()) for mask in self._masks.values() if mask.any()]
        cap = min(areas, default=1.0) / 2
        if smallest is None or smallest <= cap:
            return cleaning
        text = "background: cleaning.smallest is lowered from %g to %.2g of the frame, half the smallest hand mask"
        log.log(level, text, smallest, cap)
        return replace(cleaning, smallest=cap)

    def fitted_fingerprint(self, clip: Clip, references: References) -> str:
        """Fingerprint of the hand masks in ``backsub/``; empty if there are none."""
        own = clip.bootstrap(references.part)
        return fingerprint(own.stems, own.masks) if len(own) else ""

    def training_stems(self, split: Split) -> frozenset[str]:
        """Stems of the references and of the hand masks in ``backsub/``."""
        return super().training_stems(split).union(split.bootstrap)

    def predict_interval(self, clip: Clip, interval: FrameInterval, wanted: frozenset[str]) -> Predictions:
        """Yield the wanted frames of an interval, in order; a shot without a hand mask shows no subject."""
        if interval.left is None and interval.right is None:
            yield from ((stem, np.zeros(clip.size, np.float32)) for stem in interval.stems if stem in wanted)
            return
        mosaic = self._mosaic(clip, interval)
        colours = self._colours(clip, mosaic, interval)
        if interval.right is None:
            assert interval.left is not None
            for stem, mask in self._follow(clip, mosaic, colours, interval.left, interval.stems):
                if stem in wanted:
                    yield stem, mask.astype(np.float32)
            return
        size = BYTES * math.prod(clip.size)
        with DiskBuffer(clip.path, "backward masks", len(interval.stems), size) as buffer:
            # The backward direction yields the last frame first: its masks wait in the buffer, one bit per pixel.
            for stem, mask in self._follow(clip, mosaic, colours, interval.right, interval.stems[::-1]):
                buffer.write(stem, [np.packbits(mask, axis=1)])

            def backward(stem: str) -> NDArray[np.float32]:
                return np.unpackbits(buffer.read(stem)[0], axis=1, count=clip.size[1]).astype(np.float32)

            if interval.left is None:
                yield from ((stem, backward(stem)) for stem in interval.stems if stem in wanted)
                return
            forward = self._follow(clip, mosaic, colours, interval.left, interval.stems)
            for steps, (stem, mask) in enumerate(forward, start=1):
                if stem in wanted:
                    share = np.float32(steps / (len(interval.stems) + 1))
                    yield stem, (1 - share) * mask.astype(np.float32) + share * backward(stem)

    def _mosaic(self, clip: Clip, interval: FrameInterval) -> Mosaic:
        stems = [stem for stem in (interval.left, *interval.stems, interval.right) if stem is not None]
        ends = {stem: self._masks[stem] for stem in (interval.left, interval.right) if stem is not None}
        boxes = _boxes(stems, ends)
        if self.stabilise == "none":
            transforms, size = dict.fromkeys([*stems, *self._masks], np.eye(3)), clip.size
        else:
            backgrounds = (_outside(boxes[stem], clip.size) for stem in stems)
            motion = list(accumulate_transforms(clip.frames.read_ahead(stems), backgrounds, self.stabilise))
            shift, size = mosaic_extent(motion, clip.size, LARGEST)
            transforms = {stem: shift @ transform for stem, transform in zip(stems, motion, strict=True)}
        mosaic = Mosaic(transforms, clip.size, size)
        if self.plate:
            # Where the camera moves, the position of other hand-masked frames is not known.
            nearby = self._nearby_masks(clip, interval) if self.stabilise == "none" else {}
            for stem, mask in {**ends, **nearby}.items():
                mosaic.add(stem, self._frame(clip, stem), mask)
            for index in np.linspace(0, len(stems) - 1, PLATES + 2).astype(int)[1:-1] if len(ends) == 2 else []:
                if stems[index] not in ends:
                    guess = ~_outside(boxes[stems[index]], clip.size)
                    mosaic.add(stems[index], self._frame(clip, stems[index]), guess)
        return mosaic

    def _nearby_masks(self, clip: Clip, interval: FrameInterval) -> dict[str, Mask]:
        """The hand masks of the same shot that are nearest to an interval."""
        indices = {stem: index for index, stem in enumerate(clip.stems)}
        middle = indices[interval.stems[len(interval.stems) // 2]]
        same = [stem for stem in self._masks if clip.shots.joined(stem, interval.stems[0])]
        nearest = sorted(same, key=lambda stem: abs(indices[stem] - middle))
        return {stem: self._masks[stem] for stem in nearest[: PLATES + 2]}

    def _frame(self, clip: Clip, stem: str) -> Image:
        image = clip.frames.read(stem)
        return image if self._blur == 0 else cv2.GaussianBlur(image, (0, 0), self._blur)

    def _colours(self, clip: Clip, mosaic: Mosaic, interval: FrameInterval) -> "_Colours":
        """The colours of subject and background in the hand-masked frames at an interval's ends."""
        ends = [stem for stem in (interval.left, interval.right) if stem is not None]
        pictures = [rgb_to_lab(self._matched(clip, mosaic, stem, mosaic.image, mosaic.known)) for stem in ends]
        bins = ColourBins.from_images(pictures)
        visible = [mosaic.warp_mask(stem, np.ones(clip.size, bool)) for stem in ends]
        masks = [mosaic.warp_mask(stem, self._masks[stem]) for stem in ends]
        counts = [
            bins.counts(lab[None, seen], mask[None, seen].astype(np.float32))
            for lab, seen, mask in zip(pictures, visible, masks, strict=True)
        ]
        return _Colours(bins, bins.log_ratio(np.sum(counts, axis=0)))

    def _matched(self, clip: Clip, mosaic: Mosaic, stem: str, reference: Image, backdrop: Mask) -> Image:
        """The mosaic with a frame laid over it, in the exposure of a reference, compared where there is no subject."""
        fed, visible = mosaic.overlay(stem, self._frame(clip, stem)), mosaic.warp_mask(stem, np.ones(clip.size, bool))
        matched = match_exposure(fed, reference, visible & backdrop)
        return np.where(visible[..., None], matched, fed)

    def _follow(
        self, clip: Clip, mosaic: Mosaic, colours: "_Colours", start: str, stems: Sequence[str]
    ) -> Iterator[tuple[str, Mask]]:
        """Yield masks (H, W) of frames, in order away from a hand-masked one."""
        # The number of frames matters only with OpenCV's own learning rate.
        model = MODELS[self.subtractor](len(stems) + 1, self.threshold, detectShadows=False)
        subject = mosaic.warp_mask(start, self._masks[start])
        visible = mosaic.warp_mask(start, np.ones(clip.size, bool))
        fed = self._matched(clip, mosaic, start, mosaic.image, mosaic.known & ~subject)
        filled = mosaic.known & (subject | ~visible)
        fed[filled] = mosaic.image[filled]
        unknown = ~filled & (subject | ~visible)
        fed[unknown] = _noise(self.seed, start, unknown)
        # A nearest-neighbour model needs two samples; with one, everything would be foreground.
        for _ in range(REPEATS if self.subtractor == "knn" else 1):
            model.apply(fed)
        kept_out = subject
        for stem in stems:
            behind = model.getBackgroundImage()
            fed = self._matched(clip, mosaic, stem, behind, ~kept_out)
            # The frame is segmented before the update, without random colours, so that false positives do not persist.
            foreground = model.apply(fed, learningRate=0) > 0
            # Cleaning works on the frame, because its area and border differ from those of the mosaic.
            subject = self._cleaning(mosaic.extract_mask(stem, foreground))
            yield stem, subject
            kept_out = np.zeros_like(foreground)
            if self.erosion > 0:
                found = mosaic.insert_mask(stem, subject, foreground)
                kept_out, certain = self._eroded(found), found & colours.likely(fed)
                fed[kept_out] = _noise(self.seed, stem, kept_out)
                # Random colours widen the model over time until a subject at rest fits it.
                fed[certain] = behind[certain]
                kept_out |= certain
            model.apply(fed, learningRate=-1 if self.learning_rate is None else self.learning_rate)

    def _eroded(self, mask: Mask) -> Mask:
        return cv2.erode(mask.view(np.uint8), np.ones((self._erosion, self._erosion), np.uint8)).view(np.bool_)


@dataclass(frozen=True, eq=False)
class _Colours:
    """Log likelihood ratios of colours, subject against background, for each cell of a histogram."""

    bins: ColourBins
    ratios: NDArray[np.float32]

    def likely(self, image: Image) -> Mask:
        """Where an image (H, W, 3) has the subject's colours, (H, W)."""
        return self.ratios[self.bins.cells(rgb_to_lab(image))] > LIKELY


def _boxes(stems: Sequence[str], ends: Mapping[str, Mask]) -> dict[str, NDArray[np.float64]]:
    """Interpolate the subject's box (left, top, width, height) linearly between both ends.

    If one end does not show the subject, the box of the other one is used throughout; if neither does, it is empty.
    """
    known = [np.array(cv2.boundingRect(mask.view(np.uint8)), float) for mask in ends.values() if mask.any()]
    known = known or [np.zeros(4)]
    shares = np.linspace(0, 1, len(stems))
    return {stem: (1 - share) * known[0] + share * known[-1] for stem, share in zip(stems, shares, strict=True)}


def _outside(box: NDArray[np.float64], size: Size) -> Mask:
    """Return a mask (H, W) that is False in the box and its margin."""
    left, top, width, height = box
    margin = MARGIN * max(width, height)
    outside = np.ones(size, bool)
    rows = slice(max(0, int(top - margin)), int(top + height + margin) + 1)
    outside[rows, max(0, int(left - margin)) : int(left + width + margin) + 1] = False
    return outside


def _noise(seed: Seed, stem: str, where: Mask) -> NDArray[np.uint8]:
    """Draw uniform random colours (P, 3) for the P pixels of ``where``, the same for a frame in every run."""
    digest = hashlib.blake2b(f"{seed} {stem}".encode(), digest_size=8).digest()
    count = int(np.count_nonzero(where))
    return np.frombuffer(np.random.default_rng(int.from_bytes(digest)).bytes(3 * count), np.uint8).reshape(-1, 3)

"""Masks by background subtraction that is restarted at every hand mask and told what it has found."""

import hashlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal, Self, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from dreaming.clip.annotations import References
from dreaming.clip.clip import Clip
from dreaming.clip.intervals import FrameInterval
from dreaming.clip.split import Split
from dreaming.errors import ConfigError
from dreaming.flow.mosaic import Mosaic
from dreaming.flow.registration import MotionModel, accumulate_transforms, mosaic_extent
from dreaming.imaging.morphology import Cleaning
from dreaming.io.disk_buffer import DiskBuffer
from dreaming.io.manifest import fingerprint
from dreaming.io.types import Image, Mask, Size
from dreaming.maskers.base import Frames, SequenceMasker

log = logging.getLogger(__name__)

MARGIN = 0.1  # of a box, on each side: it is a guess from two others
REPEATS = 4  # of the first picture, until each pixel of a nearest-neighbour model holds two samples of it
PLATES = 7  # frames of a run that what the hand-masked ones do not show is taken from


Subtractor: TypeAlias = Literal["mog2", "knn"]
"""How a pixel's background colours are modelled."""


@dataclass
class BackgroundMasker(SequenceMasker):
    """Whatever differs from the background, learnt both ways from each hand mask to the next.

    The model is restarted at every hand-masked frame. Before it learns a frame, what was found there, eroded, is
    painted over with random colours, so that a subject that rests is not learnt as background. The masks that come
    from the hand mask before and those from the hand mask behind are blended by distance in time.

    Hand masks that lie in ``backsub/`` and in no other folder are learnt from beside the references.

    Attributes:
        subtractor: Gaussian mixture (Zivkovic 2004) or nearest neighbours (Zivkovic and van der Heijden 2006).
        threshold: Squared distance from which on a pixel is foreground: in standard deviations for ``mog2``, in grey
            levels for ``knn``.
        history: Frames that the model remembers where its learning rate is OpenCV's own; None for as many as a run has.
        learning_rate: Share of a frame in the model it is learnt into; a subject that rests is eaten from its edge the
            faster the higher this is. None for OpenCV's own, which begins at one half and falls.
        erosion: Side in pixels of the square that erodes what is painted over; 0 for no feedback.
        stabilise: Camera motion to remove first.
        largest: Height and width of the picture that frames of a moving camera are laid into, in those of a frame.
        plate: Whether what the subject hides at the start is taken from other frames, where they show it.
        blur: Sigma in pixels of a Gaussian applied to every frame; 0 for none.
        cleaning: Post-processing of each frame's mask; blobs of half the smallest hand mask are kept, whatever it says.
        seed: Of the random colours, together with the frame's name.

    Raises:
        ConfigError: If a value is out of its range.
    """

    kind: ClassVar[str] = "background_masker"

    subtractor: Subtractor = "mog2"
    threshold: float = 150.0
    history: int | None = None
    learning_rate: float | None = 0.05
    erosion: int = 10
    stabilise: MotionModel = "homography"
    largest: float = 2.0
    plate: bool = True
    blur: float = 2.0
    cleaning: Cleaning = field(default_factory=Cleaning)
    seed: int = 0

    def __post_init__(self) -> None:
        _expect("threshold", self.threshold, "above 0", self.threshold > 0)
        _expect("history", self.history, "1 frame or more", self.history is None or self.history >= 1)
        rate = self.learning_rate
        _expect("learning_rate", rate, "above 0, up to 1", rate is None or 0 < rate <= 1)
        _expect("erosion", self.erosion, "0 pixels or more", self.erosion >= 0)
        _expect("largest", self.largest, "1 or more", self.largest >= 1)
        _expect("blur", self.blur, "0 pixels or more", self.blur >= 0)

    def fit(self, clip: Clip, references: References) -> Self:
        """Keep the hand masks, and those that are there for background subtraction alone.

        Raises:
            MaskError: If none of the references belongs to a frame of the clip.
        """
        super().fit(clip, references)
        own = clip.bootstrap(references.part).without(references.stems)
        self._masks.update(zip(own.stems, own.masks, strict=True))
        self._cleaning = self._spare_the_subject()
        return self

    def _spare_the_subject(self) -> Cleaning:
        """How this clip's masks are cleaned: a subject as small as the hand masks show it is no speck."""
        smallest = self.cleaning.smallest
        shares = [float(mask.mean()) for mask in self._masks.values() if mask.any()]
        cap = min(shares, default=1.0) / 2
        if smallest is None or smallest <= cap:
            return self.cleaning
        log.info(
            "background: blobs are kept from %.2g of the frame on, half the smallest hand mask, in place of "
            "masker.background.cleaning.smallest=%g",
            cap,
            smallest,
        )
        return replace(self.cleaning, smallest=cap)

    def fitted_fingerprint(self, clip: Clip, references: References) -> str:
        """Fingerprint of the hand masks that are there for background subtraction alone; empty without any."""
        own = clip.bootstrap(references.part)
        return fingerprint(own.stems, own.masks) if len(own) else ""

    def training_stems(self, split: Split) -> frozenset[str]:
        """Names of the masks of the half that maskers see, and of its own."""
        return super().training_stems(split).union(split.bootstrap)

    def predict_interval(self, clip: Clip, run: FrameInterval, wanted: frozenset[str]) -> Frames:
        """Yield the wanted frames of a run, in order."""
        scene = self._scene(clip, run)
        if run.left is None or run.right is None:
            yield from self._one_way(clip, scene, run, wanted)
            return
        with DiskBuffer(clip.path) as buffer:
            # What comes from behind arrives last frame first: it waits in the spool, one bit a pixel.
            for stem, mask in self._follow(clip, scene, run.right, run.stems[::-1]):
                buffer.write(stem, [np.packbits(mask, axis=1)])
            forward = self._follow(clip, scene, run.left, run.stems)
            for place, (stem, mask) in enumerate(forward, start=1):
                if stem in wanted:
                    other = np.unpackbits(buffer.read(stem)[0], axis=1, count=clip.size[1])
                    share = np.float32(place / (len(run.stems) + 1))
                    yield stem, (1 - share) * mask.astype(np.float32) + share * other.astype(np.float32)

    def _one_way(self, clip: Clip, scene: Mosaic, run: FrameInterval, wanted: frozenset[str]) -> Frames:
        if run.left is not None:
            for stem, mask in self._follow(clip, scene, run.left, run.stems):
                if stem in wanted:
                    yield stem, mask.astype(np.float32)
            return
        assert run.right is not None
        with DiskBuffer(clip.path) as buffer:
            for stem, mask in self._follow(clip, scene, run.right, run.stems[::-1]):
                buffer.write(stem, [mask.view(np.uint8)])
            yield from ((stem, buffer.read(stem)[0].astype(np.float32)) for stem in run.stems if stem in wanted)

    # -- what a run looks like without its subject

    def _scene(self, clip: Clip, run: FrameInterval) -> Mosaic:
        stems = [stem for stem in (run.left, *run.stems, run.right) if stem is not None]
        ends = {stem: self._masks[stem] for stem in (run.left, run.right) if stem is not None}
        boxes = _boxes(stems, ends)
        if self.stabilise == "none":
            transforms, size = dict.fromkeys([*stems, *self._masks], np.eye(3)), clip.size
        else:
            backdrops = (_outside(boxes[stem], clip.size) for stem in stems)
            found = list(accumulate_transforms(clip.frames.read_ahead(stems), backdrops, self.stabilise))
            shift, size = mosaic_extent(found, clip.size, self.largest)
            transforms = {stem: shift @ transform for stem, transform in zip(stems, found, strict=True)}
        scene = Mosaic(transforms, clip.size, size)
        if self.plate:
            for stem, mask in {**ends, **self._others(clip, run)}.items():
                scene.learn(stem, self._frame(clip, stem), mask)
            for place in np.linspace(0, len(stems) - 1, PLATES + 2).astype(int)[1:-1] if len(ends) == 2 else []:
                if stems[place] not in ends:
                    guess = ~_outside(boxes[stems[place]], clip.size)
                    scene.learn(stems[place], self._frame(clip, stems[place]), guess)
        return scene

    def _others(self, clip: Clip, run: FrameInterval) -> dict[str, Mask]:
        """Hand masks of the frames next to a run's own, as far as the camera is known not to have moved since."""
        if self.stabilise != "none":
            return {}
        places = {stem: place for place, stem in enumerate(clip.stems)}
        middle = places[run.stems[len(run.stems) // 2]]
        near = sorted(self._masks, key=lambda stem: abs(places[stem] - middle))
        return {stem: self._masks[stem] for stem in near[: PLATES + 2]}

    def _frame(self, clip: Clip, stem: str) -> Image:
        image = clip.frames.read(stem)
        return image if self.blur == 0 else cv2.GaussianBlur(image, (0, 0), self.blur)

    # -- one way

    def _follow(self, clip: Clip, scene: Mosaic, start: str, stems: Sequence[str]) -> Iterator[tuple[str, Mask]]:
        """Masks (H, W) of frames that lead away from a hand-masked one."""
        model = self._model(len(stems) + 1)
        subject = scene.lay(start, self._masks[start])
        shown = scene.lay(start, np.ones(clip.size, bool))
        fed = scene.show(start, self._frame(clip, start))
        behind = scene.known & (subject | ~shown)
        fed[behind] = scene.picture[behind]
        unknown = ~behind & (subject | ~shown)
        fed[unknown] = _noise(self.seed, start, unknown)
        # Nearest neighbours are asked for two: from one picture seen once, everything would be foreground.
        for _ in range(REPEATS if self.subtractor == "knn" else 1):
            model.apply(fed)
        for stem in stems:
            fed = scene.show(stem, self._frame(clip, stem))
            # Judged before it is learnt, and without the random colours: a false alarm does not feed itself.
            found = model.apply(fed, learningRate=0) > 0
            # Cleaned as the frame shows it: shares of its area, and its border, are not those of the picture.
            subject = self._cleaning(scene.lift(stem, found))
            yield stem, subject
            painted = self._eroded(scene.insert(stem, subject, found))
            fed[painted] = _noise(self.seed, stem, painted)
            model.apply(fed, learningRate=-1 if self.learning_rate is None else self.learning_rate)

    def _model(self, frames: int) -> Any:
        history = self.history or frames
        if self.subtractor == "mog2":
            return cv2.createBackgroundSubtractorMOG2(history, self.threshold, detectShadows=False)
        return cv2.createBackgroundSubtractorKNN(history, self.threshold, detectShadows=False)

    def _eroded(self, mask: Mask) -> Mask:
        if self.erosion == 0:
            return np.zeros_like(mask)
        return cv2.erode(mask.view(np.uint8), np.ones((self.erosion, self.erosion), np.uint8)).view(np.bool_)


def _expect(key: str, value: object, expected: str, fits: bool) -> None:
    if not fits:
        raise ConfigError(f"masker.background.{key}", found=str(value), expected=expected, hint="correct it")


def _boxes(stems: Sequence[str], ends: Mapping[str, Mask]) -> dict[str, NDArray[np.float64]]:
    """Where each frame most likely shows its subject: (left, top, width, height), going evenly from end to end.

    Where one end does not show it, what is known is where it is at the other; where neither does, it is nowhere.
    """
    known = [np.array(cv2.boundingRect(mask.view(np.uint8)), float) for mask in ends.values() if mask.any()]
    known = known or [np.zeros(4)]
    shares = np.linspace(0, 1, len(stems))
    return {stem: (1 - share) * known[0] + share * known[-1] for stem, share in zip(stems, shares, strict=True)}


def _outside(box: NDArray[np.float64], size: Size) -> Mask:
    """(H, W), False in the box and around it."""
    left, top, width, height = box
    margin = MARGIN * max(width, height)
    free = np.ones(size, bool)
    rows = slice(max(0, int(top - margin)), int(top + height + margin) + 1)
    free[rows, max(0, int(left - margin)) : int(left + width + margin) + 1] = False
    return free


def _noise(seed: int, stem: str, where: Mask) -> NDArray[np.uint8]:
    """Uniform random colours (P, 3) for the P pixels of ``where``, the same for a frame in every run."""
    digest = hashlib.blake2b(f"{seed} {stem}".encode(), digest_size=8).digest()
    count = int(np.count_nonzero(where))
    return np.frombuffer(np.random.default_rng(int.from_bytes(digest)).bytes(3 * count), np.uint8).reshape(-1, 3)

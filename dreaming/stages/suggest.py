"""The ``suggest`` stage: which frame to paint next, so that a mask there helps most."""

import json
import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from dreaming.clip.annotations import References
from dreaming.clip.clip import Clip
from dreaming.clip.intervals import intervals_between
from dreaming.imaging.overlay import overlay
from dreaming.io.atomic import write_atomically
from dreaming.io.image import encode_png
from dreaming.io.types import Image, Probability
from dreaming.maskers.base import Masker
from dreaming.maskers.prediction_cache import PredictionCache
from dreaming.progress import bar
from dreaming.stages.base import Stage
from dreaming.stages.mask_scores import with_base_maskers

log = logging.getLogger(__name__)

THUMBNAIL = 24  # pixels, longer side of the pictures by which frames are compared
WORK = 240  # pixels, longer side at which masks are compared


@dataclass
class SuggestStage(Stage):
    """Rank frames without a hand mask by what a mask there is expected to mend; only where it is named.

    Each frame's masks are in doubt to some degree: as far as maskers disagree, and each is unsure, as a share of the
    subject. A new hand mask takes that doubt from the frames it is like, as far as it is nearer to them, in time and
    in appearance, than the hand masks there are. The frame that takes away most comes first; the next is ranked as if
    the first had been painted, so that what is suggested is spread out by itself (greedy facility location: Nemhauser,
    Wolsey and Fisher 1978).

    Attributes:
        maskers: The selected maskers by name.
        count: Frames to suggest.
        appearance: What a difference in appearance counts, from the most alike to the least alike pair of neighbours
            in the clip, against the same number of frames in time.
    """

    kind: ClassVar[str] = "suggest_stage"

    name: ClassVar[str] = "suggest"
    reads: ClassVar[tuple[str, ...]] = ("mask",)

    maskers: Mapping[str, Masker]
    count: int = 5
    appearance: float = 1.0

    def skips(self, clip: Clip) -> str | None:
        """Without hand masks, any frame is as good as any other."""
        return None if clip.parts else "the clip has no hand masks"

    def run(self, clip: Clip) -> None:
        """Rank, and write ``suggestions.json`` and ``suggestions.png``."""
        found: dict[str, Any] = {}
        sheets: list[Image] = []
        looks = self._looks(clip)
        for part in clip.parts:
            doubts = self._doubts(clip, part)
            split = clip.split(part)
            marked = [stem for stem in split.seen if stem in clip.frames]
            ranked = rank(clip.stems, marked, doubts, self._distances(looks), self.count, split.tests)
            found[part] = [{"frame": stem, "gain": gain, "doubt": doubts[stem]} for stem, gain in ranked]
            log.info("suggest: paint %s next (%s)", ", ".join(stem for stem, _ in ranked) or "nothing", part)
            sheets += [self._drawn(clip, part, place, row) for place, row in enumerate(found[part], start=1)]
        write_atomically(clip.path / "suggestions.json", (json.dumps(found, indent=2) + "\n").encode())
        if sheets:
            write_atomically(clip.path / "suggestions.png", encode_png(np.vstack(sheets)))

    def _doubts(self, clip: Clip, part: str) -> dict[str, float]:
        """How much each frame's masks are in doubt."""
        references = clip.training_references(part)
        folders = [
            clip.masks(part, name)
            if name in self.maskers
            else PredictionCache(clip, name, masker, references).complete(clip.stems)
            for name, masker in with_base_maskers(self.maskers).items()
        ]
        least = self._least_areas(clip, references)
        doubts: dict[str, float] = {}
        with bar("suggest", len(clip.stems)) as progress:
            for stem in clip.stems:
                found = [_small(folder.read_probability(stem, clip.size), WORK) for folder in folders]
                doubts[stem] = doubt(found, least.get(stem, 0.0))
                progress.advance()
        return doubts

    def _least_areas(self, clip: Clip, references: References) -> dict[str, float]:
        """The smallest hand mask's area, for each frame next to a hand mask that says the subject is not there."""
        present, known = set(references.present), references.select(clip.stems).stems
        areas = [float(_small(mask.astype(np.float32), WORK).sum()) for mask in references.masks if mask.any()]
        return {
            stem: min(areas)
            for run in intervals_between(clip.stems, known)
            for stem in run.stems
            if {run.left, run.right} - present - {None}
        }

    def _looks(self, clip: Clip) -> NDArray[np.float32]:
        """Each frame as a few blurred colours, (frames, values)."""
        return np.stack([_small(image, THUMBNAIL).astype(np.float32).ravel() for _, image in clip.frames.read_ahead()])

    def _distances(self, looks: NDArray[np.float32]) -> NDArray[np.float64]:
        """Distances between all frames, (frames, frames): frames of time, and mean steps of appearance."""
        count = len(looks)
        times = np.abs(np.subtract.outer(np.arange(count), np.arange(count))).astype(float)
        squares = (looks.astype(np.float64) ** 2).sum(axis=1)
        apart = np.sqrt(np.maximum(squares[:, None] + squares - 2 * (looks.astype(np.float64) @ looks.T), 0))
        step = np.diagonal(apart, offset=1).mean() if count > 1 else 0.0
        return times + self.appearance * (apart / step if step else 0.0)

    def _drawn(self, clip: Clip, part: str, place: int, row: Mapping[str, Any]) -> Image:
        masks = clip.masks(part, list(self.maskers)[-1])
        picture = overlay(clip.frames.read(row["frame"]), masks.read_mask(row["frame"], clip.size))
        label = f"{part} {place}: {row['frame']}"
        cv2.putText(picture, label, (8, 28), cv2.FONT_HERSHEY_SIMPLEX, 0.8, (255, 255, 255), 2, cv2.LINE_AA)
        return _small(picture, 480)


def rank(
    stems: Sequence[str],
    marked: Sequence[str],
    doubts: Mapping[str, float],
    distances: NDArray[np.float64],
    count: int,
    passed_over: Collection[str] = (),
) -> list[tuple[str, float]]:
    """The frames to mark next, each with the doubt that it takes away beyond those before it.

    Args:
        stems: All frames, in order.
        marked: Those that have a hand mask.
        doubts: Of each frame.
        distances: Between any two, (frames, frames).
        count: How many at most.
        passed_over: Those not to mark for another reason, such as test masks, which mend nothing around them.
    """
    places = {stem: place for place, stem in enumerate(stems)}
    doubt = np.array([doubts[stem] for stem in stems])
    nearest = distances[:, [places[stem] for stem in marked]].min(axis=1, initial=float(distances.max()))
    left = [place for stem, place in places.items() if stem not in {*marked, *passed_over}]
    chosen: list[tuple[str, float]] = []
    while left and len(chosen) < count:
        # A mask at distance d takes away the share 1 - d / (distance of the nearest so far).
        shares = 1 - np.minimum(distances[:, left] / np.maximum(nearest, 1e-9)[:, None], 1)
        gains = doubt @ shares
        best = int(gains.argmax())
        place = left.pop(best)
        chosen.append((stems[place], float(gains[best])))
        nearest = np.minimum(nearest, distances[:, place])
    return chosen


def doubt(found: Sequence[Probability], least: float = 0.0) -> float:
    """How much masks (H, W) of one frame disagree, and each is unsure, as a share of the subject's area.

    Args:
        found: The masks.
        least: What the area is taken for at least, in pixels, where the subject may not be there: else the little that
            is found of it would be in as much doubt as all of it elsewhere.
    """
    stack = np.stack(found)
    mean = stack.mean(axis=0)
    area = max(float(mean.sum()), least)
    return float(2 * (mean * (1 - mean)).sum() / area) if area else 1.0


def _small(picture: NDArray[Any], side: int) -> NDArray[Any]:
    height, width = picture.shape[:2]
    scale = min(1.0, side / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)

"""The ``suggest`` stage: ranks the frames whose hand mask or keyframe would help most."""

import json
import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

import cv2
import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont
from numpy.typing import NDArray

from dreaming.artifacts.output_file import write_output
from dreaming.clip.annotations import SUBJECT, References
from dreaming.clip.clip import Clip
from dreaming.clip.intervals import intervals_between
from dreaming.clip.shots import Shots
from dreaming.constraints import NonNegativeFloat, PositiveInt
from dreaming.imaging.overlay import overlay
from dreaming.io.image import encode_png
from dreaming.io.types import Image, Probability
from dreaming.maskers.base import Masker
from dreaming.maskers.prediction_cache import PredictionCache
from dreaming.progress import bar
from dreaming.stages.base import Stage
from dreaming.stages.scores.masks import with_base_maskers

log = logging.getLogger(__name__)

THUMBNAIL = 24
"""Longer side, in pixels, of the thumbnails that frames are compared by."""

WORK = 240
"""Longer side, in pixels, at which masks are compared."""

COLUMN = 480
"""Width of a column of ``suggestions.png``, and the longer side of each frame in it, in pixels."""

BLOCK = 64
"""Frames whose distances to all others are in memory at once."""

Distances: TypeAlias = Callable[[NDArray[np.intp]], NDArray[np.float64]]
"""Maps B indices of frames to their distances from all N frames, (N, B)."""


@dataclass
class SuggestStage(Stage):
    """Rank frames without a hand mask or keyframe by the expected benefit of painting one; runs only if named.

    A frame's uncertainty is the disagreement of its masks, and of each with itself, as a share of the subject. A new
    hand mask removes uncertainty from the frames that are nearer to it, in time and in appearance, than to any other
    hand mask. The frame that removes most comes first, and the next one is ranked as if the first had a mask (greedy
    facility location: Nemhauser, Wolsey and Fisher 1978). Without masks, and for keyframes, all frames count as equally
    uncertain, so that those suggested are spread over time and appearance.

    Attributes:
        count: Frames to suggest.
        appearance: Weight of the difference in appearance, in mean differences of neighbouring frames, against that in
            time, in frames; 0: time only.
    """

    name: ClassVar[str] = "suggest"
    opens: ClassVar[tuple[str, ...]] = ("suggestions.png",)
    reads: ClassVar[tuple[str, ...]] = ("mask",)

    maskers: Mapping[str, Masker]
    count: PositiveInt = 5
    appearance: NonNegativeFloat = 1.0

    def run(self, clip: Clip) -> None:
        """Rank, and write ``suggestions.json`` and ``suggestions.png``, with a column for each part and layer."""
        suggestions: dict[str, Any] = {}
        columns: list[Image] = []
        distances = frame_distances(self._thumbnails(clip), self.appearance, clip.shots)
        for name, seen, uncertain, excluded in self._wanted(clip):
            marked = [stem for stem in seen if stem in clip.frames]
            ranked = rank(clip.stems, marked, uncertain, distances, self.count, excluded)
            suggestions[name] = [{"frame": stem, "gain": gain, "uncertainty": uncertain[stem]} for stem, gain in ranked]
            log.info("suggest: paint %s next (%s)", ", ".join(stem for stem, _ in ranked) or "nothing", name)
            if ranked:
                pictures = [self._draw(clip, name, number, stem) for number, (stem, _) in enumerate(ranked, start=1)]
                columns.append(np.vstack(pictures))
        write_output(clip.path / "suggestions.json", (json.dumps(suggestions, indent=2) + "\n").encode())
        if columns:
            height = max(len(column) for column in columns)
            padded = [np.pad(column, ((0, height - len(column)), (0, 0), (0, 0))) for column in columns]
            write_output(clip.path / "suggestions.png", encode_png(np.hstack(padded)))

    def _wanted(self, clip: Clip) -> Iterator[tuple[str, Collection[str], Mapping[str, float], Collection[str]]]:
        """Yield each part, and each folder of keyframes, with its painted frames, uncertainties and excluded frames."""
        equal = dict.fromkeys(clip.stems, 1.0)
        for part in clip.parts:
            yield part, clip.split(part).seen, self._uncertainties(clip, part), clip.split(part).tests
        if not clip.parts:
            yield SUBJECT, (), equal, ()
        for layer in clip.layers:
            yield f"keyframes/{layer.folder}", clip.keyframe_folder(layer).stems, equal, ()
        if not clip.layers:
            yield "keyframes", (), equal, ()

    def _uncertainties(self, clip: Clip, part: str) -> dict[str, float]:
        """Compute the uncertainty of each frame's masks."""
        references = clip.training_references(part)
        folders = [
            clip.masks(part, name)
            if name in self.maskers
            else PredictionCache(clip, name, masker, references).complete(clip.stems)
            for name, masker in with_base_maskers(self.maskers, clip, part).items()
        ]
        min_area = self._min_areas(clip, references)
        uncertain: dict[str, float] = {}
        with bar("suggest", len(clip.stems)) as progress:
            for stem in clip.stems:
                masks = [_shrink(folder.read_probability(stem, clip.size), WORK) for folder in folders]
                uncertain[stem] = uncertainty(masks, min_area.get(stem, 0.0))
                progress.advance()
        return uncertain

    def _min_areas(self, clip: Clip, references: References) -> dict[str, float]:
        """The smallest hand mask's area, for each frame of an interval with an empty hand mask at one end."""
        present, known = set(references.present), references.select(clip.stems).stems
        areas = [float(_shrink(mask.astype(np.float32), WORK).sum()) for mask in references.masks if mask.any()]
        return {
            stem: min(areas)
            for interval in intervals_between(clip.shots, known)
            for stem in interval.stems
            if {interval.left, interval.right} - present - {None}
        }

    def _thumbnails(self, clip: Clip) -> NDArray[np.uint8]:
        """Each frame as a few colours, (N, V)."""
        return np.stack([_shrink(image, THUMBNAIL).ravel() for _, image in clip.frames.read_ahead()])

    def _draw(self, clip: Clip, name: str, number: int, stem: str) -> Image:
        picture = clip.frames.read(stem)
        if name in clip.parts:
            picture = overlay(picture, clip.masks(name, list(self.maskers)[-1]).read_mask(stem, clip.size))
        return _labelled(picture, f"{number}: {stem} ({name})")


def frame_distances(thumbnails: NDArray[np.uint8], appearance: float, shots: Shots) -> Distances:
    """Distances between frames: frames of time plus the weighted distance of thumbnails (N, V).

    A mask of one shot tells nothing about another one, so that a cut counts as the length of the clip.
    ``appearance`` is the weight of the Euclidean distance of thumbnails, in its mean between neighbouring frames.
    """
    colours = thumbnails.astype(np.float64)
    numbers = np.repeat(np.arange(len(shots)), [len(shot) for shot in shots])
    times = np.arange(len(colours), dtype=np.float64) + numbers * len(colours)
    squares = (colours**2).sum(axis=1)
    steps = squares[1:] + squares[:-1] - 2 * (colours[1:] * colours[:-1]).sum(axis=1)
    steps = steps[np.diff(numbers) == 0]
    step = np.sqrt(steps).mean() if len(steps) else 0.0

    def distances(indices: NDArray[np.intp]) -> NDArray[np.float64]:
        apart = np.subtract.outer(times, times[indices])
        np.abs(apart, out=apart)
        if step and appearance:
            products = colours @ colours[indices].T  # exact, because colours are integers
            apart += appearance * (np.sqrt(squares[:, None] + squares[indices] - 2 * products) / step)
        return apart

    return distances


def rank(
    stems: Sequence[str],
    marked: Sequence[str],
    uncertain: Mapping[str, float],
    distances: Distances,
    count: int,
    excluded: Collection[str] = (),
) -> list[tuple[str, float]]:
    """Rank at most ``count`` frames to mask next, each with the uncertainty that it removes beyond those before it.

    Memory grows linearly with the number of frames. Gains only fall as frames are chosen, so that a frame is scored
    again only if its last gain is among the best (Minoux 1978).

    Args:
        stems: Names of all frames, in order.
        marked: Frames with a hand mask, which are not ranked.
        uncertain: Uncertainty of each frame's mask, by name.
        distances: Distances (N, M) of all N frames from M of them, given by their indices.
        count: How many frames to choose at most.
        excluded: Further frames that are not ranked, such as those with a test mask.

    Returns:
        Names and removed uncertainties, the frame that removes most first.
    """
    skipped = {*marked, *excluded}
    indices = {stem: index for index, stem in enumerate(stems)}
    uncertainties = np.array([uncertain[stem] for stem in stems])
    nearest = np.full(len(stems), np.inf)  # distance to the nearest mask
    every = np.arange(len(stems))
    for stem in marked:
        nearest = np.minimum(nearest, distances(every[[indices[stem]]])[:, 0])
    if not marked:
        nearest[:] = max(distances(every[[index]]).max() for index in every)
    gains = np.full(len(stems), np.inf)
    gains[[index for stem, index in indices.items() if stem in skipped]] = -np.inf
    current = np.zeros(len(stems), bool)  # whether a gain is that of this round; others are upper bounds
    ranked: list[tuple[str, float]] = []
    while len(ranked) < count and gains.max() > -np.inf:
        best = int(gains.argmax())
        if current[best]:
            ranked.append((stems[best], float(gains[best])))
            nearest = np.minimum(nearest, distances(every[[best]])[:, 0])
            gains[best] = -np.inf
            current[:] = False
            continue
        order = np.argsort(-gains, kind="stable")[:BLOCK]
        block = order[~current[order] & (gains[order] > -np.inf)]
        # A mask at distance d removes the share 1 - d / (distance of the nearest mask so far).
        shares = distances(block)
        shares /= np.maximum(nearest, 1e-9)[:, None]
        np.subtract(1, np.minimum(shares, 1, out=shares), out=shares)
        gains[block] = uncertainties @ shares
        current[block] = True
    return ranked


def uncertainty(masks: Sequence[Probability], min_area: float = 0.0) -> float:
    """Measure how much the masks (H, W) of a frame disagree and how unsure each is, as a share of the subject's area.

    ``min_area`` bounds the area, in pixels, where the subject may be absent: a trace of it is not a whole one.
    """
    stack = np.stack(masks)
    mean = stack.mean(axis=0)
    area = max(float(mean.sum()), min_area)
    return float(2 * (mean * (1 - mean)).sum() / area) if area else 1.0


def _labelled(picture: Image, label: str) -> Image:
    """The picture, enlarged or reduced to a column of one width, below its label, which is cut where it is too long."""
    scale = COLUMN / max(picture.shape[:2])
    size = [max(1, round(side * scale)) for side in picture.shape[1::-1]]
    resized = cv2.resize(picture, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    bar, font, text = PIL.Image.new("RGB", (COLUMN, 30)), PIL.ImageFont.load_default(18), label
    while font.getlength(text) > COLUMN - 16:
        text = f"{text[: len(text) // 2 - 2]}\u2026{text[len(text) // 2 + 1 :]}"
    PIL.ImageDraw.Draw(bar).text((8, 4), text, font=font)
    right = COLUMN - resized.shape[1]
    return np.vstack([np.asarray(bar), np.pad(resized, ((0, 0), (0, right), (0, 0)))])


def _shrink(picture: NDArray[Any], side: int) -> NDArray[Any]:
    height, width = picture.shape[:2]
    scale = min(1.0, side / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)

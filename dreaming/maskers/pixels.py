"""Masks by a pixel classifier on propagated hand masks, colours, motion and position."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Self, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from dreaming.clip.annotations import References
from dreaming.clip.clip import Clip
from dreaming.clip.intervals import FrameInterval
from dreaming.clip.shots import Shots
from dreaming.constraints import NonNegativeInt, PositiveFloat, PositiveInt, Seed, UnitFloat
from dreaming.errors import MaskError
from dreaming.features.channels import CHANNELS, FeatureMaps, signed_distance
from dreaming.features.extractor import FeatureExtractor, PropagationFeatures, Simulation
from dreaming.flow.temporal_window import TemporalWindow, iter_windows
from dreaming.imaging.guided_filter import edge_window, guided_filter
from dreaming.imaging.resize import resize_image
from dreaming.io.prefetch import prefetch_map
from dreaming.io.types import Mask, Probability
from dreaming.maskers.auto_context import Boosting, PixelSamples, Trees, context_channels
from dreaming.maskers.base import Predictions, SequenceMasker

MASKS = CHANNELS.index("near_mask"), CHANNELS.index("far_mask")
COLOUR = CHANNELS.index("log_ratio_all_blurred_2")

FOLDS = 3
"""Folds of the training frames: the first classifier leaves out each in turn to predict inputs of the second."""

REACH = 1.0
"""Distance from the propagated masks, in sizes of the subject, beyond which a pixel is background.

It is wider by the distance between both masks, where they disagree. Pixels farther away are predicted only if they have
the subject's colour, which saves time. The size is the square root of the area.
"""

DISAGREEMENT = 0.95
"""Quantile of the distances from a pixel of one propagated mask to the other one, taken for that between both."""

LIKELY = 0.4
"""Value of the channel ``log_ratio_all_blurred_2`` above which a pixel has the subject's colour, a ratio of 7."""

FIRST_STRIDES, SECOND_STRIDES, PER_STRIDE = (6, 3), (6, 3, 1), 8
"""Distances in working pixels between pixels that each classifier predicts, for subjects at least eight times as large.

The second one sees blurred and distant parts of the first one's map, which needs no pixel in between.
"""

EDGE_EPSILON = 1e-4
"""Variance of grey (0..1) above which the guided filter sees an edge; ``edge_radius`` sets the filter's strength."""


@dataclass
class PixelsMasker(SequenceMasker):
    """Two boosted classifiers; the second one also sees the first one's maps of the frame and its neighbours.

    Attributes:
        features: Computes the input channels, and simulates them for hand-masked frames.
        samples: Training pixels of each simulated frame.
        outline_share: Share of them drawn near the subject's outline.
        outline_radius: Distance from the outline, in working pixels, that counts as near; at most the subject's size.
        frames: Hand-masked frames trained on, at most, spread over the clip; propagated masks come from all of them.
        edge_radius: Window of the guided filter that pulls the outline to the frame's edges, in pixels, limited for a
            small subject; 0: no filter.
    """

    kind: ClassVar[str] = "pixels_masker"
    fits_in_threads: ClassVar[bool] = True  # each fit alone leaves a core idle while the second classifier is trained

    features: PropagationFeatures
    boosting: Boosting = field(default_factory=Boosting)
    samples: PositiveInt = 4000
    outline_share: UnitFloat = 0.67
    outline_radius: PositiveFloat = 31.0
    frames: PositiveInt = 12
    edge_radius: NonNegativeInt = 4
    seed: Seed = 0

    def __post_init__(self) -> None:
        self._extractor: FeatureExtractor | None = None

    def fit(self, clip: Clip, references: References) -> Self:
        """Train both classifiers on features simulated for the hand-masked frames.

        Raises:
            MaskError: If no hand mask belongs to a frame of the clip, or nothing can be simulated.
        """
        super().fit(clip, references)
        extractor = self._extractor = self.features.extractor(clip, references, workers=self.workers)
        areas = [float(mask.sum()) for mask in map(extractor.mask, extractor.sources) if mask.any()]
        self._size = float(np.median(areas)) ** 0.5 if areas else 0.0
        frames = self._training_frames(extractor)
        labels = [frame.labels for frame in frames]
        first = list(
            prefetch_map(lambda frame: frame.sample(extractor.simulated(frame.simulation)), frames, self.workers)
        )

        def train(left_out: int | None) -> Trees:
            kept = [index for index, frame in enumerate(frames) if frame.fold != left_out]
            samples, answers = (np.concatenate([parts[index] for index in kept]) for parts in (first, labels))
            return self.boosting.fit(samples, answers, self.seed)

        folds = sorted({frame.fold for frame in frames})
        *out_of_fold, self._first = prefetch_map(train, [*folds, None], self.workers)
        by_fold = dict(zip(folds, out_of_fold, strict=True))
        second = list(prefetch_map(lambda frame: self._in_context(frame, by_fold[frame.fold]), frames, self.workers))
        self._second = self.boosting.fit(np.concatenate(second), np.concatenate(labels), self.seed)
        extractor.release()
        return self

    def _training_frames(self, extractor: FeatureExtractor) -> list["_TrainingFrame"]:
        """All simulations of the hand-masked frames that are trained on; a frame's simulations share a fold."""
        present = [stem for stem in extractor.sources if self._masks[stem].any()]
        absent = [stem for stem in extractor.sources if stem not in present]
        # Frames without the subject add little after the first few.
        absent = _spread(absent, max(self.frames - len(present), self.frames // 3))
        present = _spread(present, self.frames - len(absent))
        # Frames that show the subject come first, so that every fold leaves some of them to train on.
        simulations = prefetch_map(extractor.simulations, [*present, *absent], self.workers)
        frames = [
            self._training_frame(extractor, simulation, number, index % FOLDS)
            for index, each in enumerate(simulations)
            for number, simulation in enumerate(each)
        ]
        if len(frames) < 2:
            raise MaskError(
                extractor.clip.path,
                found="no simulated features to train on",
                expected="two hand masks, or one that is propagated away and back",
                hint="paint another mask or raise data.features.round_trips",
            )
        if len(present) > 1:
            return frames
        # With a single mask that shows the subject, its simulations are left out in turn.
        return [replace(frame, fold=number % FOLDS) for number, frame in enumerate(frames)]

    def _training_frame(
        self, extractor: FeatureExtractor, simulation: Simulation, number: int, fold: int
    ) -> "_TrainingFrame":
        mask = extractor.mask(simulation.stem)
        digest = hashlib.blake2b(f"{self.seed} {simulation.stem} {number}".encode(), digest_size=8).digest()
        rng = np.random.default_rng(int.from_bytes(digest))
        # Around a small subject, most pixels within a fixed distance would be background.
        radius = min(self.outline_radius, float(mask.sum()) ** 0.5) if mask.any() else self.outline_radius
        near = (np.abs(signed_distance(mask, radius)) < 1).ravel()
        wanted, around = round(self.samples * self.outline_share), rng.permutation(np.flatnonzero(near))
        # Around a small subject pixels are repeated, because boosting diverges if a class is too rare.
        chosen = np.resize(around, wanted) if len(around) else around
        elsewhere = rng.permutation(np.flatnonzero(~near))[: self.samples - len(chosen)]
        pixels = np.concatenate([chosen, elsewhere])
        return _TrainingFrame(simulation, fold, pixels, mask.ravel()[pixels])

    def _in_context(self, frame: "_TrainingFrame", out_of_fold: Trees) -> PixelSamples:
        """The second classifier's samples of a simulated frame; the first one was not trained on this frame."""
        assert self._extractor is not None
        simulation = frame.simulation
        own, maps = self._extractor.simulated(simulation), {}
        for stem in simulation.stems:  # in the order of time; only one neighbour's channels are in memory
            channels = own if stem == simulation.stem else self._extractor.simulated(simulation, stem)
            maps[stem] = self._map(out_of_fold, channels, channels)
        for source in simulation.sources:
            if source.stem in maps:  # the hand mask of a neighbour that the simulation uses is known
                maps[source.stem] = source.mask * np.float32(1 / 255)
        return np.hstack([frame.sample(own), frame.sample(self._context(simulation.stem, maps))])

    def _context(self, stem: str, maps: Mapping[str, Probability]) -> FeatureMaps:
        """Input channels of the second classifier beside the features, (C, h, w)."""
        assert self._extractor is not None
        neighbours = [
            (values, self._extractor.neighbour_flow(stem, other)) for other, values in maps.items() if other != stem
        ]
        return context_channels(maps[stem], neighbours)

    def _map(
        self, trees: Trees, inputs: FeatureMaps, channels: FeatureMaps, strides: Sequence[int] = FIRST_STRIDES
    ) -> Probability:
        """The map (h, w) of trees from their inputs (C, h, w), where the features (E, h, w) allow the subject."""
        allowed = [stride for stride in strides if self._size >= PER_STRIDE * stride]
        return trees.map(inputs, self._possible(channels), allowed or (1,))

    def _possible(self, channels: FeatureMaps) -> Mask:
        """Where the subject can be (h, w): not far from the propagated masks, or of its colour."""
        near, far = (channels[index] > 0.1 for index in MASKS)
        likely = channels[COLOUR] > LIKELY
        if near.any() != far.any():
            return np.ones_like(likely)
        if not near.any():
            return likely
        distances = [cv2.distanceTransform((~mask).view(np.uint8), cv2.DIST_L2, 5) for mask in (near, far)]
        apart = max(np.quantile(distances[0][far], DISAGREEMENT), np.quantile(distances[1][near], DISAGREEMENT))
        return likely | (np.minimum(*distances) <= REACH * self._size + apart)

    def predict_interval(self, clip: Clip, interval: FrameInterval, wanted: frozenset[str]) -> Predictions:
        """Yield the wanted frames of an interval, in order."""
        names = [*filter(None, [interval.left]), *interval.stems, *filter(None, [interval.right])]

        def read(stems: list[str]) -> Iterator[tuple[str, _View]]:
            return prefetch_map(lambda stem: (stem, self._view(stem)), stems, self.workers)

        windows = iter_windows(Shots(names), [stem for stem in names if stem in wanted], 1, read, None)
        radius = edge_window(self.edge_radius, self.subject_size(interval))

        def predict(window: TemporalWindow[_View]) -> tuple[str, Probability]:
            image, probability = clip.frames.read(window.stem), self._predict(window)
            return window.stem, guided_filter(resize_image(probability, clip.size), image, radius, EDGE_EPSILON)

        yield from prefetch_map(predict, windows, self.workers)

    def _view(self, stem: str) -> "_View":
        assert self._extractor is not None
        if (own := self._extractor.sources.get(stem)) is not None:
            return None, own.mask * np.float32(1 / 255)
        ((_, channels),) = self._extractor.extract([stem])
        return channels, self._map(self._first, channels, channels)

    def _predict(self, window: "TemporalWindow[_View]") -> Probability:
        stem, (channels, own) = window.stem, window.picture
        assert channels is not None
        maps = {stem: own, **{near.stem: near.picture[1] for side in window.sides for near in side}}
        inputs = np.concatenate([channels, self._context(stem, maps)])
        return self._map(self._second, inputs, channels, SECOND_STRIDES)


def _spread(stems: list[str], count: int) -> list[str]:
    """At most ``count`` of the stems, evenly spaced."""
    positions = np.linspace(0, len(stems) - 1, min(count, len(stems)))
    return [stems[round(position)] for position in positions]


@dataclass(frozen=True, eq=False)
class _TrainingFrame:
    """One simulation of a hand-masked frame, the fold that leaves it out, and the pixels (P,) of it to train on."""

    simulation: Simulation
    fold: int
    pixels: NDArray[np.intp]
    labels: NDArray[np.bool_]

    def sample(self, channels: FeatureMaps) -> PixelSamples:
        """The channels (C, h, w) at the frame's training pixels, (P, C)."""
        return channels.reshape(len(channels), -1)[:, self.pixels].T


_View: TypeAlias = tuple[FeatureMaps | None, Probability]
"""A frame's features (C, h, w), None for a hand-masked one; the first classifier's map (h, w), or the hand mask."""

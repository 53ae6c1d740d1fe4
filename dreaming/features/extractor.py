"""Feature extraction for segmenters: propagated hand masks, colour likelihood and appearance of each pixel.

The features of a frame without a hand mask come from the nearest hand masks. For a frame with a hand mask they are
*simulated*, so that a classifier or network learns how reliable they are: once from the other hand masks (leave one
out), and several times from its own mask after a round trip along the optical flow.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from threading import Lock
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from dreaming.artifacts.fingerprint import fingerprint
from dreaming.clip.annotations import References
from dreaming.clip.clip import Clip
from dreaming.constraints import ImageSide, NonNegativeInt, PositiveFloat, Seed
from dreaming.errors import MaskError
from dreaming.features.background_difference import BackgroundDifference
from dreaming.features.channels import AppearanceFeatures, FeatureMaps, assemble_features
from dreaming.features.colour_likelihood import ColourLikelihood
from dreaming.features.propagated_masks import MaskPropagator, PropagationSource
from dreaming.flow.cache import FlowCache
from dreaming.flow.dis import DisFlow
from dreaming.flow.propagation import DriftCorrection, FlowPropagator
from dreaming.flow.warp import resize_flow
from dreaming.imaging.resize import working_size

MAX_GAP = 60
"""Largest distance of a round trip, in frames."""

_latest: dict[str, tuple[MaskPropagator, ColourLikelihood, BackgroundDifference]] = {}
_creation = Lock()
"""Held while an extractor is created, so that fits in several threads compute flow once and share a cache."""


def clear_cache() -> None:
    """Discard the masks cached for the last clip, so that the next extraction can be timed from the start."""
    _latest.clear()


@dataclass(frozen=True)
class PropagationFeatures:
    """Settings of the per-pixel features.

    Attributes:
        drift: Correction of drift during propagation; None: no correction.
        short_side: Working size: shorter side in pixels to which frames are reduced; None: full size.
        error_scale: Photometric error (Lab differences, 0..255 each) that lowers a propagated mask's weight to 1/e.
        round_trips: Simulations of each hand-masked frame from its own mask.
    """

    kind: ClassVar[str] = "propagation_features"

    flow: DisFlow
    drift: DriftCorrection | None = field(default_factory=DriftCorrection)
    short_side: ImageSide | None = 480
    error_scale: PositiveFloat = 10.0
    round_trips: NonNegativeInt = 4
    seed: Seed = 0

    def extractor(self, clip: Clip, references: References, *, workers: int = 2) -> "FeatureExtractor":
        """Create the feature extractor of a clip from hand masks; compute the clip's flow where it is missing.

        Hand masks of pictures that are no frames of the clip are ignored. The masks propagated for the last clip stay
        cached, for other maskers and other subsets of its hand masks.

        Raises:
            MaskError: If none of them is a frame of the clip.
        """
        size = working_size(clip.size, self.short_side)
        identifiers = str(clip.path.absolute()), clip.sequence_fingerprint
        key = fingerprint(*identifiers, self.flow, self.drift, list(size))
        with _creation:
            flows = FlowCache(clip, self.flow)
            flows.complete(workers=workers)
            if key not in _latest:
                propagator = FlowPropagator(clip, flows, self.drift)
                _latest.clear()
                colours = ColourLikelihood(clip, size)
                background = BackgroundDifference(clip, flows, colours.lab, size)
                _latest[key] = MaskPropagator(clip, propagator, size), colours, background
            shared = _latest[key]
        return FeatureExtractor(self, *shared, references)


@dataclass(frozen=True, eq=False)
class Simulation:
    """Sources of simulated features for a hand-masked frame and its neighbours.

    Attributes:
        stem: The hand-masked frame.
        sources: The two masks propagated to it; the same one twice if there is only one.
        colour_sources: All masks whose frames the colour histograms count.
        stems: The frame and its neighbours in the clip, in order.
    """

    stem: str
    sources: tuple[PropagationSource, PropagationSource]
    colour_sources: tuple[PropagationSource, ...]
    stems: tuple[str, ...]


class FeatureExtractor:
    """Extracts the features of one clip's frames from some hand masks.

    Args:
        settings: Settings of the features.
        propagator: Propagates masks.
        colours: Counts colours.
        background: Compares frames with others.
        references: The hand masks.

    Raises:
        MaskError: If none of them is a frame of the clip.
    """

    def __init__(
        self,
        settings: PropagationFeatures,
        propagator: MaskPropagator,
        colours: ColourLikelihood,
        background: BackgroundDifference,
        references: References,
    ) -> None:
        self.settings, self._propagator, self._colours, self._background = settings, propagator, colours, background
        self.clip, self.size = propagator.clip, propagator.size
        self._indices = {stem: index for index, stem in enumerate(self.clip.stems)}
        self.sources = {
            stem: PropagationSource.from_hand_mask(stem, mask, self.size)
            for stem, mask in zip(references.stems, references.masks, strict=True)
            if stem in self._indices
        }
        if not self.sources:
            raise MaskError(
                self.clip.path,
                topic="no-hand-masks",
                found="no hand mask of any of the clip's frames",
                expected="at least one hand mask named like its frame",
            )
        self._appearances: dict[str, AppearanceFeatures] = {}

    def with_references(self, references: References) -> "FeatureExtractor":
        """Create an extractor from other hand masks of the same clip, with the same caches."""
        return FeatureExtractor(self.settings, self._propagator, self._colours, self._background, references)

    def extract(self, stems: Iterable[str]) -> Iterator[tuple[str, FeatureMaps]]:
        """Yield each named frame's features (E, h, w), in the order given, one at a time.

        The features of a hand-masked frame come from its own mask, on both sides and with gap 0.
        """
        for stem in stems:
            yield stem, self.features(stem, self.nearest_sources(stem), tuple(self.sources.values()))

    def nearest_sources(self, stem: str) -> tuple[PropagationSource, PropagationSource]:
        """The nearest hand masks before and after a frame in its shot; one twice if the other side has none."""
        return (own, own) if (own := self.sources.get(stem)) else self._nearest(stem)

    def features(
        self,
        stem: str,
        sources: tuple[PropagationSource, PropagationSource],
        colour_sources: tuple[PropagationSource, ...],
    ) -> FeatureMaps:
        """A frame's features (E, h, w), from two masks propagated to it and the masks whose colours are counted."""
        masks = self._propagator.mask(sources[0], stem), self._propagator.mask(sources[1], stem)
        appearance = self.appearance(stem)
        ratios = tuple(self._colours.log_ratio(appearance.lab, each) for each in (sources, colour_sources))
        return assemble_features(appearance, masks, ratios, self.settings.error_scale)

    def simulations(self, stem: str) -> list[Simulation]:
        """Simulated features for a hand-masked frame: from the other hand masks, then from its own by round trips.

        The frame's own mask is not used in the first, the masks of other frames not in the round trips.
        """
        pairs = []
        self._propagate_to_neighbours(stem)
        if len(self.sources) > 1:
            pairs.append(self._nearest(stem))
        if len(self.clip.shots.of(stem)) > 1:
            pairs += [self._round_trip(stem, number) for number in range(self.settings.round_trips)]
        names = self.clip.shots.of(stem)
        index = names.index(stem)
        stems = tuple(names[max(index - 1, 0) : index + 2])
        others = tuple(source for name, source in self.sources.items() if name != stem)
        return [Simulation(stem, pair, (*pair, *others), stems) for pair in pairs]

    def simulated(self, simulation: Simulation, stem: str | None = None) -> FeatureMaps:
        """The features (E, h, w) of a simulation, for its own frame or for one of its neighbours."""
        stem = simulation.stem if stem is None else stem
        return self.features(stem, simulation.sources, simulation.colour_sources)

    def log_ratios(self, lab: NDArray[np.uint8], stem: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Log likelihood ratios of colours (h, w, 3), from one hand-masked frame and from all of them."""
        one, every = (self.sources[stem],), tuple(self.sources.values())
        return self._colours.log_ratio(lab, one), self._colours.log_ratio(lab, every)

    def neighbour_flow(self, stem: str, other: str) -> NDArray[np.float32]:
        """Flow from a frame to its neighbour, (h, w, 2) in working pixels."""
        return resize_flow(self._propagator.propagator.flows.both_ways(stem, other)[0], self.size)

    def mask(self, stem: str) -> NDArray[np.bool_]:
        """A hand mask at the working size, (h, w)."""
        return self.sources[stem].mask > 127

    def appearance(self, stem: str) -> AppearanceFeatures:
        """Features of the frame itself; those of the last few frames are cached."""
        if (cached := self._appearances.get(stem)) is not None:
            return cached
        names, near, index = self.clip.stems, self.clip.shots.around(stem, 1), self._indices[stem]
        if len(near) == 1:
            motion = np.zeros((*self.size, 2), np.float32)
        elif index + 1 in near:
            motion = self.neighbour_flow(stem, names[index + 1])
        else:
            motion = -self.neighbour_flow(stem, names[index - 1])
        appearance = AppearanceFeatures.from_lab(self._background.lab(stem), motion, self._background.compute(stem))
        self._appearances = {**dict(list(self._appearances.items())[-3:]), stem: appearance}
        return appearance

    def release(self) -> None:
        """Drop the cached frames, 100 bytes per pixel each: several fitted maskers wait in memory for their turn."""
        self._appearances = {}

    def _nearest(self, stem: str) -> tuple[PropagationSource, PropagationSource]:
        """The nearest other hand masks on both sides, within the frame's shot if it has any."""
        index = self._indices[stem]
        others = [name for name in self.sources if name != stem]
        others = [name for name in others if self.clip.shots.joined(name, stem)] or others
        before = [name for name in others if self._indices[name] < index]
        after = [name for name in others if self._indices[name] > index]
        names = [max(before, key=self._indices.__getitem__)] if before else []
        names += [min(after, key=self._indices.__getitem__)] if after else []
        return self.sources[names[0]], self.sources[names[-1]]

    def _propagate_to_neighbours(self, stem: str) -> None:
        """Propagate a hand mask beyond the next hand masks, as far as all simulations need it, in one go."""
        names = self.clip.shots.of(stem)
        index, first = names.index(stem), self._indices[names[0]]
        others = [self._indices[name] - first for name in self.sources if self.clip.shots.joined(name, stem)]
        before = max((other - 1 for other in others if other < index), default=index)
        after = min((other + 1 for other in others if other > index), default=index)
        for end in (max(before, 0), min(after, len(names) - 1)):
            self._propagator.propagate(self.sources[stem], names[end])

    def _round_trip(self, stem: str, number: int) -> tuple[PropagationSource, PropagationSource]:
        """The frame's own mask propagated to two other frames, as far apart as hand masks are on average."""
        settings = self.settings
        digest = hashlib.blake2b(f"{settings.seed} {stem} {number}".encode(), digest_size=8).digest()
        share = (number + np.random.default_rng(int.from_bytes(digest)).random()) / settings.round_trips
        spacing = min(max(2.0, (len(self._indices) - 1) / max(1, len(self.sources) - 1)), 2 * MAX_GAP)
        left, right = (min(_round_gap(part * spacing), MAX_GAP) for part in (share, 1 - share))
        names = self.clip.shots.of(stem)
        index, last = names.index(stem), len(names) - 1
        before, after = max(index - left, 0), min(index + right, last)
        if before == index:
            before = min(index + left, last)
        if after == index:
            after = max(index - right, 0)
        own, ends = self.sources[stem], names[max(index - 1, 0) : index + 2]
        sources = tuple(self._propagator.source_at(own, names[start]) for start in (before, after))
        for source, start in zip(sources, (before, after), strict=True):
            # Its neighbour behind it is needed, too: to propagate there at once saves half of the way.
            self._propagator.propagate(source, ends[-1] if start < index else ends[0])
        return sources[0], sources[1]


def _round_gap(gap: float) -> int:
    """Round to 1, 2, 3, 4, 6, 8, 12, 16, 24, ...: with few values, a held-out hand mask changes few round trips."""
    gaps = [1, 2, 3]
    while gaps[-1] < gap:
        gaps.append(gaps[-2] * 2)
    return min(gaps, key=lambda each: (abs(each - gap), each))

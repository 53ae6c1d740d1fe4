"""Evidence: what the hand masks, carried along the flow, and the frame itself tell of each pixel.

For frames without a hand mask it comes from the nearest hand masks. For those with one it is *simulated*, so that a
classifier or network learns from it how far such evidence can be trusted: from the other hand masks (leave one out),
and from its own, carried to a frame some way off and back (there and back).
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from dreaming.clip.annotations import References
from dreaming.clip.clip import Clip
from dreaming.errors import ConfigError, MaskError
from dreaming.features.background_difference import BackgroundDifference, BackgroundSampling
from dreaming.features.channels import CHANNELS, AppearanceFeatures, Blend, FeatureMaps, stack
from dreaming.features.colour_likelihood import ColourLikelihood
from dreaming.features.propagated_masks import MaskPropagator, PropagationSource
from dreaming.flow.cache import FlowCache
from dreaming.flow.dis import DisFlow
from dreaming.flow.propagation import DriftCorrection, FlowPropagator
from dreaming.flow.warp import resize_flow
from dreaming.imaging.resize import working_size
from dreaming.io.manifest import fingerprint

_latest: dict[str, tuple[MaskPropagator, ColourLikelihood, BackgroundDifference]] = {}


def clear_cache() -> None:
    """Drop what was carried for the last clip, so that it is carried anew: for who measures how long that takes."""
    _latest.clear()


@dataclass(frozen=True)
class PropagationFeatures:
    """How evidence is gathered.

    Attributes:
        flow: How flow is computed.
        drift: How carrying over many frames is corrected; None: not.
        short_side: The working size: shorter side in pixels that frames are brought down to; None: as they are.
        error_sigma: Blur of the photometric error, in the flow's working pixels.
        blend: How the masks of both sides are blended.
        reach: Where distances from the outline are clipped, in working pixels.
        bins: Cells along each axis of the colour histograms.
        background: Which frames each is compared with for what stands in the same place.
        round_trips: Simulations of each hand-masked frame by its own mask.
        farthest: Frames that a mask is carried away for that, at most.
        seed: Of the distances drawn.
    """

    kind: ClassVar[str] = "propagation_features"

    flow: DisFlow
    drift: DriftCorrection | None = field(default_factory=DriftCorrection)
    short_side: int | None = 240
    error_sigma: float = 2.0
    blend: Blend = field(default_factory=Blend)
    reach: float = 60.0
    bins: int = 24
    background: BackgroundSampling = field(default_factory=BackgroundSampling)
    round_trips: int = 4
    farthest: int = 60
    seed: int = 0

    def __post_init__(self) -> None:
        for key, lowest in (("bins", 2), ("round_trips", 0), ("farthest", 1)):
            if getattr(self, key) < lowest:
                found = str(getattr(self, key))
                raise ConfigError(f"data.features.{key}", found=found, expected=f"at least {lowest}", hint="correct it")

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the channels, in order."""
        return CHANNELS

    def extractor(self, clip: Clip, references: References, *, workers: int = 2) -> "FeatureExtractor":
        """The evidence for a clip from these hand masks; computes the clip's flow if it is not there.

        What was carried for the last clip is kept, for its other maskers and for other hand masks of it.

        Args:
            clip: The clip.
            references: Hand-masked frames; those of other clips' frames are not used.
            workers: Pairs of frames whose flow is computed at once.

        Raises:
            MaskError: If none of them belongs to a frame of the clip.
        """
        flows = FlowCache(clip, self.flow)
        flows.complete(workers=workers)
        size = working_size(clip.size, self.short_side)
        place = str(clip.path.absolute()), clip.frames_fingerprint
        key = fingerprint(*place, self.flow, self.drift, self.error_sigma, self.bins, self.background, list(size))
        if key not in _latest:
            carrier = FlowPropagator(clip, flows, self.drift, self.error_sigma)
            _latest.clear()
            palette = ColourLikelihood(clip, size, self.bins)
            background = BackgroundDifference(clip, flows, palette, self.background)
            _latest[key] = MaskPropagator(clip, carrier, size), palette, background
        return FeatureExtractor(self, *_latest[key], references)


@dataclass(frozen=True, eq=False)
class Simulation:
    """Evidence made up for a hand-masked frame, and for its neighbours in the same manner.

    Attributes:
        stem: The hand-masked frame.
        sources: The two masks that are carried to it; the same one twice where there is only one.
        palette: All masks that colours are learnt from.
        stems: The frame and its neighbours in the clip, in order.
    """

    stem: str
    sources: tuple[PropagationSource, PropagationSource]
    palette: tuple[PropagationSource, ...]
    stems: tuple[str, ...]


class FeatureExtractor:
    """Evidence for the frames of one clip from some hand masks.

    Args:
        settings: How it is gathered.
        carried: Carries masks, and keeps what it carried.
        palette: Counts colours, and keeps what it counted.
        background: Compares frames with others.
        references: The hand masks.

    Raises:
        MaskError: If none of them belongs to a frame of the clip.
    """

    def __init__(
        self,
        settings: PropagationFeatures,
        carried: MaskPropagator,
        palette: ColourLikelihood,
        background: BackgroundDifference,
        references: References,
    ) -> None:
        self.settings, self._carried, self._palette, self._background = settings, carried, palette, background
        self.clip, self.size = carried.clip, carried.size
        self._places = {stem: place for place, stem in enumerate(self.clip.stems)}
        self.sources = {
            stem: PropagationSource.painted(stem, mask, self.size)
            for stem, mask in zip(references.stems, references.masks, strict=True)
            if stem in self._places
        }
        if not self.sources:
            raise MaskError(
                self.clip.path,
                found="no hand mask of any of the clip's frames",
                expected="at least one to begin from",
                hint="name the masks like their frames",
            )
        self._looks: dict[str, AppearanceFeatures] = {}

    def with_references(self, references: References) -> "FeatureExtractor":
        """As this one from other hand masks of the same clip; what was carried before is not carried again."""
        return FeatureExtractor(self.settings, self._carried, self._palette, self._background, references)

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the channels, in order."""
        return self.settings.channels

    def extract(self, stems: Iterable[str]) -> Iterator[tuple[str, FeatureMaps]]:
        """Yield each named frame's evidence (E, h, w), in the order asked; holds one at a time.

        A hand-masked frame has its own mask on both sides, at no distance.
        """
        for stem in stems:
            yield stem, self.stack(stem, self.nearest_sources(stem), tuple(self.sources.values()))

    def nearest_sources(self, stem: str) -> tuple[PropagationSource, PropagationSource]:
        """The nearest hand masks before and behind a frame; one of them twice where the other side has none."""
        return (own, own) if (own := self.sources.get(stem)) else self._nearest(stem)

    def stack(
        self, stem: str, origins: tuple[PropagationSource, PropagationSource], palette: tuple[PropagationSource, ...]
    ) -> FeatureMaps:
        """A frame's evidence (E, h, w) from the two masks carried to it and those that colours are learnt from."""
        sides = self._carried.side(origins[0], stem), self._carried.side(origins[1], stem)
        look = self.look(stem)
        ratios = self._palette.log_ratio(look.lab, origins), self._palette.log_ratio(look.lab, palette)
        return stack(look, sides, ratios, self.settings.blend, self.settings.reach)

    def carry(self, origin: PropagationSource, end: str) -> None:
        """See to it that a mask has been carried to a frame and to all on the way."""
        self._carried.carry(origin, end)

    def simulations(self, stem: str) -> list[Simulation]:
        """Evidence made up for a hand-masked frame: from the other hand masks, then there and back.

        Its own mask has no part in the first; those of other frames have none in the others.
        """
        found = []
        self._carry_to_the_next(stem)
        if len(self.sources) > 1:
            found.append(self._nearest(stem))
        if len(self._places) > 1:
            found += [self._round_trips(stem, number) for number in range(self.settings.round_trips)]
        place, names = self._places[stem], self.clip.stems
        stems = tuple(names[max(place - 1, 0) : place + 2])
        others = tuple(source for name, source in self.sources.items() if name != stem)
        return [Simulation(stem, origins, (*origins, *others), stems) for origins in found]

    def simulated(self, simulation: Simulation, stem: str | None = None) -> FeatureMaps:
        """The evidence (E, h, w) of a simulation, for its own frame or for one of its neighbours."""
        return self.stack(simulation.stem if stem is None else stem, simulation.sources, simulation.palette)

    def log_ratios(self, lab: NDArray[np.uint8], stem: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """How much likelier colours (h, w, 3) are the subject's, going by one hand-masked frame, and going by all."""
        near, every = (self.sources[stem],), tuple(self.sources.values())
        return self._palette.log_ratio(lab, near), self._palette.log_ratio(lab, every)

    def neighbour_flow(self, stem: str, other: str) -> NDArray[np.float32]:
        """Where each pixel of a frame lies in its neighbour, (h, w, 2) in working pixels."""
        return resize_flow(self._carried.carrier.flows.both_ways(stem, other)[0], self.size)

    def mask(self, stem: str) -> NDArray[np.bool_]:
        """A hand mask at the working size, (h, w)."""
        return self.sources[stem].mask > 127

    # -- where masks come from

    def _nearest(self, stem: str) -> tuple[PropagationSource, PropagationSource]:
        place = self._places[stem]
        before = [name for name in self.sources if self._places[name] < place]
        behind = [name for name in self.sources if self._places[name] > place]
        names = [max(before, key=self._places.__getitem__)] if before else []
        names += [min(behind, key=self._places.__getitem__)] if behind else []
        return self.sources[names[0]], self.sources[names[-1]]

    def _carry_to_the_next(self, stem: str) -> None:
        """Carry a hand mask as far as its runs and its neighbours' simulations need it: once, not in parts."""
        place, names = self._places[stem], self.clip.stems
        others = [self._places[name] for name in self.sources]
        before = max((other - 1 for other in others if other < place), default=place)
        behind = min((other + 1 for other in others if other > place), default=place)
        for end in (max(before, 0), min(behind, len(names) - 1)):
            self._carried.carry(self.sources[stem], names[end])

    @property
    def _spacing(self) -> float:
        """Frames between two hand masks, on average."""
        return max(2.0, (len(self._places) - 1) / max(1, len(self.sources) - 1))

    def _round_trips(self, stem: str, number: int) -> tuple[PropagationSource, PropagationSource]:
        """Two frames as far away, together, as hand masks are from one another; its own mask as it arrives there."""
        settings = self.settings
        digest = hashlib.blake2b(f"{settings.seed} {stem} {number}".encode(), digest_size=8).digest()
        share = (number + np.random.default_rng(int.from_bytes(digest)).random()) / settings.round_trips
        spacing = min(self._spacing, 2 * settings.farthest)
        left, right = (min(_rung(part * spacing), settings.farthest) for part in (share, 1 - share))
        place, last, names = self._places[stem], len(self._places) - 1, self.clip.stems
        before, behind = max(place - left, 0), min(place + right, last)
        if before == place:
            before = min(place + left, last)
        if behind == place:
            behind = max(place - right, 0)
        own = self.sources[stem]
        return self._carried.again(own, names[before]), self._carried.again(own, names[behind])

    # -- what frames look like

    def look(self, stem: str) -> AppearanceFeatures:
        """What a frame shows by itself; the last few are kept."""
        if (known := self._looks.get(stem)) is not None:
            return known
        place, names = self._places[stem], self.clip.stems
        if len(names) == 1:
            motion = np.zeros((*self.size, 2), np.float32)
        elif place + 1 < len(names):
            motion = self.neighbour_flow(stem, names[place + 1])
        else:
            motion = -self.neighbour_flow(stem, names[place - 1])
        look = AppearanceFeatures.at(self._palette.lab(stem), motion, self._background.at(stem))
        self._looks = {**dict(list(self._looks.items())[-3:]), stem: look}
        return look


def _rung(distance: float) -> int:
    """The nearest of 1, 2, 3, 4, 6, 8, 12, 16, 24, ...: few distances, so that hand masks left out change few."""
    rungs = [1, 2, 3]
    while rungs[-1] < distance:
        rungs.append(rungs[-2] * 2)
    return min(rungs, key=lambda rung: (abs(rung - distance), rung))

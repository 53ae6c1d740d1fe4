"""Masks by a pixel classifier on evidence: how far to trust the carried hand masks, colours, motion and place."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from dreaming.clip.annotations import References
from dreaming.clip.clip import Clip
from dreaming.clip.intervals import FrameInterval
from dreaming.errors import ConfigError, MaskError
from dreaming.features.channels import CHANNELS, FeatureMaps, blurred, signed_distance
from dreaming.features.extractor import FeatureExtractor, PropagationFeatures, Simulation
from dreaming.imaging.guided_filter import guided_filter
from dreaming.imaging.resize import resize_image
from dreaming.io.prefetch import prefetch_map
from dreaming.io.types import Mask, Probability
from dreaming.maskers.auto_context import BackgroundSampling, Boosting, Context, Trees
from dreaming.maskers.base import Frames, SequenceMasker

BLEND = CHANNELS.index("blend")


@dataclass
class PixelsMasker(SequenceMasker):
    """Two boosted classifiers, the second seeing the first one's maps of the frame and its neighbours.

    Attributes:
        features: What they see, and how it is simulated for hand-masked frames.
        boosting: How they are grown.
        context: What the second sees of the first.
        samples: Pixels learnt from, of each simulated frame.
        outline_share: Share of them drawn near the subject's outline.
        surroundings: How near, in working pixels.
        frames: Hand-masked frames learnt from, at most, spread over the clip; evidence comes from all.
        folds: Parts of the hand-masked frames, of which each is left out once for the first classifier's maps that the
            second one learns from.
        far_sigma: A pixel is backdrop unseen where the carried mask, blurred by this many working pixels ...
        far_share: ... is less than this.
        edge_radius: Window of the guided filter that pulls the outline to the frame's edges, in pixels; 0: none.
        edge_epsilon: Variance of grey in 0..1 from which on it takes something for an edge.
        seed: Of samples and classifiers.
    """

    kind: ClassVar[str] = "pixels_masker"

    features: PropagationFeatures
    boosting: Boosting = field(default_factory=Boosting)
    context: Context = field(default_factory=Context)
    samples: int = 4000
    outline_share: float = 0.67
    surroundings: float = 31.0
    frames: int = 12
    folds: int = 3
    far_sigma: float = 25.0
    far_share: float = 0.003
    edge_radius: int = 4
    edge_epsilon: float = 1e-4
    seed: int = 0

    def __post_init__(self) -> None:
        for key, lowest in (("samples", 1), ("frames", 1), ("folds", 2)):
            if getattr(self, key) < lowest:
                found = str(getattr(self, key))
                raise ConfigError(f"masker.pixels.{key}", found=found, expected=f"at least {lowest}", hint="correct it")
        self._seen: FeatureExtractor | None = None

    def fit(self, clip: Clip, references: References) -> Self:
        """Learn both classifiers from evidence simulated for the hand-masked frames.

        Fitted again on other hand masks of the clip it uses again what was carried.

        Raises:
            MaskError: If none of them belongs to a frame of the clip, or nothing can be simulated.
        """
        super().fit(clip, references)
        seen = self._seen = self.features.extractor(clip, references, workers=self.workers)
        lessons = self._lessons(seen)
        labels = [lesson.labels for lesson in lessons]
        first = list(prefetch_map(lambda lesson: lesson.of(seen.simulated(lesson.simulation)), lessons, self.workers))

        def learn(left_out: int | None) -> Trees:
            kept = [place for place, lesson in enumerate(lessons) if lesson.fold != left_out]
            samples, answers = (np.concatenate([parts[place] for place in kept]) for parts in (first, labels))
            return self.boosting.fit(samples, answers, self.seed)

        folds = sorted({lesson.fold for lesson in lessons})
        *unseen, self._first = prefetch_map(learn, [*folds, None], self.workers)
        by_fold = dict(zip(folds, unseen, strict=True))
        second = list(
            prefetch_map(lambda lesson: self._in_context(lesson, by_fold[lesson.fold]), lessons, self.workers)
        )
        self._second = self.boosting.fit(np.concatenate(second), np.concatenate(labels), self.seed)
        return self

    # -- what is learnt from

    def _lessons(self, seen: FeatureExtractor) -> list["_Lesson"]:
        """All simulations of the hand-masked frames that are learnt from, in folds of whole frames."""
        present = [stem for stem in seen.sources if self._masks[stem].any()]
        absent = [stem for stem in seen.sources if stem not in present]
        # What is not there is soon learnt.
        absent = _spread(absent, max(self.frames - len(present), self.frames // 3))
        present = _spread(present, self.frames - len(absent))
        # Those that show the subject come first: whatever fold is left out, the others show it.
        lessons = [
            self._lesson(seen, simulation, number, fold % self.folds)
            for fold, stem in enumerate([*present, *absent])
            for number, simulation in enumerate(seen.simulations(stem))
        ]
        if len(lessons) < 2:
            raise MaskError(
                seen.clip.path,
                found="no simulated evidence to learn from",
                expected="two hand masks, or one and a mask carried there and back",
                hint="paint another mask or raise data.features.round_trips",
            )
        if len(present) > 1:
            return lessons
        # Of a lone mask that shows the subject the simulations are left out in turn.
        return [replace(lesson, fold=number % self.folds) for number, lesson in enumerate(lessons)]

    def _lesson(self, seen: FeatureExtractor, simulation: Simulation, number: int, fold: int) -> "_Lesson":
        mask = seen.mask(simulation.stem)
        digest = hashlib.blake2b(f"{self.seed} {simulation.stem} {number}".encode(), digest_size=8).digest()
        rng = np.random.default_rng(int.from_bytes(digest))
        near = (np.abs(signed_distance(mask, self.surroundings)) < 1).ravel()
        chosen = rng.permutation(np.flatnonzero(near))[: round(self.samples * self.outline_share)]
        elsewhere = rng.permutation(np.flatnonzero(~near))[: self.samples - len(chosen)]
        places = np.concatenate([chosen, elsewhere])
        return _Lesson(simulation, fold, places, mask.ravel()[places])

    def _in_context(self, lesson: "_Lesson", unseen: Trees) -> BackgroundSampling:
        """What the second classifier would see of a simulated frame, which the first one never saw."""
        assert self._seen is not None
        simulation = lesson.simulation
        stacks = {stem: self._seen.simulated(simulation, stem) for stem in simulation.stems}
        maps = {stem: unseen.map(channels, self._where(channels)) for stem, channels in stacks.items()}
        for origin in simulation.sources:
            if origin.stem in maps:  # a neighbour that counts as painted is known
                maps[origin.stem] = origin.mask * np.float32(1 / 255)
        return lesson.of(self._with_context(simulation.stem, stacks[simulation.stem], maps))

    def _with_context(self, stem: str, channels: FeatureMaps, maps: Mapping[str, Probability]) -> FeatureMaps:
        """All that the second classifier sees of a frame, (C, h, w)."""
        assert self._seen is not None
        neighbours = [
            (values, self._seen.neighbour_flow(stem, other)) for other, values in maps.items() if other != stem
        ]
        return np.concatenate([channels, self.context.channels(maps[stem], neighbours)])

    def _where(self, channels: FeatureMaps) -> Mask:
        """Where the subject can be (h, w): not far from what is carried there."""
        return blurred(channels[BLEND], self.far_sigma) >= self.far_share

    # -- prediction

    def predict_interval(self, clip: Clip, run: FrameInterval, wanted: frozenset[str]) -> Frames:
        """Yield the wanted frames of a run, in order."""
        names = [*filter(None, [run.left]), *run.stems, *filter(None, [run.right])]
        places = [place for place, stem in enumerate(names) if stem in wanted]
        around = sorted({near for place in places for near in (place - 1, place, place + 1) if 0 <= near < len(names)})
        views = prefetch_map(self._view, [names[place] for place in around], self.workers)
        window: dict[str, _View] = {}
        triples = ((names[place], names[max(place - 1, 0) : place + 2]) for place in places)

        def windows() -> Iterator[tuple[str, dict[str, _View]]]:
            nonlocal window
            for stem, near in triples:
                window = {name: view for name, view in window.items() if name in near}
                while near[-1] not in window:
                    view = next(views)
                    window[view.stem] = view
                yield stem, {name: window[name] for name in near}

        yield from prefetch_map(lambda triple: (triple[0], self._masked(clip, *triple)), windows(), self.workers)

    def _view(self, stem: str) -> "_View":
        assert self._seen is not None
        if (own := self._seen.sources.get(stem)) is not None:
            return _View(stem, None, own.mask * np.float32(1 / 255))
        ((_, channels),) = self._seen.extract([stem])
        return _View(stem, channels, self._first.map(channels, self._where(channels)))

    def _masked(self, clip: Clip, stem: str, views: Mapping[str, "_View"]) -> Probability:
        channels = views[stem].channels
        assert channels is not None
        maps = {name: view.map for name, view in views.items()}
        found = self._second.map(self._with_context(stem, channels, maps), self._where(channels))
        image = clip.frames.read(stem)
        return guided_filter(resize_image(found, clip.size), image, self.edge_radius, self.edge_epsilon)


def _spread(stems: list[str], count: int) -> list[str]:
    """At most so many of them, evenly."""
    places = np.linspace(0, len(stems) - 1, count if stems else 0)
    return [stems[place] for place in sorted({round(place) for place in places})]


@dataclass(frozen=True, eq=False)
class _Lesson:
    """What one simulated frame teaches.

    Attributes:
        simulation: The frame, and where its evidence comes from.
        fold: With which others it is left out.
        places: (P,), of the pixels learnt from, in the frame's rows one behind the other.
        labels: (P,), whether they are the subject's.
    """

    simulation: Simulation
    fold: int
    places: NDArray[np.intp]
    labels: NDArray[np.bool_]

    def of(self, channels: FeatureMaps) -> BackgroundSampling:
        """The channels (C, h, w) at those places, (P, C)."""
        return channels.reshape(len(channels), -1)[:, self.places].T


@dataclass(frozen=True, eq=False)
class _View:
    """A frame of the clip as the first classifier sees it.

    Attributes:
        stem: Its name.
        channels: (E, h, w), its evidence; None where its hand mask is known.
        map: (h, w), what the first classifier makes of it.
    """

    stem: str
    channels: FeatureMaps | None
    map: Probability

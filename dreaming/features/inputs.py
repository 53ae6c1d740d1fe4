"""Evidence as further input of a network: simulated for the hand-masked frames it learns from, and made-up ones."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from dreaming.clip.annotations import References
from dreaming.clip.clip import Clip
from dreaming.errors import ConfigError
from dreaming.features.channels import CHANNELS, AppearanceFeatures, FeatureMaps, stack
from dreaming.features.extractor import FeatureExtractor, PropagationFeatures
from dreaming.features.lucid_dreaming import LucidDreaming, SyntheticScene, gathered
from dreaming.features.propagated_masks import PropagatedMask, PropagationSource
from dreaming.flow.camera_motion import camera_homography
from dreaming.flow.warp import consistent, resize_flow, warp
from dreaming.imaging.colour_histogram import rgb_to_lab

MASKS = ("near_mask", "far_mask", "even_blend", "blend")
"""Channels that are masks in 0..1."""

Versions = NDArray[np.float16]
"""(V, h, w, E), what may be known of one frame, in V versions."""


@dataclass(frozen=True)
class FeatureInputs:
    """Which evidence a network is given, and how it is gathered.

    Attributes:
        features: How it is gathered.
        channels: Names of the channels; colours are left out, since the network sees the frame.
        prior: The mask, among them or those that other maskers give, which the network corrects instead of finding one
            from nothing; None: none.
    """

    kind: ClassVar[str] = "feature_inputs"

    features: PropagationFeatures
    channels: Sequence[str]
    prior: str | None = None

    def check(self, key: str) -> None:
        """Refuse channels that do not exist.

        Args:
            key: Where in the config it stands.

        Raises:
            ConfigError: If one is wrong.
        """
        for name in self.channels:
            if name not in CHANNELS:
                known = f"names among {', '.join(CHANNELS)}"
                raise ConfigError(f"{key}.channels", found=name, expected=known, hint="correct it")

    @property
    def masks(self) -> list[str]:
        """Names of those of the channels that are masks."""
        return [name for name in self.channels if name in MASKS]

    @property
    def _places(self) -> list[int]:
        return [CHANNELS.index(name) for name in self.channels]

    def extractor(self, clip: Clip, references: References) -> FeatureExtractor:
        """The evidence for a clip from these hand masks."""
        return self.features.extractor(clip, references)

    def extract(self, known: FeatureExtractor, stems: Iterable[str]) -> Iterator[tuple[str, FeatureMaps]]:
        """Yield each named frame's input (E, h, w), in order."""
        for stem, found in known.extract(stems):
            yield stem, found[self._places]

    def simulated(self, known: FeatureExtractor, stems: Iterable[str]) -> list[Versions]:
        """What would be known of each of these hand-masked frames if it were none, in several versions each."""
        return [
            self._versions([known.simulated(simulation) for simulation in known.simulations(stem)]) for stem in stems
        ]

    def whole(self, known: FeatureExtractor, stems: Sequence[str]) -> list[Versions]:
        """What is known of frames that are not among the hand-masked ones, one version each."""
        return [self._versions([found]) for _, found in known.extract(stems)]

    def _versions(self, stacks: Sequence[FeatureMaps]) -> Versions:
        return np.stack([np.moveaxis(found[self._places], 0, 2) for found in stacks]).astype(np.float16)

    def lucid_dreaming(
        self, known: FeatureExtractor, references: References, lucid_dreaming: LucidDreaming
    ) -> tuple[References, list[Versions]]:
        """Made-up frames at the evidence's working size, each with evidence from two made-up neighbours.

        The neighbours' masks are carried along the real flow between the made-up frames, so that they arrive with the
        errors that flow makes.
        """
        scenes, versions = [], []
        for stem, scene, random in lucid_dreaming.scenes(references, known.size):
            neighbours = [scene.changed(lucid_dreaming.motion, lucid_dreaming.drift, random) for _ in range(2)]
            scenes.append((stem, scene))
            versions.append(self._versions([self._made_up(known, stem, scene, neighbours, lucid_dreaming, random)]))
        return gathered(scenes, lucid_dreaming.soften), versions

    def _made_up(
        self,
        known: FeatureExtractor,
        stem: str,
        scene: SyntheticScene,
        neighbours: Sequence[SyntheticScene],
        lucid_dreaming: LucidDreaming,
        random: np.random.Generator,
    ) -> FeatureMaps:
        settings = self.features
        picture = scene.composed(lucid_dreaming.soften)
        lab = rgb_to_lab(picture)
        sides, motions, others = [], [], []
        for neighbour in neighbours:
            other = neighbour.composed(lucid_dreaming.soften)
            here, there = (cv2.cvtColor(each, cv2.COLOR_RGB2GRAY) for each in (picture, other))
            back, forth = settings.flow.between(here, there), settings.flow.between(there, here)
            arrived = resize_flow(back, known.size)
            error = cv2.absdiff(warp(rgb_to_lab(other), arrived), lab).astype(np.float32).sum(axis=2)
            sides.append(
                PropagatedMask(
                    source=PropagationSource(stem, neighbour.mask.astype(np.uint8) * 255, stem),
                    gap=int(random.integers(1, lucid_dreaming.farthest + 1)),
                    mask=warp(neighbour.mask.astype(np.float32), arrived),
                    error=cv2.GaussianBlur(error, (0, 0), settings.error_sigma),
                    visible=consistent(back, forth).astype(np.float32),
                )
            )
            motions.append(arrived)
            others.append((rgb_to_lab(other), camera_homography(arrived)))
        look = AppearanceFeatures.at(lab, motions[0], settings.background.differences(lab, others))
        ratios = known.log_ratios(lab, stem)
        return stack(look, (sides[0], sides[1]), ratios, settings.blend, settings.reach)

"""Features as input channels of a segmentation network, extracted, simulated or computed from synthetic frames."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from dreaming.clip.annotations import References
from dreaming.clip.clip import Clip
from dreaming.constraints import ImageSide
from dreaming.errors import ParameterError
from dreaming.features.background_difference import background_maps
from dreaming.features.channels import CHANNELS, AppearanceFeatures, FeatureMaps, assemble_features
from dreaming.features.extractor import FeatureExtractor, PropagationFeatures
from dreaming.features.lucid_dreaming import (
    BACKGROUND_MOTION,
    SUBJECT_MOTION,
    LucidDreaming,
    SyntheticScene,
    composite_scenes,
)
from dreaming.features.propagated_masks import PropagatedMask, PropagationSource
from dreaming.flow.camera_motion import camera_homography
from dreaming.flow.propagation import ERROR_SIGMA
from dreaming.flow.warp import consistent, resize_flow, warp
from dreaming.imaging.colour_histogram import rgb_to_lab
from dreaming.imaging.resize import resize_image, working_size
from dreaming.io.prefetch import prefetch_map

MASK_FEATURES = ("near_mask", "far_mask", "even_blend", "blend")
"""Channels that are masks in 0..1."""

NETWORK_CHANNELS = (
    *("near_mask", "near_error", "near_visible", "near_gap", "far_mask", "far_error", "far_visible", "far_gap"),
    *("blend", "blend_blurred_5", "blend_blurred_20", "distance"),
    *("log_ratio", "log_ratio_blurred_2", "log_ratio_all", "log_ratio_all_blurred_2", "motion"),
    *("background_minimum", "background_quarter", "background_half", "background_half_blurred", "background_samples"),
)
"""Channels that networks receive by default; no colours, because a network sees the frame."""

WORKERS = 2
"""Hand-masked frames whose features are simulated at once."""

MAX_GAP = 20
"""Largest gap, in frames, that the features of a synthetic frame report."""

FeatureVersions = NDArray[np.float16]
"""(V, h, w, E), features of one frame in V versions."""


@dataclass(frozen=True)
class FeatureInputs:
    """The features that a network receives.

    Attributes:
        features: Settings of the features.
        channels: Names of the channels.
        prior: Name of the channel or extra input with the mask that the network corrects; None: the network predicts
            the mask by itself.
        short_side: Shorter side in pixels to which the maps are reduced from the features' working size; None: not
            reduced. A network that works at a smaller size needs no larger ones, and they take much memory.
    """

    kind: ClassVar[str] = "feature_inputs"

    features: PropagationFeatures
    channels: Sequence[str] = NETWORK_CHANNELS
    prior: str | None = None
    short_side: ImageSide | None = None

    def __post_init__(self) -> None:
        for name in self.channels:
            if name not in CHANNELS:
                raise ParameterError("channels", found=name, expected=f"names among {', '.join(CHANNELS)}")

    @property
    def masks(self) -> list[str]:
        """Names of the channels that are masks."""
        return [name for name in self.channels if name in MASK_FEATURES]

    @property
    def _indices(self) -> list[int]:
        return [CHANNELS.index(name) for name in self.channels]

    def extractor(self, clip: Clip, references: References) -> FeatureExtractor:
        """Create the feature extractor of a clip from hand masks."""
        return self.features.extractor(clip, references)

    def extract(self, extractor: FeatureExtractor, stems: Iterable[str]) -> Iterator[tuple[str, FeatureMaps]]:
        """Yield each named frame's input (E, h, w), in order."""
        for stem, features in extractor.extract(stems):
            yield stem, self._selected(features)

    def extract_unmasked(self, extractor: FeatureExtractor, stems: Sequence[str]) -> list[FeatureVersions]:
        """Features of frames without a hand mask, one version each."""
        return [self._versions([features]) for _, features in extractor.extract(stems)]

    def simulate(self, extractor: FeatureExtractor, stems: Iterable[str]) -> list[FeatureVersions]:
        """Features that these hand-masked frames would have without their masks, in several versions each."""

        def versions(stem: str) -> FeatureVersions:
            return self._versions([extractor.simulated(simulation) for simulation in extractor.simulations(stem)])

        return list(prefetch_map(versions, stems, WORKERS))

    def synthesise(
        self, extractor: FeatureExtractor, references: References, lucid_dreaming: LucidDreaming
    ) -> tuple[References, list[FeatureVersions]]:
        """Make synthetic frames at the features' working size, each with features from two synthetic neighbours.

        The neighbours' masks are propagated along the optical flow computed between the synthetic frames, so that they
        have the errors of real flow.
        """
        scenes, versions = [], []
        for stem, scene, random in lucid_dreaming.scenes(references, extractor.size):
            motion = SUBJECT_MOTION, BACKGROUND_MOTION
            neighbours = [scene.changed(*motion, random) for _ in range(2)]
            scenes.append((stem, scene))
            features = self._synthetic_features(extractor, stem, scene, neighbours, random)
            versions.append(self._versions([features]))
        return composite_scenes(scenes), versions

    def _versions(self, features: Sequence[FeatureMaps]) -> FeatureVersions:
        return np.stack([np.moveaxis(self._selected(each), 0, 2) for each in features]).astype(np.float16)

    def _selected(self, features: FeatureMaps) -> FeatureMaps:
        """The channels of the network at its size, (E, h, w)."""
        maps = features[self._indices]
        size = working_size((maps.shape[1], maps.shape[2]), self.short_side)
        return maps if size == maps.shape[1:] else np.stack([resize_image(each, size) for each in maps])

    def _synthetic_features(
        self,
        extractor: FeatureExtractor,
        stem: str,
        scene: SyntheticScene,
        neighbours: Sequence[SyntheticScene],
        random: np.random.Generator,
    ) -> FeatureMaps:
        settings = self.features
        image = scene.composite()
        lab = rgb_to_lab(image)
        masks, motions, samples = [], [], []
        for neighbour in neighbours:
            other = neighbour.composite()
            here, there = (cv2.cvtColor(each, cv2.COLOR_RGB2GRAY) for each in (image, other))
            back, forth = settings.flow.between(here, there), settings.flow.between(there, here)
            flow = resize_flow(back, extractor.size)
            error = cv2.absdiff(warp(rgb_to_lab(other), flow), lab).astype(np.float32).sum(axis=2)
            masks.append(
                PropagatedMask(
                    source=PropagationSource(stem, neighbour.mask.astype(np.uint8) * 255, stem),
                    gap=int(random.integers(1, MAX_GAP + 1)),
                    mask=warp(neighbour.mask.astype(np.float32), flow),
                    error=cv2.GaussianBlur(error, (0, 0), ERROR_SIGMA),
                    visible=consistent(back, forth).astype(np.float32),
                )
            )
            motions.append(flow)
            samples.append((rgb_to_lab(other), camera_homography(flow)))
        appearance = AppearanceFeatures.from_lab(lab, motions[0], background_maps(lab, samples))
        ratios = extractor.log_ratios(lab, stem)
        return assemble_features(appearance, (masks[0], masks[1]), ratios, settings.error_scale)

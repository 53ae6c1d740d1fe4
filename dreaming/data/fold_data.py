"""Training and validation data of one fold: frames, features, synthetic frames and the masks of other maskers."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from dreaming.clip.annotations import References
from dreaming.clip.clip import Clip
from dreaming.features.channels import FeatureMaps
from dreaming.features.extractor import FeatureExtractor
from dreaming.features.inputs import FeatureInputs, FeatureVersions
from dreaming.features.lucid_dreaming import LucidDreaming
from dreaming.imaging.resize import resize_image
from dreaming.io.types import Size

Maps = NDArray[np.float32]
"""Masks that M maskers predict for one frame, (M, H, W) in 0..1."""


MapSource = Callable[[Collection[str], Iterable[str]], Iterator[tuple[str, Maps]]]
"""``source(left_out, stems)`` yields each named frame's masks, predicted by maskers trained without ``left_out``."""


@dataclass(frozen=True, eq=False)
class TrainingMasks:
    """Hand masks of one part, the names of the frames held out for validation, and how these are chosen."""

    references: References
    held_out: tuple[str, ...]
    validation: str

    @classmethod
    def of(cls, clip: Clip, references: References) -> Self:
        """Create from hand masks and the clip's split of them."""
        split = clip.split(references.part)
        held_out = tuple(stem for stem in references.stems if stem in split.nn_valid)
        return cls(references, held_out, split.validation)


class FoldDataBuilder:
    """Builds the data of the folds of one clip; the folds share cached features.

    Args:
        clip: The clip.
        references: All hand-masked frames that any fold trains on or is validated on.
        features: Features that the network receives; None: none.
        lucid_dreaming: Settings of synthetic frames; None: none.
        maps: Predicts masks of other maskers that the network receives; None: none. It cannot be combined with
            synthetic frames, for which these maskers have no masks.
        folds: Hand-masked frames that are left out together to predict the masks of training frames.
    """

    def __init__(
        self,
        clip: Clip,
        references: References,
        features: FeatureInputs | None,
        lucid_dreaming: LucidDreaming | None,
        maps: MapSource | None = None,
        folds: Sequence[References] = (),
    ) -> None:
        assert lucid_dreaming is None or maps is None
        self._clip, self._references, self._features, self._lucid_dreaming = clip, references, features, lucid_dreaming
        self._maps, self._folds = maps, folds

    @cached_property
    def _extractor(self) -> FeatureExtractor:
        assert self._features is not None
        return self._features.extractor(self._clip, self._references)

    def build(self, train: References, valid: References | None) -> dict[str, Any]:
        """Arguments of a datamodule: ``train``, ``valid``, ``synthetic``, ``features`` and ``valid_features``.

        No other hand mask than those of ``train`` influences the training data.
        """
        arguments: dict[str, Any] = {"train": train, "valid": valid}
        empty = np.empty((1, *self._clip.size, 0), np.float16)
        features = [empty] * len(train)
        valid_features = [empty] * (0 if valid is None else len(valid))
        if self._features is not None:
            extractor = self._extractor.with_references(train)
            features = self._features.simulate(extractor, train.stems)
            if self._lucid_dreaming is not None:
                synthetic = self._features.synthesise(extractor, train, self._lucid_dreaming)
                arguments["synthetic"] = synthetic[0]
                features += synthetic[1]
            if valid is not None:
                valid_features = self._features.extract_unmasked(extractor, valid.stems)
        elif self._lucid_dreaming is not None:
            arguments["synthetic"] = self._lucid_dreaming.synthesise(train)
        if self._maps is not None:
            features, valid_features = self._with_maps(train, features, valid, valid_features)
        if self._features is None and self._maps is None:
            return arguments
        if valid is not None:
            arguments["valid_features"] = [versions[0] for versions in valid_features]
        return arguments | {"features": features}

    def _with_maps(
        self,
        train: References,
        features: Sequence[FeatureVersions],
        valid: References | None,
        valid_features: Sequence[FeatureVersions],
    ) -> tuple[list[FeatureVersions], list[FeatureVersions]]:
        """Append the masks of other maskers, none of which was trained on the frame's own hand mask.

        The masks of a training frame come from maskers that were trained neither on that frame nor on any frame outside
        the training set, so that a mask held out of a fold has no influence at any level.
        """
        assert self._maps is not None
        outside = self._references.without(train.stems).stems
        maps: dict[str, Maps] = {}
        # Whole folds are left out. A pair of folds is the same for both of them, which saves half of the fits.
        for fold in self._folds:
            inside = train.select(fold.stems).stems
            if inside:
                left_out = {*outside, *fold.stems}
                maps |= self._maps(left_out, inside)
        if valid is not None:
            maps |= self._maps(outside, valid.stems)
        valid_stems = () if valid is None else valid.stems
        return (
            [_append(versions, maps[stem]) for stem, versions in zip(train.stems, features, strict=True)],
            [_append(versions, maps[stem]) for stem, versions in zip(valid_stems, valid_features, strict=True)],
        )


def resize_maps(maps: Maps, size: Size) -> FeatureMaps:
    """Resize masks (M, H, W) to the size of the features to which they are appended, (M, h, w)."""
    return np.stack([resize_image(values, size) for values in maps])


def _append(versions: FeatureVersions, maps: Maps) -> FeatureVersions:
    """Append masks to all versions (V, h, w, E) of a frame's features, (V, h, w, E + M)."""
    count, height, width, _ = versions.shape
    planes = np.moveaxis(resize_maps(maps, (height, width)), 0, 2).astype(versions.dtype)
    return np.concatenate([versions, np.broadcast_to(planes, (count, *planes.shape))], axis=3)

"""What a segmenter learns from: hand-masked frames, made-up ones, the evidence for each, and other maskers' maps."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dreaming.clip.annotations import References
from dreaming.clip.clip import Clip
from dreaming.features.channels import FeatureMaps
from dreaming.features.extractor import FeatureExtractor
from dreaming.features.inputs import FeatureInputs, Versions
from dreaming.features.lucid_dreaming import LucidDreaming
from dreaming.imaging.resize import resize_image
from dreaming.io.types import Size

Maps = NDArray[np.float32]
"""What others found in one frame, (M, H, W) in 0..1."""


MapSource = Callable[[Collection[str], Iterable[str]], Iterator[tuple[str, Maps]]]
"""``source(left_out, stems)`` yields each named frame's maps, predicted without the references left out."""


class FoldDataBuilder:
    """Makes a datamodule's frames and evidence of some of a clip's hand masks; what several folds share, once.

    Args:
        clip: The clip.
        references: All hand-masked frames that any fold learns from, or is judged by.
        features: Which evidence the network is given; None: none.
        lucid: How frames are made up; None: not.
        maps: Predicts the maps of other maskers, which are a further input; None for none. Excludes synthetic frames.
        parts: In which the masks to learn from are left out together for the maps of their frames.
    """

    def __init__(
        self,
        clip: Clip,
        references: References,
        features: FeatureInputs | None,
        lucid_dreaming: LucidDreaming | None,
        maps: MapSource | None = None,
        parts: Sequence[References] = (),
    ) -> None:
        assert lucid_dreaming is None or maps is None
        self._clip, self._references, self._input, self._lucid = clip, references, features, lucid_dreaming
        self._maps, self._parts = maps, parts

    @cached_property
    def _known(self) -> FeatureExtractor:
        assert self._input is not None
        return self._input.extractor(self._clip, self._references)

    def build(self, learn: References, unseen: References | None) -> dict[str, Any]:
        """Arguments of a datamodule: ``train``, ``valid``, ``synthetic``, ``features`` and ``valid_features``.

        Args:
            learn: What to learn from; nothing else is known of what is not in it.
            unseen: What to judge by.
        """
        lesson: dict[str, Any] = {"train": learn, "valid": unseen}
        nothing = np.empty((1, *self._clip.size, 0), np.float16)
        features = [nothing] * len(learn)
        judged = [nothing] * (0 if unseen is None else len(unseen))
        if self._input is not None:
            known = self._known.with_references(learn)
            features = self._input.simulated(known, learn.stems)
            if self._lucid is not None:
                lesson["synthetic"], more = self._input.lucid_dreaming(known, learn, self._lucid)
                features += more
            if unseen is not None:
                judged = self._input.whole(known, unseen.stems)
        elif self._lucid is not None:
            lesson["synthetic"] = self._lucid.frames(learn)
        if self._maps is not None:
            features, judged = self._with_maps(learn, features, unseen, judged)
        if self._input is None and self._maps is None:
            return lesson
        if unseen is not None:
            lesson["valid_features"] = [versions[0] for versions in judged]
        return lesson | {"features": features}

    def _with_maps(
        self, learn: References, features: Sequence[Versions], unseen: References | None, judged: Sequence[Versions]
    ) -> tuple[list[Versions], list[Versions]]:
        """What is known of the frames to learn from and to judge by, with maps behind that their masks had no part in.

        A frame to learn from is masked by those that have seen neither it nor anything that is not learnt from, so that
        a mask left out of a fold stays out all the way down.
        """
        assert self._maps is not None
        away = self._references.without(learn.stems).stems
        maps: dict[str, Maps] = {}
        # Masks are left out by whole parts: two of them at once serve both folds, and many masks make no more fits.
        for part in self._parts:
            inside = learn.select(part.stems).stems
            if inside:
                maps |= self._maps({*away, *part.stems}, inside)
        if unseen is not None:
            maps |= self._maps(away, unseen.stems)
        stems = () if unseen is None else unseen.stems
        return (
            [_with_maps(known, maps[stem]) for stem, known in zip(learn.stems, features, strict=True)],
            [_with_maps(known, maps[stem]) for stem, known in zip(stems, judged, strict=True)],
        )


def resize_maps(maps: Maps, size: Size) -> FeatureMaps:
    """Maps (M, H, W) brought to the size of the evidence that they are laid behind, (M, h, w)."""
    return np.stack([resize_image(values, size) for values in maps])


def _with_maps(versions: Versions, maps: Maps) -> Versions:
    """All versions (V, h, w, E) of what is known of a frame with its maps behind, (V, h, w, E + M)."""
    count, height, width, _ = versions.shape
    planes = np.moveaxis(resize_maps(maps, (height, width)), 0, 2).astype(versions.dtype)
    return np.concatenate([versions, np.broadcast_to(planes, (count, *planes.shape))], axis=3)

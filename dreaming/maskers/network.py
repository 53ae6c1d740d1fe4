"""A masker that trains and runs a segmentation network, such as the CNN or the UNet."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import ClassVar, Self

import numpy as np
import pytorch_lightning as pl
from torch import Tensor

from dreaming.artifacts.fingerprint import fingerprint
from dreaming.artifacts.shard import Work
from dreaming.clip.annotations import References
from dreaming.clip.clip import Clip
from dreaming.clip.split import Split
from dreaming.data.fold_data import TrainingMasks, resize_maps
from dreaming.features.channels import FeatureMaps
from dreaming.imaging.colour_statistics import NEUTRAL
from dreaming.io.types import Probability
from dreaming.maskers.base import Masker
from dreaming.maskers.extra_inputs import masker_maps
from dreaming.maskers.segmentation_task import SegmentationTask
from dreaming.models.segmentation import SegmentationModule
from dreaming.training.checkpoints import load
from dreaming.training.context import TrainingContext
from dreaming.training.inference import prepare_inference, share_out


@dataclass
class NetworkMasker(Masker):
    """Masks by a network that is trained on this clip, or loaded if it has been trained before."""

    kind: ClassVar[str] = "network_masker"

    task: SegmentationTask
    context: TrainingContext

    @property
    def base_maskers(self) -> Mapping[str, Masker]:
        """The maskers whose maps are an input of the network."""
        return self.task.input_maskers

    @property
    def min_references(self) -> int:
        """Two, because cross-validation leaves one out."""
        return 2

    def training_stems(self, split: Split) -> frozenset[str]:
        """Names of the masks that it or one of its base maskers is trained on."""
        own = super().training_stems(split)
        return own.union(*(masker.training_stems(split) for masker in self.base_maskers.values()))

    def fitted_fingerprint(self, clip: Clip, references: References) -> str:
        """Fingerprint of the weights that ``fit`` and the base maskers would load."""
        best = self.task.find(clip, TrainingMasks.of(clip, references), self.context)
        own = "untrained" if best is None else best.weights_fingerprint
        base = [masker.fitted_fingerprint(clip, references) for masker in self.base_maskers.values()]
        return fingerprint(own, base) if base else own

    def fit(self, clip: Clip, references: References) -> Self:
        """Load the best weights of exactly this task and these references, or train them."""
        best = self.task.find_or_train(clip, TrainingMasks.of(clip, references), self.context)
        return self._use(load(self.task.build(NEUTRAL), best.weights), references, ())

    def _use(self, module: pl.LightningModule, references: References, left_out: Sequence[str]) -> Self:
        assert isinstance(module, SegmentationModule)
        self._module, self._references, self._left_out = module, references, left_out
        return self

    def fit_without(self, clip: Clip, references: References, left_out: References) -> Self:
        """Load the final weights of the fold that left out exactly these masks, or train without them.

        The fold's best weights are not used, because they were selected by the left-out masks.
        """
        train = references.without(left_out.stems)
        best = self.task.find_or_train(clip, TrainingMasks.of(clip, references), self.context)
        weights = self.task.fold_weights(clip, best, train)
        if weights is None:
            return self.fit(clip, train)
        return self._use(load(self.task.build(NEUTRAL), weights), references, left_out.stems)

    def can_fit_fold(self, clip: Clip, references: References, folds: Sequence[References]) -> bool:
        """Whether no training exists, and these are the folds of its own cross-validation."""
        data = TrainingMasks.of(clip, references)
        own = [] if data.held_out else self.task.folds_of(clip, references)
        same = [each.stems for each in own] == [each.stems for each in folds]
        return same and self.task.find(clip, data, self.context) is None

    def fit_fold(self, clip: Clip, references: References, left_out: References) -> Self | None:
        """Train this fold in the run folder in which ``fit`` trains the others and the final weights later."""
        data = TrainingMasks.of(clip, references)
        weights = self.task.train_fold(clip, data, self.context, left_out)
        return (
            None if weights is None else self._use(load(self.task.build(NEUTRAL), weights), references, left_out.stems)
        )

    def share_out(self, stems: list[str], work: Work) -> None:
        """Split frames between the trainer's devices."""
        share_out(self.context, stems, work)

    def predict(self, clip: Clip, stems: Iterable[str]) -> Iterator[tuple[str, Probability]]:
        """Yield each named frame's probability, in order."""
        stems = list(stems)
        runner = prepare_inference(self._module, self.context)
        features = self._features(clip, stems)

        def compute(image: Tensor, *maps: Tensor) -> Tensor:
            """Predict a frame (H, W, 3) with features (E, h, w), if there are any."""
            frame = image.permute(2, 0, 1)[None].float() / 255
            return self._module.predict_probability(frame, *(part[None] for part in maps))[0, 0].float()

        images = clip.frames.read_ahead(stems)
        yield from runner.stream(compute, ((stem, [image, *islice(features, 1)]) for stem, image in images))

    def _features(self, clip: Clip, stems: Sequence[str]) -> Iterator[FeatureMaps]:
        """Yield each frame's features and base maskers' maps, (E, h, w); nothing if the network takes neither."""
        features, maskers = self.task.feature_inputs, self.task.input_maskers
        sources: list[Iterator[FeatureMaps]] = []
        if features is not None:
            extractor = features.extractor(clip, self._references.without(self._left_out))
            sources.append(maps for _, maps in features.extract(extractor, stems))
        if maskers:
            sources.append(maps for _, maps in masker_maps(clip, maskers, self._references, self._left_out, stems))
        for parts in zip(*sources, strict=True):
            size = (parts[0].shape[1], parts[0].shape[2])
            yield np.concatenate([resize_maps(part, size) for part in parts])


@dataclass
class UntrainedMasker(NetworkMasker):
    """A network with random weights, to measure how long predictions take."""

    kind: ClassVar[str] = "untrained_masker"

    def fit(self, clip: Clip, references: References) -> Self:
        """Use the network with its initial weights."""
        return self._use(self.task.build(NEUTRAL), references, ())

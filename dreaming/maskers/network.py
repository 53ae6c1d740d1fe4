"""A trained segmentation network as a masker; serves the CNN and the UNet alike."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import pytorch_lightning as pl
import torch

from dreaming.clip.annotations import References
from dreaming.clip.clip import Clip
from dreaming.clip.split import Split
from dreaming.data.fold_data import resize_maps
from dreaming.features.channels import FeatureMaps
from dreaming.imaging.colour_statistics import NEUTRAL
from dreaming.io.manifest import fingerprint
from dreaming.io.shard import Work
from dreaming.io.types import Probability
from dreaming.maskers.base import Masker
from dreaming.maskers.extra_inputs import MaskerInputs
from dreaming.maskers.segmentation_task import SegmentationTask
from dreaming.models.segmentation import SegmentationModule
from dreaming.training import run_registry as runs
from dreaming.training.checkpoints import load
from dreaming.training.context import TrainingContext
from dreaming.training.inference import on_device, share_out


@dataclass
class NetworkMasker(Masker):
    """Masks by a network trained on this clip; an already trained one is used where it fits.

    Attributes:
        task: What is trained, and how.
        context: What it is trained and run on.
    """

    kind: ClassVar[str] = "network_masker"

    task: SegmentationTask
    context: TrainingContext

    @property
    def base_maskers(self) -> Mapping[str, Masker]:
        """The maskers whose maps the network is given."""
        return self.task.extra_inputs.maskers if isinstance(self.task.extra_inputs, MaskerInputs) else {}

    def training_stems(self, split: Split) -> frozenset[str]:
        """Names of the masks that it or a masker that it is given learns from."""
        return (
            super()
            .training_stems(split)
            .union(*(masker.training_stems(split) for masker in self.base_maskers.values()))
        )

    def fitted_fingerprint(self, clip: Clip, references: References) -> str:
        """Fingerprint of the weights that ``fit`` would load, and of what the maskers that it is given would."""
        best = runs.find(clip.runs(self.task.name), self.task.fingerprint(clip, references, self.context))
        own = "untrained" if best is None else best.weights_fingerprint
        extra_inputs = [masker.fitted_fingerprint(clip, references) for masker in self.base_maskers.values()]
        return fingerprint(own, extra_inputs) if extra_inputs else own

    def fit(self, clip: Clip, references: References) -> Self:
        """Load the best weights of exactly this recipe and these references, training them first if there are none."""
        best = self.task.find_or_train(clip, references, self.context)
        return self._load(best.weights, references, ())

    def _load(self, weights: Path, references: References, left_out: Sequence[str]) -> Self:
        return self._take(load(self.task.build(NEUTRAL), weights), references, left_out)

    def _take(self, module: pl.LightningModule, references: References, left_out: Sequence[str]) -> Self:
        assert isinstance(module, SegmentationModule)
        self._module, self._references, self._left_out = module, references, left_out
        return self

    def fit_without(self, clip: Clip, references: References, left_out: References) -> Self:
        """Load what the fold that left out exactly these, on the way to the fit on all, ended with.

        Not the best ones, for it is the left-out masks that tell which are best.
        """
        learn = references.without(left_out.stems)
        best = self.task.find_or_train(clip, references, self.context)
        weights = self.task.fold_weights(clip, best, learn)
        if weights is None:
            return self.fit(clip, learn)
        return self._load(weights, references, left_out.stems)

    def share_out(self, stems: list[str], work: Work) -> None:
        """Do a work that predicts these frames, a share of it on each of the trainer's devices."""
        share_out(self.context, stems, work)

    def predict(self, clip: Clip, stems: Iterable[str]) -> Iterator[tuple[str, Probability]]:
        """Yield each named frame's probability, in order."""
        stems = list(stems)
        with on_device(self._module, self.context) as device:
            features = self._features(clip, stems)
            for stem, image in clip.frames.read_ahead(stems):
                frame = torch.from_numpy(image).to(device).permute(2, 0, 1)[None].float() / 255  # (1, 3, H, W)
                known = [torch.from_numpy(maps).to(device)[None] for maps in islice(features, 1)]  # (1, E, h, w)
                yield stem, self._module.predict_probability(frame, *known)[0, 0].float().cpu().numpy()

    def _features(self, clip: Clip, stems: Sequence[str]) -> Iterator[FeatureMaps]:
        """Evidence (E, h, w) of each frame, and the given maskers' maps behind it, where the network is given any."""
        features, extra_inputs = self.task.feature_inputs, self.task.extra_inputs
        found: list[Iterator[FeatureMaps]] = []
        if features is not None:
            seen = features.extractor(clip, self._references.without(self._left_out))
            found.append(known for _, known in features.extract(seen, stems))
        if extra_inputs is not None:
            found.append(maps for _, maps in extra_inputs.predict(clip, self._references, self._left_out, stems))
        for parts in zip(*found, strict=True):
            size = (parts[0].shape[1], parts[0].shape[2])
            yield np.concatenate([resize_maps(part, size) for part in parts])


@dataclass
class UntrainedMasker(NetworkMasker):
    """A network with random weights, whose masks are worth nothing, and take as long as any to make."""

    kind: ClassVar[str] = "untrained_masker"

    def fit(self, clip: Clip, references: References) -> Self:
        """Take the network as it is."""
        return self._take(self.task.build(NEUTRAL), references, ())

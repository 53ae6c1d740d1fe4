"""A masker that fuses the masks of other maskers, weighted by their reliability on held-out masks."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from dreaming.artifacts.fingerprint import NO_EFFECT, fingerprint
from dreaming.artifacts.shard import Work
from dreaming.clip.annotations import References
from dreaming.clip.clip import Clip
from dreaming.clip.split import Split
from dreaming.constraints import Workers
from dreaming.data.mask_stack import stack_channels
from dreaming.features.temporal_consistency import TemporalConsistency
from dreaming.flow.dis import DisFlow
from dreaming.flow.temporal_window import dilate
from dreaming.io.frame_folder import FrameFolder
from dreaming.io.prefetch import prefetch_map
from dreaming.io.types import Probability
from dreaming.maskers.base import Masker
from dreaming.maskers.fusion_task import FusionTask
from dreaming.maskers.prediction_cache import PredictionCache, gap
from dreaming.models.fusion_inference import fuse
from dreaming.training.context import TrainingContext
from dreaming.training.inference import prepare_inference, share_out
from dreaming.training.model_selection import ModelSelection


@dataclass
class EnsembleMasker(Masker):
    """Fuses the masks of other maskers, which are trained on the same references."""

    kind: ClassVar[str] = "ensemble_masker"

    task: FusionTask
    context: TrainingContext
    workers: Workers = field(default=2, metadata=NO_EFFECT)

    @property
    def base_maskers(self) -> Mapping[str, Masker]:
        """The maskers whose masks are fused."""
        return self.task.input_maskers

    def used_maskers(self, clip: Clip, references: References) -> Mapping[str, Masker]:
        """The maskers whose masks are fused, without those that gained too little to be trained."""
        best = self.task.find(clip, self.task.data_of(clip, references), self.context)
        return (
            self.base_maskers
            if best is None
            else self.task.without(ModelSelection.read(best.folder).dropped).input_maskers
        )

    @property
    def min_references(self) -> int:
        """Two, because cross-validation leaves one out."""
        return 2

    def training_stems(self, split: Split) -> frozenset[str]:
        """Names of the masks that the maskers or the fusion are trained on."""
        return frozenset(split.nn + split.ensemble_train + split.ensemble_valid)

    def fitted_fingerprint(self, clip: Clip, references: References) -> str:
        """Fingerprint of the weights and the selection that ``fit`` would load."""
        best = self.task.find(clip, self.task.data_of(clip, references), self.context)
        if best is None:
            return "untrained"
        return fingerprint(best.weights_fingerprint, ModelSelection.read(best.folder).chosen)

    def fit(self, clip: Clip, references: References) -> Self:
        """Load the run that was trained on exactly these references, or train it."""
        return self._fit(clip, references)

    def _fit(self, clip: Clip, references: References, left_out: Collection[str] = ()) -> Self:
        best = self.task.find_or_train(clip, self.task.data_of(clip, references, left_out), self.context)
        return self._use(best.folder, best.weights, references)

    def _use(self, run: Path, weights: Path, references: References, left_out: References | None = None) -> Self:
        selection = ModelSelection.read(run)
        self._chosen, self._weights = selection.chosen, weights
        self._task = self.task.without(selection.dropped)
        self._references, self._left_out = references, left_out
        return self

    def fit_without(self, clip: Clip, references: References, left_out: References) -> Self:
        """Load the fold that was trained without these masks, over maskers trained without them."""
        best = self.task.find_or_train(clip, self.task.data_of(clip, references), self.context)
        weights = self.task.fold_checkpoint(best, left_out.stems)
        if weights is None:
            # Masks that the clip holds out for the ensemble are not among the references, so they are passed by name.
            return self._fit(clip, references.without(left_out.stems), left_out.stems)
        return self._use(best.folder, weights, references, left_out)

    def prepare(self, clip: Clip, stems: Sequence[str]) -> Self:
        """Predict the masks to fuse."""
        self._folders(clip, stems)
        return self

    def share_out(self, stems: list[str], work: Work) -> None:
        """Split frames between the trainer's devices."""
        share_out(self.context, stems, work)

    def predict(self, clip: Clip, stems: Iterable[str]) -> Iterator[tuple[str, Probability]]:
        """Yield each named frame's probability, in order."""
        stems = list(stems)
        folders = self._folders(clip, stems)
        if self._single:
            (folder,) = folders
            yield from prefetch_map(lambda stem: (stem, folder.read_probability(stem, clip.size)), stems, self.workers)
        else:
            yield from self._fuse(clip, stems, folders)

    @property
    def _single(self) -> bool:
        """Whether a single masker was selected instead of a fusion."""
        return self._chosen not in self._task.variants

    @property
    def _flow(self) -> DisFlow | None:
        """The flow along which neighbouring frames are compared; None if the chosen fusion does not compare them."""
        variant = self._task.variants.get(self._chosen)
        return self._task.flow if variant is not None and variant.max_steps else None

    def _folders(self, clip: Clip, stems: Sequence[str]) -> list[FrameFolder]:
        wanted = list(stems)
        if self._flow is not None:
            wanted = [*dilate(clip.shots, stems, 1), *(stem for stem in stems if stem not in clip.frames)]
        return [
            PredictionCache(clip, name, masker, self._references, self._left_out).complete(wanted)
            for name, masker in self._task.input_maskers.items()
            if not self._single or name == self._chosen
        ]

    def _fuse(self, clip: Clip, stems: list[str], folders: list[FrameFolder]) -> Iterator[tuple[str, Probability]]:
        left_out = () if self._left_out is None else self._left_out.stems
        trained_on = self._references.without(left_out).stems
        module = self._task.load(self._chosen, self._weights)
        consistency = None if self._flow is None else TemporalConsistency.for_clip(clip, self._flow)

        def read(stem: str) -> NDArray[np.uint8]:
            found = [folder.read_probability(stem, clip.size) for folder in folders]
            inconsistency = None if consistency is None else consistency.inconsistency(folders, stem)
            return stack_channels(found, inconsistency, gap(clip, stem, trained_on))

        runner = prepare_inference(module, self.context)
        channels = prefetch_map(read, stems, self.workers)
        images = clip.frames.read_ahead(stems, depth=self.workers)
        stacks = ((stem, image, layers) for (stem, image), layers in zip(images, channels, strict=True))
        yield from fuse(module, runner, stacks)

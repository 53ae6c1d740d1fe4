"""One mask out of those of several maskers, trusted as far as they proved right at masks they had not seen."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from dreaming.clip.annotations import References
from dreaming.clip.clip import Clip
from dreaming.clip.split import Split
from dreaming.data.mask_stack import MaskStacks, stack_channels
from dreaming.features.temporal_consistency import TemporalConsistency
from dreaming.flow.dis import DisFlow
from dreaming.flow.temporal_window import dilate
from dreaming.io.frame_folder import FrameFolder
from dreaming.io.manifest import NO_EFFECT, fingerprint
from dreaming.io.prefetch import prefetch_map
from dreaming.io.shard import Work
from dreaming.io.types import Probability
from dreaming.maskers.base import Masker
from dreaming.maskers.fusion_task import FusionTask, StackSource
from dreaming.maskers.out_of_fold import lesson, stacks
from dreaming.maskers.prediction_cache import PredictionCache, gap
from dreaming.models.fusion_inference import mixed
from dreaming.training.context import TrainingContext
from dreaming.training.inference import on_device, share_out
from dreaming.training.model_selection import ModelSelection


@dataclass(frozen=True)
class MaskerStacks(StackSource):
    """Stacks made by maskers that are given.

    Attributes:
        maskers: The maskers by name; one that is null is left out.
        folds: Folds where no mask is held back.
        flow: How maps of neighbouring frames are compared, to see which masker agrees with itself; None: not at all.
    """

    kind: ClassVar[str] = "masker_stacks"

    maskers: Mapping[str, Masker | None]
    folds: int = 5
    flow: DisFlow | None = None

    @property
    def given(self) -> dict[str, Masker]:
        """The maskers that are there."""
        return {name: masker for name, masker in self.maskers.items() if masker is not None}

    @property
    def names(self) -> tuple[str, ...]:
        """The maskers."""
        return tuple(self.given)

    def stacks(self, clip: Clip, references: References, left_out: Collection[str] = ()) -> MaskStacks:
        """What every masker found in frames whose masks it had not seen, but for frames that are left out."""
        return stacks(clip, self.given, references, lesson(clip, references, self.folds, left_out), self.flow)

    def fitted_fingerprint(self, clip: Clip, references: References, left_out: Collection[str] = ()) -> dict[str, str]:
        """Fingerprints of frames, masks, and what the maskers would load."""
        features = lesson(clip, references, self.folds, left_out)
        known = {name: masker.fitted_fingerprint(clip, references) for name, masker in self.given.items()}
        return {
            "frames": clip.frames_fingerprint,
            "maskers": fingerprint(references.stems, references.masks),
            "ensemble": fingerprint(features.validation, features.references.stems, features.references.masks),
            **known,
        }


@dataclass
class EnsembleMasker(Masker):
    """Mix the masks of other maskers, fitted on the same references.

    Attributes:
        task: The maskers, and how mixing them is learnt.
        context: What it is trained and run on.
        workers: Frames read ahead.
    """

    kind: ClassVar[str] = "ensemble_masker"

    task: FusionTask
    context: TrainingContext
    workers: int = field(default=2, metadata=NO_EFFECT)

    @property
    def base_maskers(self) -> Mapping[str, Masker]:
        """The maskers that are mixed."""
        source = self.task.source
        return source.given if isinstance(source, MaskerStacks) else {}

    def training_stems(self, split: Split) -> frozenset[str]:
        """Names of the masks of both halves."""
        return frozenset(split.nn + split.ensemble_train + split.ensemble_valid)

    def fitted_fingerprint(self, clip: Clip, references: References) -> str:
        """Fingerprint of the weights and the choice that ``fit`` would load."""
        best = self.task.find(clip, references, self.context)
        return (
            "untrained"
            if best is None
            else fingerprint(best.weights_fingerprint, ModelSelection.read(best.folder).chosen)
        )

    def fit(self, clip: Clip, references: References) -> Self:
        """Load what was trained on exactly these references, or choose and train it."""
        return self._fit(clip, references, ())

    def _fit(self, clip: Clip, references: References, left_out: Collection[str]) -> Self:
        best = self.task.find_or_train(clip, references, self.context, left_out)
        self._chosen = ModelSelection.read(best.folder).chosen
        self._weights = best.weights
        self._learn(references, None)
        return self

    def fit_without(self, clip: Clip, references: References, left_out: References) -> Self:
        """Take what was trained without these masks when the form was chosen, over maskers fitted without them."""
        best = self.task.find_or_train(clip, references, self.context)
        weights = self.task.fold_checkpoint(best, left_out.stems)
        if weights is None:
            # The clip may hold some of them back for the ensemble: they are no references, and have to be named.
            return self._fit(clip, references.without(left_out.stems), left_out.stems)
        self._chosen, self._weights = ModelSelection.read(best.folder).chosen, weights
        self._learn(references, left_out)
        return self

    def _learn(self, references: References, left_out: References | None) -> None:
        self._references, self._left_out = references, left_out

    def prepare(self, clip: Clip, stems: Sequence[str]) -> Self:
        """See to it that the masks that are mixed are there."""
        self._folders(clip, stems)
        return self

    def share_out(self, stems: list[str], work: Work) -> None:
        """Do a work that predicts these frames, a share of it on each of the trainer's devices."""
        share_out(self.context, stems, work)

    def predict(self, clip: Clip, stems: Iterable[str]) -> Iterator[tuple[str, Probability]]:
        """Yield each named frame's probability, in order."""
        stems = list(stems)
        folders = self._folders(clip, stems)
        if self._alone:
            (folder,) = folders
            yield from prefetch_map(lambda stem: (stem, folder.read_probability(stem, clip.size)), stems, self.workers)
            return
        yield from self._mix(clip, stems, folders)

    @property
    def _alone(self) -> bool:
        """Whether one of the maskers was chosen, instead of a mix."""
        return self._chosen not in self.task.variants

    @property
    def _flow(self) -> DisFlow | None:
        """How maps of neighbouring frames are compared."""
        source = self.task.source
        return source.flow if isinstance(source, MaskerStacks) else None

    def _folders(self, clip: Clip, stems: Sequence[str]) -> list[FrameFolder]:
        asked = list(stems)
        if not self._alone and self._flow is not None:  # the frames before and after are looked at, too
            asked = [*dilate(clip.stems, stems, 1), *(stem for stem in stems if stem not in clip.frames)]
        return [
            PredictionCache(clip, name, masker, self._references, self._left_out).complete(asked)
            for name, masker in self.base_maskers.items()
            if not self._alone or name == self._chosen
        ]

    def _mix(self, clip: Clip, stems: list[str], folders: list[FrameFolder]) -> Iterator[tuple[str, Probability]]:
        left_out = () if self._left_out is None else self._left_out.stems
        marked = self._references.without(left_out).stems
        module = self.task.load(self._chosen, self._weights)

        steadiness = None if self._flow is None else TemporalConsistency.for_clip(clip, self._flow)

        def read(stem: str) -> tuple[str, NDArray[np.uint8]]:
            found = [folder.read_probability(stem, clip.size) for folder in folders]
            inconsistency = None if steadiness is None else steadiness.inconsistency(folders, stem)
            return stem, stack_channels(found, inconsistency, gap(clip, stem, marked))

        with on_device(module, self.context):
            for (stem, behind), (_, image) in zip(
                prefetch_map(read, stems, self.workers), clip.frames.read_ahead(stems, depth=self.workers), strict=True
            ):
                yield stem, mixed(module, image, behind)

"""One mask out of those of several maskers, trusted as far as they proved right at masks they had not seen."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import NDArray

from dreaming.data.mask_stack import MaskStacks, layers
from dreaming.data.steadiness import Steadiness
from dreaming.frames.arrays import Probability
from dreaming.frames.clip import Clip
from dreaming.frames.flow import DisFlow
from dreaming.frames.folder import FrameFolder, ahead
from dreaming.frames.manifest import NO_EFFECT, fingerprint
from dreaming.frames.references import References
from dreaming.frames.shard import Work
from dreaming.frames.split import Split
from dreaming.frames.window import within
from dreaming.maskers.base import Masker
from dreaming.maskers.out_of_fold import lesson, stacks
from dreaming.maskers.remembered import Remembered, gap
from dreaming.models.choice import Choice
from dreaming.models.ensemble_recipe import EnsembleRecipe, StackSource
from dreaming.models.fit import Workbench
from dreaming.models.inference import on_device, share_out
from dreaming.models.mixing import mixed


@dataclass(frozen=True)
class MaskerStacks(StackSource):
    """Stacks made by maskers that are given.

    Attributes:
        maskers: The maskers by name; one that is null is left out.
        folds: Folds where no mask is held back.
        flow: How maps of neighbouring frames are compared, to see which masker agrees with itself; None: not at all.
    """

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

    def learnt(self, clip: Clip, references: References, left_out: Collection[str] = ()) -> dict[str, str]:
        """Fingerprints of frames, masks, and what the maskers would load."""
        evidence = lesson(clip, references, self.folds, left_out)
        known = {name: masker.learnt(clip, references) for name, masker in self.given.items()}
        return {
            "frames": clip.frames_identity,
            "maskers": fingerprint(references.stems, references.masks),
            "ensemble": fingerprint(evidence.protocol, evidence.references.stems, evidence.references.masks),
            **known,
        }


@dataclass
class EnsembleMasker(Masker):
    """Mix the masks of other maskers, fitted on the same references.

    Attributes:
        recipe: The maskers, and how mixing them is learnt.
        workbench: What it is trained and run on.
        workers: Frames read ahead.
    """

    recipe: EnsembleRecipe
    workbench: Workbench
    workers: int = field(default=2, metadata=NO_EFFECT)

    @property
    def built_on(self) -> Mapping[str, Masker]:
        """The maskers that are mixed."""
        source = self.recipe.source
        return source.given if isinstance(source, MaskerStacks) else {}

    def learns_from(self, split: Split) -> frozenset[str]:
        """Names of the masks of both halves."""
        return frozenset(split.nn + split.ensemble_train + split.ensemble_valid)

    def learnt(self, clip: Clip, references: References) -> str:
        """Fingerprint of the weights and the choice that ``fit`` would load."""
        best = self.recipe.find(clip, references, self.workbench)
        return "untrained" if best is None else fingerprint(best.fingerprint, Choice.read(best.folder).chosen)

    def fit(self, clip: Clip, references: References) -> Self:
        """Load what was trained on exactly these references, or choose and train it."""
        return self._fit(clip, references, ())

    def _fit(self, clip: Clip, references: References, left_out: Collection[str]) -> Self:
        best = self.recipe.find_or_train(clip, references, self.workbench, left_out)
        self._chosen = Choice.read(best.folder).chosen
        self._weights = best.weights
        self._learn(references, None)
        return self

    def fit_without(self, clip: Clip, references: References, left_out: References) -> Self:
        """Take what was trained without these masks when the form was chosen, over maskers fitted without them."""
        best = self.recipe.find_or_train(clip, references, self.workbench)
        weights = self.recipe.fold_checkpoint(best, left_out.stems)
        if weights is None:
            # The clip may hold some of them back for the ensemble: they are no references, and have to be named.
            return self._fit(clip, references.without(left_out.stems), left_out.stems)
        self._chosen, self._weights = Choice.read(best.folder).chosen, weights
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
        share_out(self.workbench, stems, work)

    def predict(self, clip: Clip, stems: Iterable[str]) -> Iterator[tuple[str, Probability]]:
        """Yield each named frame's probability, in order."""
        stems = list(stems)
        folders = self._folders(clip, stems)
        if self._alone:
            (folder,) = folders
            yield from ahead(lambda stem: (stem, folder.read_probability(stem, clip.size)), stems, self.workers)
            return
        yield from self._mix(clip, stems, folders)

    @property
    def _alone(self) -> bool:
        """Whether one of the maskers was chosen, instead of a mix."""
        return self._chosen not in self.recipe.forms

    @property
    def _flow(self) -> DisFlow | None:
        """How maps of neighbouring frames are compared."""
        source = self.recipe.source
        return source.flow if isinstance(source, MaskerStacks) else None

    def _folders(self, clip: Clip, stems: Sequence[str]) -> list[FrameFolder]:
        asked = list(stems)
        if not self._alone and self._flow is not None:  # the frames before and after are looked at, too
            asked = [*within(clip.stems, stems, 1), *(stem for stem in stems if stem not in clip.frames)]
        return [
            Remembered(clip, name, masker, self._references, self._left_out).complete(asked)
            for name, masker in self.built_on.items()
            if not self._alone or name == self._chosen
        ]

    def _mix(self, clip: Clip, stems: list[str], folders: list[FrameFolder]) -> Iterator[tuple[str, Probability]]:
        left_out = () if self._left_out is None else self._left_out.stems
        marked = self._references.without(left_out).stems
        module = self.recipe.load(self._chosen, self._weights)

        steadiness = None if self._flow is None else Steadiness.of(clip, self._flow)

        def read(stem: str) -> tuple[str, NDArray[np.uint8]]:
            found = [folder.read_probability(stem, clip.size) for folder in folders]
            unsteady = None if steadiness is None else steadiness.unsteady(folders, stem)
            return stem, layers(found, unsteady, gap(clip, stem, marked))

        with on_device(module, self.workbench):
            for (stem, behind), (_, image) in zip(
                ahead(read, stems, self.workers), clip.frames.read_ahead(stems, depth=self.workers), strict=True
            ):
                yield stem, mixed(module, image, behind)

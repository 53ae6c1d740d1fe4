"""How the ensemble is chosen and trained: each form and each masker alone is tried on masks it did not learn from."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytorch_lightning as pl
import torch
from torch import nn

from dreaming.clip.annotations import References
from dreaming.clip.clip import Clip
from dreaming.data.mask_stack import MaskStacks
from dreaming.errors import ConfigError, MaskError
from dreaming.imaging.colour_statistics import NEUTRAL
from dreaming.models.fusion_inference import jaccards
from dreaming.models.segmentation import SegmentationModule
from dreaming.training import run_registry as runs
from dreaming.training.checkpoints import END, load
from dreaming.training.context import FitLimits, TrainingContext
from dreaming.training.fit import fit
from dreaming.training.model_selection import ModelSelection, choose, table
from dreaming.training.run_registry import Best
from dreaming.training.task import TrainingTask

log = logging.getLogger(__name__)

AUTO = "auto"
FORMS = "forms"  # a folder for each candidate, out of the way of what looks for runs
UNTRAINED = "untrained.ckpt"


@dataclass(frozen=True)
class FusionVariant:
    """One way to make one mask of several.

    Attributes:
        network: Makes the network: ``network(in_channels=..., trust=...)``.
        lr: Learning rate.
        max_steps: Training steps; 0 where there is nothing to learn.
    """

    kind: ClassVar[str] = "fusion_variant"

    network: Callable[..., nn.Module]
    lr: float = 0.01
    max_steps: int = 0


class StackSource(ABC):
    """Where the stacks that an ensemble learns from come from; a dataclass, so that it can be described."""

    @property
    @abstractmethod
    def names(self) -> tuple[str, ...]:
        """The maskers."""

    @abstractmethod
    def stacks(self, clip: Clip, references: References, left_out: Collection[str] = ()) -> MaskStacks:
        """What every masker found in frames whose masks it had not seen, but for frames that are left out."""

    @abstractmethod
    def fitted_fingerprint(self, clip: Clip, references: References, left_out: Collection[str] = ()) -> dict[str, str]:
        """Fingerprints of everything beside the config that decides what the stacks hold."""


@dataclass(frozen=True)
class FusionTask(TrainingTask):
    """Recipe of the ensemble.

    Attributes:
        source: What it learns from.
        forms: The forms by name.
        trust: Weights of the maskers that the forms begin with, by name; 1 for those not named. By these the maskers
            alone are tried after the forms, the most trusted first.
        form: The form or masker to use; ``auto`` for the best of ``candidates`` and of all maskers alone.
        candidates: Forms that are tried, the most trusted first.
        tolerance: A candidate is given up for one more trusted that is behind by less than this many standard errors
            of their difference.
    """

    kind: ClassVar[str] = "fusion_task"

    # A form is fitted without validation, and chosen by this alone.
    monitor: str = "val/jaccard"
    mode: Literal["max", "min"] = "max"
    validate_every: int = 150
    limits: FitLimits = field(default_factory=lambda: FitLimits(200))
    source: StackSource = field(kw_only=True)
    variants: Mapping[str, FusionVariant] = field(kw_only=True)
    prior_weight: Mapping[str, float] = field(default_factory=dict, kw_only=True)
    variant: str = field(default=AUTO, kw_only=True)
    candidates: Sequence[str] = field(default=(), kw_only=True)
    tolerance: float = field(default=0.5, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        known = [*self.variants, *self.source.names]
        for key, name in [("form", self.variant), *(("candidates", name) for name in self.candidates)]:
            if name not in known and (key, name) != ("form", AUTO):
                raise ConfigError(
                    f"model.{self.name}.{key}",
                    found=f"no form {name!r}",
                    expected=f"{AUTO} or one of {', '.join(known)}",
                    hint="correct it",
                )
        for name, weight in self.prior_weight.items():
            if weight <= 0:
                key = f"model.{self.name}.trust.{name}"
                raise ConfigError(key, found=str(weight), expected="a weight above 0", hint="or leave the masker out")
        if not self.source.names:
            raise ConfigError(f"model.{self.name}.source", found="no masker", expected="at least one", hint="name some")

    def subjects(self, clip: Clip) -> list[str]:
        """The clip's parts."""
        return clip.parts

    def train(self, clip: Clip, subject: str, context: TrainingContext, folder: Path) -> Best:
        """Learn one part's ensemble in a run folder."""
        references = clip.training_references(subject)
        stacks = self.source.stacks(clip, references)
        with self._lock(clip):
            return self._train_on(clip, references, stacks, context, folder)

    def _lock(self, clip: Clip) -> AbstractContextManager[None]:
        return clip.lock(f"fit-{self.name}", f"waiting for another process that trains {self.name} on this clip")

    def fingerprint(
        self, clip: Clip, references: References, context: TrainingContext, left_out: Collection[str] = ()
    ) -> dict[str, Any]:
        """What tells this training from any other."""
        return {
            "task": self.describe_training(),
            "references": self.source.fitted_fingerprint(clip, references, left_out),
            "seed": context.seed,
        }

    def find(
        self, clip: Clip, references: References, context: TrainingContext, left_out: Collection[str] = ()
    ) -> Best | None:
        """The finished run of exactly this recipe and these references, if there is one."""
        return runs.find(clip.runs(self.name), self.fingerprint(clip, references, context, left_out))

    def find_or_train(
        self, clip: Clip, references: References, context: TrainingContext, left_out: Collection[str] = ()
    ) -> Best:
        """The finished run of exactly this recipe and these references; trained first where there is none.

        Args:
            clip: The clip.
            references: What the maskers learn from.
            context: What it is trained on.
            left_out: Names of frames whose masks the ensemble must not learn from either.
        """
        best = self.find(clip, references, context, left_out)
        if best is not None:
            return best
        stacks = self.source.stacks(clip, references, left_out)
        folder, fingerprint = clip.runs(self.name), self.fingerprint(clip, references, context, left_out)
        with self._lock(clip):
            best = runs.find(folder, fingerprint)
            if best is None:
                begun = runs.unfinished(folder, fingerprint)
                place = begun or runs.new_folder(folder)
                best = self._train_on(clip, references, stacks, context, place, left_out)
        return best

    def _train_on(
        self,
        clip: Clip,
        references: References,
        stacks: MaskStacks,
        context: TrainingContext,
        folder: Path,
        left_out: Collection[str] = (),
    ) -> Best:
        fingerprint = self.fingerprint(clip, references, context, left_out)
        runs.begin(folder, fingerprint)
        standalone = sorted(stacks.names, key=lambda name: -self.prior_weight.get(name, 1.0))  # the most trusted first
        names = list(dict.fromkeys([*self.candidates, *standalone] if self.variant == AUTO else [self.variant]))
        if not stacks.references.present:
            names = [self._untrained(names, references)]
        log.info("%s: %d masks that the maskers did not see, protocol %s", self.name, len(stacks), stacks.validation)
        scores, seconds = dict[str, list[float]](), 0.0
        for name in dict.fromkeys([*names, *stacks.names]):
            scores[name] = []
            for number, part in enumerate(stacks.folds, start=1):
                place = folder / FORMS / name / f"fold-{number}"
                mixer, spent = self._mixer(name, place, stacks.without(part), context, fingerprint, standalone=False)
                scores[name] += jaccards(mixer, name, stacks.select(part), context)
                seconds += spent
        chosen = choose(scores, names, self.tolerance)
        choice = ModelSelection(chosen, scores, [stem for part in stacks.folds for stem in part], stacks.folds)
        log.info("%s: %s", self.name, table(scores, chosen))
        choice.write(folder)
        _, spent = self._mixer(chosen, folder / FORMS / chosen, stacks, context, fingerprint, standalone=True)
        best = Best(
            folder=folder,
            checkpoint=str(self._checkpoint(folder / FORMS / chosen).relative_to(folder)),
            score=choice.score,
            monitor=self.monitor,
            mode=self.mode,
            steps=self._steps(chosen),
            validation=stacks.validation,
            subject=references.part,
            fingerprint=fingerprint,
            seconds=seconds + spent,
        )
        runs.record(best, clip.runs(self.name))
        log.info("%s: %s, %s %.4f (%s)", self.name, chosen, self.monitor, best.score, best.validation)
        return best

    def _untrained(self, names: Sequence[str], references: References) -> str:
        """The most trusted candidate that needs not be learnt, for where nothing but frames without the subject tells.

        Raises:
            MaskError: If there is none.
        """
        untrained = [name for name in names if not self._steps(name)]
        if not untrained:
            raise MaskError(
                f"model.{self.name}.form",
                found=f"{self.variant}, and no left-out hand mask that shows the {references.part} to learn it from",
                expected="two hand masks that show it",
                hint=f"paint another one, or leave out model.{self.name}.form",
            )
        log.warning(
            "%s: no left-out hand mask shows the %s, so that %s is taken untried",
            self.name,
            references.part,
            untrained[0],
        )
        return untrained[0]

    def _steps(self, name: str) -> int:
        return min(self.variants[name].max_steps, self.limits.max_steps) if name in self.variants else 0

    def _checkpoint(self, place: Path) -> Path:
        trained = place / END
        return trained if trained.exists() else place / UNTRAINED

    def _mixer(
        self,
        name: str,
        place: Path,
        stacks: MaskStacks,
        context: TrainingContext,
        fingerprint: Mapping[str, Any],
        *,
        standalone: bool,
    ) -> tuple[SegmentationModule | None, float]:
        """One candidate's module, fitted in its own folder, and the seconds it took; None for a masker alone."""
        variant = self.variants.get(name)
        if variant is None or variant.max_steps == 0:
            module = None if variant is None else self.build(name)
            place.mkdir(parents=True, exist_ok=True)
            torch.save({"state_dict": {} if module is None else module.state_dict()}, place / UNTRAINED)
            return module, 0.0
        steps = self._steps(name)
        limits = FitLimits(steps, self.limits.max_time)
        fitted = replace(self, limits=limits, validate_every=steps, patience=None)
        outcome = fit(
            fitted,
            context,
            place,
            module=lambda: self.build(name),
            data=lambda: self._batches(stacks, steps, context.seed),
            validate=False,
            fingerprint={**fingerprint, "form": name, "learn": list(stacks.references.stems)},
            title=f"{self.name}: {name}",
            standalone=standalone,
        )
        return self.load(name, place / outcome.checkpoint), outcome.seconds

    def _batches(self, stacks: MaskStacks, steps: int, seed: int) -> pl.LightningDataModule:
        return self.data(train=stacks, valid=None, statistics=NEUTRAL, steps_per_epoch=steps, seed=seed)

    def build(self, name: str) -> SegmentationModule:
        """A form's module, as it is before any training."""
        variant = self.variants[name]
        channels = 3 + 2 * len(self.source.names) + 1
        network = partial(
            variant.network, prior_weight=[self.prior_weight.get(name, 1.0) for name in self.source.names]
        )
        module = self.module(network=network, lr=variant.lr, statistics=NEUTRAL, features=channels - 3)
        assert isinstance(module, SegmentationModule)
        return module

    def load(self, name: str, checkpoint: Path) -> SegmentationModule:
        """A form's module with the weights of a checkpoint."""
        module = load(self.build(name), checkpoint)
        assert isinstance(module, SegmentationModule)
        return module

    def fold_checkpoint(self, best: Best, left_out: Collection[str]) -> Path | None:
        """The weights of what was chosen that learnt from all masks but these, if just they were left out once.

        One that left out only some of them has learnt from the others.
        """
        choice = ModelSelection.read(best.folder)
        unseen = set(left_out) & set(choice.stems)
        for number, part in enumerate(choice.parts, start=1):
            if part and set(part) == unseen:
                return self._checkpoint(best.folder / FORMS / choice.chosen / f"fold-{number}")
        return None

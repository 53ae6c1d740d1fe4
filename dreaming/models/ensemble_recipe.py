"""How the ensemble is chosen and trained: each form and each masker alone is tried on masks it did not learn from."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import lightning
import torch
from torch import nn

from dreaming.data.mask_stack import MaskStacks
from dreaming.errors import ConfigError, MaskError
from dreaming.frames.clip import Clip
from dreaming.frames.references import References
from dreaming.frames.statistics import NEUTRAL
from dreaming.models import runs
from dreaming.models.base import SegmentationModule
from dreaming.models.checkpoints import END, load
from dreaming.models.choice import Choice, choose, table
from dreaming.models.fit import Budget, Recipe, Workbench, fit
from dreaming.models.mixing import jaccards
from dreaming.models.runs import Best

log = logging.getLogger(__name__)

AUTO = "auto"
FORMS = "forms"  # a folder for each candidate, out of the way of what looks for runs
UNTRAINED = "untrained.ckpt"


@dataclass(frozen=True)
class Form:
    """One way to make one mask of several.

    Attributes:
        network: Makes the network: ``network(in_channels=..., trust=...)``.
        lr: Learning rate.
        max_steps: Training steps; 0 where there is nothing to learn.
    """

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
    def learnt(self, clip: Clip, references: References, left_out: Collection[str] = ()) -> dict[str, str]:
        """Fingerprints of everything beside the config that decides what the stacks hold."""


@dataclass(frozen=True)
class EnsembleRecipe(Recipe):
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

    # A form is fitted without validation, and chosen by this alone.
    monitor: str = "val/jaccard"
    mode: Literal["max", "min"] = "max"
    validate_every: int = 150
    budget: Budget = field(default_factory=lambda: Budget(200))
    source: StackSource = field(kw_only=True)
    forms: Mapping[str, Form] = field(kw_only=True)
    trust: Mapping[str, float] = field(default_factory=dict, kw_only=True)
    form: str = field(default=AUTO, kw_only=True)
    candidates: Sequence[str] = field(default=(), kw_only=True)
    tolerance: float = field(default=0.5, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        known = [*self.forms, *self.source.names]
        for key, name in [("form", self.form), *(("candidates", name) for name in self.candidates)]:
            if name not in known and (key, name) != ("form", AUTO):
                raise ConfigError(
                    f"model.{self.name}.{key}",
                    found=f"no form {name!r}",
                    expected=f"{AUTO} or one of {', '.join(known)}",
                    mend="correct it",
                )
        for name, weight in self.trust.items():
            if weight <= 0:
                key = f"model.{self.name}.trust.{name}"
                raise ConfigError(key, found=str(weight), expected="a weight above 0", mend="or leave the masker out")
        if not self.source.names:
            raise ConfigError(f"model.{self.name}.source", found="no masker", expected="at least one", mend="name some")

    def subjects(self, clip: Clip) -> list[str]:
        """The clip's parts."""
        return clip.parts

    def train(self, clip: Clip, subject: str, workbench: Workbench, folder: Path) -> Best:
        """Learn one part's ensemble in a run folder."""
        references = clip.learning_references(subject)
        stacks = self.source.stacks(clip, references)
        with self._lock(clip):
            return self._train_on(clip, references, stacks, workbench, folder)

    def _lock(self, clip: Clip) -> AbstractContextManager[None]:
        return clip.lock(f"fit-{self.name}", f"waiting for another process that trains {self.name} on this clip")

    def identity(
        self, clip: Clip, references: References, workbench: Workbench, left_out: Collection[str] = ()
    ) -> dict[str, Any]:
        """What tells this training from any other."""
        return {
            "recipe": self.describe_training(),
            "references": self.source.learnt(clip, references, left_out),
            "seed": workbench.seed,
        }

    def find(
        self, clip: Clip, references: References, workbench: Workbench, left_out: Collection[str] = ()
    ) -> Best | None:
        """The finished run of exactly this recipe and these references, if there is one."""
        return runs.find(clip.runs(self.name), self.identity(clip, references, workbench, left_out))

    def find_or_train(
        self, clip: Clip, references: References, workbench: Workbench, left_out: Collection[str] = ()
    ) -> Best:
        """The finished run of exactly this recipe and these references; trained first where there is none.

        Args:
            clip: The clip.
            references: What the maskers learn from.
            workbench: What it is trained on.
            left_out: Names of frames whose masks the ensemble must not learn from either.
        """
        best = self.find(clip, references, workbench, left_out)
        if best is not None:
            return best
        stacks = self.source.stacks(clip, references, left_out)
        folder, identity = clip.runs(self.name), self.identity(clip, references, workbench, left_out)
        with self._lock(clip):
            best = runs.find(folder, identity)
            if best is None:
                begun = runs.unfinished(folder, identity)
                place = begun or runs.new_folder(folder)
                best = self._train_on(clip, references, stacks, workbench, place, left_out)
        return best

    def _train_on(
        self,
        clip: Clip,
        references: References,
        stacks: MaskStacks,
        workbench: Workbench,
        folder: Path,
        left_out: Collection[str] = (),
    ) -> Best:
        identity = self.identity(clip, references, workbench, left_out)
        runs.begin(folder, identity)
        alone = sorted(stacks.names, key=lambda name: -self.trust.get(name, 1.0))  # the most trusted first
        names = list(dict.fromkeys([*self.candidates, *alone] if self.form == AUTO else [self.form]))
        if not stacks.references.present:
            names = [self._untrained(names, references)]
        log.info("%s: %d masks that the maskers did not see, protocol %s", self.name, len(stacks), stacks.protocol)
        scores, seconds = dict[str, list[float]](), 0.0
        for name in dict.fromkeys([*names, *stacks.names]):
            scores[name] = []
            for number, part in enumerate(stacks.parts, start=1):
                place = folder / FORMS / name / f"fold-{number}"
                mixer, spent = self._mixer(name, place, stacks.without(part), workbench, identity, alone=False)
                scores[name] += jaccards(mixer, name, stacks.select(part), workbench)
                seconds += spent
        chosen = choose(scores, names, self.tolerance)
        choice = Choice(chosen, scores, [stem for part in stacks.parts for stem in part], stacks.parts)
        log.info("%s: %s", self.name, table(scores, chosen))
        choice.write(folder)
        _, spent = self._mixer(chosen, folder / FORMS / chosen, stacks, workbench, identity, alone=True)
        best = Best(
            folder=folder,
            checkpoint=str(self._checkpoint(folder / FORMS / chosen).relative_to(folder)),
            score=choice.score,
            monitor=self.monitor,
            mode=self.mode,
            steps=self._steps(chosen),
            protocol=stacks.protocol,
            subject=references.part,
            identity=identity,
            seconds=seconds + spent,
        )
        runs.record(best, clip.runs(self.name))
        log.info("%s: %s, %s %.4f (%s)", self.name, chosen, self.monitor, best.score, best.protocol)
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
                found=f"{self.form}, and no left-out hand mask that shows the {references.part} to learn it from",
                expected="two hand masks that show it",
                mend=f"paint another one, or leave out model.{self.name}.form",
            )
        log.warning(
            "%s: no left-out hand mask shows the %s, so that %s is taken untried",
            self.name,
            references.part,
            untrained[0],
        )
        return untrained[0]

    def _steps(self, name: str) -> int:
        return min(self.forms[name].max_steps, self.budget.max_steps) if name in self.forms else 0

    def _checkpoint(self, place: Path) -> Path:
        trained = place / END
        return trained if trained.exists() else place / UNTRAINED

    def _mixer(
        self,
        name: str,
        place: Path,
        stacks: MaskStacks,
        workbench: Workbench,
        identity: Mapping[str, Any],
        *,
        alone: bool,
    ) -> tuple[SegmentationModule | None, float]:
        """One candidate's module, fitted in its own folder, and the seconds it took; None for a masker alone."""
        form = self.forms.get(name)
        if form is None or form.max_steps == 0:
            module = None if form is None else self.build(name)
            place.mkdir(parents=True, exist_ok=True)
            torch.save({"state_dict": {} if module is None else module.state_dict()}, place / UNTRAINED)
            return module, 0.0
        steps = self._steps(name)
        budget = Budget(steps, self.budget.max_time)
        fitted = replace(self, budget=budget, validate_every=steps, patience=None)
        outcome = fit(
            fitted,
            workbench,
            place,
            module=lambda: self.build(name),
            data=lambda: self._batches(stacks, steps, workbench.seed),
            validate=False,
            identity={**identity, "form": name, "learn": list(stacks.references.stems)},
            title=f"{self.name}: {name}",
            alone=alone,
        )
        return self.load(name, place / outcome.checkpoint), outcome.seconds

    def _batches(self, stacks: MaskStacks, steps: int, seed: int) -> lightning.LightningDataModule:
        return self.data(train=stacks, valid=None, statistics=NEUTRAL, steps_per_epoch=steps, seed=seed)

    def build(self, name: str) -> SegmentationModule:
        """A form's module, as it is before any training."""
        form = self.forms[name]
        channels = 3 + 2 * len(self.source.names) + 1
        network = partial(form.network, trust=[self.trust.get(name, 1.0) for name in self.source.names])
        module = self.module(network=network, lr=form.lr, statistics=NEUTRAL, evidence=channels - 3)
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
        choice = Choice.read(best.folder)
        unseen = set(left_out) & set(choice.stems)
        for number, part in enumerate(choice.parts, start=1):
            if part and set(part) == unseen:
                return self._checkpoint(best.folder / FORMS / choice.chosen / f"fold-{number}")
        return None

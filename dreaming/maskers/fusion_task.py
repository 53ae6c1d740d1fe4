"""Training of the ensemble: fusion variants and single maskers are compared on held-out masks."""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import torch
from torch import nn

from dreaming.artifacts.fingerprint import fingerprint
from dreaming.clip.annotations import References
from dreaming.clip.clip import Clip
from dreaming.constraints import LearningRate, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, UnitFloat
from dreaming.data.mask_stack import MaskStacks
from dreaming.errors import MaskError, ParameterError
from dreaming.flow.dis import DisFlow
from dreaming.imaging.colour_statistics import NEUTRAL
from dreaming.maskers.base import Masker
from dreaming.maskers.out_of_fold import CrossValidationPlan, plan_cross_validation, stacks, warn_about
from dreaming.maskers.screening import screen
from dreaming.models.fusion_inference import jaccards
from dreaming.models.segmentation import SegmentationModule
from dreaming.training.checkpoints import END, load
from dreaming.training.context import FitLimits, TrainingContext
from dreaming.training.cross_validation import ValidationResult
from dreaming.training.fit import fit
from dreaming.training.fit_result import FitResult
from dreaming.training.model_selection import ModelSelection, choose, table
from dreaming.training.run_registry import Best
from dreaming.training.task import TrainingRun, TrainingTask

log = logging.getLogger(__name__)

AUTO = "auto"
VARIANTS = "variants"  # contains a folder for each candidate; the name differs from those of run folders
UNTRAINED = "untrained.ckpt"


@dataclass(frozen=True)
class FusionVariant:
    """One way to fuse several masks into one.

    Attributes:
        network: Builds the network: ``network(in_channels=..., prior_weight=...)``.
        max_steps: Training steps; 0 if the network has no weights to train.
    """

    kind: ClassVar[str] = "fusion_variant"

    network: Callable[..., nn.Module]
    lr: LearningRate = 0.01
    max_steps: NonNegativeInt = 0


@dataclass(frozen=True, eq=False)
class FusionData:
    """Hand masks of an ensemble's training: those of the maskers, and those of the fusion."""

    references: References
    plan: CrossValidationPlan


@dataclass(frozen=True)
class FusionTask(TrainingTask[FusionData]):
    """Trains and selects the ensemble's fusion.

    Attributes:
        maskers: The maskers by name; None leaves one out.
        folds: Folds of cross-validation if no mask is held out.
        flow: Optical flow to compare a masker's map with those of the neighbouring frames; None for no comparison.
        variants: The fusion variants by name.
        prior_weight: Initial weights of the maskers by name, 1 by default; they also rank single maskers.
        variant: The variant or masker to use; ``auto`` for the best of ``candidates`` and all single maskers.
        candidates: Variants that compete, in the order of preference.
        tolerance: Standard errors of the difference by which a preferred candidate may be worse and still win.
        screening_gain: Smallest gain in IoU with which a network is trained further; None: train it in any case.

    Raises:
        ParameterError: If there is no masker, or a name is not that of a variant or masker.
    """

    kind: ClassVar[str] = "fusion_task"

    # Variants are fitted without validation; this value only selects one of them.
    monitor: str = "val/jaccard"
    mode: Literal["max", "min"] = "max"
    validate_every: PositiveInt = 150
    limits: FitLimits = field(default_factory=lambda: FitLimits(200))
    maskers: Mapping[str, Masker | None] = field(kw_only=True)
    folds: PositiveInt = field(default=5, kw_only=True)
    flow: DisFlow | None = field(default=None, kw_only=True)
    variants: Mapping[str, FusionVariant] = field(kw_only=True)
    prior_weight: Mapping[str, PositiveFloat] = field(default_factory=dict, kw_only=True)
    variant: str = field(default=AUTO, kw_only=True)
    candidates: Sequence[str] = field(default=(), kw_only=True)
    tolerance: NonNegativeFloat = field(default=0.5, kw_only=True)
    screening_gain: UnitFloat | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        """Check the names."""
        super().__post_init__()
        if not self.input_maskers:
            raise ParameterError("maskers", found="none", expected="at least one masker")
        if shared := self.variants.keys() & self.input_maskers:
            raise ParameterError("maskers", found=", ".join(sorted(shared)), expected="no name of a variant")
        known = [*self.variants, *self.input_maskers]
        for key, name in [("variant", self.variant), *(("candidates", name) for name in self.candidates)]:
            if name not in known and (key, name) != ("variant", AUTO):
                accepted = known if key == "candidates" else [AUTO, *known]
                raise ParameterError(key, found=name, expected=f"one of {', '.join(accepted)}")

    @property
    def lr_key(self) -> str:
        """Config key of the learning rate of the selected variant."""
        return f"model.{self.name}.variants.{self.variant}.lr"

    @cached_property
    def input_maskers(self) -> dict[str, Masker]:
        """The maskers whose masks are fused, by name."""
        return {name: masker for name, masker in self.maskers.items() if masker is not None}

    @property
    def competitors(self) -> list[str]:
        """The candidates to choose from, in order of preference."""
        if self.variant != AUTO:
            return [self.variant]
        alone = sorted(self.input_maskers, key=lambda name: -self.prior_weight.get(name, 1.0))
        return list(dict.fromkeys([*self.candidates, *alone]))

    def subjects(self, clip: Clip) -> list[str]:
        """Names of the clip's parts."""
        return clip.parts

    def training_data(self, clip: Clip, subject: str) -> FusionData:
        """Read the hand masks of a part."""
        return self.data_of(clip, clip.training_references(subject))

    def data_of(self, clip: Clip, references: References, left_out: Collection[str] = ()) -> FusionData:
        """Choose the masks that the ensemble is trained on, besides ``references``, without ``left_out``."""
        return FusionData(references, plan_cross_validation(clip, references, self.folds, left_out))

    def subject_of(self, data: FusionData) -> str:
        """Name of the part."""
        return data.references.part

    def fingerprint(self, clip: Clip, data: FusionData, context: TrainingContext) -> dict[str, Any]:
        """Describe a training as plain data: ``task``, ``references`` and ``seed``."""
        references, plan = data.references, data.plan
        return {
            "task": replace(self, maskers=self.input_maskers).describe_training(),
            "references": {
                "frames": clip.sequence_fingerprint,
                "maskers": fingerprint(references.stems, references.masks),
                "ensemble": fingerprint(plan.validation, plan.references.stems, plan.references.masks),
                **{name: each.fitted_fingerprint(clip, references) for name, each in self.input_maskers.items()},
            },
            "seed": context.seed,
        }

    def prepare(self, clip: Clip, data: FusionData) -> MaskStacks:
        """Predict the masks to fuse by maskers that were not trained on them."""
        warn_about(data.plan, self.name)
        dropped: dict[str, float] = {}
        if self.screening_gain is not None and self.variant not in self.input_maskers:
            dropped = screen(clip, self.name, self.input_maskers, data.references, data.plan, self.screening_gain)
        maskers = self.without(dropped).input_maskers
        return replace(stacks(clip, maskers, data.references, data.plan, self.flow), dropped=dropped)

    def without(self, dropped: Collection[str]) -> Self:
        """The same task with fewer maskers."""
        kept = {name: masker for name, masker in self.input_maskers.items() if name not in dropped}
        candidates = [name for name in self.candidates if name not in dropped]
        return replace(self, maskers=kept, candidates=candidates)

    def plan(self, clip: Clip, data: FusionData) -> str:
        """Describe the fits of a training in one line, in their order."""
        trained = [name for name in self.competitors if self._steps(name)]
        if not trained:
            return "nothing to fit"
        names, folds = ", ".join(trained), len(data.plan.parts)
        return f"{folds} folds for each of {names}, then a final fit; each at most {self.limits}"

    def cross_validate(self, run: TrainingRun[FusionData]) -> ValidationResult:
        """Score every candidate on masks left out of its fit, and select one."""
        stacked: MaskStacks = run.prepared
        if stacked.dropped.keys() & self.input_maskers.keys():
            return self.without(stacked.dropped).cross_validate(run)
        names = self.competitors
        if not stacked.references.present:
            names = [self._untrained(names, run.data.references)]
        scores, results = dict[str, list[float]](), list[FitResult]()
        for name in dict.fromkeys([*names, *stacked.names]):
            scores[name] = []
            for number, part in enumerate(stacked.folds, start=1):
                folder = run.folder / VARIANTS / name / f"fold-{number}"
                module, result = self._fit(name, folder, stacked.without(part), run, standalone=False)
                scores[name] += jaccards(module, name, stacked.select(part), run.context)
                results.append(result)
        chosen = choose(scores, names, self.tolerance)
        stems = [stem for part in stacked.folds for stem in part]
        selection = ModelSelection(chosen, scores, stems, stacked.folds, stacked.dropped)
        selection.write(run.folder)
        return ValidationResult(stacked.validation, selection.score, self._steps(chosen), {}, tuple(results))

    def remark(self, folder: Path) -> str:
        """The scores of all candidates."""
        selection = ModelSelection.read(folder)
        return "; " + table(selection.scores, selection.chosen)

    def finalise(self, run: TrainingRun[FusionData], validation: ValidationResult) -> FitResult:
        """Fit the selected candidate on all masks."""
        chosen = ModelSelection.read(run.folder).chosen
        folder = run.folder / VARIANTS / chosen
        _, result = self.without(run.prepared.dropped)._fit(chosen, folder, run.prepared, run, standalone=True)
        if not result.checkpoint:
            return result
        return replace(result, checkpoint=str(self._checkpoint(folder).relative_to(run.folder)))

    def build(self, name: str) -> SegmentationModule:
        """Build a variant's untrained module."""
        variant, maskers = self.variants[name], self.input_maskers
        weights = [self.prior_weight.get(masker, 1.0) for masker in maskers]
        network = partial(variant.network, prior_weight=weights)
        module = self.module(network=network, lr=variant.lr, statistics=NEUTRAL, features=2 * len(maskers) + 1)
        assert isinstance(module, SegmentationModule)
        return module

    def load(self, name: str, checkpoint: Path) -> SegmentationModule:
        """Build a variant's module with the weights of a checkpoint."""
        module = load(self.build(name), checkpoint)
        assert isinstance(module, SegmentationModule)
        return module

    def fold_checkpoint(self, best: Best, left_out: Collection[str]) -> Path | None:
        """Find the selected candidate's weights from the fold that left out exactly these masks; None without one."""
        selection = ModelSelection.read(best.folder)
        wanted = set(left_out) & set(selection.stems)
        for number, part in enumerate(selection.parts, start=1):
            if part and set(part) == wanted:
                return self._checkpoint(best.folder / VARIANTS / selection.chosen / f"fold-{number}")
        return None

    def _untrained(self, names: Sequence[str], references: References) -> str:
        """Take the preferred candidate without weights, because masks without the subject cannot rank candidates."""
        untrained = [name for name in names if not self._steps(name)]
        if not untrained:
            raise MaskError(
                f"model.{self.name}.variant",
                found=f"{self.variant}, and no left-out hand mask that shows the {references.part} to train it on",
                expected="two hand masks that show it",
                hint=f"paint another one, or leave out model.{self.name}.variant",
            )
        log.warning(
            "%s: no left-out hand mask shows the %s, so %s is used without a comparison",
            self.name, references.part, untrained[0],
        )  # fmt: skip
        return untrained[0]

    def _steps(self, name: str) -> int:
        return min(self.variants[name].max_steps, self.limits.max_steps) if name in self.variants else 0

    def _checkpoint(self, folder: Path) -> Path:
        trained = folder / END
        return trained if trained.exists() else folder / UNTRAINED

    def _fit(
        self, name: str, folder: Path, stacked: MaskStacks, run: TrainingRun[FusionData], *, standalone: bool
    ) -> tuple[SegmentationModule | None, FitResult]:
        """Fit one candidate in its own folder; the module is None for a single masker."""
        variant, steps = self.variants.get(name), self._steps(name)
        if variant is None or not steps:
            module = None if variant is None else self.build(name)
            folder.mkdir(parents=True, exist_ok=True)
            torch.save({"state_dict": {} if module is None else module.state_dict()}, folder / UNTRAINED)
            return module, FitResult(UNTRAINED, float("nan"), 0, {}, 0, 0.0)
        result = fit(
            replace(
                self, variant=name, limits=FitLimits(steps, self.limits.max_time), validate_every=steps, patience=None
            ),
            run.context,
            folder,
            module=lambda: self.build(name),
            data=lambda: self.data(
                train=stacked.references,
                valid=None,
                statistics=NEUTRAL,
                features=[stacked.channels(index)[None] for index in range(len(stacked))],
                steps_per_epoch=steps,
                seed=run.context.seed,
            ),
            validate=False,
            fingerprint={**run.fingerprint, "variant": name, "trained_on": list(stacked.references.stems)},
            title=f"{self.name}: {name}",
            standalone=standalone,
        )
        return (self.load(name, folder / result.checkpoint) if result.checkpoint else self.build(name)), result

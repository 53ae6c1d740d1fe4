"""Training of a segmentation network on hand masks: validated on held-out masks, or by cross-validation if few."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from dreaming.artifacts.fingerprint import fingerprint
from dreaming.artifacts.record import read_record
from dreaming.clip.annotations import References
from dreaming.clip.clip import Clip
from dreaming.constraints import PositiveInt
from dreaming.data.fold_data import FoldDataBuilder, TrainingMasks
from dreaming.errors import MaskError, ParameterError
from dreaming.features.inputs import FeatureInputs
from dreaming.features.lucid_dreaming import LucidDreaming
from dreaming.imaging.colour_statistics import NEUTRAL, ColourStatistics, measure
from dreaming.maskers.base import Masker
from dreaming.maskers.extra_inputs import masker_maps
from dreaming.maskers.out_of_fold import scored_folds
from dreaming.models.segmentation import SegmentationModule
from dreaming.training import run_registry as runs
from dreaming.training.checkpoints import END
from dreaming.training.context import TrainingContext
from dreaming.training.cross_validation import FOLDS, ValidationResult
from dreaming.training.fit import fit
from dreaming.training.fit_result import FitResult
from dreaming.training.image_logging import PICTURES
from dreaming.training.run_registry import Best
from dreaming.training.task import TrainingRun, TrainingTask

log = logging.getLogger(__name__)

STATISTICS_FRAMES = 100
"""Frames, evenly spread over the clip, on which its colour statistics are measured."""

MIN_MASKS = 2
"""Minimum number of masks to train on; one more is needed if other maskers are trained on the same masks."""


@dataclass(frozen=True)
class SegmentationTask(TrainingTask[TrainingMasks]):
    """Trains a segmentation network.

    Attributes:
        inputs: Inputs of the network: ``rgb``, and any of ``position`` (encoded by the network) and ``features``.
        lucid_dreaming: Makes synthetic frames to train on beside the hand-masked ones; None for none.
        extra_inputs: Maskers trained on the same masks, whose probability maps are a further input; None leaves one
            out. They need one mask more, because a fold leaves out a second one for their predictions.
        folds: Folds of cross-validation if no mask is held out; fewer if there are fewer masks.

    Raises:
        ParameterError: If an input or feature is unknown, or if two parameters exclude each other.
    """

    kind: ClassVar[str] = "segmentation_task"

    inputs: Sequence[Literal["rgb", "position", "features"]] = ("rgb", "position")
    features: FeatureInputs | None = None
    lucid_dreaming: LucidDreaming | None = None
    extra_inputs: Mapping[str, Masker | None] = field(default_factory=dict)
    folds: PositiveInt = 5

    def __post_init__(self) -> None:
        """Check the inputs against each other."""
        super().__post_init__()
        if "rgb" not in self.inputs:
            raise ParameterError("inputs", found="no rgb", expected="rgb, and any of position and features")
        if self.lucid_dreaming is not None and self.input_maskers:
            raise ParameterError(
                "lucid_dreaming",
                found=f"synthetic frames together with extra_inputs {', '.join(self.input_maskers)}",
                expected="one of the two, because maskers predict nothing for synthetic frames",
            )
        if self.input_maskers and self.folds < MIN_MASKS + 1:
            raise ParameterError(
                "folds",
                found=self.folds,
                expected=f"at least {MIN_MASKS + 1} with extra_inputs, because these leave out a second fold",
            )
        features = self.feature_inputs
        masks = [*features.masks, *self.input_maskers] if features else []
        if features and features.prior is not None and features.prior not in masks:
            raise ParameterError("features.prior", found=features.prior, expected=f"null or one of {', '.join(masks)}")

    @property
    def feature_inputs(self) -> FeatureInputs | None:
        """The features that are an input of the network; None without."""
        return self.features if "features" in self.inputs else None

    @cached_property
    def input_maskers(self) -> dict[str, Masker]:
        """The maskers whose probability maps are an input, by name."""
        return {name: masker for name, masker in self.extra_inputs.items() if masker is not None}

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the network's input channels beside colour and position: features, then maskers."""
        return (*(self.feature_inputs.channels if self.feature_inputs else ()), *self.input_maskers)

    def build(self, statistics: ColourStatistics) -> SegmentationModule:
        """Build the untrained module for a clip with these colour statistics."""
        prior = self.feature_inputs.prior if self.feature_inputs else None
        module = self.module(
            statistics=statistics,
            features=len(self.channels),
            position="position" in self.inputs,
            prior=None if prior is None else self.channels.index(prior),
        )
        assert isinstance(module, SegmentationModule)
        return module

    def subjects(self, clip: Clip) -> list[str]:
        """Names of the clip's parts."""
        return clip.parts

    def training_data(self, clip: Clip, subject: str) -> TrainingMasks:
        """Read the hand masks of a part."""
        return TrainingMasks.of(clip, clip.training_references(subject))

    def subject_of(self, data: TrainingMasks) -> str:
        """Name of the part."""
        return data.references.part

    def fingerprint(self, clip: Clip, data: TrainingMasks, context: TrainingContext) -> dict[str, Any]:
        """Describe a training as plain data: ``task``, ``references`` and ``seed``."""
        references = data.references
        digest = fingerprint(references.stems, references.images, references.masks, data.held_out)
        if self.channels:  # they are propagated through all frames
            digest = fingerprint(digest, clip.sequence_fingerprint)
        effective = replace(self, features=self.feature_inputs, extra_inputs=self.input_maskers)
        return {"task": effective.describe_training(), "references": digest, "seed": context.seed}

    def check(self, clip: Clip, data: TrainingMasks) -> None:
        """Refuse frames that are too small for the network, and too few masks.

        Raises:
            ConfigError: If a training crop or a frame is smaller than the network's receptive field.
            MaskError: If there are too few masks to train on.
        """
        crop = getattr(self.data, "keywords", {}).get("crop")
        self.build(NEUTRAL).check_sides(crop, clip.size)
        train = self._usable(clip, data.references).without(data.held_out)
        maskers = ", ".join([self.name, *self.input_maskers])
        fewest = MIN_MASKS + bool(self.input_maskers)
        if len(train) < fewest:
            raise MaskError(
                clip.path,
                topic="too-few-hand-masks",
                found=f"{len(train)} hand mask{'s' * (len(train) != 1)} to train {maskers} on",
                expected=f"at least {fewest}",
                hint="paint the masks of a few more frames",
            )
        shown = fewest if self.input_maskers else 1
        if len(train.present) < shown:
            raise MaskError(
                clip.path,
                found=f"{len(train.present)} of {len(train)} hand masks with any foreground to train {maskers} on",
                expected=f"at least {shown}",
                hint=f"paint the masks of a few more frames that show the {data.references.part}",
            )

    def plan(self, clip: Clip, data: TrainingMasks) -> str:
        """Describe the fits of a training in one line, in their order."""
        known = self._usable(clip, data.references)
        train, valid = known.without(data.held_out), known.select(data.held_out)
        if len(valid):
            steps = f"1 fit on {len(train)} masks, validated on {len(valid)} others"
        else:
            steps = f"{len(self.folds_of(clip, train))} folds, then a final fit on all {len(train)} masks"
        first = f"predictions of {', '.join(self.input_maskers)}, then " if self.input_maskers else ""
        return f"{first}{steps}; each at most {self.limits}"

    def setup(self, run: TrainingRun[TrainingMasks]) -> tuple[ColourStatistics, FoldDataBuilder]:
        """Measure the colour statistics and set up the features that all fits of a run share."""
        stems, clip = run.clip.stems, run.clip
        count = min(STATISTICS_FRAMES, len(stems))
        chosen = np.unique(np.linspace(0, len(stems) - 1, count).round().astype(int))
        statistics = measure(image for _, image in clip.frames.read_ahead([stems[index] for index in chosen]))
        known, maps = self._usable(clip, run.data.references), None
        if self.input_maskers:
            maps = partial(masker_maps, clip, self.input_maskers, known)
        parts = known.without(run.data.held_out).folds(self.folds)
        return statistics, FoldDataBuilder(clip, known, self.feature_inputs, self.lucid_dreaming, maps, parts)

    def cross_validate(self, run: TrainingRun[TrainingMasks]) -> ValidationResult:
        """Fit once if masks are held out, otherwise once per fold, and score on the masks left out."""
        part, held_out = run.data.references.part, run.data.held_out
        known = self._usable(run.clip, run.data.references)
        if len(known) < len(run.data.references):
            unused = len(run.data.references) - len(known)
            log.warning("%s: %d hand masks belong to no frame of the clip and are not used", self.name, unused)
        train, valid = known.without(held_out), known.select(held_out)
        if len(valid):
            if not valid.present:
                log.warning("%s: no mask to validate on shows the %s", self.name, part)
            return ValidationResult.of_fit(run.data.validation, self._fit(run, run.folder, train, valid, self.name))
        folds = self.folds_of(run.clip, train)
        folders = [run.folder / f"fold-{number}" for number in range(1, len(folds) + 1)]
        results = [self._fit_fold(run, train, folds, index) for index in range(len(folds))]
        validation = ValidationResult.of_folds(results, [folder / PICTURES for folder in folders], self.sign)
        if len(train.present) == 1:
            last = max(validation.curve)
            validation = replace(validation, score=validation.curve[last], steps=last)
            log.warning(
                "%s: only %s shows the %s and every fold is trained on it, so the best number of steps is unknown",
                self.name, *train.present, part,
            )  # fmt: skip
        log.debug("%s: %s %.4f after %d steps", self.name, self.monitor, validation.score, validation.steps)
        return validation

    def folds_of(self, clip: Clip, references: References) -> list[References]:
        """The folds of these references that cross-validation leaves out, one after the other."""
        return [part.left_out for part in scored_folds(clip, self._usable(clip, references), self.folds)]

    def train_fold(
        self, clip: Clip, data: TrainingMasks, context: TrainingContext, left_out: References
    ) -> Path | None:
        """Train one of ``folds_of`` in a run folder that ``find_or_train`` continues; its weights, if there are any."""
        known, fingerprint = self._usable(clip, data.references), self.fingerprint(clip, data, context)
        with self.lock(clip, data):
            plan = f"1 fit without {', '.join(left_out.stems)}; at most {self.limits}"
            run = self._begin(self._unfinished(clip, data, context, fingerprint, None), plan)
            folds = self.folds_of(clip, known)
            index = [fold.stems for fold in folds].index(left_out.stems)
            self._fit_fold(run, known, folds, index)
        weights = run.folder / f"fold-{index + 1}" / END
        return weights if weights.exists() else None

    def _fit_fold(
        self, run: TrainingRun[TrainingMasks], train: References, folds: Sequence[References], index: int
    ) -> FitResult:
        fold, title = folds[index], f"{self.name}, fit {index + 1} of {len(folds) + 1}"
        return self._fit(
            run, run.folder / f"fold-{index + 1}", train.without(fold.stems), fold, title,
            standalone=False, turn=(index, len(folds)),
        )  # fmt: skip

    def finalise(self, run: TrainingRun[TrainingMasks], validation: ValidationResult) -> FitResult | None:
        """After cross-validation, fit on all masks for the number of steps that was best."""
        if validation.validation != FOLDS:
            return None
        known = self._usable(run.clip, run.data.references)
        count = len(validation.results) + 1
        return self._fit(
            run, run.folder, known, None, f"{self.name}, fit {count} of {count}",
            max_steps=validation.steps, fold_curve=validation.curve, fold_pictures=validation.pictures,
        )  # fmt: skip

    def _fit(
        self,
        run: TrainingRun[TrainingMasks],
        folder: Path,
        train: References,
        valid: References | None,
        title: str,
        **options: Any,
    ) -> FitResult:
        """Fit on some masks and validate on others, None in a final fit."""
        statistics: ColourStatistics
        builder: FoldDataBuilder
        statistics, builder = run.prepared
        alone = folder == run.folder
        return fit(
            self,
            run.context,
            folder,
            module=lambda: self.build(statistics),
            data=lambda: self.data(
                **builder.build(train, valid),
                statistics=statistics,
                steps_per_epoch=self.epoch,
                seed=run.context.seed,
            ),
            validate=valid is not None,
            fingerprint=run.fingerprint if alone else {**run.fingerprint, "trained_on": list(train.stems)},
            title=title,
            **options,
        )

    def fold_weights(self, clip: Clip, best: Best, train: References) -> Path | None:
        """Find the final weights of the fold that was trained on exactly these masks; None if there is none.

        The left-out masks may decide when ``patience`` stops that fold, but they are not trained on.
        """
        stems = list(self._usable(clip, train).stems)
        for path in sorted(best.folder.glob(f"fold-*/{runs.FINGERPRINT}")):
            end = path.parent / END
            if (read_record(path) or {}).get("trained_on") == stems and end.exists():
                return end
        return None

    def _usable(self, clip: Clip, references: References) -> References:
        """The references to train on: features and maps exist for the clip's own frames only."""
        return references.select(clip.stems) if self.channels else references

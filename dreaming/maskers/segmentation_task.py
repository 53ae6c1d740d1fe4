"""How a segmenter is trained on a clip's hand masks: with held-out masks, or by folds where masks are few."""

import json
import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytorch_lightning as pl

from dreaming.clip.annotations import References
from dreaming.clip.clip import Clip
from dreaming.data.fold_data import ExtraInputs, FoldDataBuilder
from dreaming.errors import ConfigError, MaskError
from dreaming.features.inputs import FeatureInputs
from dreaming.features.lucid_dreaming import LucidDreaming
from dreaming.imaging.colour_statistics import NEUTRAL, ColourStatistics, measure
from dreaming.io.manifest import fingerprint
from dreaming.models.segmentation import SegmentationModule
from dreaming.training import run_registry as runs
from dreaming.training.checkpoints import END
from dreaming.training.context import TrainingContext
from dreaming.training.cross_validation import FOLDS, ValidationResult
from dreaming.training.fit import fit
from dreaming.training.fit_result import FitResult
from dreaming.training.image_logging import PICTURES
from dreaming.training.run_registry import Best
from dreaming.training.task import TrainingTask

log = logging.getLogger(__name__)

MINIMUM = 2
INPUTS = ("rgb", "position", "features")


@dataclass(frozen=True)
class SegmentationTask(TrainingTask):
    """Recipe of a segmenter.

    Attributes:
        inputs: What the network is given: ``rgb``, and any of ``position`` (in the way that the network encodes it) and
            ``features``.
        features: Which evidence, and how it is gathered.
        lucid: How frames are made up to learn from beside the hand-masked ones; None: not.
        given: Other maskers, fitted on the same masks, whose maps are a further input; None: none. Needs one mask more,
            since from what a fold learns from another is left out.
        folds: Folds where no mask is held back; fewer if there are fewer masks.
        statistics_frames: Frames, spread over the clip, that its colour statistics are measured on.

    Raises:
        ConfigError: If there is no such input, or no such evidence.
    """

    kind: ClassVar[str] = "segmentation_task"

    inputs: Sequence[str] = ("rgb", "position")
    features: FeatureInputs | None = None
    lucid_dreaming: LucidDreaming | None = None
    extra_inputs: ExtraInputs | None = None
    folds: int = 5
    statistics_frames: int = 100

    def __post_init__(self) -> None:
        super().__post_init__()
        unknown = [name for name in self.inputs if name not in INPUTS]
        if unknown or "rgb" not in self.inputs:
            raise ConfigError(
                f"model.{self.name}.inputs",
                found=unknown[0] if unknown else "no rgb",
                expected=f"rgb, and any of {', '.join(INPUTS[1:])}",
                hint="correct it",
            )
        if self.features is not None:
            self.features.check(f"model.{self.name}.features")
        if self.lucid_dreaming is not None and self.extra_inputs is not None:
            raise ConfigError(
                f"model.{self.name}.lucid",
                found=f"made-up frames beside maps of {', '.join(self.extra_inputs.names)}",
                expected="one of the two, since no masker finds anything in made-up frames",
                hint=f"leave out lucid or model.{self.name}.extra_inputs",
            )
        if self.extra_inputs is not None and self.folds < MINIMUM + 1:
            raise ConfigError(
                f"model.{self.name}.folds",
                found=str(self.folds),
                expected=f"at least {MINIMUM + 1}, since the maskers that it is given learn from all folds but two",
                hint=f"raise it or leave out model.{self.name}.extra_inputs",
            )
        features, extra_inputs = self.feature_inputs, self.extra_inputs.names if self.extra_inputs else ()
        masks = [*features.masks, *extra_inputs] if features else []
        if features and features.prior is not None and features.prior not in masks:
            key, known = f"model.{self.name}.features.prior", f"null or one of {', '.join(masks)}"
            raise ConfigError(key, found=features.prior, expected=known, hint="correct it")

    @property
    def feature_inputs(self) -> FeatureInputs | None:
        """The evidence that the network is given; None without."""
        return self.features if "features" in self.inputs else None

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of what the network is given of each pixel beside colour and place: evidence, then maskers' maps."""
        return (
            *(self.feature_inputs.channels if self.feature_inputs else ()),
            *(self.extra_inputs.names if self.extra_inputs else ()),
        )

    def build(self, statistics: ColourStatistics) -> pl.LightningModule:
        """The module with the inputs that the recipe names, for a clip of these colours."""
        prior = self.feature_inputs.prior if self.feature_inputs else None
        return self.module(
            statistics=statistics,
            features=len(self.channels),
            position="position" in self.inputs,
            prior=None if prior is None else self.channels.index(prior),
        )

    def subjects(self, clip: Clip) -> list[str]:
        """The clip's parts."""
        return clip.parts

    def train(self, clip: Clip, subject: str, context: TrainingContext, folder: Path) -> Best:
        """Learn one part's masks in a run folder."""
        references = clip.training_references(subject)
        with self._lock(clip):
            return self._train_on(clip, references, context, folder)

    def _lock(self, clip: Clip) -> AbstractContextManager[None]:
        return clip.lock(f"fit-{self.name}", f"waiting for another process that trains {self.name} on this clip")

    def fingerprint(self, clip: Clip, references: References, context: TrainingContext) -> dict[str, Any]:
        """What tells this training from any other."""
        held_out = self._held_out(clip, references)
        learnt = fingerprint(references.stems, references.images, references.masks, held_out)
        if self.channels:  # which are carried through all the clip
            learnt = fingerprint(learnt, clip.frames_fingerprint)
        return {
            "task": replace(self, features=self.feature_inputs).describe_training(),
            "references": learnt,
            "seed": context.seed,
        }

    def _held_out(self, clip: Clip, references: References) -> tuple[str, ...]:
        """Names of those references that the split keeps for validation."""
        kept = clip.split(references.part).nn_valid
        return tuple(stem for stem in references.stems if stem in kept)

    def find_or_train(self, clip: Clip, references: References, context: TrainingContext) -> Best:
        """The finished run of exactly this recipe and these references; trained first where there is none."""
        folder, fingerprint = clip.runs(self.name), self.fingerprint(clip, references, context)
        with self._lock(clip):
            best = runs.find(folder, fingerprint)
            if best is None:
                begun = runs.unfinished(folder, fingerprint)
                best = self._train_on(clip, references, context, begun or runs.new_folder(folder))
        return best

    def _usable(self, clip: Clip, references: References) -> References:
        """Those of the references that can be learnt from: only the clip's own frames have evidence and maps."""
        return references.select(clip.stems) if self.channels else references

    def fold_weights(self, clip: Clip, best: Best, learn: References) -> Path | None:
        """What a run's fold that learnt from exactly these masks ended with; None if there was no such fold.

        Where ``patience`` ended a fold early, the left-out masks had a say in when; they have none in the weights.
        """
        stems = list(self._usable(clip, learn).stems)
        for path in sorted(best.folder.glob(f"fold-*/{runs.FINGERPRINT}")):
            end = path.parent / END
            if json.loads(path.read_text()).get("learn") == stems and end.exists():
                return end
        return None

    def measure(self, clip: Clip, subject: str, context: TrainingContext, folder: Path) -> float:
        """The monitored value on left-out or held-out masks; no last fit on all."""
        references = clip.training_references(subject)
        fits = self._fits(clip, references, context, folder)
        return self._on_unseen(clip, references, fits, folder).score

    def _train_on(self, clip: Clip, references: References, context: TrainingContext, folder: Path) -> Best:
        """Train in ``folder``: once where masks are held out, else by folds and then on all.

        Raises:
            MaskError: If there are too few masks to train on.
        """
        fits = self._fits(clip, references, context, folder)
        unseen = self._on_unseen(clip, references, fits, folder)
        outcomes = list(unseen.outcomes)
        if unseen.validation == FOLDS:
            known = self._usable(clip, references)
            last = fits(
                folder, known, None, f"{self.name} on all {len(known)}",
                max_steps=unseen.steps, unseen_curve=unseen.curve, unseen_pictures=unseen.pictures,
            )  # fmt: skip
            outcomes.append(last)
        best = Best(
            folder=folder,
            checkpoint=outcomes[-1].checkpoint,
            score=unseen.score,
            monitor=self.monitor,
            mode=self.mode,
            steps=unseen.steps,
            validation=unseen.validation,
            subject=references.part,
            fingerprint=self.fingerprint(clip, references, context),
            seconds=sum(outcome.seconds for outcome in outcomes),
        )
        runs.record(best, clip.runs(self.name))
        log.info(
            "%s: trained in %.0f s, %s %.4f (%s)", self.name, best.seconds, self.monitor, best.score, best.validation
        )
        return best

    def _on_unseen(
        self, clip: Clip, references: References, fits: Callable[..., FitResult], folder: Path
    ) -> ValidationResult:
        """Train once where masks are held out, else by folds, and measure on what was not learnt from.

        Raises:
            MaskError: If there are too few masks to train on.
        """
        held_out = self._held_out(clip, references)
        known = self._usable(clip, references)
        if len(known) < len(references):
            strangers = len(references) - len(known)
            log.warning("%s: %d hand masks belong to no frame of the clip and are not used", self.name, strangers)
        train, valid = known.without(held_out), known.select(held_out)
        fewest = MINIMUM if self.extra_inputs is None else MINIMUM + 1
        if len(train) < fewest:
            others = (
                ""
                if self.extra_inputs is None
                else f" and the maskers that it is given ({', '.join(self.extra_inputs.names)})"
            )
            raise MaskError(
                clip.path,
                found=f"{len(train)} hand mask{'s' * (len(train) != 1)} to train {self.name}{others} on",
                expected=f"at least {fewest}",
                hint="paint the masks of a few more frames",
            )
        needed = 1 if self.extra_inputs is None else fewest
        if len(train.present) < needed:
            raise MaskError(
                clip.path,
                found=f"{len(train.present)} of {len(train)} hand masks with any foreground to train {self.name} on",
                expected=f"at least {needed}",
                hint=f"paint the masks of a few more frames that show the {references.part}",
            )
        if len(valid):
            if not valid.present:
                log.warning("%s: no mask to validate on shows the %s", self.name, references.part)
            log.info("%s: %d masks to train, %d to validate; %s", self.name, len(train), len(valid), self.limits)
            outcome = fits(folder, train, valid, self.name)
            return ValidationResult(
                clip.split(references.part).validation, outcome.score, outcome.step, {}, (outcome,), ()
            )
        parts = train.folds(self.folds)
        log.info(
            "%s: %d masks, %d folds and a last fit on all; each %s", self.name, len(train), len(parts), self.limits
        )
        places = [folder / f"fold-{k}" for k in range(1, len(parts) + 1)]
        outcomes = [
            fits(
                place,
                train.without(part.stems),
                part,
                f"{self.name} {place.name}",
                standalone=False,
                turn=(k, len(parts)),
            )
            for k, (place, part) in enumerate(zip(places, parts, strict=True))
        ]
        unseen = ValidationResult.of_folds(outcomes, [place / PICTURES for place in places], self.sign)
        if len(train.present) == 1:
            last = max(unseen.curve)
            unseen = replace(unseen, score=unseen.curve[last], steps=last)
            log.warning(
                "%s: %s alone shows the %s and is learnt from in each fold: how long to train cannot be told",
                self.name,
                *train.present,
                references.part,
            )
        log.info("%s: %s %.4f on left-out masks after %d steps", self.name, self.monitor, unseen.score, unseen.steps)
        return unseen

    def _fits(
        self, clip: Clip, references: References, context: TrainingContext, folder: Path
    ) -> Callable[..., FitResult]:
        """Fits of one training, all with the same statistics and fingerprint.

        Raises:
            ConfigError: If the network's convolutions reach across a crop or a frame.
        """
        module, crop = self.build(NEUTRAL), getattr(self.data, "keywords", {}).get("crop")
        assert isinstance(module, SegmentationModule)
        module.check_sides(crop, clip.size)
        fingerprint, statistics = self.fingerprint(clip, references, context), self._statistics(clip)
        runs.begin(folder, fingerprint)
        known = self._usable(clip, references)
        parts = known.without(self._held_out(clip, references)).folds(self.folds)
        lessons = FoldDataBuilder(clip, known, self.feature_inputs, self.lucid_dreaming, self.extra_inputs, parts)

        def fit_one(place: Path, learn: References, unseen: References | None, title: str, **more: Any) -> FitResult:
            return fit(
                self,
                context,
                place,
                module=lambda: self.build(statistics),
                data=lambda: self.data(
                    **lessons.build(learn, unseen),
                    statistics=statistics,
                    steps_per_epoch=self.epoch,
                    seed=context.seed,
                ),
                validate=unseen is not None,
                fingerprint=fingerprint if place == folder else {**fingerprint, "learn": list(learn.stems)},
                title=title,
                **more,
            )

        return fit_one

    def _statistics(self, clip: Clip) -> ColourStatistics:
        stems = clip.stems
        places = np.unique(np.linspace(0, len(stems) - 1, min(self.statistics_frames, len(stems))).round().astype(int))
        return measure(image for _, image in clip.frames.read_ahead([stems[i] for i in places]))

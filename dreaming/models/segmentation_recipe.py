"""How a segmenter is trained on a clip's hand masks: with held-out masks, or by folds where masks are few."""

import json
import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import lightning
import numpy as np

from dreaming.data.evidence_input import EvidenceInput
from dreaming.data.lessons import GivenMaps, Lessons
from dreaming.data.lucid import Lucid
from dreaming.errors import ConfigError, MaskError
from dreaming.frames.clip import Clip
from dreaming.frames.manifest import fingerprint
from dreaming.frames.references import References
from dreaming.frames.statistics import NEUTRAL, ColourStatistics, measure
from dreaming.models import runs
from dreaming.models.base import SegmentationModule
from dreaming.models.checkpoints import END
from dreaming.models.fit import Recipe, Workbench, fit
from dreaming.models.outcome import Outcome
from dreaming.models.pictures import PICTURES
from dreaming.models.runs import Best
from dreaming.models.unseen import FOLDS, Unseen

log = logging.getLogger(__name__)

MINIMUM = 2
INPUTS = ("rgb", "position", "evidence")


@dataclass(frozen=True)
class SegmentationRecipe(Recipe):
    """Recipe of a segmenter.

    Attributes:
        inputs: What the network is given: ``rgb``, and any of ``position`` (in the way that the network encodes it) and
            ``evidence``.
        evidence: Which evidence, and how it is gathered.
        lucid: How frames are made up to learn from beside the hand-masked ones; None: not.
        given: Other maskers, fitted on the same masks, whose maps are a further input; None: none. Needs one mask more,
            since from what a fold learns from another is left out.
        folds: Folds where no mask is held back; fewer if there are fewer masks.
        statistics_frames: Frames, spread over the clip, that its colour statistics are measured on.

    Raises:
        ConfigError: If there is no such input, or no such evidence.
    """

    inputs: Sequence[str] = ("rgb", "position")
    evidence: EvidenceInput | None = None
    lucid: Lucid | None = None
    given: GivenMaps | None = None
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
                mend="correct it",
            )
        if self.evidence is not None:
            self.evidence.check(f"model.{self.name}.evidence")
        if self.lucid is not None and self.given is not None:
            raise ConfigError(
                f"model.{self.name}.lucid",
                found=f"made-up frames beside maps of {', '.join(self.given.names)}",
                expected="one of the two, since no masker finds anything in made-up frames",
                mend=f"leave out lucid or model.{self.name}.given",
            )
        if self.given is not None and self.folds < MINIMUM + 1:
            raise ConfigError(
                f"model.{self.name}.folds",
                found=str(self.folds),
                expected=f"at least {MINIMUM + 1}, since the maskers that it is given learn from all folds but two",
                mend=f"raise it or leave out model.{self.name}.given",
            )
        evidence, given = self.evidence_input, self.given.names if self.given else ()
        masks = [*evidence.masks, *given] if evidence else []
        if evidence and evidence.prior is not None and evidence.prior not in masks:
            key, known = f"model.{self.name}.evidence.prior", f"null or one of {', '.join(masks)}"
            raise ConfigError(key, found=evidence.prior, expected=known, mend="correct it")

    @property
    def evidence_input(self) -> EvidenceInput | None:
        """The evidence that the network is given; None without."""
        return self.evidence if "evidence" in self.inputs else None

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of what the network is given of each pixel beside colour and place: evidence, then maskers' maps."""
        return (
            *(self.evidence_input.channels if self.evidence_input else ()),
            *(self.given.names if self.given else ()),
        )

    def build(self, statistics: ColourStatistics) -> lightning.LightningModule:
        """The module with the inputs that the recipe names, for a clip of these colours."""
        prior = self.evidence_input.prior if self.evidence_input else None
        return self.module(
            statistics=statistics,
            evidence=len(self.channels),
            position="position" in self.inputs,
            prior=None if prior is None else self.channels.index(prior),
        )

    def subjects(self, clip: Clip) -> list[str]:
        """The clip's parts."""
        return clip.parts

    def train(self, clip: Clip, subject: str, workbench: Workbench, folder: Path) -> Best:
        """Learn one part's masks in a run folder."""
        references = clip.learning_references(subject)
        with self._lock(clip):
            return self._train_on(clip, references, workbench, folder)

    def _lock(self, clip: Clip) -> AbstractContextManager[None]:
        return clip.lock(f"fit-{self.name}", f"waiting for another process that trains {self.name} on this clip")

    def identity(self, clip: Clip, references: References, workbench: Workbench) -> dict[str, Any]:
        """What tells this training from any other."""
        held_out = self._held_out(clip, references)
        learnt = fingerprint(references.stems, references.images, references.masks, held_out)
        if self.channels:  # which are carried through all the clip
            learnt = fingerprint(learnt, clip.frames_identity)
        return {
            "recipe": replace(self, evidence=self.evidence_input).describe_training(),
            "references": learnt,
            "seed": workbench.seed,
        }

    def _held_out(self, clip: Clip, references: References) -> tuple[str, ...]:
        """Names of those references that the split keeps for validation."""
        kept = clip.split(references.part).nn_valid
        return tuple(stem for stem in references.stems if stem in kept)

    def find_or_train(self, clip: Clip, references: References, workbench: Workbench) -> Best:
        """The finished run of exactly this recipe and these references; trained first where there is none."""
        folder, identity = clip.runs(self.name), self.identity(clip, references, workbench)
        with self._lock(clip):
            best = runs.find(folder, identity)
            if best is None:
                begun = runs.unfinished(folder, identity)
                best = self._train_on(clip, references, workbench, begun or runs.new_folder(folder))
        return best

    def _usable(self, clip: Clip, references: References) -> References:
        """Those of the references that can be learnt from: only the clip's own frames have evidence and maps."""
        return references.select(clip.stems) if self.channels else references

    def fold_weights(self, clip: Clip, best: Best, learn: References) -> Path | None:
        """What a run's fold that learnt from exactly these masks ended with; None if there was no such fold.

        Where ``patience`` ended a fold early, the left-out masks had a say in when; they have none in the weights.
        """
        stems = list(self._usable(clip, learn).stems)
        for path in sorted(best.folder.glob(f"fold-*/{runs.IDENTITY}")):
            end = path.parent / END
            if json.loads(path.read_text()).get("learn") == stems and end.exists():
                return end
        return None

    def measure(self, clip: Clip, subject: str, workbench: Workbench, folder: Path) -> float:
        """The monitored value on left-out or held-out masks; no last fit on all."""
        references = clip.learning_references(subject)
        fits = self._fits(clip, references, workbench, folder)
        return self._on_unseen(clip, references, fits, folder).score

    def _train_on(self, clip: Clip, references: References, workbench: Workbench, folder: Path) -> Best:
        """Train in ``folder``: once where masks are held out, else by folds and then on all.

        Raises:
            MaskError: If there are too few masks to train on.
        """
        fits = self._fits(clip, references, workbench, folder)
        unseen = self._on_unseen(clip, references, fits, folder)
        outcomes = list(unseen.outcomes)
        if unseen.protocol == FOLDS:
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
            protocol=unseen.protocol,
            subject=references.part,
            identity=self.identity(clip, references, workbench),
            seconds=sum(outcome.seconds for outcome in outcomes),
        )
        runs.record(best, clip.runs(self.name))
        log.info(
            "%s: trained in %.0f s, %s %.4f (%s)", self.name, best.seconds, self.monitor, best.score, best.protocol
        )
        return best

    def _on_unseen(self, clip: Clip, references: References, fits: Callable[..., Outcome], folder: Path) -> Unseen:
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
        fewest = MINIMUM if self.given is None else MINIMUM + 1
        if len(train) < fewest:
            others = "" if self.given is None else f" and the maskers that it is given ({', '.join(self.given.names)})"
            raise MaskError(
                clip.path,
                found=f"{len(train)} hand mask{'s' * (len(train) != 1)} to train {self.name}{others} on",
                expected=f"at least {fewest}",
                mend="paint the masks of a few more frames",
            )
        needed = 1 if self.given is None else fewest
        if len(train.present) < needed:
            raise MaskError(
                clip.path,
                found=f"{len(train.present)} of {len(train)} hand masks with any foreground to train {self.name} on",
                expected=f"at least {needed}",
                mend=f"paint the masks of a few more frames that show the {references.part}",
            )
        if len(valid):
            if not valid.present:
                log.warning("%s: no mask to validate on shows the %s", self.name, references.part)
            log.info("%s: %d masks to train, %d to validate; %s", self.name, len(train), len(valid), self.budget)
            outcome = fits(folder, train, valid, self.name)
            return Unseen(clip.split(references.part).protocol, outcome.score, outcome.step, {}, (outcome,), ())
        parts = train.folds(self.folds)
        log.info(
            "%s: %d masks, %d folds and a last fit on all; each %s", self.name, len(train), len(parts), self.budget
        )
        places = [folder / f"fold-{k}" for k in range(1, len(parts) + 1)]
        outcomes = [
            fits(place, train.without(part.stems), part, f"{self.name} {place.name}", alone=False, turn=(k, len(parts)))
            for k, (place, part) in enumerate(zip(places, parts, strict=True))
        ]
        unseen = Unseen.of_folds(outcomes, [place / PICTURES for place in places], self.sign)
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

    def _fits(self, clip: Clip, references: References, workbench: Workbench, folder: Path) -> Callable[..., Outcome]:
        """Fits of one training, all with the same statistics and identity.

        Raises:
            ConfigError: If the network's convolutions reach across a crop or a frame.
        """
        module, crop = self.build(NEUTRAL), getattr(self.data, "keywords", {}).get("crop")
        assert isinstance(module, SegmentationModule)
        module.check_sides(crop, clip.size)
        identity, statistics = self.identity(clip, references, workbench), self._statistics(clip)
        runs.begin(folder, identity)
        known = self._usable(clip, references)
        parts = known.without(self._held_out(clip, references)).folds(self.folds)
        lessons = Lessons(clip, known, self.evidence_input, self.lucid, self.given, parts)

        def fit_one(place: Path, learn: References, unseen: References | None, title: str, **more: Any) -> Outcome:
            return fit(
                self,
                workbench,
                place,
                module=lambda: self.build(statistics),
                data=lambda: self.data(
                    **lessons.of(learn, unseen),
                    statistics=statistics,
                    steps_per_epoch=self.epoch,
                    seed=workbench.seed,
                ),
                validate=unseen is not None,
                identity=identity if place == folder else {**identity, "learn": list(learn.stems)},
                title=title,
                **more,
            )

        return fit_one

    def _statistics(self, clip: Clip) -> ColourStatistics:
        stems = clip.stems
        places = np.unique(np.linspace(0, len(stems) - 1, min(self.statistics_frames, len(stems))).round().astype(int))
        return measure(image for _, image in clip.frames.read_ahead([stems[i] for i in places]))

"""How a style is trained on a layer's keyframes."""

import logging
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dreaming.frames.clip import Clip
from dreaming.frames.clip_settings import Layer
from dreaming.frames.manifest import describe, fingerprint
from dreaming.frames.references import Keyframes
from dreaming.models import runs
from dreaming.models.fit import Outcome, Recipe, Workbench, fit
from dreaming.models.runs import Best

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class StyleRecipe(Recipe):
    """Recipe of a style network; one is trained for each layer."""

    def subjects(self, clip: Clip) -> list[str]:
        """Names of the clip's layers."""
        return [layer.name for layer in clip.layers]

    def train(self, clip: Clip, subject: str, workbench: Workbench, folder: Path) -> Best:
        """Learn one layer's style in a run folder."""
        layer = next(layer for layer in clip.layers if layer.name == subject)
        with self._lock(clip, layer):
            return self._train_on(clip, layer, workbench, folder)

    def measure(self, clip: Clip, subject: str, workbench: Workbench, folder: Path) -> float:
        """The monitored value on held-out patches of one layer's keyframes."""
        layer = next(layer for layer in clip.layers if layer.name == subject)
        return self._fit(clip.keyframes(layer), f"{self.name} {layer.name}", workbench, folder).score

    def _lock(self, clip: Clip, layer: Layer) -> AbstractContextManager[None]:
        title = f"{self.name} of {layer.name}"
        return clip.lock(f"fit-{self.name}-{layer.name}", f"waiting for another process that trains {title}")

    def identity(self, keyframes: Keyframes, workbench: Workbench) -> dict[str, Any]:
        """What tells this training from any other."""
        return {
            "recipe": describe(self),
            "references": fingerprint(keyframes.stems, keyframes.sources, keyframes.styled, keyframes.masks),
            "seed": workbench.seed,
        }

    def find_or_train(self, clip: Clip, layer: Layer, workbench: Workbench) -> Best:
        """The finished run of exactly this recipe and these keyframes; trained first where there is none."""
        folder, identity = clip.runs(self.name), self.identity(clip.keyframes(layer), workbench)
        with self._lock(clip, layer):
            best = runs.find(folder, identity)
            if best is None:
                begun = runs.unfinished(folder, identity)
                best = self._train_on(clip, layer, workbench, begun or runs.new_folder(folder))
        return best

    def _train_on(self, clip: Clip, layer: Layer, workbench: Workbench, folder: Path) -> Best:
        """Train one layer's generator in ``folder``; the best checkpoint is chosen on held-out patches."""
        keyframes = clip.keyframes(layer)
        identity = self.identity(keyframes, workbench)
        title = f"{self.name} {layer.name}"
        outcome = self._fit(keyframes, title, workbench, folder)
        best = Best(
            folder=folder,
            checkpoint=outcome.checkpoint,
            score=outcome.score,
            monitor=self.monitor,
            mode=self.mode,
            steps=outcome.step,
            protocol="holdout",
            subject=layer.name,
            identity=identity,
            seconds=outcome.seconds,
        )
        runs.record(best, clip.runs(self.name))
        log.info(
            "%s: trained in %.0f s, %d steps; best %s %.4f at step %d",
            title, outcome.seconds, outcome.steps, self.monitor, outcome.score, outcome.step,
        )  # fmt: skip
        return best

    def _fit(self, keyframes: Keyframes, title: str, workbench: Workbench, folder: Path) -> Outcome:
        log.info("%s: %d keyframes; %s", title, len(keyframes), self.budget)
        return fit(
            self,
            workbench,
            folder,
            module=lambda: self.module(channels=keyframes.sources.shape[-1]),
            data=self.data(keyframes=keyframes, steps_per_epoch=self.validate_every, seed=workbench.seed),
            validate=True,
            identity=self.identity(keyframes, workbench),
            title=title,
        )

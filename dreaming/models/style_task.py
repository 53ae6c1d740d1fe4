"""How a style is trained on a layer's keyframes."""

import functools
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from pytorch_lightning import LightningDataModule, LightningModule
from pytorch_lightning.callbacks import Callback

from dreaming.clip.annotations import Keyframes
from dreaming.clip.clip import Clip
from dreaming.clip.config import Layer
from dreaming.clip.layer_region import LayerRegion
from dreaming.data.frame_pairs import Consistency, FlickerProbe, pair_frames
from dreaming.data.keyframes import KeyframesDataModule
from dreaming.errors import ConfigError
from dreaming.guides.base import Guide
from dreaming.guides.compose import channel_count, guided_frames, guided_keyframes, painting_channels
from dreaming.guides.storage import GuideStack
from dreaming.io.frame_folder import FrameFolder
from dreaming.io.manifest import NO_EFFECT, fingerprint
from dreaming.losses.style import STRUCTURE_SIDE
from dreaming.networks.patch_discriminator import LAYERS, PatchDiscriminator, min_side
from dreaming.training.context import TrainingContext
from dreaming.training.cross_validation import ValidationResult
from dreaming.training.fit import fit
from dreaming.training.image_logging import STRIP, ContactSheet
from dreaming.training.task import TrainingRun, TrainingTask

log = logging.getLogger(__name__)

BETTER = {
    **dict.fromkeys(("val/quality", "val/likeness", "val/sharpness"), "max"),
    **dict.fromkeys(("val/loss", "val/flicker", "val/perceptual"), "min"),
}
"""Which way each figure that a style is judged by is better."""


@dataclass(frozen=True)
class StyleTask(TrainingTask[Layer]):
    """Recipe of a style network; one is trained for each layer.

    Attributes:
        guides: Further channels of the frames, by name.
        filtered: Whether the style is learnt from ``filtered/`` frames, and applied to them.
        inside: Where a layer that a mask cuts out is learnt; None for whole keyframes.
        probe: Unpainted frames by which flicker is judged during training; None: none.
        consistency: Unpainted frames from which the network learns not to flicker; None: none.

    Raises:
        ConfigError: If patches are too small for the loss that compares structure, or for the discriminator, if the
            worst checkpoint would be taken for the best, or if the module refuses a value.
    """

    kind: ClassVar[str] = "style_task"

    guides: Mapping[str, Guide] = field(default_factory=dict)
    filtered: bool = False
    roi: LayerRegion | None = field(default=None, metadata=NO_EFFECT)
    probe: FlickerProbe | None = None
    consistency: Consistency | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        better = BETTER.get(self.monitor, self.mode)
        if self.mode != better:
            raise ConfigError(
                "model.style.mode",
                found=f"{self.mode} of {self.monitor}",
                expected=f"{better}, for that is better",
                hint=f"say model.style.mode={better}",
            )
        patch, weights = _argument(self.data, "patch"), _argument(self.module, "loss_weights") or {}
        if patch is not None and patch < STRUCTURE_SIDE and weights.get("structure", 0) > 0:
            raise ConfigError(
                "data.keyframes.patch",
                found=f"{patch} with model.style.module.loss_weights.structure above 0",
                expected=f"{STRUCTURE_SIDE} pixels or more, the window in which structure is compared",
                hint="enlarge it, or set that weight to 0",
            )
        if patch is not None and max(weights.get("adversarial", 0), weights.get("matching", 0)) > 0:
            self._check_judged(patch)
        # What the networks and the optimiser refuse is told now, before a run has a folder.
        with torch.random.fork_rng(devices=[]):
            self.build().configure_optimizers()

    def _check_judged(self, patch: int) -> None:
        """Refuse patches of which the discriminator's convolutions leave nothing."""
        discriminator = _argument(self.module, "discriminator")
        if _made(discriminator) is not PatchDiscriminator:
            return
        layers = _argument(discriminator, "layers")
        least = min_side(LAYERS if layers is None else layers)
        if patch < least:
            raise ConfigError(
                "data.keyframes.patch",
                found=f"{patch} with model.style.module.loss_weights.adversarial or matching above 0",
                expected=f"{least} pixels or more, of which the discriminator's layers leave something",
                hint="enlarge it, lower model.style.module.discriminator.layers, or set those weights to 0",
            )

    @property
    def requires_masks(self) -> bool:
        """Whether it learns from masks, which then are made first."""
        return self.roi is not None and self.roi.requires_masks

    def frames(self, clip: Clip) -> FrameFolder:
        """The frames that the style is learnt from and applied to."""
        return clip.filtered if self.filtered else clip.frames

    def unpainted(self, clip: Clip) -> list[str]:
        """Names of the frames without a keyframe that are read in training, in order."""
        probed = self._probed(clip)
        learnt = [] if self.consistency is None else self.consistency.pair_stems(clip, probed)
        return pair_frames(clip, [*probed, *learnt])

    def _probed(self, clip: Clip) -> list[str]:
        return [] if self.probe is None else self.probe.pair_stems(clip)

    def subjects(self, clip: Clip) -> list[str]:
        """Names of the clip's layers."""
        return [layer.name for layer in clip.layers]

    def training_data(self, clip: Clip, subject: str) -> Layer:
        """The layer of this name."""
        return next(layer for layer in clip.layers if layer.name == subject)

    def subject_of(self, data: Layer) -> str:
        """Name of the layer."""
        return data.name

    def lock(self, clip: Clip, data: Layer) -> AbstractContextManager[None]:
        """Keep other processes from training the same layer's style."""
        title = f"{self.name} of {data.name}"
        return clip.lock(f"fit-{self.name}-{data.name}", f"waiting for another process that trains {title}")

    def plan(self, clip: Clip, data: Layer) -> str:
        """Describe the fit in one line."""
        return f"{data.name}: 1 fit on {len(clip.keyframe_folder(data))} keyframes, at most {self.limits}"

    def fingerprint(self, clip: Clip, data: Layer, context: TrainingContext) -> dict[str, Any]:
        """What tells this training from any other."""
        layer = data
        keyframes = self._restricted(clip, layer, clip.keyframes(layer, self.frames(clip)))
        references = fingerprint(keyframes.stems, keyframes.sources, keyframes.styled, keyframes.masks)
        unpainted = self.probe is not None or self.consistency is not None
        if self.guides or unpainted:  # which are taken from all over the clip
            references = fingerprint(references, clip.frames_fingerprint)
        if self.guides:
            drawn_from = {name: guide.inputs(clip, layer) for name, guide in self.guides.items()}
            references = fingerprint(references, drawn_from)
        return {"task": self.describe_training(), "references": references, "seed": context.seed}

    def _restricted(self, clip: Clip, layer: Layer, keyframes: Keyframes) -> Keyframes:
        return keyframes if self.roi is None else self.roi.restrict(clip, layer, keyframes)

    def callbacks(self, folder: Path) -> list[Callback]:
        """A strip of pictures over training."""
        return [ContactSheet(folder / STRIP)]

    def build(self) -> LightningModule:
        """The module for frames with these guides, untrained."""
        weight = 0.0 if self.consistency is None else self.consistency.weight
        painted = painting_channels(self.guides)
        return self.module(channels=channel_count(self.guides), painted=painted, consistency=weight)

    def cross_validate(self, run: TrainingRun[Layer]) -> ValidationResult:
        """Fit once and score on held-out patches; ``run.prepared`` are guides on disk that need not be drawn again."""
        clip, layer, context, drawn = run.clip, run.data, run.context, run.prepared
        title = f"{self.name} {layer.name}"

        def data() -> LightningDataModule:
            keyframes = guided_keyframes(clip, layer, self.guides, context.seed, self.frames(clip))
            keyframes = self._restricted(clip, layer, keyframes)
            made = self.data(keyframes=keyframes, steps_per_epoch=self.epoch, seed=context.seed)
            assert isinstance(made, KeyframesDataModule)
            self._add_unpainted(made, clip, layer, drawn)
            return made

        result = fit(
            self,
            context,
            run.folder,
            module=self.build,
            data=data,
            validate=True,
            fingerprint=run.fingerprint,
            title=title,
        )
        return ValidationResult.of_fit("holdout", result)

    def _add_unpainted(self, data: KeyframesDataModule, clip: Clip, layer: Layer, drawn: GuideStack | None) -> None:
        """Pairs of frames without a keyframe, to judge flicker by and to learn steadiness from."""
        frames = self.frames(clip)

        def read(stems: list[str]) -> Iterator[tuple[str, NDArray[np.uint8]]]:
            return guided_frames(clip, layer, self.guides, stems, frames=frames, drawn=drawn)

        if self.probe is not None:
            data.probe = self.probe.crops(clip, read, np.logical_or.reduce(data.keyframes.masks))
        if self.consistency is not None:
            side = data.patch or min(data.keyframes.sources.shape[1:3])
            data.pairs = self.consistency.source(clip, read, without=self._probed(clip), side=side, seed=data.seed)


def _argument(partial: Callable[..., Any], name: str) -> Any:
    """What a partial hands on under a name; None if nothing."""
    return partial.keywords.get(name) if isinstance(partial, functools.partial) else None


def _made(factory: Any) -> Any:
    """What a partial, or a class by itself, makes."""
    return factory.func if isinstance(factory, functools.partial) else factory

"""Training task of style networks."""

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

from dreaming.artifacts.fingerprint import NO_EFFECT, fingerprint
from dreaming.clip.annotations import Keyframes
from dreaming.clip.clip import Clip
from dreaming.clip.config import Layer
from dreaming.data.frame_pairs import Consistency, FlickerProbe, pair_frames
from dreaming.data.keyframes import KeyframesDataModule
from dreaming.errors import ParameterError
from dreaming.guides.base import Guide
from dreaming.guides.compose import channel_count, guided_frames, guided_keyframes, painting_channels
from dreaming.guides.storage import GuideStack
from dreaming.io.frame_folder import FrameFolder
from dreaming.losses.style import STRUCTURE_SIDE
from dreaming.matting.layer_region import LayerRegion
from dreaming.networks.patch_discriminator import LAYERS, PatchDiscriminator, min_side
from dreaming.training.context import TrainingContext
from dreaming.training.cross_validation import ValidationResult
from dreaming.training.fit import fit
from dreaming.training.image_logging import STRIP, ContactSheet
from dreaming.training.task import TrainingRun, TrainingTask

log = logging.getLogger(__name__)

BETTER = {
    **dict.fromkeys(("val/quality", "val/likeness", "val/sharpness", "val/crispness"), "max"),
    **dict.fromkeys(("val/loss", "val/flicker", "val/perceptual", "val/stroke_distance"), "min"),
}
"""Whether a higher (``max``) or lower (``min``) value of each style metric is better."""


@dataclass(frozen=True)
class StyleTask(TrainingTask[Layer]):
    """Training of a style network on each layer's keyframes.

    Attributes:
        guides: Additional input channels, by name.
        filtered: Whether to train on and stylise temporally smoothed frames.
        roi: Region of a layer with a mask to train on; None: whole keyframes.
        probe: Unpainted frames to measure flicker in validations; None: none.
        consistency: Unpainted frames for the temporal loss; None: none.

    Raises:
        ParameterError: If patches are too small for the structure loss or the discriminator, or ``mode`` selects the
            worst checkpoint.
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
            raise ParameterError("mode", found=f"{self.mode} of {self.monitor}", expected=better)
        patch, weights = _argument(self.data, "patch"), _argument(self.module, "loss_weights") or {}
        if patch is not None and patch < STRUCTURE_SIDE and weights.get("structure", 0) > 0:
            raise ParameterError(
                "data.patch",
                found=f"{patch} with loss_weights.structure above 0",
                expected=f"{STRUCTURE_SIDE} pixels or more, the side of the SSIM window",
            )
        if patch is not None and max(weights.get("adversarial", 0), weights.get("matching", 0)) > 0:
            self._check_discriminator(patch)
        # Errors of the networks and the optimiser occur here, before a run has a folder.
        with torch.random.fork_rng(devices=[]):
            self.build().configure_optimizers()

    def _check_discriminator(self, patch: int) -> None:
        """Check that patches are large enough for the discriminator's convolutions."""
        discriminator = _argument(self.module, "discriminator")
        if getattr(discriminator, "func", discriminator) is not PatchDiscriminator:
            return
        layers = _argument(discriminator, "layers")
        smallest = min_side(LAYERS if layers is None else layers)
        if patch < smallest:
            raise ParameterError(
                "data.patch",
                found=f"{patch} with loss_weights.adversarial or matching above 0",
                expected=f"{smallest} pixels or more for this number of discriminator.layers",
            )

    @property
    def lr_key(self) -> str:
        """Config key of the learning rate."""
        return "generator.lr"

    @property
    def mask_stages(self) -> tuple[str, ...]:
        """The stages that make the masks and mattes that training needs."""
        return () if self.roi is None else self.roi.inputs

    def frames(self, clip: Clip) -> FrameFolder:
        """Frames to train on and to stylise."""
        return clip.filtered if self.filtered else clip.frames

    def unpainted(self, clip: Clip) -> list[str]:
        """Names of the unpainted frames that training reads, in order."""
        probe = self._probe_stems(clip)
        training = [] if self.consistency is None else self.consistency.pair_stems(clip, probe)
        return pair_frames(clip, [*probe, *training])

    def _probe_stems(self, clip: Clip) -> list[str]:
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
        """Plain data that identifies this training."""
        layer = data
        keyframes = self._restricted(clip, layer, clip.keyframes(layer, self.frames(clip)))
        references = fingerprint(keyframes.stems, keyframes.sources, keyframes.styled, keyframes.masks)
        unpainted = self.probe is not None or self.consistency is not None
        if self.guides or unpainted:  # they depend on all frames
            references = fingerprint(references, clip.sequence_fingerprint)
        if self.guides:
            inputs = {name: guide.inputs(clip, layer) for name, guide in self.guides.items()}
            references = fingerprint(references, inputs)
        return {"task": self.describe_training(), "references": references, "seed": context.seed}

    def _restricted(self, clip: Clip, layer: Layer, keyframes: Keyframes) -> Keyframes:
        return keyframes if self.roi is None else self.roi.restrict(clip, layer, keyframes)

    def callbacks(self, folder: Path) -> list[Callback]:
        """Draw a contact sheet."""
        return [ContactSheet(folder / STRIP)]

    def build(self) -> LightningModule:
        """Build the untrained module for frames with these guides."""
        weight = 0.0 if self.consistency is None else self.consistency.weight
        painted = painting_channels(self.guides)
        return self.module(channels=channel_count(self.guides), painted=painted, consistency=weight)

    def cross_validate(self, run: TrainingRun[Layer]) -> ValidationResult:
        """Fit once and score on held-out pixels; ``run.prepared`` are guides that are already on disk."""
        clip, layer, context, drawn = run.clip, run.data, run.context, run.prepared
        title = f"{self.name} {layer.name}"

        def data() -> LightningDataModule:
            keyframes = guided_keyframes(clip, layer, self.guides, context.seed, self.frames(clip))
            keyframes = self._restricted(clip, layer, keyframes)
            datamodule = self.data(keyframes=keyframes, steps_per_epoch=self.epoch, seed=context.seed)
            assert isinstance(datamodule, KeyframesDataModule)
            self._add_unpainted(datamodule, clip, layer, drawn)
            return datamodule

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
        """Add pairs of unpainted frames to measure flicker and for the temporal loss."""
        frames = self.frames(clip)

        def read(stems: list[str]) -> Iterator[tuple[str, NDArray[np.uint8]]]:
            return guided_frames(clip, layer, self.guides, stems, frames=frames, drawn=drawn)

        if self.probe is not None:
            data.probe = self.probe.crops(clip, read, np.logical_or.reduce(data.keyframes.masks))
        if self.consistency is not None:
            side = data.patch or min(data.keyframes.sources.shape[1:3])
            data.pairs = self.consistency.source(clip, read, without=self._probe_stems(clip), side=side, seed=data.seed)


def _argument(partial: Callable[..., Any], name: str) -> Any:
    """Value of a partial's keyword; None if it is not set."""
    return partial.keywords.get(name) if isinstance(partial, functools.partial) else None

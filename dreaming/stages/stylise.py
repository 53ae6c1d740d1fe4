"""The ``stylise`` stage: every layer's generator, trained on its keyframes and run over all frames."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from dreaming.frames.clip import Clip
from dreaming.frames.clip_settings import Layer
from dreaming.frames.folder import ahead
from dreaming.frames.guide_folder import GuideStack
from dreaming.frames.manifest import NO_EFFECT, Manifest, describe
from dreaming.models import runs
from dreaming.models.fit import Workbench, load
from dreaming.models.inference import on_device
from dreaming.models.style import StyleModule
from dreaming.models.style_inference import fold_normalisation
from dreaming.models.style_recipe import StyleRecipe
from dreaming.stages.base import Stage, identity_of

log = logging.getLogger(__name__)


@dataclass
class StyliseStage(Stage):
    """Write every frame in each layer's style to ``styled/<layer>/``.

    Attributes:
        recipe: What is trained, and how.
        workbench: What it is trained and run on.
        compiled: Whether the generator is compiled before it is run; pays on a GPU and on long clips.
    """

    name: ClassVar[str] = "stylise"
    reads: ClassVar[tuple[str, ...]] = ("extract",)

    recipe: StyleRecipe = field(metadata=NO_EFFECT)
    workbench: Workbench = field(metadata=NO_EFFECT)
    compiled: bool = field(default=False, metadata=NO_EFFECT)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Masks, filtered frames and guides are made first, where the style is learnt with them."""
        recipe = self.recipe
        asked = (("mask", recipe.of_masks), ("filter", recipe.filtered), ("guide", bool(recipe.guides)))
        return (*self.reads, *(name for name, wanted in asked if wanted))

    def skips(self, clip: Clip) -> str | None:
        """Without keyframes there is no style to learn."""
        return None if clip.layers else "the clip has no keyframes"

    def run(self, clip: Clip) -> None:
        """Train each layer's generator where none fits, and stylise the frames that are missing."""
        for layer in clip.layers:
            self._stylise(clip, layer)

    def _stylise(self, clip: Clip, layer: Layer) -> None:
        frames = clip.frames_identity
        identity = self.recipe.identity(clip, layer, self.workbench)
        stack = GuideStack(clip, layer, self.recipe.guides)
        made = [*([clip.filtered] if self.recipe.filtered else []), *stack.folders]

        def manifest() -> Manifest:
            best = runs.find(clip.runs(self.recipe.name), identity)
            config = {"recipe": describe(self.recipe), "seed": self.workbench.seed}
            learnt = "untrained" if best is None else best.fingerprint
            inputs = {"frames": frames, "keyframes": identity["references"], "learnt": learnt}
            inputs |= {str(folder.path.relative_to(clip.path)): identity_of(folder) for folder in made}
            return Manifest(self.name, self.version, config, inputs)

        def make(stems: list[str]) -> Iterator[tuple[str, NDArray[np.uint8]]]:
            best = self.recipe.find_or_train(clip, layer, self.workbench)
            module = load(self.recipe.build(), best.weights)
            assert isinstance(module, StyleModule)
            fold_normalisation(module.judged)
            if self.compiled:
                log.info(
                    "%s: the generator is compiled while its first frame is made, which may take minutes", layer.name
                )
                module.judged.compile()
            return self._frames(clip, stack, module, stems)

        self.complete(clip, clip.styled(layer), clip.stems, manifest, make)

    def _frames(
        self, clip: Clip, stack: GuideStack, module: StyleModule, stems: list[str]
    ) -> Iterator[tuple[str, NDArray[np.uint8]]]:
        with on_device(module, self.workbench) as device:
            guided = ahead(lambda stem: (stem, stack.read(stem)), stems, 2)
            frames = self.recipe.frames(clip).read_ahead(stems)
            for (stem, image), (_, channels) in zip(frames, guided, strict=True):
                image = np.concatenate([image, channels], axis=2)
                frame = torch.from_numpy(image).to(device).permute(2, 0, 1)[None].float() / 127.5 - 1  # (1, C, H, W)
                styled = module.stylise(frame)[0].float().add(1).mul(127.5).round().clamp(0, 255)
                yield stem, styled.permute(1, 2, 0).to("cpu", torch.uint8).numpy()

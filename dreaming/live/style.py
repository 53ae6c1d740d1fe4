"""A trained style that paints single frames."""

import numpy as np
import torch

from dreaming.clip.clip import Clip
from dreaming.io.types import Image
from dreaming.live.choice import MODELS, find_style, guides_of
from dreaming.models.style import StyleModule
from dreaming.models.style_inference import fold_normalisation
from dreaming.training.checkpoints import rebuild
from dreaming.training.devices import has_fast_bfloat16
from dreaming.training.run_registry import pointer_to_best


class LiveStyle:
    """The style of a layer, on the first GPU if there is one.

    Raises:
        CheckpointError: If the layer has no style for single frames, or its checkpoint is damaged.
    """

    def __init__(self, clip: Clip, layer: str) -> None:
        self._pointers = [pointer_to_best(clip.runs(name), layer) for name in MODELS]
        self._versions = self._current_versions()
        best = find_style(clip, layer)
        self._guides = guides_of(best)
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._module = rebuild(StyleModule, best.weights).to(self._device)
        fold_normalisation(self._module.generator)

    @property
    def is_outdated(self) -> bool:
        """Whether another style was trained since."""
        return self._versions != self._current_versions()

    def _current_versions(self) -> list[int | None]:
        return [path.stat().st_mtime_ns if path.exists() else None for path in self._pointers]

    def stylise(self, image: Image) -> Image:
        """Paint an image (H, W, 3) of any size."""
        channels = np.dstack([image, *(guide.draw_image(image) for guide in self._guides)])
        frame = torch.from_numpy(channels).to(self._device).permute(2, 0, 1)[None].float() / 127.5 - 1
        with torch.autocast(self._device.type, torch.bfloat16, enabled=has_fast_bfloat16()):
            painted = self._module.stylise(frame)
        return painted[0].add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0).cpu().numpy()

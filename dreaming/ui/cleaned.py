"""The effect of a clean-up on one frame, by the code of the ``composite`` stage."""

from dreaming.clip.clip import Clip
from dreaming.clip.config import Layer
from dreaming.errors import ParameterError
from dreaming.io.types import Probability
from dreaming.stages.composite import CompositeStage, OpenLayer
from dreaming.ui.clip_file.cleanup import Steps
from dreaming.ui.clip_state import predictions_of

MAX_FEATHER = 200.0
"""Largest feather in pixels; the stage knows no limit, but its time grows with it."""


def opacity(
    clip: Clip, part: str, masker: str, stem: str, steps: Steps, feather: float, *, matte: bool
) -> Probability | None:
    """Opacity (H, W) in 0..1 of a layer of this part, with these steps; None without a mask or matte of the frame.

    Raises:
        ParameterError: If a step is not valid.
    """
    if not 0 <= feather <= MAX_FEATHER:
        raise ParameterError("feather", found=feather, expected=f"0 to {MAX_FEATHER:g} pixels")
    masks = clip.mattes(part, masker) if matte else predictions_of(clip, part).get(masker)
    if masks is None or stem not in masks:
        return None
    stage = CompositeStage(maskers=[masker], cleanup=steps, feather=feather, matte="guided" if matte else "none")
    return stage.opacity(clip, OpenLayer(Layer(part, part=part), clip.frames, masks), stem)

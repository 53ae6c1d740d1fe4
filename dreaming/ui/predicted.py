"""Masks that the page computes or compares itself: by optical flow for one frame, and where maskers disagree."""

import numpy as np

from dreaming.clip.clip import Clip
from dreaming.errors import MaskError
from dreaming.flow.cache import FlowCache
from dreaming.flow.dis import DisFlow
from dreaming.io.frame_folder import FrameFolder
from dreaming.io.manifest import MANIFEST, Manifest
from dreaming.io.types import Probability
from dreaming.maskers.flow import FlowMasker
from dreaming.ui.clip_state import masks_of, predictions_of


def propagate_to(clip: Clip, part: str, stem: str) -> Probability:
    """Propagate the nearest hand mask to one frame, (H, W) in 0..1; flow that is missing on the way is computed.

    The next mask on the other side is used too if all flow on its way exists, as it does after a run of a masker:
    computing it would double the time.

    Raises:
        MaskError: If the part has no hand mask in another frame.
    """
    nearest = _nearest(clip.stems, (set(masks_of(clip, part)) & set(clip.stems)) - {stem}, stem)
    if not nearest:
        raise MaskError(
            clip.path, found=f"no other hand mask of the {part}", expected="at least one to propagate",
            hint="paint the mask of another frame first",
        )  # fmt: skip
    flow = FlowCache(clip, _flow_of(clip))
    chosen = [nearest[0], *(mask for mask in nearest[1:] if flow.holds(flow.pairs_between(mask, stem)))]
    flow.complete(flow.pairs_between(chosen[0], stem))
    masker = FlowMasker(flow.flow).keep(clip, clip.references(part, chosen))
    ((_, probability),) = masker.predict(clip, [stem])
    return probability


def _flow_of(clip: Clip) -> DisFlow:
    """The optical flow that the clip's stages use: another one would replace theirs."""
    made = Manifest.read(clip.path / "flow" / MANIFEST)
    try:
        return DisFlow(**{key: value for key, value in made.config.items() if key != "kind"}) if made else DisFlow()
    except TypeError:
        return DisFlow()


def _nearest(stems: list[str], marked: set[str], stem: str) -> list[str]:
    """The nearest marked frames on both sides, the nearer one first."""
    index = stems.index(stem)
    before = next((number for number in range(index, -1, -1) if stems[number] in marked), None)
    after = next((number for number in range(index, len(stems)) if stems[number] in marked), None)
    found = [number for number in (before, after) if number is not None]
    return [stems[number] for number in sorted(found, key=lambda number: abs(number - index))]


def disagreement(clip: Clip, part: str, stem: str) -> Probability | None:
    """How much the part's predicted masks of a frame disagree, (H, W): 0 where all are sure and equal, 1 at a tie.

    None if the frame has no predicted mask.
    """
    folders: list[FrameFolder] = [folder for folder in predictions_of(clip, part).values() if stem in folder]
    if not folders:
        return None
    mean = np.mean([folder.read_probability(stem, clip.size) for folder in folders], axis=0, dtype=np.float32)
    return np.asarray(4 * mean * (1 - mean), np.float32)

"""Which trained style of a clip can run live, on single frames; imports no torch, for the server of the page."""

from collections.abc import Mapping
from typing import Any

from dreaming.clip.clip import Clip
from dreaming.errors import CheckpointError
from dreaming.guides.base import ImageGuide
from dreaming.guides.edges import EdgeGuide
from dreaming.guides.position import PositionGuide
from dreaming.training.run_registry import Best, pointer_to_best, read_best

NAME = "style-live"
"""Name of the styles that the stage ``live`` trains; their runs are in ``runs/style-live/``."""

MODELS = (NAME, "style")
"""Models whose styles may run live; the first one that fits is used."""

GUIDES: Mapping[str, type[ImageGuide]] = {guide.kind: guide for guide in (EdgeGuide, PositionGuide)}
"""Guides that can be drawn of single frames, by the identifier that records contain."""

SMOOTHED = "temporally smoothed frames"


def find_style(clip: Clip, layer: str) -> Best:
    """Find the style of a layer that runs live.

    Raises:
        CheckpointError: If the layer has no trained style, or only one whose inputs come from the whole clip.
    """
    found = "no trained style"
    for name in MODELS:
        best = read_best(pointer_to_best(clip.runs(name), layer))
        if best is not None and not (lacking := whole_clip_inputs(best)):
            return best
        if best is not None:
            found = f"only a style with inputs from the whole clip ({', '.join(lacking)})"
    raise CheckpointError(
        f"layer {layer}",
        found=found,
        expected="a style that is trained for live view",
        hint="train one with the button Train for live view, or by stages=[live]",
    )


def whole_clip_inputs(best: Best) -> list[str]:
    """Names of a trained style's inputs that are computed from the whole clip."""
    task = best.fingerprint["task"]
    names = [name for name, guide in task["guides"].items() if guide["kind"] not in GUIDES]
    return [*names, *([SMOOTHED] if task["filtered"] else [])]


def guides_of(best: Best) -> list[ImageGuide]:
    """Build the guides of a style from its record, in the order of its input channels."""
    described: list[dict[str, Any]] = list(best.fingerprint["task"]["guides"].values())
    return [
        GUIDES[guide["kind"]](**{name: value for name, value in guide.items() if name != "kind"}) for guide in described
    ]

"""The layers of a clip: those in clip.yaml, or those derived from the folders of keyframes and masks."""

from collections.abc import Sequence
from pathlib import Path

from dreaming.clip.config import Layer
from dreaming.errors import ClipError
from dreaming.io.frame_folder import FrameFolder, subfolders


def painted_folders(keyframes: Path) -> list[str]:
    """Names of the folders in ``keyframes/``, one for each layer that is painted.

    Raises:
        ClipError: If keyframes lie outside a layer's folder.
    """
    unassigned = len(FrameFolder(keyframes))
    if unassigned:
        raise ClipError(
            keyframes,
            topic="keyframes-outside-a-layer",
            found=f"{unassigned} keyframes that belong to no layer",
            expected="a folder for each layer, with its keyframes in it",
            hint=f"move them to {keyframes / 'painted'}",
        )
    return subfolders(keyframes)


def layers_of(clip: Path, painted: Sequence[str], parts: Sequence[str], listed: Sequence[Layer] | None) -> list[Layer]:
    """The layers that have keyframes, bottom to top.

    Args:
        clip: The clip's folder.
        painted: Names of its folders of keyframes.
        parts: Names of its parts that have hand masks.
        listed: The layers that its ``clip.yaml`` lists, bottom to top; None if it lists none.

    Raises:
        ClipError: If clip.yaml names a part that has no masks, or misspells a folder of keyframes; or if there is more
            than one way to read the folders.
    """
    if listed is not None:
        _check(clip / "clip.yaml", listed, painted, parts)
        return [layer for layer in listed if layer.folder in painted]
    if len(painted) <= 1 and len(parts) <= 1:
        return [Layer(name, part=next(iter(parts), None)) for name in painted]
    if set(painted) <= set(parts):
        return [Layer(name, part=name) for name in painted]
    raise ClipError(
        clip / "keyframes",
        topic="layers-that-are-not-listed",
        found=f"keyframes of {', '.join(painted)} and masks of {', '.join(parts) or 'no part'}",
        expected="a list of the layers and their parts",
        hint="list them in clip.yaml, bottom to top: `layers: [{name: NAME, part: PART}, ...]`",
    )


def _check(settings: Path, listed: Sequence[Layer], painted: Sequence[str], parts: Sequence[str]) -> None:
    """Refuse a folder without a layer if a layer also lacks its folder: one of the names may be misspelt."""
    named = {layer.folder for layer in listed}
    unpainted, unnamed = sorted(named - set(painted)), sorted(set(painted) - named)
    if unpainted and unnamed:
        raise ClipError(
            settings,
            topic="layers-that-are-not-listed",
            found=f"no folder keyframes/{unpainted[0]}, but {', '.join(unnamed)}, which no layer names",
            expected="folders and layers of the same names",
            hint="rename the folder, or list it as a layer",
        )
    for layer in listed:
        if layer.part is not None and layer.part not in parts:
            raise ClipError(
                settings,
                topic="layers-that-are-not-listed",
                found=f"layer {layer.name} of part {layer.part}",
                expected=f"a part with hand masks ({', '.join(parts) or 'there is none'})",
                hint="correct the part or paint its masks",
            )

"""Parts of the clip, added and renamed as folders in ``parts/``."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from dreaming.clip.clip import Clip
from dreaming.clip.config import ClipSettings
from dreaming.clip.layers import layers_of, painted_folders
from dreaming.errors import ClipError
from dreaming.io.file_pattern import name_key
from dreaming.io.frame_folder import subfolders
from dreaming.ui.clip_file.layers import LayerFile
from dreaming.ui.clip_state import parts_of
from dreaming.ui.keyframe_store import check_folder_name
from dreaming.ui.mask_store import MaskStore
from dreaming.ui.user_files import refuse_outside


class PartFolders:
    """Adds and renames the parts of one clip.

    Args:
        masks: Whose masks are not written meanwhile.
        layers: Where a renamed part is renamed, too.
    """

    def __init__(self, masks: MaskStore, layers: LayerFile) -> None:
        self._lock, self._layers = masks.lock, layers

    def add(self, clip: Clip, name: str) -> None:
        """Add a part without masks; those of a single subject move to ``parts/subject/``.

        Raises:
            ClipError: If the name is not allowed or taken, or the masks cannot be moved.
        """
        with self._lock:
            self._check_new(clip, name, parts_of(clip))
            folders = _result_folders(clip)
            if not subfolders(clip.path / "parts") and clip.parts:
                _move(_single(clip), clip.path / "parts" / parts_of(clip)[0] / "hand_masks")
            (clip.path / "parts" / name / "hand_masks").mkdir(parents=True)
            _move_results(Clip(clip.path), folders, {})

    def rename(self, clip: Clip, old: str, new: str) -> None:
        """Rename a part's folder, those of its predicted masks, and the part in ``clip.yaml``.

        Raises:
            ClipError: If the name is not allowed or taken, the masks cannot be moved, the layers would not be found any
                more, or ``clip.yaml`` cleans up the part's masks.
            FileChangedError: If another program changed ``clip.yaml`` meanwhile; the part keeps its name.
        """
        with self._lock:
            self._check_new(clip, new, [part for part in parts_of(clip) if part != old or part == new])
            if old in ClipSettings.read(clip.path / "clip.yaml").cleanup:
                raise ClipError(
                    clip.path / "clip.yaml", found=f"cleanup of {old}", expected="no clean-up of a part to be renamed",
                    hint="take it out of the file, rename the part, and write it there again",
                )  # fmt: skip
            listed, version = self._layers.read(clip)
            renamed = [replace(layer, part=new) if layer.part == old else layer for layer in listed or []]
            parts = [new if part == old else part for part in clip.parts]
            painted = painted_folders(clip.path / "keyframes")
            if listed is None and _fit(clip, painted):  # the layers may be named like the parts
                layers_of(clip.path, painted, parts, None)
            inside = clip.path / "parts" / old
            if not inside.is_dir() and not clip.parts:
                (clip.path / "parts" / new / "hand_masks").mkdir(parents=True)
                return
            source, folders = inside if inside.is_dir() else _single(clip), _result_folders(clip)
            target = clip.path / "parts" / new / ("" if inside.is_dir() else "hand_masks")
            _move(source, target)
            if renamed != list(listed or []):
                try:
                    self._layers.write(clip, [vars(layer) for layer in renamed], version)
                except BaseException:
                    _move(target, source)
                    raise
            _move_results(Clip(clip.path), folders, {old: new})

    def _check_new(self, clip: Clip, name: str, taken: Sequence[str]) -> None:
        path = clip.path / "parts" / name
        check_folder_name(path, name)
        refuse_outside(clip, path)
        if name_key(name) in map(name_key, taken) or path.exists():
            raise ClipError(path, found="a part of this name", expected="a new name", hint="choose another name")


def _fit(clip: Clip, painted: Sequence[str]) -> bool:
    try:
        return bool(layers_of(clip.path, painted, clip.parts, None))
    except ClipError:
        return False


def _single(clip: Clip) -> Path:
    """The folder of the only subject's masks."""
    if len(clip.mask_folders(parts_of(clip)[0])) > 1:
        raise ClipError(
            clip.path, found="masks in nn/ or ensemble/, which assign each mask to a use",
            expected="hand_masks/ for masks of named parts", hint="move them to parts/NAME/ by hand",
        )  # fmt: skip
    return clip.path / "hand_masks"


def _result_folders(clip: Clip) -> dict[str, list[Path]]:
    """The folders of results that depend on a part's hand masks, in the same order for each clip and part."""
    maskers = {part: subfolders(clip.masks(part, "any").path.parent) for part in clip.parts}
    return {part: _paths(clip, part, names) for part, names in maskers.items()}


def _paths(clip: Clip, part: str, maskers: Sequence[str]) -> list[Path]:
    folders = [folder(part, name).path for name in maskers for folder in (clip.masks, clip.mattes)]
    return [*folders, clip.path / "predictions" / part]


def _move_results(clip: Clip, folders: Mapping[str, Sequence[Path]], renamed: Mapping[str, str]) -> None:
    """Move results to where the clip looks for them now; those that cannot be moved are made again."""
    for part, sources in folders.items():
        maskers = [path.name for path in sources[:-1:2]]
        for source, target in zip(sources, _paths(clip, renamed.get(part, part), maskers), strict=True):
            if source != target and source.is_dir() and not target.exists():
                with suppress(OSError):
                    _move(source, target)


def _move(source: Path, target: Path) -> None:
    """Rename a folder; leave no empty ones if that fails."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        source.rename(target)
    except OSError:
        _remove_empty(target.parent)
        raise
    _remove_empty(source.parent)


def _remove_empty(folder: Path) -> None:
    with suppress(OSError):
        folder.rmdir()
        folder.parent.rmdir()

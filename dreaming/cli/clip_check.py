"""Checks of the files that a config names: the clip, its video, and masks of another program."""

import difflib
import os
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from dreaming.cli.config import clip_path
from dreaming.errors import ConfigError

VIDEO_SUFFIXES = "mp4, mov, mkv, webm, gif, ..."


def check_clip(config: DictConfig) -> None:
    """Check that a clip is named, and that it or what its frames come from exists.

    Raises:
        ConfigError: If there is no clip, video or file of annotations where the config says.
    """
    if OmegaConf.is_missing(config, "clip") or not config.clip:
        raise ConfigError(
            "clip",
            topic="no-clip",
            found="no clip",
            expected="the folder of a clip",
            hint="name it: clip=FOLDER (and video=FILE the first time)",
        )
    path, video = clip_path(config), config.get("video")
    if path.exists() and not path.is_dir():
        raise ConfigError(
            "clip", topic="no-clip", found=f"the file {path}", expected="a folder", hint=f"use video={path} clip=FOLDER"
        )
    _check_sources(video, config.get("import"))
    stages = config.get("stages")
    if video is None and "draw" not in (stages or ()):
        _check_frames(path, runs_stages=stages is not None)


def _check_sources(video: object, annotations: object) -> None:
    # The functions of Path raise PermissionError for a folder that the user may not read.
    if video is not None and not os.path.isfile(str(video)):  # noqa: PTH113 -- see above
        raise ConfigError(
            "video",
            topic="no-video",
            found=f"no file {video}" if video else "an empty value",
            expected=f"a video ({VIDEO_SUFFIXES})",
            hint="correct the path",
        )
    imported = str(annotations)
    if annotations is not None and not (os.path.isfile(imported) or os.path.isdir(imported)):  # noqa: PTH112, PTH113 -- see above
        raise ConfigError(
            "import", found=f"no {annotations}" if annotations else "an empty value",
            expected="a file or folder of annotations", hint="correct the path",
        )  # fmt: skip


def _check_frames(path: Path, *, runs_stages: bool) -> None:
    """Check that the folder exists and, before a run writes its records there, that it is a clip."""
    if not path.exists():
        near = difflib.get_close_matches(path.name, _folders(path.parent), n=1)
        raise ConfigError(
            "clip",
            topic="no-clip",
            found=f"no folder {path}",
            expected=f"a clip folder such as {path.parent / near[0]}" if near else "a clip folder",
            hint="correct the path, or make the clip from a video with video=FILE",
        )
    if runs_stages and not os.path.lexists(path / "frames") and not any(path.glob("source.*")):
        raise ConfigError(
            "clip", topic="no-frames", found=f"no frames in {path}", expected="a clip folder, with pictures in frames/",
            hint="put the frames there or name a video with video=FILE",
        )  # fmt: skip


def _folders(path: Path) -> list[str]:
    return [entry.name for entry in path.iterdir() if entry.is_dir()] if path.is_dir() else []

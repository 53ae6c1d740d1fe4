"""Arguments as users type them, rewritten in Hydra's grammar: paths of any characters, lists without brackets."""

import os
from collections.abc import Sequence

from dreaming.io.file_pattern import existing_path
from dreaming.sweep.override_text import to_text

TAKING_A_VALUE = {
    "--cfg", "-c", "--package", "-p", "--config-dir", "-cd", "--config-name", "-cn", "--config-path", "-cp",
    "--experimental-rerun",
}  # fmt: skip
"""Hydra's flags that take a value as the next argument."""

PATHS = ("clip", "video", "import", "ckpt_path", "stage.evaluate.truth", "stage.evaluate.styled_truth")
"""Keys whose values are paths."""

PATTERNS = ("stage.export.video_name", "stage.export.frame_name")
"""Keys whose values are patterns with braces."""

LISTS = ("stages", "guides", "stage.export.formats", "trusted_packages")
"""Keys whose values are lists of names; a sweep over them needs brackets."""


def rewrite(arguments: Sequence[str]) -> list[str]:
    """Quote paths that Hydra would misread or reject, and add the brackets of lists.

    Single quotes around an argument are for zsh; cmd.exe passes them on, so that they are dropped.

    With ``-m``, ``clip=A,B`` means two clips, unless there is a folder ``A,B``; without it, a path with a comma, unless
    there are A and B.
    """
    arguments = [text[1:-1] if text[:1] == text[-1:] == "'" and "=" in text else text for text in arguments]
    multirun = bool({"-m", "--multirun"} & set(arguments))
    return [
        text if text.startswith("-") or before in TAKING_A_VALUE else _rewrite(text, multirun)
        for before, text in zip(["", *arguments], arguments, strict=False)
    ]


def _rewrite(text: str, multirun: bool) -> str:
    key, _, value = text.partition("=")
    if not value or value == "null" or "${" in value or value.startswith(("'", '"', "[", "choice(", "glob(")):
        return text
    if key in LISTS:
        return f"{key}=[{value}]"
    if key in PATTERNS:
        return f"{key}={to_text(value)}"
    return f"{key}={_path(value, multirun)}" if key in PATHS else text


def _path(value: str, multirun: bool) -> str:
    parts = value.split(",")
    exists = [existing_path(os.path.expanduser(part)) is not None for part in (value, *parts)]  # noqa: PTH111 -- the same
    several = len(parts) > 1 and not exists[0] and (multirun or all(exists[1:]))
    return ",".join(to_text(_on_disk(path)) for path in (parts if several else [value]))


def _on_disk(path: str) -> str:
    """The path as it is stored, with the user's folder in place of ``~``."""
    path = os.path.expanduser(path) if path.startswith("~/") else path  # noqa: PTH111 -- Path's raises errors
    return existing_path(path) or path

"""Arguments as users type them, rewritten in Hydra's grammar: paths of any characters, lists without brackets."""

from collections.abc import Sequence
from pathlib import Path

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

LISTS = ("stages", "guides", "stage.export.formats")
"""Keys whose values are lists of names; a sweep over them needs brackets."""


def rewrite(arguments: Sequence[str]) -> list[str]:
    """Quote paths that Hydra would misread or reject, and add the brackets of lists.

    With ``-m``, ``clip=A,B`` means two clips, unless there is a folder ``A,B``; without it, a path with a comma, unless
    there are A and B.
    """
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
    exists = [Path(part).expanduser().exists() for part in (value, *parts)]
    several = len(parts) > 1 and not exists[0] and (multirun or all(exists[1:]))
    paths = parts if several else [value]
    return ",".join(to_text(str(Path(path).expanduser()) if path.startswith("~/") else path) for path in paths)

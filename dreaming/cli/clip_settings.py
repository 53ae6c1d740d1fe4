"""The section ``settings`` of ``clip.yaml``: overrides that belong to a clip, before those of the command line."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.override_parser.types import Override

from dreaming.cli.config import composition_overrides, config_root, parse
from dreaming.cli.explain import known_keys, unknown_key
from dreaming.clip.clip import Clip
from dreaming.errors import ClipError, ConfigError
from dreaming.sweep.override_text import to_text

GROUPS = ("data", "generator", "guide", "masker", "model", "stage", "trainer")
"""Groups whose choice, or whose values, a clip may set."""

KEYS = ("guides", "logger", "seed", "stages", "threads", "tuned")
"""Other keys that a clip may set. A clip may come from anybody, so it sets no paths, and no key of Hydra or a sweep."""


def with_settings(program: str, arguments: Sequence[str]) -> list[str]:
    """Insert the settings of the clip that the arguments name; a key that the arguments set stays as it is.

    Raises:
        ClipError: If ``clip.yaml`` sets a key that does not exist or that a clip may not set.
        ConfigError: If several clips are named and one of them has settings.
    """
    overrides = parse(arguments)
    clips = [override for override in overrides if override.key_or_group == "clip"]
    found = {str(path): settings for path in _paths(clips) if (settings := Clip(path).settings.settings)}
    if not found:
        return list(arguments)
    if len(_paths(clips)) > 1:
        expected = "one clip, because settings apply to a whole command"
        raise ConfigError("clip", found=f"several clips, and settings in {', '.join(found)}", expected=expected)
    ((path, settings),) = found.items()
    chosen = _allowed(Path(path) / "clip.yaml", program, settings)
    said = {str(override.key_or_group) for override in overrides} | _searched(program, overrides)
    texts = [f"{key}={to_text(value)}" for key, value in chosen.items() if key not in said]
    return [*texts, *arguments]


def used_settings(clip: Clip, overrides: Sequence[str]) -> list[str]:
    """The overrides of a job that come from the clip's settings."""
    return [text for key, value in clip.settings.settings.items() if (text := f"{key}={to_text(value)}") in overrides]


def _paths(clips: Sequence[Override]) -> list[Path]:
    texts = [text for each in clips for text in (each.sweep_string_iterator() if each.is_sweep_override() else ())]
    named = [parse([f"clip={text}"])[0].value() for text in texts]
    named += [each.value() for each in clips if not each.is_sweep_override()]
    return [Path(str(path)) for path in named if path and "${" not in str(path) and Path(str(path)).is_dir()]


def _allowed(path: Path, program: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Check the keys; return those that the program has, because a clip has settings for both."""
    for key in settings:
        named = key.partition(".")[0] in GROUPS or key in KEYS
        if not named or any(name.startswith("_") for name in key.split(".")):
            allowed = ", ".join([*(f"{group}, {group}.KEY" for group in GROUPS), *KEYS])
            raise ClipError(path, found=f"settings: {key}", expected=f"keys among {allowed}")
    known = known_keys("dream")
    ours = known if program == "dream" else known_keys(program)
    for key in settings:
        if key not in known and key not in ours:
            error = unknown_key(key, known)
            raise ClipError(path, found=f"settings: {key}, which is no config key", expected=error.expected)
    chosen_elsewhere = ("model", "masker", "stage") if program == "train" else ()
    return {key: value for key, value in settings.items() if key in ours and key not in chosen_elsewhere}


def _searched(program: str, overrides: Sequence[Override]) -> set[str]:
    """Keys that a sweep searches."""
    if not any(override.key_or_group == "sweep" for override in overrides):
        return set()
    singles = [text for text in composition_overrides(overrides) if not parse([text])[0].is_sweep_override()]
    with initialize_config_dir(str(config_root() / "conf")):
        config = compose(program, overrides=singles, return_hydra_config=True)
    return set(map(str, config.hydra.sweeper.params or ()))

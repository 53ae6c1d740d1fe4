"""Finding the config, checking it before Hydra acts, and building from it."""

import difflib
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException, InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from dreaming.errors import ConfigError, DreamingError
from dreaming.frames.clip import Clip
from dreaming.models.runs import latest, new_folder
from dreaming.stages.base import Shard
from dreaming.stages.order import ORDER

PACKAGE = Path(__file__).resolve().parents[1]
TRUSTED = ("dreaming.*", "lightning.*", "torch.optim.*", "rich.logging.RichHandler")
"""What a config may instantiate; a config from elsewhere must not choose code to run."""

INFORMING = {"--help", "-h", "--hydra-help", "--version", "--cfg", "-c", "--info", "-i", "--shell-completion", "-sc"}
VIDEO_SUFFIXES = "mp4, mov, mkv, webm, gif, ..."


def config_root() -> Path:
    """The folder that holds ``conf/`` and ``experiments/``: the checkout, or the package in an installed wheel."""
    checkout = PACKAGE.parent
    return checkout if (checkout / "conf" / "dream.yaml").exists() and (checkout / "train.py").exists() else PACKAGE


def register_resolvers() -> None:
    """Make known what the YAML files ask for by ``${...}``."""
    OmegaConf.register_resolver("config_root", lambda: str(config_root()), replace=True)
    OmegaConf.register_resolver("run_folder", _run_folder, replace=True, use_cache=True)


def _run_folder(clip: str, name: str, checkpoint: str | None) -> str:
    runs = Path(clip) / "runs" / name
    if checkpoint is None:
        return str(new_folder(runs))
    found = latest(runs) if checkpoint == "last" else None
    if found is None:
        raise ConfigError(
            "ckpt",
            found=f"no run in {runs} that could go on" if checkpoint == "last" else repr(checkpoint),
            expected="`last`, with a run that was cut off",
            mend="leave out ckpt= to begin a new run",
        )
    return str(found)


def parse(arguments: Sequence[str]) -> list[Override]:
    """The overrides among command-line arguments.

    Raises:
        ConfigError: If one is not of the form key=value.
    """
    texts = [argument for argument in arguments if not argument.startswith("-")]
    try:
        return list(OverridesParser.create().parse_overrides(texts))
    except HydraException as error:
        text = next((t for t in texts if "=" not in t), texts[0])
        first = str(error).splitlines()[0]
        raise ConfigError(text, found=first, expected="key=value", mend="correct or quote it") from None


def check(program: str, arguments: Sequence[str]) -> None:
    """Compose the config as Hydra will, and look at what can be known of it, with nothing made on disk.

    Raises:
        ConfigError: If a key, a choice or a value does not exist or fit.
    """
    overrides = [override for override in parse(arguments) if not str(override.key_or_group).startswith("hydra")]
    singles = [_first_of_sweep(override) for override in overrides]
    with initialize_config_dir(str(config_root() / "conf")):
        config = compose(program, overrides=singles)
    for override in overrides:
        key = str(override.key_or_group)
        if override.is_add() and not (config_root() / "conf" / key).is_dir():
            raise _unknown_key(f"+{key}", _keys_near(key))
    check_clip(config)
    if program == "dream":
        check_stages(config)
    parse_shard(config)


def _first_of_sweep(override: Override) -> str:
    if not override.is_sweep_override():
        return str(override.input_line)
    return f"{override.key_or_group}={next(iter(override.sweep_string_iterator()))}"


def check_clip(config: DictConfig) -> None:
    """A clip must be named, and be there or about to be made from a video."""
    if OmegaConf.is_missing(config, "clip") or not config.clip:
        raise ConfigError(
            "clip",
            found="no clip",
            expected="the folder of a clip",
            mend="name it: clip=FOLDER (and video=FILE at first)",
        )
    path, video = Path(str(config.clip)), config.get("video")
    if path.exists() and not path.is_dir():
        raise ConfigError("clip", found=f"the file {path}", expected="a folder", mend=f"say video={path} clip=FOLDER")
    if video is not None and not Path(str(video)).is_file():
        raise ConfigError(
            "video", found=f"no file {video}", expected=f"a video ({VIDEO_SUFFIXES})", mend="correct the path"
        )
    if not path.exists() and video is None and "draw" not in config.get("stages", ()):
        near = difflib.get_close_matches(path.name, _folders(path.parent), n=1)
        raise ConfigError(
            "clip",
            found=f"no folder {path}",
            expected=f"a clip folder such as {path.parent / near[0]}" if near else "a clip folder",
            mend="correct the path, or make the clip from a video with video=FILE",
        )


def _folders(path: Path) -> list[str]:
    return [entry.name for entry in path.iterdir() if entry.is_dir()] if path.is_dir() else []


def check_stages(config: DictConfig) -> None:
    """``stages`` must be a list of stages that exist."""
    stages = config.stages
    if not isinstance(stages, ListConfig):
        raise ConfigError("stages", found=repr(stages), expected="a list", mend=f"write brackets: 'stages=[{stages}]'")
    for stage in stages:
        if stage not in ORDER:
            near = difflib.get_close_matches(str(stage), ORDER, n=1)
            raise ConfigError(
                "stages",
                found=f"no stage {stage!r}",
                expected="stages among " + ", ".join(ORDER),
                mend=f"say stages=[{near[0]}]" if near else "correct the name",
            )


def parse_shard(config: DictConfig) -> Shard:
    """``shard=k/n`` as numbers."""
    match = re.fullmatch(r"([0-9]+)/([0-9]+)", str(config.get("shard", "1/1")))
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise ConfigError(
            "shard",
            found=repr(config.shard),
            expected="k/n with 1 <= k <= n",
            mend="say shard=1/4 for the first of four",
        )
    return Shard(int(match[1]), int(match[2]))


def explain(error: Exception) -> DreamingError | None:
    """One sentence for an error of Hydra's or OmegaConf's that the user can mend; None for a bug of ours."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, DreamingError):
        cause = cause.__cause__
    if cause is not None:
        return cause
    text = str(error)
    if isinstance(error, InstantiationException):
        return _wrong_argument(text)
    if match := re.search(r"Could not (?:override|append to config|append) '([^']+)'", text):
        key = match[1].split("@")[0]
        return _unknown_key(key, _keys_near(key))
    if match := re.search(r"Could not (?:find|load) '([^']+)'", text):
        group, _, name = match[1].rpartition("/")
        return _unknown_choice(group, name)
    if isinstance(error, HydraException | OmegaConfBaseException):
        first = text.splitlines()[0] if text else type(error).__name__
        return ConfigError("config", found=first, expected="a config that can be composed", mend="see --help")
    return None


def _wrong_argument(text: str) -> DreamingError | None:
    match = re.search(r"unexpected keyword argument '([^']+)'", text)
    where = re.search(r"full_key: (\S+)", text)
    if match is None:
        return None
    return ConfigError(
        f"{where[1]}.{match[1]}" if where else match[1],
        found="a key that nothing takes",
        expected="a key that `--cfg job` shows",
        mend="correct or remove it",
    )


def _unknown_key(key: str, known: Sequence[str]) -> ConfigError:
    near = difflib.get_close_matches(key, known, n=1)
    return ConfigError(
        key,
        found="no such config key",
        expected=f"a key such as {near[0]}" if near else "a key that `--cfg job` shows",
        mend="correct its name",
    )


def _keys_near(key: str) -> list[str]:
    found: list[str] = []
    for program in ("dream", "train"):
        with initialize_config_dir(str(config_root() / "conf")):
            found += _flat(OmegaConf.to_container(compose(program), resolve=False))
    return sorted(set(found))


def _flat(node: Any, prefix: str = "") -> list[str]:
    if not isinstance(node, dict):
        return []
    return [name for key, value in node.items() for name in (f"{prefix}{key}", *_flat(value, f"{prefix}{key}."))]


def _unknown_choice(group: str, name: str) -> ConfigError:
    folder = config_root() / group if group == "experiments" else config_root() / "conf" / group
    choices = sorted(path.stem for path in folder.glob("*.yaml"))
    near = difflib.get_close_matches(name, choices, n=1)
    return ConfigError(
        f"{group}={name}",
        found="no such choice",
        expected="one of " + ", ".join(choices) if choices else "a group that `--help` lists",
        mend=f"say {group}={near[0]}" if near else "correct the name",
    )


def with_clip_settings(config: DictConfig, overrides: Sequence[str]) -> DictConfig:
    """The config with what ``clip.yaml`` says, unless the command line says otherwise."""
    said = {str(override.key_or_group) for override in parse(overrides)}
    for key, value in Clip(Path(config.clip)).settings.extract.items():
        if f"stage.extract.{key}" not in said:
            config.stage.extract[key] = value
    return config


def build(node: DictConfig, **given: Any) -> Any:
    """Instantiate a node of the config, its lists and mappings as plain ones."""
    return instantiate(node, _convert_="all", _execution_whitelist_=TRUSTED, **given)


def thread_count(config: DictConfig) -> int:
    """Threads to use: the config's, or all that this process may run on."""
    if config.threads is not None:
        return int(config.threads)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def informs_only(arguments: Sequence[str]) -> bool:
    """Whether the arguments ask for help or a print of the config rather than a run."""
    return bool(INFORMING & {argument.split("=")[0] for argument in arguments})


def prepare() -> None:
    """Make Hydra let errors through instead of printing tracebacks and exiting 1."""
    os.environ["HYDRA_FULL_ERROR"] = "1"
    register_resolvers()


def arguments() -> list[str]:
    """What the user typed."""
    return sys.argv[1:]

"""The config's location, the command line, and values that follow from both."""

import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

from dreaming.clip.clip import Clip
from dreaming.errors import ConfigError
from dreaming.io.shard import Shard
from dreaming.sweep.sweeper import StudySweeper
from dreaming.training.run_registry import latest, new_folder

PACKAGE = Path(__file__).resolve().parents[1]
INFORMING = {"--help", "-h", "--hydra-help", "--version", "--cfg", "-c", "--info", "-i", "--shell-completion", "-sc"}


def config_root() -> Path:
    """The folder that holds ``conf/`` and ``experiments/``: the checkout, or ``share/`` in an installed wheel.

    Hydra takes any folder beside ``experiments/`` for a group: the package's own ``stages/`` must not lie there, or
    ``stages=`` could not be given.
    """
    checkout = PACKAGE.parent
    return (
        checkout
        if (checkout / "conf" / "dream.yaml").exists() and (checkout / "train.py").exists()
        else PACKAGE / "share"
    )


def register_resolvers() -> None:
    """Make known what the YAML files ask for by ``${...}``."""
    OmegaConf.register_resolver("config_root", lambda: str(config_root()), replace=True)
    OmegaConf.register_resolver("run_folder", run_folder, replace=True, use_cache=True)
    OmegaConf.register_resolver("own_name", lambda *, _parent_: str(_parent_._key()), replace=True)


def run_folder(clip: str, name: str, checkpoint: str | None) -> str:
    """A new run folder of a model in a clip's folder, or with ``last`` the one of its latest run that was cut off.

    Raises:
        ConfigError: If there is none, or the checkpoint is named otherwise.
    """
    runs = Path(clip) / "runs" / name
    if checkpoint is None:
        return str(new_folder(runs))
    found = latest(runs) if checkpoint == "last" else None
    if found is None:
        raise ConfigError(
            "ckpt",
            found=f"no run in {runs} that could go on" if checkpoint == "last" else repr(checkpoint),
            expected="`last`, with a run that was cut off",
            hint="leave out ckpt= to begin a new run",
        )
    return str(found)


def parse(arguments: Sequence[str]) -> list[Override]:
    """The overrides among command-line arguments.

    Raises:
        ConfigError: If one is not of the form key=value.
    """
    parser, overrides = OverridesParser.create(), []
    for text in arguments:
        if text.startswith("-"):
            continue
        try:
            overrides.append(parser.parse_override(text))
        except HydraException as error:
            reason = str(error).splitlines()[0].rstrip(".") if "=" in text else "no value"
            raise ConfigError(text, found=reason, expected="key=value", hint="correct or quote it") from None
    return overrides


def clip_path(config: DictConfig) -> Path:
    """The clip's folder."""
    return Path(str(config.clip))


def parse_shard(config: DictConfig) -> Shard:
    """``shard=k/n`` as numbers."""
    match = re.fullmatch(r"([0-9]+)/([0-9]+)", str(config.get("shard", "1/1")))
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise ConfigError(
            "shard",
            found=repr(config.shard),
            expected="k/n with 1 <= k <= n",
            hint="say shard=1/4 for the first of four",
        )
    return Shard(int(match[1]), int(match[2]))


def with_clip_settings(config: DictConfig, overrides: Sequence[str]) -> DictConfig:
    """The config with what ``clip.yaml`` says, unless the command line says otherwise."""
    said = {str(override.key_or_group) for override in parse(overrides)}
    for key, value in Clip(clip_path(config)).settings.extract.items():
        if f"stage.extract.{key}" not in said:
            config.stage.extract[key] = value
    return config


def thread_count(config: DictConfig) -> int:
    """Threads to use: the config's, or this job's share of all that this process may run on."""
    if config.threads is not None:
        return int(config.threads)
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, count // jobs_at_once(count)) if HydraConfig.initialized() else count


def jobs_at_once(cores: int) -> int:
    """Jobs that the launcher runs on this machine at once."""
    jobs = HydraConfig.get().launcher.get("n_jobs", 1)
    return cores if jobs is None or jobs < 1 else int(jobs)


def informs_only(arguments: Sequence[str]) -> bool:
    """Whether the arguments ask for help or a print of the config rather than a run."""
    return bool(INFORMING & {argument.split("=")[0] for argument in arguments})


def prepare() -> None:
    """Make Hydra let errors through instead of printing tracebacks and exiting 1."""
    os.environ["HYDRA_FULL_ERROR"] = "1"
    register_resolvers()
    # Hydra finds plugins in a namespace package of theirs; ours is told.
    Plugins.instance().register(StudySweeper)


def arguments() -> list[str]:
    """What the user typed."""
    return sys.argv[1:]

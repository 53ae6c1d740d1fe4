"""The config's location, the command line, and values that follow from both."""

import os
import re
import reprlib
import shlex
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import cast

from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import DictConfig, OmegaConf

from dreaming.artifacts.shard import Shard
from dreaming.cli.arguments import TAKING_A_VALUE, rewrite
from dreaming.errors import ConfigError
from dreaming.io.atomic import refuse_links_in
from dreaming.io.file_pattern import is_unicode
from dreaming.sweep.override_text import quoted

PACKAGE = Path(__file__).resolve().parents[1]
INFORMING = {"--help", "-h", "--hydra-help", "--version", "--cfg", "-c", "--info", "-i", "--shell-completion", "-sc"}

RERUN = "--experimental-rerun"


def config_root() -> Path:
    """The folder that holds ``conf/`` and ``experiments/``: the checkout, or ``share/`` in an installed wheel.

    Hydra treats any folder beside ``experiments/`` as a config group. The package's ``stages/`` must not be among them,
    because it would hide the key ``stages``.
    """
    checkout = PACKAGE.parent
    return (
        checkout
        if (checkout / "conf" / "dream.yaml").exists() and (checkout / "train.py").exists()
        else PACKAGE / "share"
    )


class ConfigRoot(SearchPathPlugin):
    """Adds ``experiments/`` and the folder of ``--config-dir`` to Hydra's search path."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Append both folders."""
        # --help would list all groups of conf/ a second time.
        if not {"--help", "-h"} & set(arguments()) or any(text.startswith("experiments=") for text in arguments()):
            search_path.append("dreaming", f"file://{config_root()}")
        for folder in config_folders(arguments()):
            search_path.append("command-line", f"file://{folder}")


def config_folders(arguments: Sequence[str]) -> list[Path]:
    """The folder of ``--config-dir``, if there is one among the arguments.

    Raises:
        ConfigError: If there is no such folder.
    """
    flags = ("--config-dir", "-cd")
    named = [text.partition("=")[2] for text in arguments if text.startswith(("--config-dir=", "-cd="))]
    named += [text for before, text in pairwise(arguments) if before in flags]
    for name in named:
        if not Path(name).is_dir():
            raise ConfigError("--config-dir", found=f"no folder {name}", expected="a folder with config groups")
    return [Path(name).resolve() for name in named]


def check_flags(arguments: Sequence[str]) -> None:
    """Refuse flags of Hydra that cannot be combined, or that would run code.

    Raises:
        ConfigError: If there are any.
    """
    given = {text.partition("=")[0] for text in arguments}
    if RERUN in given:
        raise ConfigError(
            RERUN,
            found="a run folder, whose records would choose the code that runs",
            expected="overrides",
            hint="repeat the overrides listed in its .hydra/overrides.yaml",
        )
    if "--resolve" in given:
        raise ConfigError("--resolve", found="no --cfg", expected="--cfg job --resolve")
    if given & {"-m", "--multirun"} and given & {"-r", "--run"}:
        raise ConfigError("--run", found="--multirun, too", expected="one of them")


def register_resolvers() -> None:
    """Register the resolvers that the YAML files use, and where Hydra looks for config."""
    Plugins.instance().register(ConfigRoot)
    OmegaConf.register_resolver("run_folder", run_folder, replace=True, use_cache=True)
    OmegaConf.register_resolver("first_clip", first_clip, replace=True)
    OmegaConf.register_resolver("own_name", lambda *, _parent_: str(_parent_._key()), replace=True)


def first_clip() -> str:
    """The first clip of a multirun over several, which gets Hydra's files of the multirun as a whole."""
    for override in parse(arguments()):
        if override.key_or_group == "clip" and override.is_discrete_sweep():
            return str(parse([f"clip={next(override.sweep_string_iterator())}"])[0].value())
    return ""


def run_folder(clip: str, name: str, checkpoint: str | None) -> str:
    """The run folder of a training: a new one, or that of the run to resume.

    Args:
        clip: The clip's folder.
        name: The model's name.
        checkpoint: ``last`` resumes the latest interrupted run, ``best`` the run in ``best.json``, a file the run that
            wrote this checkpoint; None begins a new run.

    Raises:
        ClipError: If the run folder contains a symbolic link.
        ConfigError: If there is no such run of this model in this clip.
    """
    from dreaming.training.run_registry import latest, new_folder, read_best  # import torch, which --help must not

    runs = Path(clip) / "runs" / name
    if checkpoint is None:
        return str(new_folder(runs))
    if checkpoint == "last":
        found, expected = latest(runs), f"an interrupted run in {runs}"
    elif checkpoint == "best":
        bests = [best for path in sorted(runs.glob("best*.json")) if (best := read_best(path))]
        weights, expected = {best.weights for best in bests}, f"a best.json in {runs}"
        found = _run_of(weights.pop(), runs) if len(weights) == 1 else None
    else:
        found, expected = _run_of(Path(checkpoint), runs), f"last, best, or a checkpoint file in {runs}"
    if found is None:
        raise ConfigError(
            "ckpt_path",
            topic="nothing-to-resume",
            found=checkpoint,
            expected=expected,
            hint="leave it out to begin a new run",
        )
    refuse_links_in(found)  # Hydra overwrites its records in .hydra/
    return str(found)


def _run_of(checkpoint: Path, runs: Path) -> Path | None:
    """The run folder that contains a checkpoint file; in a multirun, the folder of the job."""
    from dreaming.training.run_registry import MULTIRUN

    path, runs = checkpoint.resolve(), runs.resolve()
    if not path.is_file() or not path.is_relative_to(runs):
        return None
    name, *inside = path.relative_to(runs).parts
    return runs / name / inside[0] if (runs / name / MULTIRUN).exists() else runs / name


def parse(arguments: Sequence[str]) -> list[Override]:
    """Parse the overrides among command-line arguments.

    Raises:
        ConfigError: If one is not of the form key=value.
    """
    parser, overrides = OverridesParser.create(), []
    for before, text in zip(["", *arguments], arguments, strict=False):
        if text.startswith("-") or before in TAKING_A_VALUE:
            continue
        if not is_unicode(text):
            raise ConfigError(
                text, found="a name that is not UTF-8", expected="UTF-8", hint="rename the file or folder"
            )
        try:
            overrides.append(parser.parse_override(text))
        except (HydraException, RecursionError) as error:
            raise _not_an_override(text, str(error).splitlines()[0].rstrip(".")) from None
        if not overrides[-1].key_or_group:
            raise ConfigError(text, topic="not-keyvalue", found="no key", expected="key=value")
    return overrides


def _not_an_override(text: str, reason: str) -> ConfigError:
    """The error for an argument that Hydra cannot parse, with the line to type instead."""
    key, equals, value = text.partition("=")
    if equals:
        hint = "quote the value: " + shlex.quote(f"{key}={quoted(value)}")
        return ConfigError(text, topic="not-keyvalue", found=reason, expected="key=value", hint=hint)
    path = Path(text)
    meant = "" if not path.exists() and "/" not in text else "video" if path.is_file() else "clip"
    hint = f"use {shlex.quote(f'{meant}={text}')}" if meant else ""
    return ConfigError(text, topic="not-keyvalue", found="no key", expected="key=value", hint=hint)


def clip_path(config: DictConfig) -> Path:
    """The clip's folder."""
    return Path(str(config.clip))


def parse_shard(config: DictConfig) -> Shard:
    """``shard=k/n`` as numbers.

    Raises:
        ConfigError: If it is of another form.
    """
    match = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", str(config.get("shard", "1/1")))
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise ConfigError(
            "shard",
            found=reprlib.repr(config.shard),
            expected="k/n with 1 <= k <= n",
            hint="use shard=1/4 for the first of four",
        )
    return Shard(int(match[1]), int(match[2]))


def thread_count(config: DictConfig) -> int:
    """Number of threads: from the config, or this job's share of the CPUs available to this process."""
    if config.threads is not None:
        return int(config.threads)
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, count // jobs_at_once(count)) if HydraConfig.initialized() else count


def jobs_at_once(cores: int) -> int:
    """Number of jobs that the launcher runs on this machine at the same time."""
    jobs = HydraConfig.get().launcher.get("n_jobs", 1)
    return cores if jobs is None or jobs < 1 else int(jobs)


def command_name(program: str) -> str:
    """What the user typed to start a program, as far as it has a name."""
    if program == "dream":
        return "dreaming"
    return "dreaming-train" if Path(sys.argv[0]).name == "dreaming-train" else "train.py"


def informs_only(arguments: Sequence[str]) -> bool:
    """Whether the arguments only ask for help or for the config, and not for a run."""
    return bool(INFORMING & {argument.split("=")[0] for argument in arguments})


def prepare() -> None:
    """Make Hydra raise errors instead of printing tracebacks and exiting with code 1, and rewrite the arguments."""
    os.environ["HYDRA_FULL_ERROR"] = "1"
    if not os.environ.get("COLUMNS", "1").strip("0"):  # a width of 0, at which rich would print nothing at all
        del os.environ["COLUMNS"]
    sys.argv[1:] = rewrite(arguments())
    register_resolvers()


def task_overrides() -> list[str]:
    """The overrides of the current job, unresolved, because one may refer to another key."""
    return cast(list[str], OmegaConf.to_container(HydraConfig.get().overrides.task, resolve=False))


def composition_overrides(overrides: Sequence[Override]) -> list[str]:
    """The overrides that Hydra's compose API accepts: all except Hydra's own; of these only the search path."""
    keys = [(str(override.key_or_group), str(override.input_line)) for override in overrides]
    return [text for key, text in keys if not key.startswith("hydra") or key == "hydra.searchpath"]


def arguments() -> list[str]:
    """The command-line arguments."""
    return sys.argv[1:]

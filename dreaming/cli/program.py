"""The common part of both programs: check the config, run under Hydra, report errors, and set the exit code.

Run as a module, it only checks arguments of ``dreaming``, for the web page.

Modules that import torch are imported where they are used, because ``--help`` has to be quick.
"""

import json
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from io import StringIO
from pathlib import Path
from typing import Any

import hydra
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn
from omegaconf import DictConfig
from rich.console import Console

from dreaming import __version__, interruption
from dreaming.cli import config as configuration
from dreaming.cli.clip_settings import with_settings
from dreaming.cli.explain import explain
from dreaming.cli.job import Job, run_job
from dreaming.cli.run_records import removed_on_refusal
from dreaming.cli.show import show_config, shows_config
from dreaming.cli.system_errors import check_working_folder, named_clips, run_folder_of_read_only_clip, system_error
from dreaming.errors import ConfigError
from dreaming.instantiation.trust import trusted_packages, whitelist
from dreaming.io.file_pattern import printable
from dreaming.progress import console_log
from dreaming.upkeep.finished import COMMAND, FinishedCommand
from dreaming.upkeep.pruning import prune

USER_ERROR = 2
INTERRUPTED = 130
BROKEN_PIPE = 141
TERMINATED = 143


def main(program: str, job: Job) -> None:
    """Run a program and exit: 0 success, 2 an error of the user, 130 interrupted, 143 terminated."""
    interruption.install()
    sys.exit(_run(program, job))


def _run(program: str, job: Job) -> int:
    configuration.prepare()
    logging.raiseExceptions = False  # a full disk must not print a traceback for each line of the log file
    given = arguments = configuration.arguments()
    try:
        check_working_folder()
        if shows_config(arguments) or not configuration.informs_only(arguments):
            arguments = with_settings(program, arguments)
            sys.argv[1:] = arguments
        if shows_config(arguments):
            show_config(program, arguments)
        elif "--version" in arguments:
            print(f"dreaming {__version__}")
        elif configuration.informs_only(arguments):
            _inform(program, job)
        elif not (_pruned(program, given) or _has_finished(program, given)):
            return _work(program, job, arguments)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader, such as `head`, has closed the pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nothing is left to flush at exit
        return BROKEN_PIPE
    except Exception as error:
        return _explained(error, program)
    return 0


def _pruned(program: str, arguments: list[str]) -> bool:
    """Whether these arguments ask to prune a clip instead of running stages, which is then done."""
    values = {str(each.key_or_group): each.value() for each in configuration.parse(arguments)}
    how, clip = values.get("prune"), Path(str(values.get("clip")))
    if program != "dream" or how is None:
        return False
    if how not in ("list", "delete"):
        raise ConfigError("prune", found=repr(how), expected="list or delete", topic="invalid-value")
    if values.keys() != {"clip", "prune"} or len(arguments) != 2:
        raise ConfigError("prune", found="other arguments", expected="clip= and prune= alone", topic="invalid-value")
    if not clip.is_dir():
        raise ConfigError("clip", found=f"no folder {clip}", expected="the folder of a clip", topic="no-clip")
    with console_log():
        prune(clip, delete=how == "delete")
    return True


def _has_finished(program: str, arguments: list[str]) -> bool:
    """Whether this command has finished before and nothing has changed since; if not, ``COMMAND`` is set to it."""
    COMMAND.set(None)
    overrides = configuration.parse(arguments)
    clips = [str(each.value()) for each in overrides if each.key_or_group == "clip" and not each.is_sweep_override()]
    has_flags = any(text.startswith("-") for text in arguments)
    if program != "dream" or has_flags or trusted_packages(overrides) or len(clips) != 1 or "$" in clips[0]:
        return False
    root = configuration.config_root()
    command = FinishedCommand.begin(
        Path(clips[0]), arguments, [configuration.PACKAGE, root / "conf", root / "experiments"]
    )
    with console_log():
        if command.has_finished():
            return True
    COMMAND.set(command)
    return False


def check_lines() -> None:
    """Check the arguments of ``dreaming`` in each line of the input, a JSON list, as a run does; write nothing to disk.

    For each line, print the sentence that the run would end with as JSON, or null.
    """
    from dreaming.cli.check import check

    configuration.prepare()
    for line in sys.stdin:
        sys.argv[1:] = json.loads(line)
        problem = None
        try:
            check("dream", with_settings("dream", configuration.arguments()))
        except Exception as error:
            explained = system_error(error) or explain(error, "dream")
            problem = str(explained or error)
        print(json.dumps(problem), flush=True)


def _work(program: str, job: Job, arguments: list[str]) -> int:
    from dreaming.cli.check import check
    from dreaming.sweep.sweeper import StudySweeper
    from dreaming.training.loggers import status_message

    def task(config: DictConfig) -> Any:
        return run_job(program, config, job)

    # Hydra discovers plugins in its own namespace package only.
    Plugins.instance().register(StudySweeper)
    try:
        check(program, arguments)
        read_only = run_folder_of_read_only_clip(arguments if program == "dream" else ())
        with status_message(), _silent_failures(), read_only, removed_on_refusal(named_clips(arguments)):
            _start_hydra(program, task)
    except KeyboardInterrupt as error:
        terminated = isinstance(error, interruption.Terminated)
        alone = program == "train" and not {"-m", "--multirun"} & set(arguments)
        how = "add ckpt_path=last to the same command to resume" if alone else "run the same command to resume"
        _print_error(program, f"{'terminated' if terminated else 'interrupted'}; {how}")
        return TERMINATED if terminated else INTERRUPTED
    except Exception as error:
        return _explained(error, program)
    return 0


def _inform(program: str, job: Job) -> None:
    try:
        _start_hydra(program, job)
    except (ValueError, KeyError) as error:  # raised by Hydra, as no job runs
        raise ConfigError("command line", found=str(error), expected="flags as in --hydra-help") from None


def _start_hydra(program: str, task: Job) -> None:
    conf = str(configuration.config_root() / "conf")
    hydra.main(config_path=conf, config_name=program, execution_whitelist=whitelist())(task)()


@contextmanager
def _silent_failures() -> Iterator[None]:
    """Keep Hydra from printing all overrides of a failed job before it raises the job's error."""
    result: Any = vars(JobReturn)["return_value"]

    def get_silently(job: JobReturn) -> Any:
        with redirect_stderr(StringIO()):
            return result.fget(job)

    type.__setattr__(JobReturn, "return_value", property(get_silently, result.fset))
    try:
        yield
    finally:
        type.__setattr__(JobReturn, "return_value", result)


def _explained(error: Exception, program: str) -> int:
    """Print an error that the user can correct as one sentence; raise any other."""
    explained = system_error(error) or explain(error, program)
    if explained is None:
        raise error
    _print_error(program, str(explained))
    return USER_ERROR


def _print_error(program: str, sentence: str) -> None:
    name = configuration.command_name(program)
    Console(stderr=True, soft_wrap=True, highlight=False).print(f"{name}: {printable(sentence)}", markup=False)


if __name__ == "__main__":
    check_lines()

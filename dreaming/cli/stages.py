"""The job of ``dreaming``: run the stages that the config names."""

import logging
import shlex
from collections.abc import Mapping
from pathlib import Path

import pytorch_lightning as pl
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from dreaming.cli.config import clip_path, parse_shard, task_overrides, thread_count
from dreaming.clip.clip import Clip
from dreaming.errors import ConfigError
from dreaming.instantiation.build import build, build_all, resolved
from dreaming.stages import order
from dreaming.stages.base import Stage
from dreaming.stages.evaluate import EvaluateStage
from dreaming.sweep.job import Objectives, masker_trial
from dreaming.sweep.timing import masker_seconds_per_frame
from dreaming.training.loggers import log_sync_command
from dreaming.upkeep.finished import COMMAND

log = logging.getLogger(__name__)


def run_stages(config: DictConfig) -> float | Objectives | None:
    """Run the stages that the config names; return the score, or in a sweep the objectives, if there are any."""
    pl.seed_everything(config.seed, verbose=False)
    folder = Path(HydraConfig.get().runtime.output_dir)
    given = {"shard": parse_shard(config), "writers": thread_count(config), "run_folder": folder}
    stages = build_all(config, "stage", **given)
    clip = Clip(clip_path(config), validation=config.stage.mask.validation)
    _warn_of_unused_filter(config, stages)
    if "sweep" not in config:
        named = [*config.stages, *(["import"] if config["import"] is not None else [])]
        score = order.run(clip, named, stages)
        if not clip.layers and "stylise" in named:
            _suggest_painting(clip)
        log_sync_command()  # before the last line, which a person reads first
        if paths := order.files_to_open(clip, list(config.stages), stages):
            log.info("open: %s", " ".join(map(shlex.quote, map(str, paths))))
        if (command := COMMAND.get()) is not None:
            command.record(resolved(config), named, paths)
        return score

    evaluate = stages["evaluate"]
    assert isinstance(evaluate, EvaluateStage)
    evaluate.loggers = {}  # a trial is one W&B run, which masker_trial opens
    measures = {
        "score": lambda: _score(clip, config, stages),
        "seconds": lambda: _seconds(clip, evaluate),
    }
    return masker_trial(build(config, "sweep"), build(config, "logger"), clip, folder, task_overrides(), measures)


def _suggest_painting(clip: Clip) -> None:
    """Log what a person has to paint before anything can be stylised."""
    missing = "keyframes" if clip.parts else "hand masks and keyframes"
    log.info(
        "next: paint %s, in another program or with dreaming-ui %s; stages=suggest names the frames",
        missing, shlex.quote(str(clip.path)),
    )  # fmt: skip


def _warn_of_unused_filter(config: DictConfig, stages: Mapping[str, Stage]) -> None:
    running = order.with_inputs(list(config.stages), stages)
    if {"filter", "stylise"} <= set(running) and not config.model.style.filtered:
        log.warning(
            "filter: the style is not trained on the temporally smoothed frames in filtered/;"
            " to use them, set model.style.filtered=true"
        )


def _score(clip: Clip, config: DictConfig, stages: Mapping[str, Stage]) -> float:
    score = order.run(clip, list(config.stages), stages)
    if score is None:
        raise _nothing_to_optimise()
    return score


def _seconds(clip: Clip, evaluate: EvaluateStage) -> float:
    """Prediction time per frame, in seconds, of the masker that ``evaluate`` scores."""
    masker = evaluate.maskers.get(evaluate.chosen or "")
    if masker is None or not clip.parts:
        raise _nothing_to_optimise()
    return masker_seconds_per_frame(masker, clip)


def _nothing_to_optimise() -> ConfigError:
    return ConfigError(
        "stages",
        found="stages without a score to optimise",
        expected="the stage evaluate, on a clip with hand masks",
        hint="leave out stages=, which the sweep sets",
    )

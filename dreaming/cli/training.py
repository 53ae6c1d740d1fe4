"""The job of ``train.py``: train one model on a clip."""

from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from dreaming.cli.config import clip_path, task_overrides
from dreaming.clip.clip import Clip
from dreaming.clip.input_check import check_inputs
from dreaming.errors import ClipError
from dreaming.instantiation.build import build
from dreaming.sweep.job import train_trial
from dreaming.training.context import TrainingContext
from dreaming.training.task import TrainingTask


def train_model(config: DictConfig) -> float | tuple[float, ...]:
    """Train the selected model on each part or layer of the clip; return the mean of the monitored values.

    In a sweep, return the values of its objectives.

    Raises:
        ClipError: If the clip has nothing to train the model on.
    """
    pl.seed_everything(config.seed, verbose=False)
    clip = Clip(clip_path(config), validation=config.stage.mask.validation)
    check_inputs(clip)
    folder = Path(HydraConfig.get().runtime.output_dir)
    context = TrainingContext(
        build(config, "trainer"), build(config, "logger"), config.seed, user_callbacks=build(config, "callbacks")
    )
    (name,) = config.model
    task: TrainingTask[Any] = build(config, f"model.{name}")
    subjects = task.subjects(clip)
    if not subjects:
        raise ClipError(
            clip.path,
            topic="no-hand-masks",
            found=f"nothing to train {task.name} on",
            expected="hand masks for a segmenter, keyframes for the style",
            hint="paint some",
        )
    clip.record_splits()
    if "sweep" in config:
        return train_trial(build(config, "sweep"), task, clip, subjects, context, folder, task_overrides())
    alone = len(subjects) == 1
    scores = [task.train(clip, name, context, folder if alone else folder / name).score for name in subjects]
    return sum(scores) / len(scores)

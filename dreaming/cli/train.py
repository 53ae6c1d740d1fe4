"""``train.py``: train one model on a clip."""

from pathlib import Path

import lightning
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from dreaming.cli import program
from dreaming.cli.config import build, clip_path
from dreaming.errors import ClipError
from dreaming.frames.clip import Clip
from dreaming.models.fit import Recipe, Workbench
from dreaming.sweep.job import train_trial


def train(config: DictConfig) -> float | tuple[float, ...]:
    """Train the selected model on each part or layer of the clip; return the mean of the monitored values.

    In a sweep, the values of its objectives.
    """
    lightning.seed_everything(config.seed, verbose=False)
    clip = Clip(clip_path(config), protocol=config.stage.mask.protocol)
    folder = Path(HydraConfig.get().runtime.output_dir)
    workbench = Workbench(build(config.trainer), build(config.logger), config.seed)
    (node,) = config.model.values()
    recipe: Recipe = build(node)
    subjects = recipe.subjects(clip)
    if not subjects:
        raise ClipError(
            clip.path,
            found=f"nothing to train {recipe.name} on",
            expected="hand masks for a segmenter, keyframes for the style",
            mend="paint some as README shows",
        )
    if "sweep" in config:
        overrides = list(HydraConfig.get().overrides.task)
        return train_trial(build(config.sweep), recipe, clip, subjects, workbench, folder, overrides)
    alone = len(subjects) == 1
    scores = [recipe.train(clip, name, workbench, folder if alone else folder / name).score for name in subjects]
    return sum(scores) / len(scores)


def main() -> None:
    """Entry point of ``train.py``."""
    program.main("train", train)

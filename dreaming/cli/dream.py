"""``dreaming``: everything that is still to do, from a video to a stylised video."""

from pathlib import Path
from typing import cast

import lightning
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from dreaming.cli import program
from dreaming.cli.config import build, clip_path, parse_shard, thread_count, with_clip_settings
from dreaming.frames.clip import Clip
from dreaming.stages import order


def dream(config: DictConfig) -> float | None:
    """Run the stages that the config names; the score of the last one that has one is a sweep's objective."""
    lightning.seed_everything(config.seed, verbose=False)
    # Unresolved: an override may hand one key the value of another.
    overrides = cast(list[str], OmegaConf.to_container(HydraConfig.get().overrides.task, resolve=False))
    config = with_clip_settings(config, overrides)
    given = {
        "shard": parse_shard(config),
        "writers": thread_count(config),
        "run_folder": Path(HydraConfig.get().runtime.output_dir),
    }
    stages = {str(name): build(node, **given) for name, node in config.stage.items()}
    return order.run(Clip(clip_path(config), protocol=config.stage.mask.protocol), list(config.stages), stages)


def main() -> None:
    """Entry point of the console script."""
    program.main("dream", dream)

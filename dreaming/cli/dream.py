"""The program ``dreaming``: everything that is still to do, from a video to a stylised video."""

from typing import Any

from omegaconf import DictConfig

from dreaming.cli import program


def dream(config: DictConfig) -> Any:
    """Run the stages that the config names; return what a sweep optimises."""
    from dreaming.cli.stages import run_stages  # imports torch, which --help must not

    return run_stages(config)


def main() -> None:
    """Entry point of ``dreaming``."""
    program.main("dream", dream)

"""The program ``dreaming``: run the stages that are not up to date, from a video to a stylised video."""

from typing import Any

from omegaconf import DictConfig

from dreaming.cli import program


def dream(config: DictConfig) -> Any:
    """Run the stages that the config names; return the objectives of a sweep."""
    from dreaming.cli.stages import run_stages  # imports torch, which --help must not

    return run_stages(config)


def main() -> None:
    """Entry point of ``dreaming``."""
    program.main("dream", dream)

"""The program ``dreaming-train``, which is also ``train.py``: train one model on a clip."""

from typing import Any

from omegaconf import DictConfig

from dreaming.cli import program


def train(config: DictConfig) -> Any:
    """Train the model that the config selects; return the objectives of a sweep."""
    from dreaming.cli.training import train_model  # imports torch, which --help must not

    return train_model(config)


def main() -> None:
    """Entry point of ``train.py`` and ``dreaming-train``."""
    program.main("train", train)


if __name__ == "__main__":
    main()

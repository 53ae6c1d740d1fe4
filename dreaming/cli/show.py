"""The flag ``--cfg job``: print the config of a run, with the values of ``clip.yaml`` and of the clip's sweeps."""

from argparse import ArgumentError, ArgumentParser, Namespace
from collections.abc import Sequence

from hydra import compose, initialize_config_dir
from omegaconf import Container, OmegaConf

from dreaming.cli.config import clip_path, composition_overrides, config_root, parse
from dreaming.errors import ConfigError


def _flags(arguments: Sequence[str]) -> Namespace:
    parser = ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--cfg", "-c")
    parser.add_argument("--package", "-p")
    parser.add_argument("--resolve", action="store_true")
    try:
        return parser.parse_known_args(arguments)[0]
    except ArgumentError:  # a flag without its value, which Hydra refuses
        return parser.parse_args([])


def shows_config(arguments: Sequence[str]) -> bool:
    """Whether the arguments ask for the config of a run; for other parts, Hydra prints it."""
    return any(text.split("=")[0] in ("--cfg", "-c") for text in arguments) and _flags(arguments).cfg == "job"


def show_config(program: str, arguments: Sequence[str]) -> None:
    """Print the config, or the part named by ``--package``, as YAML.

    Raises:
        ConfigError: If the part does not exist.
    """
    from dreaming.cli.overlay import with_clip_values

    flags = _flags(arguments)
    overrides = composition_overrides(parse(arguments))
    with initialize_config_dir(str(config_root() / "conf")):
        config = compose(program, overrides=overrides)
    if not OmegaConf.is_missing(config, "clip") and clip_path(config).is_dir():
        config = with_clip_values(config, overrides, silent=True)
    shown = config if flags.package in (None, "_global_") else OmegaConf.select(config, flags.package)
    if shown is None:
        raise ConfigError("--package", found=flags.package, expected="a key of the config")
    if not isinstance(shown, Container):
        print(shown)
        return
    if shown is not config:
        print(f"# @package {flags.package}")
    print(
        OmegaConf.to_yaml(OmegaConf.create(OmegaConf.to_container(shown, resolve=True)) if flags.resolve else shown),
        end="",
    )

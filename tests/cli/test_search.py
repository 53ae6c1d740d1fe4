"""Search spaces: what a sweep may draw, and what is refused before its first trial."""

from itertools import product

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from dreaming.cli.config import config_root, parse, register_resolvers
from dreaming.cli.search import check_component, check_devices, check_search, searched_values
from dreaming.errors import ConfigError
from dreaming.instantiation.build import build

STRUCTURE = ("depth", "kernel_size", "num_layers", "dilation", "padding", "separable")
"""Parameters of a network on which its smallest input depends."""


def composed(program, *overrides):
    register_resolvers()
    with initialize_config_dir(str(config_root() / "conf")):
        return compose(program, overrides=["clip=x", "hydra.mode=MULTIRUN", *overrides], return_hydra_config=True)


def space(config):
    for override in parse([f"{key}={value}" for key, value in config.hydra.sweeper.params.items()]):
        yield str(override.key_or_group), list(searched_values(override)) if override.is_sweep_override() else []


@pytest.mark.parametrize("name", ["unet", "cnn"])
def test_every_network_of_a_default_space_fits_into_the_crops(name):
    config = composed("train", f"sweep={name}", f"model.{name}.module.network.norm=none")
    searched = {key: values for key, values in space(config) if key.rpartition(".")[2] in STRUCTURE}
    assert f"model.{name}.module.network.padding" in searched
    ends = [values if key.endswith("padding") else [values[0], values[-1]] for key, values in searched.items()]
    for values in product(*ends):
        for key, value in zip(searched, values, strict=True):
            OmegaConf.update(config, key, parse([f"x={value}"])[0].value())
        module = build(config, f"model.{name}.module")()
        module.check_sides(config.data.segmentation.crop, (144, 256))


def test_a_network_of_the_ensemble_s_space_fits_into_its_smallest_crop():
    config = composed("train", "sweep=ensemble")
    searched = dict(space(config))
    depth, crop = searched["model.ensemble.variants.unet_fusion.network.depth"], searched["model.ensemble.data.crop"]
    config.model.ensemble.variants.unet_fusion.network.depth = max(map(int, depth))
    task = build(config, "model.ensemble")
    assert task.build("unet_fusion").network.min_size <= min(map(int, crop))


def test_a_sweep_searches_a_selected_model_on_one_clip():
    config = composed("train", "sweep=unet", "model=cnn")
    with pytest.raises(ConfigError) as refused:
        check_component(config, [])
    assert refused.value.where == "sweep=unet"
    config = composed("dream", "sweep=gmm")
    check_component(config, parse(["clip=a"]))
    with pytest.raises(ConfigError) as refused:
        check_component(config, parse(["clip=a,b"]))
    assert refused.value.where == "clip=a,b"


def test_several_devices_are_refused():
    check_devices(composed("train", "trainer=cpu", "sweep=unet"))
    with pytest.raises(ConfigError) as refused:
        check_devices(composed("train", "trainer=cpu", "sweep=unet", "trainer.devices=2"))
    assert refused.value.where == "trainer.devices"


@pytest.mark.parametrize(
    ("param", "where"),
    [("+hydra.sweeper.params.nosuch='choice(1,2)'", "nosuch"), ("+hydra.sweeper.params.seed='choice(1,x)'", "seed")],
)
def test_a_search_space_of_unknown_keys_or_values_is_refused(param, where):
    with pytest.raises(ConfigError) as refused:
        check_search(composed("train", "sweep=unet", param), "train")
    assert refused.value.where == where


def test_all_values_of_a_choice_and_the_ends_of_an_interval_are_looked_at():
    whole, ends = parse(["a=choice(1,2,3)", "a=interval(0.5,2)"])
    assert list(searched_values(whole)) == ["1", "2", "3"]
    assert list(searched_values(ends)) == ["0.5", "2.0"]

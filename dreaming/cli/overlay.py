"""Values from ``clip.yaml`` and from the clip's sweeps; they override conf/, and the command line overrides them."""

import copy
import logging
import re
from collections.abc import Sequence
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from dreaming.cli.config import clip_path, parse
from dreaming.clip.clip import Clip
from dreaming.errors import ConfigError
from dreaming.instantiation.build import validate
from dreaming.sweep.best import BEST, BestTrial, best_trials

log = logging.getLogger(__name__)


def with_clip_values(config: DictConfig, overrides: Sequence[str], *, silent: bool = False) -> DictConfig:
    """Apply the values of ``clip.yaml`` and of the clip's best trials, except keys that the command line sets."""
    return with_best_trials(with_clip_settings(config, overrides), overrides, silent=silent)


def with_clip_settings(config: DictConfig, overrides: Sequence[str]) -> DictConfig:
    """Apply the values of ``clip.yaml``, except keys that the command line sets."""
    if "extract" in config.get("stage", {}):
        on_command_line = {str(override.key_or_group) for override in parse(overrides)}
        for key, value in Clip(clip_path(config)).settings.extract.items():
            if f"stage.extract.{key}" not in on_command_line:
                config.stage.extract[key] = value
    return config


def with_best_trials(config: DictConfig, overrides: Sequence[str], *, silent: bool = False) -> DictConfig:
    """Apply the values of the best trial of each selected model and masker, and log them unless ``silent``.

    Keys that the command line sets stay as they are. The values of a model are set for this model only, even if models
    share the key, such as those in ``data``; and only in a run with the same generator, guides, seed and so on.

    Raises:
        ConfigError: If a ``best.yaml`` sets an unknown key.
    """
    if not config.get("tuned") or not clip_path(config).is_dir():
        return config
    said = {str(override.key_or_group) for override in parse(overrides)}
    own = config.sweep.component if "sweep" in config else None
    for of, best in best_trials(Clip(clip_path(config))).items():
        for group in _groups(config, best) if of != own else ():
            used = of in config.get(group, {}) and (group == "masker" or _is_used(of, config))
            if used and _is_fitting(config, best, overrides, silent):
                _tune(config, group, best, said, silent)
    return config


def _groups(config: DictConfig, best: BestTrial) -> list[str]:
    """The groups, ``model`` or ``masker`` or both, whose values a best trial sets."""
    named = [group for group in ("model", "masker") if any(text.startswith(f"{group}.") for text in best.overrides)]
    return named or ["model" if best.component in config.get("model", {}) else "masker"]


def _is_fitting(config: DictConfig, best: BestTrial, overrides: Sequence[str], silent: bool) -> bool:
    """Whether this run has the same choices as the trial; if not, log a warning unless ``silent``."""
    said = {(override.get_key_element(), str(override.value())) for override in parse(overrides)}
    chosen = HydraConfig.get().runtime.choices if HydraConfig.initialized() else {}
    for choice in parse(best.choices):
        key, value = choice.get_key_element(), str(choice.value())
        if (key, value) not in said and str(chosen.get(key, config.get(key))) != value:
            log.log(
                logging.DEBUG if silent else logging.WARNING,
                "%s: the best values of sweep %s are not used, because its trials ran with %s; add that or tuned=false",
                best.component, best.sweep, choice.input_line,
            )  # fmt: skip
            return False
    return True


def _is_used(model: str, config: DictConfig) -> bool:
    """Whether a selected masker or a stage that runs uses this model, itself or by another model."""
    running = [config.stage[stage] for stage in config.stages if stage in config.stage]
    models = {str(name): OmegaConf.to_yaml(node) for name, node in config.model.items() if node is not None}
    found, text = set[str](), "".join(OmegaConf.to_yaml(node) for node in (config.masker, *running))
    while further := {name for name in models if re.search(rf"[{{:]model\.{name}[,}}]", text)} - found:
        found, text = found | further, "".join(models[name] for name in further)
    return model in found


def _tune(config: DictConfig, group: str, best: BestTrial, said: set[str], silent: bool) -> None:
    tuned, used = copy.deepcopy(config), []
    for override in parse(best.overrides):
        key = str(override.key_or_group)
        if any(key == other or ("." in other and key.startswith(f"{other}.")) for other in said):
            continue
        if not _is_leaf(tuned, key):
            raise ConfigError(
                f"sweeps/{best.sweep}/{BEST}",
                found=key,
                expected="keys of the config that hold a value",
                hint="repeat the sweep, remove the file, or set tuned=false",
            )
        OmegaConf.update(tuned, key, override.value())
        used.append(str(override.input_line))
    node = OmegaConf.select(tuned, f"{group}.{best.component}")
    config[group][best.component] = OmegaConf.create(OmegaConf.to_container(node, resolve=True))
    try:
        validate(config)
    except ConfigError as error:
        where = f"sweeps/{best.sweep}/{BEST}: {error.where}"
        raise ConfigError(where, found=error.found, expected=error.expected, hint="set tuned=false") from None
    log.log(
        logging.DEBUG if silent else logging.INFO,
        "%s: best values of sweep %s (trial %d, %.4f): %s; tuned=false ignores them",
        best.component, best.sweep, best.trial, best.value,
        " ".join(used) or "none, because the command line sets all of them",
    )  # fmt: skip


def _is_leaf(config: DictConfig, key: str) -> bool:
    """Whether a key may hold a plain value: it is no part of another key's value, and it is no object."""
    node: Any = config
    *parents, name = key.split(".")
    for parent in parents:
        if not isinstance(node, DictConfig) or parent not in node or OmegaConf.is_interpolation(node, parent):
            return False
        node = node[parent]
    return isinstance(node, DictConfig) and name in node and not isinstance(OmegaConf.select(node, name), DictConfig)

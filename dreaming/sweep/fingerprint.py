"""Description of the data and overrides that all trials of a study share, so that different ones never mix."""

import logging
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from optuna.study import Study
from optuna.trial import TrialState

from dreaming.artifacts.fingerprint import fingerprint, fingerprint_files
from dreaming.clip.split import HALVES, USES
from dreaming.errors import ConfigError
from dreaming.io.frame_folder import FrameFolder
from dreaming.sweep.config import SweepConfig
from dreaming.sweep.study import FINISHED

log = logging.getLogger(__name__)

DESCRIPTION = "description"
"""User attribute of a study: the description."""

MASK_FOLDERS = ("hand_masks", "backsub", *(f"{half}/{use}_output" for half in HALVES for use in USES))

WITHOUT_EFFECT = (
    "clip", "video", "stages", "stage", "shard", "trainer", "logger", "threads", "ckpt_path", "tuned", "hydra", "sweep",
)  # fmt: skip
"""First components of override keys that affect where a trial runs, but not its result."""

MASK_STAGE = "stage.mask."
"""Prefixes of override keys that affect the masks of all maskers, so they are not values of one masker."""


def affects_result(text: str, group: str) -> bool:
    """Whether an override affects the result of a trial; the choice of ``group`` is excluded, as the sweep sets it."""
    key = text.partition("=")[0].lstrip("+~")
    return key != group and re.split(r"[./@]", key)[0] not in WITHOUT_EFFECT


def describe_study(sweep_config: SweepConfig, clip: Path, overrides: Iterable[str], group: str) -> dict[str, Any]:
    """Describe the data and overrides that the trials of a sweep share, independently of machine and path of the clip.

    ``group`` is ``model`` or ``masker``, whichever is searched.
    """
    roots = [clip, *sorted(clip.glob("parts/*"))]
    description = {"hand masks": _fingerprint(clip, [root / folder for root in roots for folder in MASK_FOLDERS])}
    if sweep_config.component == "style":
        layers = sorted(clip.glob("keyframes/*"))
        description["keyframes"] = _fingerprint(clip, [*layers, *(layer / "masks" for layer in layers)])
    shared = [text for text in overrides if affects_result(text, group) or text.startswith(MASK_STAGE)]
    return {**description, "overrides": sorted(shared)}


def _fingerprint(clip: Path, folders: Sequence[Path]) -> str:
    files = {str(folder.relative_to(clip)): FrameFolder(folder).files.values() for folder in folders}
    return fingerprint({name: fingerprint_files(paths) for name, paths in files.items() if paths})


def check_description(study: Study, sweep_config: SweepConfig, description: dict[str, Any]) -> None:
    """Refuse a study whose description differs; a study without finished or running trials gets the new one.

    A study that lacks a description is resumed with a warning, because its trials may have taken days.

    Raises:
        ConfigError: If the trials ran on other hand masks or keyframes, or with other overrides.
    """
    earlier = study.user_attrs.get(DESCRIPTION)
    counted = study.get_trials(deepcopy=False, states=(*FINISHED, TrialState.RUNNING))
    if earlier is None or not counted:
        if counted:
            log.warning("sweep %s: the study does not record its hand masks and overrides", sweep_config.name)
        study.set_user_attr(DESCRIPTION, description)
        return
    for key in description:
        if description[key] != earlier.get(key):
            found, expected = _difference(key, earlier.get(key, ()), description[key])
            in_folder = str(sweep_config.folder) in sweep_config.storage
            remove = f", or remove {sweep_config.folder} to discard its trials" if in_folder else ""
            raise ConfigError(
                f"sweep {sweep_config.name}",
                found=found,
                expected=f"{expected}, as in its earlier trials",
                hint=f"set sweep.name=ANOTHER to start a new sweep{remove}",
            )


def _difference(key: str, earlier: Sequence[str], now: Sequence[str]) -> tuple[str, str]:
    if key != "overrides":
        return f"other {key}", f"a clip with the same {key}"
    added, missing = (" ".join(sorted({*one} - {*other})) for one, other in ((now, earlier), (earlier, now)))
    return added or f"no override {missing}", missing or "no such override"

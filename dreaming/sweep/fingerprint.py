"""What all trials of a study share, kept in it: nothing goes on with trials of another clip or of other settings."""

import logging
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from optuna.study import Study
from optuna.trial import TrialState

from dreaming.clip.split import HALVES, USES
from dreaming.errors import ConfigError
from dreaming.io.frame_folder import FrameFolder
from dreaming.io.manifest import fingerprint, fingerprint_files
from dreaming.sweep.config import SweepConfig
from dreaming.sweep.study import FINISHED

log = logging.getLogger(__name__)

DESCRIPTION = "identity"
"""User attribute of a study: what its trials share."""

MASKS = ("hand_masks", "backsub", *(f"{half}/{use}_output" for half in HALVES for use in USES))

ELSEWHERE = (
    "clip", "video", "stages", "stage", "shard", "trainer", "logger", "threads", "ckpt", "tuned", "hydra", "sweep",
)  # fmt: skip
"""First words of the overrides that say where and on what a trial runs; the others decide what it is."""

ALL_MASKS = "stage.mask."
"""How overrides begin that hold for the masks of every masker: part of the command, not of one masker's best values."""


def decides(text: str, group: str) -> bool:
    """Whether an override decides what a trial is; ``group``, which the sweep chooses in itself, is not asked again."""
    key = text.partition("=")[0].lstrip("+~")
    return key != group and re.split(r"[./@]", key)[0] not in ELSEWHERE


def describe_study(plan: SweepConfig, clip: Path, overrides: Iterable[str], group: str) -> dict[str, Any]:
    """What the trials of a sweep share, alike on all machines wherever the clip lies there.

    Args:
        plan: The sweep.
        clip: The clip's folder.
        overrides: Those that all trials share.
        group: ``model`` or ``masker``, whichever is searched.
    """
    roots = [clip, *sorted(clip.glob("parts/*"))]
    identity = {"hand masks": _contents(clip, [root / folder for root in roots for folder in MASKS])}
    if plan.component == "style":
        layers = sorted(clip.glob("keyframes/*"))
        identity["keyframes"] = _contents(clip, [*layers, *(layer / "masks" for layer in layers)])
    shared = [text for text in overrides if decides(text, group) or text.startswith(ALL_MASKS)]
    return {**identity, "overrides": sorted(shared)}


def _contents(clip: Path, folders: Sequence[Path]) -> str:
    files = {str(folder.relative_to(clip)): FrameFolder(folder).files.values() for folder in folders}
    return fingerprint({name: fingerprint_files(paths) for name, paths in files.items() if paths})


def check_description(study: Study, plan: SweepConfig, identity: dict[str, Any]) -> None:
    """Refuse a study whose trials share something else; one without any that count is this sweep's from now on.

    A study begun before this was kept is gone on with: its trials are too dear to be given up on a suspicion.

    Raises:
        ConfigError: If the trials ran on other hand masks or keyframes, or under other overrides.
    """
    before = study.user_attrs.get(DESCRIPTION)
    counting = study.get_trials(deepcopy=False, states=(*FINISHED, TrialState.RUNNING))
    if before is None or not counting:
        if counting:
            log.info("sweep %s: its trials are taken for ones of this clip and these overrides", plan.name)
        study.set_user_attr(DESCRIPTION, identity)
        return
    for key in identity:
        if identity[key] != before.get(key):
            found, expected = _difference(key, before.get(key, ()), identity[key])
            forget = f", or remove {plan.folder} to forget it" if str(plan.folder) in plan.storage else ""
            raise ConfigError(
                f"sweep {plan.name}",
                found=found,
                expected=f"{expected}, as its trials had",
                hint=f"set that as it was, or say sweep.name=ANOTHER to begin a new one{forget}",
            )


def _difference(key: str, before: Sequence[str], now: Sequence[str]) -> tuple[str, str]:
    if key != "overrides":
        return f"other {key}", f"a clip with the same {key}"
    ours, theirs = (" ".join(sorted({*one} - {*other})) for one, other in ((now, before), (before, now)))
    return ours or f"nothing set of {theirs}", theirs or "none of that"

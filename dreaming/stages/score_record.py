"""The scores that the ``evaluate`` stage wrote, read without what is needed to compute them."""

import logging
from typing import Any

from dreaming.clip.clip import Clip
from dreaming.io.manifest import read_record

log = logging.getLogger(__name__)

KEYS = ("kind", "name", "scored on")


def read_scores(clip: Clip) -> list[dict[str, Any]]:
    """Read the scores on ground truth, or else the latest ones on hand masks: ``KEYS``, and numbers by name."""
    paths = [clip.path / "evaluation.json", *sorted(clip.path.glob("runs/*/*/evaluation.json"), reverse=True)]
    path = next((path for path in paths if path.exists()), None)
    summary = [] if path is None else (read_record(path) or {}).get("summary")
    if not isinstance(summary, list) or not all(map(_is_score, summary)):
        log.warning("%s: not shown, because it is damaged; stages=[evaluate] writes it again", path)
        return []
    return summary


def _is_score(score: object) -> bool:
    if not isinstance(score, dict):
        return False
    numbers = [value for key, value in score.items() if key not in KEYS]
    return all(isinstance(score.get(key), str) for key in KEYS) and all(isinstance(n, int | float) for n in numbers)

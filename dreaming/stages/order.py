"""The order of the stages, and what a stage that is named needs before it."""

import logging
from collections.abc import Mapping, Sequence

from dreaming.frames.clip import Clip
from dreaming.stages.base import Stage

log = logging.getLogger(__name__)

ORDER = ("draw", "extract", "flow", "mask", "stylise", "composite", "evaluate", "report")
"""All stages, in the order in which they run; ``draw`` only where it is named."""


def with_inputs(named: Sequence[str], stages: Mapping[str, Stage]) -> list[str]:
    """The named stages and those whose outputs they read, in order."""
    wanted, open_ends = set(named), list(named)
    while open_ends:
        for needed in stages[open_ends.pop()].reads:
            if needed in stages and needed not in wanted:
                wanted.add(needed)
                open_ends.append(needed)
    return [name for name in ORDER if name in wanted]


def run(clip: Clip, named: Sequence[str], stages: Mapping[str, Stage]) -> float | None:
    """Run the named stages in order, each after the stages whose outputs it reads; say what is skipped, and why.

    Returns:
        The last stage's objective for a sweep, of those that have one.
    """
    objective = None
    for name in with_inputs(named, stages):
        stage = stages[name]
        reason = stage.skips(clip)
        if reason is not None:
            log.info("%s: skipped, %s", name, reason)
            continue
        if name not in named:
            readers = [reader for reader in named if name in with_inputs([reader], stages)]
            log.info("%s: for %s, which needs it", name, ", ".join(readers))
        returned = stage.run(clip)
        objective = objective if returned is None else returned
        clip.frames.refresh()
    return objective

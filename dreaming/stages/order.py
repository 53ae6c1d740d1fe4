"""The order of the stages, and what a stage that is named needs before it."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace

from dreaming.clip.clip import Clip
from dreaming.io.shard import Shard
from dreaming.stages.base import Stage

log = logging.getLogger(__name__)

ORDER = (
    *("draw", "extract", "flow", "mask", "filter", "guide", "stylise", "composite"),
    *("preview", "evaluate", "suggest", "report"),
)
"""All stages, in the order in which they run; ``draw``, ``preview`` and ``suggest`` only where they are named."""

BRING_FRAMES = ("draw", "extract")
"""Stages after which a clip has all its frames, and what was handed in can be compared with them."""


def with_inputs(named: Sequence[str], stages: Mapping[str, Stage]) -> list[str]:
    """The named stages and those whose outputs they read, in order."""
    wanted, open_ends = set(named), list(named)
    while open_ends:
        for needed in stages[open_ends.pop()].inputs:
            if needed in stages and needed not in wanted:
                wanted.add(needed)
                open_ends.append(needed)
    return [name for name in ORDER if name in wanted]


def run(clip: Clip, named: Sequence[str], stages: Mapping[str, Stage]) -> float | None:
    """Run the named stages in order, each after the stages whose outputs it reads; say what is skipped, and why.

    A shard is of the named stages. What another stage needs all frames of, and what runs only for another, is made
    whole: by the process that comes first, while those of the other shards wait.

    Returns:
        The last score that a stage came to; None without one.
    """
    score: float | None = None
    running = with_inputs(named, stages)
    unchecked = True
    for name in running:
        if unchecked and name not in BRING_FRAMES:
            for later in running:
                stages[later].check(clip)
            unchecked = False
        stage = stages[name]
        reason = stage.skips(clip)
        if reason is not None:
            log.info("%s: skipped, %s", name, reason)
            continue
        if name not in named:
            readers = [reader for reader in named if name in with_inputs([reader], stages)]
            log.info("%s: for %s, which needs it", name, ", ".join(readers))
        of_all = [reader for reader in running if name in stages[reader].inputs and not stages[reader].reads_its_share]
        if stage.shard != Shard() and (name not in named or of_all):
            log.info("%s: all frames, not shard %s alone", name, stage.shard)
            stage = replace(stage, shard=Shard())
        found = stage.run(clip)
        score = score if found is None else found
        clip.frames.refresh()
    return score

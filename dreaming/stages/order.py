"""The order of the stages, and the stages that a named one needs before it."""

import logging
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from dreaming.artifacts.shard import Shard
from dreaming.clip.clip import Clip
from dreaming.clip.input_check import check_inputs
from dreaming.progress import step
from dreaming.stages.base import Stage

log = logging.getLogger(__name__)

ORDER = (
    *("draw", "extract", "import", "flow", "mask", "matte", "filter", "guide", "stylise", "composite"),
    *("export", "preview", "live", "evaluate", "suggest", "report"),
)
"""All stages, in their order; those that the key ``stages`` does not list run only if they are named."""

BRING_FRAMES = ("draw", "extract", "import")
"""Stages that bring frames or hand masks, after which the user's files can be compared with each other."""


def with_inputs(named: Sequence[str], stages: Mapping[str, Stage]) -> list[str]:
    """Return the named stages and those whose outputs they read, in order."""
    wanted, open_ends = set(named), list(named)
    while open_ends:
        for needed in stages[open_ends.pop()].inputs:
            if needed in stages and needed not in wanted:
                wanted.add(needed)
                open_ends.append(needed)
    return [name for name in ORDER if name in wanted]


def files_to_open(clip: Clip, named: Sequence[str], stages: Mapping[str, Stage]) -> list[Path]:
    """Files of the named stages that a person would open, in order, if they exist."""
    paths = [clip.path / file for name in with_inputs(named, stages) for file in stages[name].opens]
    return [path for path in paths if path.exists()]


def run(clip: Clip, named: Sequence[str], stages: Mapping[str, Stage]) -> float | None:
    """Run the named stages in order, each after the stages whose outputs it reads; return the last score, if any.

    A shard applies to the named stages. A stage whose frames another one needs as a whole, or that runs only because
    another one needs it, makes all frames: the first process makes them while those of the other shards wait.
    """
    score: float | None = None
    running = with_inputs(named, stages)
    unchecked = True
    with ExitStack() as held:  # the user's files count as they were when they were checked
        for number, name in enumerate(running, start=1):
            if unchecked and name not in BRING_FRAMES:
                held.enter_context(clip.listings.hold())
                check_inputs(clip)
                for later in running:
                    stages[later].check(clip)
                unchecked = False
            stage = stages[name]
            reason = stage.skips(clip)
            if reason is not None:
                log.log(logging.INFO if name in named else logging.DEBUG, "%s: skipped, because %s", name, reason)
                continue
            if name not in named:
                readers = [reader for reader in named if name in with_inputs([reader], stages)]
                log.debug("%s: needed by %s", name, ", ".join(readers))
            need_all = [r for r in running if name in stages[r].inputs and not stages[r].reads_its_share]
            if stage.shard != Shard() and (name not in named or need_all):
                log.info("%s: all frames, not only shard %s", name, stage.shard)
                stage = replace(stage, shard=Shard())
            with step(number, len(running)):
                result = stage.run(clip)
            if stage.frames_needed and not stage.frames_made:
                log.info("%s: up to date (%d frames)", name, stage.frames_needed)
            score = score if result is None else result
            if name in BRING_FRAMES:
                clip.refresh()
    return score

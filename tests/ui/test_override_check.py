"""Overrides are checked by a process that stays; only the newest ones count."""

import asyncio
import sys

import pytest

from dreaming.ui.override_check import CHECKER, OverrideCheck

ECHO = """
import json, sys
for line in sys.stdin:
    arguments = json.loads(line)
    if arguments == ["end"]: break
    print(json.dumps(arguments[0] if arguments else None), flush=True)
"""


def run(scenario, program=(sys.executable, "-S", "-c", ECHO)):
    async def main():
        check = OverrideCheck(program)
        try:
            return await scenario(check.problem)
        finally:
            await check.close()

    return asyncio.run(main())


def test_only_the_newest_of_several_checks_is_answered():
    async def scenario(problem):
        return (
            await asyncio.gather(*(problem([text]) for text in ("a", "b", "c"))),
            await problem(["d"]),
            await problem([]),
        )

    # The first one runs already; the second one waits, and is passed over.
    together, then, last = run(scenario)
    assert together[1:] == [None, "c"]
    assert (then, last) == ("d", None)


def test_a_process_that_ended_is_started_again():
    async def scenario(problem):
        return await problem(["end"]), await problem(["a"])

    assert run(scenario) == (None, "a")


@pytest.mark.slow
def test_overrides_are_checked_as_a_run_would_and_nothing_is_written(disc_clip):
    path = disc_clip().path
    before = sorted(path.rglob("*"))

    async def scenario(problem):
        clip = f"clip={path}"
        wrong = ["stage.composite.crf=-7", "nonsense=1", "masker=[flwo]", "seed=", "seed={"]
        return [await problem([clip, text]) for text in wrong], await problem([clip, "seed=3"])

    problems, right = run(scenario, CHECKER)
    assert right is None
    assert all(problems)
    assert problems[0].startswith("stage.composite.crf: found -7")
    assert sorted(path.rglob("*")) == before

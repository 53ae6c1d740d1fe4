"""Jobs are processes: one at a time, observed line by line, stopped as by Ctrl-C."""

import asyncio
import sys

import pytest

from dreaming.artifacts.record import write_record
from dreaming.progress import LINE_SECONDS, bar, step
from dreaming.ui.jobs import JobRunner, JobRunningError, parse_progress

TALKS = "import sys; print('INFO     clip read'); print('INFO     step 1 of 2, mask: 5/90, 12 s left, 3.2/s'); "
WAITS = f"import sys, time\ntry: {TALKS}time.sleep(60)\nexcept KeyboardInterrupt: print('saved'); sys.exit(130)"


@pytest.fixture
def run(tmp_path):
    """Run a coroutine function ``scenario(runner)`` with jobs that are Python scripts; none is left running."""

    def run(script, scenario):
        async def main():
            runner = JobRunner(tmp_path, [sys.executable, "-c", script])
            try:
                return await scenario(runner)
            finally:
                if runner.running:
                    await runner.stop()
                    await ended(runner)
                await runner.close()

        return asyncio.run(main())

    return run


async def until(runner, condition):
    state = runner.state
    while not condition(state):
        state = await runner.changes(state["version"])
    return state


async def ended(runner):
    return await until(runner, lambda state: state["status"] in ("done", "stopped", "failed"))


@pytest.mark.parametrize(("ending", "status", "code"), [("", "done", 0), ("sys.exit(2)", "failed", 2)])
def test_a_job_ends_with_its_log(run, tmp_path, ending, status, code):
    async def scenario(runner):
        await runner.start("masks", ["video=a b", "stages=[mask]"])
        return await ended(runner)

    state = run(TALKS + ending, scenario)
    assert (state["status"], state["code"], state["log"]) == (status, code, ["INFO     clip read"])
    assert state["command"] == f"dreaming clip={tmp_path} 'video=a b' 'stages=[mask]'"


def test_arguments_reach_the_process_unchanged(run, tmp_path):
    async def scenario(runner):
        await runner.start("masks", ["video=$HOME; x 'y' \"z\"\n"])
        return (await ended(runner))["log"]

    assert run("import sys; print(ascii(sys.argv[1:]))", scenario) == [
        ascii([f"clip={tmp_path}", "video=$HOME; x 'y' \"z\"\n"])
    ]


def test_a_running_job_shows_progress_excludes_others_and_is_stopped(run):
    async def scenario(runner):
        await runner.start("masks", [])
        state = await until(runner, lambda state: state["progress"])
        assert state["progress"] == {
            "step": 1, "steps": 2, "title": "mask", "done": 5, "total": 90, "left": "12 s", "note": "3.2/s",
        }  # fmt: skip
        with pytest.raises(JobRunningError):
            await runner.start("style", [])
        await runner.stop()
        return await ended(runner)

    state = run(WAITS, scenario)
    assert (state["name"], state["status"], state["code"]) == ("masks", "stopped", 130)
    assert state["log"][-1] == "saved"


def test_a_job_goes_on_without_the_server_and_is_found_again(run, tmp_path):
    async def scenario(second):
        first = JobRunner(tmp_path, [sys.executable, "-c", WAITS])  # of another server
        await first.start("masks", ["seed=3"])
        await until(first, lambda state: state["progress"])
        await first.close()
        with pytest.raises(JobRunningError):
            await second.start("style", [])
        await second.attach()
        found = await until(second, lambda state: state["progress"])
        await second.stop()
        return found, await ended(second)

    found, last = run(TALKS, scenario)
    assert (found["name"], found["status"]) == ("masks", "running")
    assert found["command"] == f"dreaming clip={tmp_path} seed=3"
    assert (last["status"], last["code"], last["log"]) == ("stopped", 130, ["INFO     clip read", "saved"])


def test_a_job_that_was_killed_is_resumed_by_the_next_server(run, tmp_path):
    record = {"name": "masks", "overrides": ["seed=3"], "code": None, "process": 1}
    write_record(tmp_path / ".ui/job.json", record)

    async def scenario(runner):
        await runner.attach()
        killed = await ended(runner)
        await runner.resume()
        return killed, await ended(runner)

    killed, resumed = run(TALKS, scenario)
    assert (killed["name"], killed["status"], killed["code"]) == ("masks", "failed", None)
    assert (resumed["status"], resumed["command"]) == ("done", f"dreaming clip={tmp_path} seed=3")


def test_the_log_is_bounded(run):
    async def scenario(runner):
        await runner.start("masks", [])
        return await ended(runner)

    log = run("for i in range(1000): print(i)", scenario)["log"]
    assert (len(log), log[-1]) == (300, "999")


def test_lines_of_progress_bars_are_parsed(caplog):
    with caplog.at_level("INFO"), step(2, 3), bar("masks/flow", 4) as progress:
        progress._logged -= LINE_SECONDS
        progress.advance("loss 0.5, lr 0.01")
    found = parse_progress(f"{'INFO':<8} {caplog.messages[-1]}")
    assert (found["step"], found["steps"], found["title"]) == (2, 3, "masks/flow")
    assert (found["done"], found["total"], found["note"]) == (1, 4, "loss 0.5, lr 0.01")


@pytest.mark.parametrize("line", ["INFO     mask: up to date (90 frames)", "mask: 5/90", "", "WARNING  a: b, c left"])
def test_other_lines_are_no_progress(line):
    assert parse_progress(line) is None

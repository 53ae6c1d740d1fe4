"""Jobs are started, followed and stopped from the page."""

import sys

import pytest

WAITS = "import time; print('INFO     mask: 5/90, 12 s left, 3.2/s'); time.sleep(60)"

PROGRAM = [sys.executable, "-uc", WAITS]


async def state_where(socket, condition):
    async for message in socket:
        state = message.json()
        if condition(state):
            return state
    raise AssertionError


def test_a_job_is_followed_by_a_page_that_is_opened_later(disc_clip, visit, at):
    drawing = disc_clip()

    async def scenario(client):
        started = await (await client.post(at("job/start/masks"))).json()
        assert (started["status"], started["command"]) == (
            "running",
            f"dreaming clip={drawing.path} 'stages=[mask]'",
        )
        assert (await client.post(at("job/start/style"))).status == 409
        async with client.ws_connect(at("events")) as socket:
            await state_where(socket, lambda state: state["progress"])
        async with client.ws_connect(at("events")) as socket:  # after a reload
            state = await state_where(socket, lambda state: True)
            assert (state["name"], state["progress"]["done"]) == ("masks", 5)
            await client.post(at("job/stop"))
            return (await state_where(socket, lambda state: state["code"] is not None))["status"]

    assert visit(drawing.path, scenario, program=PROGRAM) == "stopped"


def test_frames_of_a_video_are_extracted_at_the_start(tmp_path, visit, at):
    video = tmp_path / "a.mp4"
    report = [sys.executable, "-c", "import sys; print(sys.argv[1:])"]

    async def scenario(client):
        async with client.ws_connect(at("events")) as socket:
            return await state_where(socket, lambda state: state["status"] == "done")

    state = visit(tmp_path / "clip", scenario, video=video, program=report)
    assert state["name"] == "extract"
    assert state["log"] == [str([f"clip={tmp_path / 'clip'}", f"video={video}", "stages=[extract]"])]


@pytest.mark.parametrize("method", ["get", "put"])
def test_a_job_is_started_by_post_only(disc_clip, visit, at, method):
    async def scenario(client):
        return (await client.request(method, at("job/start/masks"))).status

    assert visit(disc_clip().path, scenario) == 405


ECHO = [sys.executable, "-c", "import sys; print(*sys.argv[2:], sep='\\n')"]


def test_settings_and_typed_overrides_reach_the_job(disc_clip, visit, at):
    body = {"overrides": ["masker=[flow]", "quality=draft"], "typed": "seed=3 'guide.x=a b' ~callbacks"}

    async def scenario(client):
        async with client.ws_connect(at("events")) as socket:
            await client.post(at("job/start/masks"), json=body)
            return (await state_where(socket, lambda state: state["status"] == "done"))["log"]

    log = visit(disc_clip().path, scenario, program=ECHO)
    assert log == ["stages=[mask]", "masker=[flow]", "quality=draft", "seed=3", "guide.x=a b", "~callbacks"]


@pytest.mark.parametrize(
    "body",
    [
        {"typed": "'seed=1"},
        {"typed": "seed"},
        {"typed": "--config-dir=/tmp"},
        {"overrides": "seed=1"},
        {"typed": 5},
        [],
    ],
)
def test_what_is_no_override_starts_nothing(disc_clip, visit, at, body):
    async def scenario(client):
        response = await client.post(at("job/start/masks"), json=body)
        return response.status, (await (await client.get(at("job"))).json())["status"]

    assert visit(disc_clip().path, scenario, program=ECHO) == (422, "none")


def test_overrides_are_checked_before_a_job_is_started(disc_clip, visit, at):
    answer = [
        sys.executable,
        "-S",
        "-c",
        "import sys\nfor line in sys.stdin: print(line.strip()[1:-1].split(', ')[-1], flush=True)",
    ]

    async def scenario(client):
        found = []
        for body in ({"overrides": ["seed=1"], "typed": "tuned=false"}, {"typed": "--multirun"}, {"typed": "'"}):
            found.append((await (await client.post(at("job/check"), json=body)).json())["problem"])
        state = await (await client.get(at("job"))).json()
        assert state["status"] == "none"
        return found

    first, flag, quote = visit(disc_clip().path, scenario, checker=answer)
    assert first == "tuned=false"
    assert "--multirun" in flag
    assert quote

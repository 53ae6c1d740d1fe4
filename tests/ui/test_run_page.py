"""Jobs and corrections on the page, in a real browser."""

import asyncio
import re
import sys

import av
import cv2
import numpy as np
import pytest
from page import SIZE, capsule, fitted, save, set_brush, stored

from dreaming.ui.jobs import PROGRAM
from dreaming.ui.supervisor import job_folder

pytestmark = pytest.mark.slow

SAYS = "import sys, time, pathlib; print('INFO     mask: 5/90, 12 s left, 3.2/s', flush=True); "
WAITS = f"{SAYS}time.sleep(60)"

# Stops like a training that saves its state, and ends the second time.
RESUMABLE = f"""{SAYS}
saved = pathlib.Path(sys.argv[1].removeprefix('clip=')) / 'saved'
if saved.exists():
    print('continued')
else:
    try: time.sleep(60)
    except KeyboardInterrupt: saved.touch(); sys.exit(130)
"""


async def state(page, text):
    await page.locator("#job-state", has_text=re.compile(text)).wait_for(timeout=240_000)


def test_a_job_is_stopped_and_resumed(disc_clip, browse):
    drawing = disc_clip()

    async def scenario(page):
        await page.click("[data-action=everything]")
        await state(page, "5/90")
        await page.click("#stop")
        await state(page, "Stopped: everything")
        await page.click("#resume")
        await state(page, "Finished: everything")
        assert await page.locator("#log").text_content() == "continued"
        assert await page.locator("#resume").is_hidden()

    assert browse(drawing.path, scenario, program=[sys.executable, "-c", RESUMABLE]) == []


def test_a_job_saves_strokes_but_no_mask_where_they_are_undone(disc_clip, browse):
    drawing = disc_clip(masks=())

    async def scenario(page):
        at = await fitted(page)
        await page.mouse.click(*at(10, 10))
        await page.keyboard.press(".")
        await page.locator("#mask-state", has_text="No mask").wait_for()
        await page.mouse.click(*at(10, 10))
        await page.locator("#mask-state", has_text="Not saved").wait_for()
        await page.keyboard.press("Control+z")
        await page.locator("#mask-state", has_text="No mask").wait_for()
        await page.click("[data-action=masks]")
        await state(page, "Finished: masks")

    assert browse(drawing.path, scenario) == []
    assert [path.name for path in (drawing.path / "hand_masks").iterdir()] == ["0001.png"]


def test_a_job_survives_the_server(disc_clip, browse):
    drawing, program = disc_clip(), [sys.executable, "-c", WAITS]

    async def first(page):
        await page.click("[data-action=style]")
        await state(page, "Running: style.*5/90")

    async def second(page):
        await state(page, "Running: style.*5/90")
        await page.click("#stop")
        await state(page, "Stopped: style")

    async def third(page):
        await state(page, "style")
        await page.locator("#resume").wait_for()

    for scenario in (first, second, third):
        assert browse(drawing.path, scenario, program=program) == []
    assert (job_folder(drawing.path) / "job.log").exists()


def test_settings_are_shown_as_a_command_line_and_survive_a_reload(disc_clip, browse):
    drawing = disc_clip()

    async def scenario(page):
        await page.click("#settings summary")
        await page.select_option("[data-key=masker]", "[flow]")
        await page.fill("[data-key='model.style.limits.max_time']", "0.5")
        await page.uncheck("[name=guide][value=canvas]")
        await page.fill("#overrides", "seed=3 tuned=false")
        await page.locator("#overrides").blur()
        await page.reload()
        await page.locator("#mask-state", has_text="Saved").wait_for()
        await page.click("[data-action=style]")
        await state(page, "Finished: style")
        overrides = ["masker=[flow]", "model.style.limits.max_time=30", "guides=[propagated]"]
        command = await page.locator("#command").input_value()
        assert command.replace("'", "").split() == [
            "dreaming", f"clip={drawing.path}", "stages=[stylise,composite]", *overrides, "seed=3", "tuned=false",
        ]  # fmt: skip

    assert browse(drawing.path, scenario) == []


def test_a_wrong_override_is_explained_before_anything_runs(disc_clip, browse):
    drawing = disc_clip()

    async def scenario(page):
        await page.click("#settings summary")
        await page.fill("#overrides", "stage.composite.crf=-7")
        await page.click("[data-action=everything]")
        await state(page, r"Failed: everything.*stage\.composite\.crf")
        assert "stage.composite.crf" in await page.locator("#message").text_content()

    assert browse(drawing.path, scenario, program=PROGRAM) == []
    assert not (drawing.path / "runs").exists()


def test_a_lost_connection_is_said_and_restored(disc_clip, browse):
    drawing, sockets = disc_clip(), []

    def relay(socket):
        socket.connect_to_server()
        sockets.append(socket)

    async def scenario(page):
        await page.route_web_socket("**/api/events", relay)
        await page.reload()
        while not sockets:
            await asyncio.sleep(0.01)
        known = await page.locator("#job-state", has_text="No job").text_content()
        await sockets[0].close()
        await page.locator("#job-state", has_not_text=known).wait_for()
        await state(page, known)

    assert browse(drawing.path, scenario) == []
    assert len(sockets) == 2


def test_a_saved_mask_makes_masks_again_and_is_undone(disc_clip, browse):
    drawing = disc_clip(masks=(1, 4))
    drawing.clip.masks("subject", "flow").write_probability("0003", drawing.truth["0003"].astype(np.float32))
    path = drawing.path / "hand_masks/0004.png"
    before = path.read_bytes()

    async def scenario(page):
        at = await fitted(page)
        await page.keyboard.press("PageDown")
        await page.locator(".thumbnail[aria-selected=true]", has_text="0004").wait_for()
        await page.locator("#mask-state", has_text=re.compile("^Saved$")).wait_for()
        await page.mouse.click(*at(3, 3))
        await save(page)
        await state(page, "Finished: correct")
        command = await page.locator("#command").input_value()
        assert command.replace("'", "").split()[2:] == [
            "stages=[mask,suggest]",
            "masker=[flow,pixels]",
            "stage.mask.near=4",
        ]
        assert path.read_bytes() != before
        async with page.expect_response(lambda response: response.url.endswith("/undo")):
            await page.click("#undo-correction")
        await state(page, "correct")
        await page.locator("#mask-state", has_text=re.compile("^Saved$")).wait_for()

    assert browse(drawing.path, scenario) == []
    assert path.read_bytes() == before


def test_a_second_correction_replaces_the_first_run(disc_clip, browse):
    drawing = disc_clip(masks=(1, 4))
    drawing.clip.masks("subject", "flow").write_probability("0003", drawing.truth["0003"].astype(np.float32))

    async def scenario(page):
        at = await fitted(page)
        await page.mouse.click(*at(3, 3))
        await save(page)
        await state(page, "Running: correct.*5/90")
        await page.mouse.click(*at(9, 3))
        await save(page)
        await state(page, "Finished: correct")
        assert await page.locator("#log").text_content() == "continued"

    assert browse(drawing.path, scenario, program=[sys.executable, "-c", RESUMABLE]) == []


def test_a_frame_without_predictions_starts_from_propagated_masks(disc_clip, browse):
    drawing = disc_clip(masks=(1, 4))

    async def scenario(page):
        await page.keyboard.press(".")
        await page.locator(".thumbnail[aria-selected=true]", has_text="0002").wait_for()
        await page.locator("#mask-state", has_text="No mask").wait_for()
        await page.click("#start-from-prediction")
        await page.locator("#mask-state", has_text="Not saved").wait_for()
        await save(page)

    assert browse(drawing.path, scenario) == []
    mask, truth = stored(drawing, "0002") > 0, drawing.truth["0002"]
    assert (mask & truth).sum() / (mask | truth).sum() > 0.7


def test_disagreement_and_suggestions_are_shown(disc_clip, browse):
    drawing = disc_clip(masks=(1,))
    for name, stem in (("flow", "0001"), ("pixels", "0004")):
        drawing.clip.masks("subject", name).write_probability("0001", drawing.truth[stem].astype(np.float32))
    (drawing.path / "suggestions.json").write_text('{"subject": [{"frame": "0005"}]}')
    shots = []

    async def scenario(page):
        at = await fitted(page)
        points = [at(3.5, 16.5), at(21.5, 16.5), at(40.5, 16.5)]  # in the first mask, in the other one, in none
        for shown in ("nothing", "disagreement"):
            await page.select_option("#shown", shown)
            await page.wait_for_load_state("networkidle")
            await page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
            image = cv2.imdecode(np.frombuffer(await page.screenshot(), np.uint8), cv2.IMREAD_COLOR)
            shots.append([image[round(y), round(x)].astype(int) for x, y in points])
        await page.click("#suggestions button")
        await page.locator(".thumbnail[aria-selected=true]", has_text="0005").wait_for()

    assert browse(drawing.path, scenario) == []
    changes = [np.abs(one - other).max() for one, other in zip(*shots, strict=True)]
    assert min(changes[:2]) > 20
    assert changes[2] == 0


@pytest.fixture
def video(tmp_path):
    """A video of a red disc that crosses a blue, noisy backdrop, and where the disc is in frame 1."""
    rng, size = np.random.default_rng(5), SIZE
    path = tmp_path / "disc.mp4"
    rows, columns = np.mgrid[: size[0], : size[1]]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=8)
        stream.height, stream.width, stream.options = *size, {"crf": "10"}
        for number in range(6):
            disc = (columns - 12 - 4 * number) ** 2 + (rows - 16) ** 2 <= 7**2
            image = np.where(disc[..., None], [200, 40, 30], [30, 60, 160]) + rng.integers(-20, 20, (*size, 3))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image.astype(np.uint8))))
        container.mux(stream.encode())
    return path


def test_a_video_becomes_a_dream_by_clicks_alone(tmp_path, video, browse):
    clip, painted = tmp_path / "clip", tmp_path / "painted.png"

    async def scenario(page):
        await state(page, "Finished: extract")
        at = await fitted(page)
        await set_brush(page, 15)
        await page.mouse.click(*at(12.2, 16.3))
        await save(page)
        image = cv2.imread(str(clip / "frames" / sorted(path.name for path in (clip / "frames").glob("*.png"))[0]))
        cv2.imwrite(str(painted), image[..., ::-1] // 2 + 100)
        await page.click("[data-opens=keyframes]")
        await page.set_input_files("#painted-file", painted)
        await page.locator("#keyframe-state", has_text=re.compile("keyframe", re.I)).wait_for()
        await page.click("#settings summary")
        await page.select_option("[data-key=masker]", "[flow]")
        await page.select_option("[data-key=quality]", "draft")
        await page.fill("[data-key='model.style.limits.max_time']", "0.1")
        await page.fill("#overrides", "trainer=cpu model.style.limits.max_steps=30 generator.network.pixel_steps=10")
        await page.click("[data-action=everything]")
        await state(page, "(Finished|Failed): everything")
        assert "Finished" in await page.locator("#job-state").text_content(), await page.locator("#log").text_content()
        assert await page.locator("#curve-row").is_visible()
        assert await page.locator("#training-sheet").is_visible()
        assert "6 of 6" in await page.locator("#styled button").text_content()
        await page.click("[data-opens=results]")
        await page.click("#layout-video")
        await page.locator("#video").wait_for()

    assert browse(clip, scenario, video=video, program=PROGRAM) == []
    with av.open(str(clip / "dream.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) == 6
    mask = cv2.imread(str(next((clip / "hand_masks").glob("*.png"))), cv2.IMREAD_UNCHANGED) > 0
    assert np.array_equal(mask, capsule((12.2, 16.3), (12.2, 16.3), 15))

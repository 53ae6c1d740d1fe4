"""The live view in a real browser, with a camera whose pictures come from a file."""

import re

import av
import numpy as np
import pytest
from live_training import live_stage

from dreaming.live.process import PAINTER
from dreaming.live.style import LiveStyle

pytestmark = pytest.mark.slow

FLAGS = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
SIZE = (120, 160)
MEAN = """() => {
  const { width, height } = document.querySelector("#live");
  const { data } = document.querySelector("#live").getContext("2d").getImageData(0, 0, width, height);
  const sums = [0, 0, 0];
  for (let i = 0; i < data.length; i += 1) if (i % 4 < 3) sums[i % 4] += data[i];
  return [width, height, ...sums.map((sum) => Math.round((sum / data.length) * 4))];
}"""


@pytest.fixture
def camera(tmp_path):
    """The flags of a browser whose camera shows the grey levels 60, 61, ... of a file."""
    height, width = SIZE
    path = tmp_path / "camera.y4m"
    frames = [
        b"FRAME\n" + bytes([60 + number]) * (height * width) + b"\x80" * (height * width // 2) for number in range(9)
    ]
    path.write_bytes(f"YUV4MPEG2 W{width} H{height} F20:1 Ip A1:1 C420jpeg\n".encode() + b"".join(frames))
    return (*FLAGS, f"--use-file-for-fake-video-capture={path}")


async def paints(page, size):
    """Wait until a frame of this size was painted, and return the mean of its colours."""
    await page.locator("#live-rate", has_text=re.compile(rf"frames/s at {size[0]}x{size[1]}")).wait_for(timeout=240_000)
    width, height, *mean = await page.evaluate(MEAN)
    assert (width, height) == size
    return mean


def test_a_camera_and_a_video_file_are_painted(disc_clip, camera, tmp_path, browse):
    clip = disc_clip(masks=()).clip
    live_stage().run(clip)
    expected = LiveStyle(clip, "painted").stylise(np.full((256, 341, 3), 60, np.uint8)).mean(axis=(0, 1))
    video = tmp_path / "file.webm"
    write_video(video)

    async def scenario(page):
        await page.click("[data-opens=live]")
        await page.click("#start-camera")
        mean = await paints(page, (341, 256))
        assert np.abs(np.subtract(mean, expected)).max() < 30
        await page.select_option("#live-size", "384")
        await paints(page, (512, 384))
        await page.click("[data-opens=masks]")
        assert await page.evaluate("document.querySelector('#live-source').srcObject") is None
        await page.click("[data-opens=live]")
        await page.click("#start-camera")
        await paints(page, (512, 384))
        await page.evaluate(
            "document.querySelector('#live-source').srcObject.getTracks()[0].dispatchEvent(new Event('ended'))"
        )
        assert await page.evaluate("document.querySelector('#live-source').srcObject") is None
        assert await page.locator("#live-state").text_content() != ""
        await page.select_option("#live-size", "256")
        await page.set_input_files("#live-file", video)
        await paints(page, (384, 256))
        await page.click("#stop-live")
        assert await page.locator("#live-rate").text_content() == ""
        assert await page.locator("#stop-live").is_disabled()

    assert browse(clip.path, scenario, flags=camera, painter=PAINTER) == []


@pytest.mark.parametrize("flags", [(), (FLAGS[0], "--deny-permission-prompts")], ids=["no camera", "a refused camera"])
def test_a_camera_that_does_not_start_is_reported(disc_clip, browse, flags):
    clip = disc_clip(masks=()).clip
    live_stage().run(clip)

    async def scenario(page):
        await page.click("[data-opens=live]")
        await page.click("#start-camera")
        await page.locator("#message").wait_for()
        assert await page.evaluate("document.querySelector('#live-source').srcObject") is None
        assert await page.locator("#start-camera").is_enabled()
        assert await page.locator("#stop-live").is_disabled()
        messages.append(await page.locator("#message").text_content())

    messages = []
    assert browse(clip.path, scenario, flags=flags) == []
    assert "The camera does not start:" not in messages[0]  # which is said of unknown errors only


def test_a_layer_without_a_style_offers_the_training(disc_clip, browse):
    async def scenario(page):
        await page.click("[data-opens=live]")
        await page.locator("#live-problem", has_text="painted").wait_for()
        assert await page.locator("#start-camera").is_disabled()
        await page.click("[data-action=live]")
        await page.locator("#job-state", has_text="Finished: live").wait_for()
        assert "stages=[live]" in await page.locator("#command").input_value()

    assert browse(disc_clip().path, scenario) == []


def write_video(path):
    """A second of noise of 48x32 pixels."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libvpx", rate=10)
        stream.height, stream.width = 32, 48
        for number in range(10):
            image = np.random.default_rng(number).integers(0, 256, (32, 48, 3), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image)))
        container.mux(stream.encode())

"""Results on the page, in a real browser: pictures of one frame at a time, a wipe, and the video."""

import json

import numpy as np
import pytest
from page import SIZE

from dreaming.video.writer import write_video

pytestmark = pytest.mark.slow

COUNT = 8

COLOUR = """
([x, y]) => {
  const canvas = document.querySelector("#comparison");
  return [...canvas.getContext("2d").getImageData(x * canvas.width, y * canvas.height, 1, 1).data].slice(0, 3);
}
"""
"""The colour at a point, in shares of the canvas."""

OBSERVE = f"""
() => {{
  window.seen = [];
  const note = () => {{
    window.seen.push([0.25, 0.75].map((y) => ({COLOUR})([0.5, y])));
    requestAnimationFrame(note);
  }};
  requestAnimationFrame(note);
}}
"""


@pytest.fixture
def judged(disc_clip, film):
    """A clip whose frames are all of one shade of red, and its composite of the same shade of blue; and a video."""
    drawing = disc_clip(count=COUNT, masks=(), keyframes=())
    for index, stem in enumerate(drawing.stems):
        shade = np.full((*SIZE, 3), 0, np.uint8)
        shade[..., 0] = 20 * (index + 1)
        drawing.clip.frames.write(stem, shade)
        drawing.clip.composite.write(stem, shade[..., ::-1])
    pictures = list(drawing.images.values()) * 5
    sound = film(drawing.path / "source.mkv", pictures, sound=True)
    write_video(drawing.path / "dream.mp4", pictures, fps=25, sound=sound)
    score = {"kind": "mask", "name": "flow", "scored on": "truth", "frames": 3, "IoU": 0.875}
    (drawing.path / "evaluation.json").write_text(json.dumps({"summary": [score]}))
    return drawing


def test_pictures_are_compared_side_by_side_by_wipe_and_in_step(judged, browse):
    seen = {}

    async def scenario(page):
        await page.click("[data-opens=results]")
        await page.locator("#comparison[aria-label*=Composite]").wait_for()
        await page.locator("#scores td", has_text="0.875").wait_for()

        async def look(name, *points):
            await page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
            seen[name] = [await page.evaluate(COLOUR, point) for point in points]

        await look("beside", (0.5, 0.25), (0.5, 0.75))  # one above the other, where that is larger
        await page.evaluate(OBSERVE)
        await page.keyboard.press("p")
        await page.locator(f".thumbnail[aria-selected=true]:has-text('000{COUNT}')").wait_for()
        await page.locator("#play", has_text="Play").wait_for()
        seen["played"] = await page.evaluate("window.seen")
        await page.click("[name=layout][value=wipe]")
        await page.locator("#border").wait_for()
        await look("wipe", (0.45, 0.5), (0.55, 0.5))
        await page.locator("#border").focus()
        for _ in range(60):  # of 200 steps
            await page.keyboard.press("ArrowRight")
        await look("by keys", (0.7, 0.5), (0.9, 0.5))
        box = await page.locator("#comparison").bounding_box()
        await page.mouse.move(box["x"] + 0.8 * box["width"], box["y"] + 0.5 * box["height"])
        await page.mouse.down()
        await page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 0.5 * box["height"], steps=5)
        await page.mouse.up()
        await look("by pointer", (0.25, 0.5), (0.35, 0.5))

    assert browse(judged.path, scenario) == []
    first, last = 20, 20 * COUNT
    shades = [(source[0], composite[2]) for source, composite in seen.pop("played")]
    assert seen.pop("beside") == [[first, 0, 0], [0, 0, first]]
    assert list(seen.values()) == [[[last, 0, 0], [0, 0, last]]] * 3, seen
    assert all(source == composite for source, composite in shades)
    assert len(set(shades)) > 2


def test_the_video_has_sound_and_is_searched(judged, browse):
    async def scenario(page):
        await page.click("[data-opens=results]")
        await page.click("[name=layout][value=video]")
        await page.wait_for_function("() => document.querySelector('#video').readyState > 0")
        await page.evaluate("document.querySelector('#video').currentTime = 1")
        await page.wait_for_function("() => !document.querySelector('#video').seeking")
        video = await page.evaluate(
            "(({ currentTime, duration }) => [currentTime, duration])(document.querySelector('#video'))"
        )
        assert video[0] == 1
        assert video[1] > 1.4
        await page.evaluate("document.querySelector('#video').play()")
        await page.wait_for_function("() => document.querySelector('#video').webkitAudioDecodedByteCount > 0")
        await page.click("[data-opens=masks]")
        assert await page.evaluate("document.querySelector('#video').paused")

    assert browse(judged.path, scenario) == []

"""Speed of the page in headless Chromium: opening frames, saving masks, and frames per second while painting.

The clip has frames of 1920x1080 pixels. With ``--run FOLDER``, which holds ``source.mp4``, ``hand_masks/`` and
``keyframes/painted/``, measures instead a whole clip by clicks: from the video to ``dream.mp4``. Needs chromium and
playwright.
"""

import argparse
import asyncio
import os
import re
import shutil
import tempfile
from pathlib import Path

import numpy as np
from aiohttp import web

from dreaming.io.frame_folder import FrameFolder
from dreaming.ui.server import make_app

SIZE = (1080, 1920)
SHOWN = 44  # the frame at which --run looks, counted from 0
DIFFERENT = 8  # frames on disk; the others are links to them

SETTLE = """
async ([action, busy]) => {
  const text = () => document.querySelector("#mask-state").textContent;
  const start = performance.now();
  action === "open" ? document.querySelector("#scrub").dispatchEvent(new Event("input"))
    : document.querySelector("#save").click();
  while (text().startsWith(busy)) await new Promise((resolve) => setTimeout(resolve, 1));
  return performance.now() - start;
}
"""
"""Milliseconds until the page shows that a frame is open or that a mask is saved."""

OBSERVE = """
() => {
  window.times = [];
  const note = (time) => { window.times.push(time); requestAnimationFrame(note); };
  requestAnimationFrame(note);
}
"""


def draw_clip(path: Path, count: int) -> None:
    """Write ``count`` frames, most of them hard links."""
    folder, rng = FrameFolder(path / "frames"), np.random.default_rng(0)
    for number in range(1, count + 1):
        stem = f"{number:05d}"
        if number <= DIFFERENT:
            coarse = rng.integers(0, 255, (SIZE[0] // 20, SIZE[1] // 20, 3), dtype=np.uint8)
            folder.write(stem, coarse.repeat(20, axis=0).repeat(20, axis=1))
        else:
            os.link(folder.path / f"{number % DIFFERENT + 1:05d}.png", folder.path / f"{stem}.png")


async def measure(path: Path, count: int, repeats: int) -> dict[str, float]:
    """Milliseconds of each action, medians over the repeats."""
    from playwright.async_api import async_playwright

    runner = web.AppRunner(make_app(path, "token"), shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = await browser.new_page(viewport={"width": 1920, "height": 1080})
        ready = page.locator("#mask-state", has_text="No mask")
        loop = asyncio.get_running_loop()
        start = loop.time()
        await page.goto(f"http://127.0.0.1:{runner.addresses[0][1]}/token/")
        await ready.wait_for()
        results = {"first frame": [(loop.time() - start) * 1000], "open": [], "save": []}
        for number in range(repeats):
            index = (number * 7919) % count
            for visit in range(2):
                await page.evaluate("index => document.querySelector('#scrub').value = index", index)
                seconds = await page.evaluate(SETTLE, ["open", "Opening"])
                if visit:
                    results["open"].append(seconds)
        box = await page.locator("#canvas").bounding_box()
        await page.evaluate(OBSERVE)
        for number in range(repeats):
            y = box["y"] + box["height"] * (0.3 + 0.4 * number / repeats)
            await page.mouse.move(box["x"] + 100, y)
            await page.mouse.down()
            await page.mouse.move(box["x"] + box["width"] - 100, y + 50, steps=40)
            await page.mouse.up()
            results["save"].append(await page.evaluate(SETTLE, ["save", "Not saved"]))
        results["between two frames while painting"] = np.diff(await page.evaluate("window.times")).tolist()
        await browser.close()
    await runner.cleanup()
    return {name: float(np.median(times)) for name, times in results.items()}


async def click_through(source: Path, clip: Path, minutes: float) -> dict[str, float]:
    """Milliseconds from the start, or from a click, until the page shows each result; hand masks are copied."""
    from playwright.async_api import async_playwright

    runner = web.AppRunner(make_app(clip, "token", video=source / "source.mp4"), shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    loop, results = asyncio.get_running_loop(), dict[str, float]()
    async with async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = await browser.new_page(viewport={"width": 1920, "height": 1080})
        page.set_default_timeout(3_600_000)
        state = page.locator("#job-state")

        async def job(action: str) -> float:
            await page.click(f"[data-action={action}]")
            begun = loop.time()
            await state.filter(has_text=f"Running: {action}").wait_for()
            return begun

        async def ended(name: str, action: str, begun: float) -> None:
            await state.filter(has_text=re.compile("Finished|Failed")).wait_for()
            text = await state.text_content()
            assert text == f"Finished: {action}", text
            results[name] = (loop.time() - begun) * 1000

        start = loop.time()
        await page.goto(f"http://127.0.0.1:{runner.addresses[0][1]}/token/")
        await ended("frames extracted", "extract", start)
        shutil.copytree(source / "hand_masks", clip / "hand_masks")
        await page.reload()
        await page.click("#settings summary")
        await page.select_option("[data-key=masker]", "[flow]")
        await page.fill("[data-key='model.style.limits.max_time']", f"{minutes:g}")
        for path in sorted((source / "keyframes" / "painted").glob("*.*")):
            await page.set_input_files("#painted-file", path)
            await page.click("#answers button")  # store it for the frame of its name
            await page.locator("#message", has_text=f"{path.stem}").wait_for()
        await page.evaluate("index => { scrub.value = index; scrub.dispatchEvent(new Event('input')); }", SHOWN)
        await page.click("[data-opens=masks]")
        begun = await job("masks")
        near = clip / "masks" / "flow" / f"{FrameFolder(clip / 'frames').stems[SHOWN]}.png"
        while not near.exists():
            await asyncio.sleep(0.02)
        results["mask of the shown frame"] = (loop.time() - begun) * 1000
        await ended("masks", "masks", begun)
        for action in ("preview", "everything"):
            begun = await job(action)
            await ended(action, action, begun)
        results["from the video to the end"] = (loop.time() - start) * 1000
        await browser.close()
    await runner.cleanup()
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--run", type=Path, help="folder with source.mp4, hand_masks/ and keyframes/painted/")
    parser.add_argument("--minutes", type=float, default=2.5, help="training time of the style, as in the demo")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip"
        if arguments.run:
            action = click_through(arguments.run.resolve(), path, arguments.minutes)
        else:
            draw_clip(path, arguments.frames)
            action = measure(path, arguments.frames, arguments.repeats)
        for name, milliseconds in asyncio.run(action).items():
            print(f"{name}: {milliseconds:.0f} ms")


if __name__ == "__main__":
    main()

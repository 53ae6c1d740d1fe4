"""Take the screenshot of the web page, ``docs/ui.png``, in chromium.

dreaming clip=clips/dancer 'stages=[draw,extract]'
python documentation/screenshot.py clips/dancer
"""

import argparse
import asyncio
import io
import shutil
import tempfile
from pathlib import Path

import PIL.Image
from aiohttp import web
from playwright.async_api import async_playwright

from dreaming.ui.server import make_app

OUT = Path(__file__).resolve().parents[1] / "docs" / "ui.png"
WIDTH, HEIGHT = 1280, 800
FRAME = 14
"""The frame that is shown, counted from 1, beside one with a hand mask."""


async def photograph(clip: Path) -> bytes:
    """A PNG of the page of a clip at a frame whose mask is propagated from the hand masks beside it."""
    runner = web.AppRunner(make_app(clip, "screenshot"))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        async with async_playwright() as driver:
            browser = await driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
            page = await browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
            await page.goto(f"http://127.0.0.1:{runner.addresses[0][1]}/screenshot/")
            await page.locator("#strip img").first.wait_for(timeout=60_000)
            await page.fill("#scrub", str(FRAME - 1))
            await page.locator("#cut:enabled").wait_for()
            await page.click("#start-from-prediction")
            await page.locator("#mask-state", has_text="Not saved").wait_for(timeout=60_000)
            await page.wait_for_load_state("networkidle")
            picture: bytes = await page.screenshot()
            await browser.close()
    finally:
        await runner.cleanup()
    return picture


def main() -> None:
    """Take the screenshot of a copy of the clip, because the page writes records into its folder."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("clip", type=Path)
    clip: Path = parser.parse_args().clip
    with tempfile.TemporaryDirectory() as scratch:
        copy = shutil.copytree(clip, Path(scratch, "dancer"))
        picture = asyncio.run(photograph(copy))
    PIL.Image.open(io.BytesIO(picture)).convert("RGB").quantize().save(OUT, optimize=True)


if __name__ == "__main__":
    main()

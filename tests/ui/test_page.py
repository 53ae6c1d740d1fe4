"""The page in a real browser: what the mouse paints is what the file holds."""

import re
import sys

import numpy as np
import pytest
from page import SIZE, capsule, fitted, save, set_brush, stored

pytestmark = pytest.mark.slow


# Points whose discs have no pixel within rounding of their edge.
A, B = (10.2, 9.3), (30.2, 21.3)


def test_the_mouse_paints_erases_and_undoes_exactly_these_pixels(disc_clip, browse):
    drawing = disc_clip(masks=())
    results = []

    async def scenario(page):
        at = await fitted(page)
        await set_brush(page, 7)
        await page.mouse.click(*at(*A))
        await save(page)
        results.append(stored(drawing))
        await page.keyboard.down("Shift")  # a straight line from the last point
        await page.mouse.click(*at(*B))
        await page.keyboard.up("Shift")
        await save(page)
        results.append(stored(drawing))
        await page.keyboard.press("e")
        await page.mouse.click(*at(*B))
        await save(page)
        results.append(stored(drawing))
        for _ in range(2):
            await page.keyboard.press("Control+z")
        await save(page)
        results.append(stored(drawing))
        await page.keyboard.press("Control+y")
        await save(page)
        results.append(stored(drawing))

    errors = browse(drawing.path, scenario)
    dot, line = capsule(A, A, 7), capsule(A, B, 7)
    expected = [dot, line, line & ~capsule(B, B, 7), dot, line]
    for result, mask in zip(results, expected, strict=True):
        np.testing.assert_array_equal(result, mask * np.uint8(255))
    assert errors == []


def test_the_lasso_fills_and_erases_what_it_encloses(disc_clip, browse):
    drawing = disc_clip(masks=())

    async def scenario(page):
        at = await fitted(page)
        await page.keyboard.press("l")
        for left, top, right, bottom, shift in ((4.2, 3.2, 20.2, 17.2, False), (8.2, 6.2, 13.2, 30.2, True)):
            if shift:
                await page.keyboard.down("Shift")
            await page.mouse.move(*at(left, top))
            await page.mouse.down()
            for corner in ((right, top), (right, bottom), (left, bottom)):
                await page.mouse.move(*at(*corner))
            await page.mouse.up()
        await page.keyboard.up("Shift")
        await save(page)

    expected = np.zeros(SIZE, np.uint8)
    expected[3:17, 4:20] = 255
    expected[6:30, 8:13] = 0
    assert browse(drawing.path, scenario) == []
    np.testing.assert_array_equal(stored(drawing), expected)


def test_two_tabs_notice_each_other(disc_clip, browse):
    drawing = disc_clip(masks=())

    async def scenario(page):
        other = await page.context.new_page()
        await other.goto(page.url)
        for tab in (page, other):
            await tab.locator("#message", has_text="another tab").wait_for()
        await page.bring_to_front()
        at = await fitted(page)
        await page.mouse.click(*at(*A))
        await save(page)
        await other.locator("#mask-state", has_text=re.compile("^Saved$")).wait_for()

    assert browse(drawing.path, scenario) == []


def test_frames_are_played_to_the_end(disc_clip, browse):
    drawing = disc_clip(masks=())

    async def scenario(page):
        await page.keyboard.press("p")
        await page.locator(".thumbnail[aria-selected=true]", has_text="0008").wait_for()
        await page.locator("#play", has_text="Play").wait_for()

    assert browse(drawing.path, scenario) == []


def test_painting_while_zoomed_and_moved(disc_clip, browse):
    drawing = disc_clip(masks=())

    async def scenario(page):
        at = await fitted(page)
        await set_brush(page, 7)
        await page.mouse.move(*at(*A))
        await page.mouse.wheel(0, -500)  # A stays below the pointer
        await page.keyboard.down("Space")
        await page.mouse.down()
        x, y = at(*A)
        await page.mouse.move(x + 60, y + 40, steps=3)
        await page.mouse.up()
        await page.keyboard.up("Space")
        await page.mouse.click(x + 60, y + 40)
        await save(page)

    assert browse(drawing.path, scenario) == []
    np.testing.assert_array_equal(stored(drawing), capsule(A, A, 7) * np.uint8(255))


def test_a_mask_that_changed_on_disk_is_the_users_choice(disc_clip, browse):
    drawing = disc_clip(masks=(1,))
    other = np.zeros(SIZE, bool)
    other[:5] = True

    async def conflict(page):
        at = await fitted(page)
        await page.mouse.click(*at(*A))
        await page.keyboard.press("Control+s")
        await page.locator("#conflict").wait_for()
        assert (stored(drawing) > 0).sum() == other.sum()

    async def scenario(page):
        drawing.save("hand_masks/0001.png", other)
        await conflict(page)
        async with page.expect_response(lambda response: response.request.method == "PUT"):
            await page.click("#keep-mine")
        mine = stored(drawing)
        assert mine[9, 10]
        assert not mine[0, 40]
        drawing.save("hand_masks/0001.png", other)
        await conflict(page)
        await page.click("#take-theirs")
        await page.locator("#conflict").wait_for(state="hidden")
        await page.locator("#mask-state", has_text="Saved").wait_for()
        await save(page)

    errors = browse(drawing.path, scenario)
    np.testing.assert_array_equal(stored(drawing) > 0, other)
    assert [error for error in errors if "409" not in error] == []


def test_what_is_not_saved_survives_a_reload_during_a_stroke(disc_clip, browse):
    drawing = disc_clip(masks=())

    async def scenario(page):
        at = await fitted(page)
        await set_brush(page, 7)
        await page.keyboard.press(".")
        await page.locator("#mask-state", has_text="No mask").wait_for()
        await page.mouse.click(*at(*A))
        await page.locator("#mask-state", has_text="Not saved").wait_for()
        await page.mouse.move(*at(*B))
        await page.mouse.down()
        await page.reload()
        await page.locator("#message", has_text="0002").wait_for()
        await page.locator("#mask-state", has_text="Not saved").wait_for()
        await save(page)
        await page.reload()
        await page.locator("#mask-state", has_text="No mask").wait_for()
        assert await page.locator("#message").is_hidden()

    assert browse(drawing.path, scenario) == []
    np.testing.assert_array_equal(stored(drawing, "0002"), capsule(A, A, 7) * np.uint8(255))


def test_frames_are_browsed_marked_and_started_from_a_prediction(disc_clip, browse):
    drawing = disc_clip(masks=(1, 4), keyframes=(2,))
    drawing.clip.masks("subject", "flow").write_probability("0003", drawing.truth["0003"].astype(np.float32))

    async def scenario(page):
        await page.keyboard.press("PageDown")
        await page.locator(".thumbnail[aria-selected=true]", has_text="0004").wait_for()
        await page.keyboard.press(",")
        await page.locator(".thumbnail[aria-selected=true]", has_text="0003").wait_for()
        await page.locator("#mask-state", has_text="No mask").wait_for()
        await page.click("#start-from-prediction")
        await page.locator("#mask-state", has_text="Not saved").wait_for()
        await save(page)
        await page.keyboard.press(",")
        await page.locator("#mask-state", has_text="No mask").wait_for()
        await page.click("#absent")
        await page.locator(".mark.empty >> nth=1").wait_for()  # the legend has the first
        assert await page.locator(".thumbnail .mark.mask").count() == 3
        assert await page.locator(".thumbnail .mark.keyframe").count() == 1

    assert browse(drawing.path, scenario) == []
    np.testing.assert_array_equal(stored(drawing, "0003") > 0, drawing.truth["0003"])
    assert not stored(drawing, "0002").any()


def test_a_job_is_started_and_stopped_by_clicks_and_survives_a_reload(disc_clip, browse):
    drawing = disc_clip()
    waits = "import time; print('INFO     mask: 5/90, 12 s left, 3.2/s'); time.sleep(60)"

    async def scenario(page):
        await page.click("text=Everything")
        await page.locator("#job-state", has_text="5/90").wait_for()
        await page.reload()
        await page.locator("#job-state", has_text="5/90").wait_for()
        assert await page.locator("#command").input_value() == f"dreaming clip={drawing.path}"
        await page.click("#stop")
        await page.locator("#job-state", has_text="Stopped").wait_for()

    assert browse(drawing.path, scenario, program=[sys.executable, "-uc", waits]) == []

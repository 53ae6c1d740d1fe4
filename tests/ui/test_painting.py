"""Tools and views of the page, in a real browser: each changes exactly the pixels that it should."""

import re

import numpy as np
import pytest
from page import SIZE, capsule, fitted, save, set_brush, stored

pytestmark = pytest.mark.slow

SQUARE = [(4.2, 3.2), (20.2, 3.2), (20.2, 17.2), (4.2, 17.2)]


def square(values, left, top, right, bottom, value=255):
    values[top:bottom, left:right] = value
    return values


def test_polygons_are_closed_dropped_and_erase(disc_clip, browse):
    drawing = disc_clip(masks=())
    results = []

    async def scenario(page):
        at = await fitted(page)

        async def click(*points):
            for point in points:
                await page.mouse.click(*at(*point))

        await page.keyboard.press("g")
        await click(*SQUARE, SQUARE[0])
        await save(page)
        results.append(stored(drawing))
        await page.keyboard.down("Shift")
        await click((8.2, 6.2), (13.2, 6.2), (13.2, 30.2), (8.2, 30.2))
        await page.mouse.dblclick(*at(8.2, 29.2))  # where the last point is, within a few pixels of the page
        await page.keyboard.up("Shift")
        await click((30.2, 3.2), (40.2, 3.2), (40.2, 20.2))
        await page.keyboard.press("Control+z")  # takes back the last point
        await page.locator("#canvas").focus()
        await page.keyboard.press("Escape")
        await save(page)
        results.append(stored(drawing))

    assert browse(drawing.path, scenario) == []
    expected = square(np.zeros(SIZE, np.uint8), 4, 3, 20, 17)
    np.testing.assert_array_equal(results[0], expected)
    np.testing.assert_array_equal(results[1], square(expected, 8, 6, 13, 30, 0))


def test_an_area_is_filled_up_to_the_outline_or_to_another_colour(disc_clip, browse):
    drawing = disc_clip(masks=())
    drawing.images["0001"][:] = (20, 40, 200)
    drawing.images["0001"][5:9, 6:30] = (200, 30, 30)
    drawing.clip.frames.write("0001", drawing.images["0001"])  # as dreaming writes it: sent without loss
    results = []

    async def scenario(page):
        at = await fitted(page)
        await page.keyboard.press("f")
        await page.locator("#tolerance").fill("30")
        await page.mouse.click(*at(10.5, 7.5))
        await save(page)
        results.append(stored(drawing))
        await page.locator("#tolerance").fill("255")
        await page.mouse.click(*at(40.5, 20.5))
        await save(page)
        results.append(stored(drawing))
        await page.keyboard.press("Control+z")
        await page.keyboard.down("Shift")
        await page.mouse.click(*at(10.5, 7.5))
        await page.keyboard.up("Shift")
        await save(page)
        results.append(stored(drawing))

    assert browse(drawing.path, scenario) == []
    area = square(np.zeros(SIZE, np.uint8), 6, 5, 30, 9)
    np.testing.assert_array_equal(results, [area, np.full(SIZE, 255), np.zeros(SIZE)])


def test_the_outline_in_a_box_changes_only_the_box(disc_clip, browse):
    drawing = disc_clip(masks=())

    async def scenario(page):
        for _ in range(3):
            await page.keyboard.press(".")
        await page.locator("#mask-state", has_text="No mask").wait_for()
        at = await fitted(page)
        await set_brush(page, 3)
        await page.mouse.click(*at(2.2, 2.3))  # outside the box: stays
        await page.keyboard.press("c")
        await page.mouse.move(*at(10, 5))
        await page.mouse.down()
        await page.mouse.move(*at(32, 28))
        async with page.expect_response(lambda response: "outlines" in response.url):
            await page.mouse.up()
        await page.locator("#message").wait_for(state="hidden")
        await save(page)

    assert browse(drawing.path, scenario) == []
    mask, truth = stored(drawing, "0004") > 0, drawing.truth["0004"]
    dot = capsule((2.2, 2.3), (2.2, 2.3), 3)
    box = square(np.zeros(SIZE, bool), 10, 5, 32, 28, True)
    np.testing.assert_array_equal(mask & ~box, dot)
    assert (mask & truth).sum() / ((mask & box) | truth).sum() > 0.95


def test_a_pens_pressure_narrows_the_brush(disc_clip, browse):
    drawing = disc_clip(masks=())

    async def scenario(page):
        x, y = (await fitted(page))(10.2, 9.3)
        await set_brush(page, 14)
        session = await page.context.new_cdp_session(page)
        pen = {"x": x, "y": y, "button": "left", "clickCount": 1, "pointerType": "pen"}
        await session.send("Input.dispatchMouseEvent", pen | {"type": "mousePressed", "force": 0.5})
        await session.send("Input.dispatchMouseEvent", pen | {"type": "mouseReleased"})
        await save(page)

    assert browse(drawing.path, scenario) == []
    np.testing.assert_array_equal(stored(drawing) > 0, capsule((10.2, 9.3), (10.2, 9.3), 7))


PIXEL = """
([x, y]) => {
  const canvas = document.querySelector("#canvas");
  const box = canvas.getBoundingClientRect();
  const ratio = canvas.width / box.width;
  return [...canvas.getContext("2d").getImageData((x - box.x) * ratio, (y - box.y) * ratio, 1, 1).data];
}
"""
"""The colour of the picture at a point of the page."""


def test_views_show_mask_and_neighbour(disc_clip, browse):
    drawing = disc_clip(masks=(2,))
    drawing.images["0001"][:] = (20, 40, 200)
    drawing.clip.frames.write("0001", drawing.images["0001"])  # as dreaming writes it: sent without loss
    inside, outside = (2.5, 16.5), (40.5, 5.5)
    neighbour = np.argwhere(drawing.truth["0002"])[-1][::-1] + 0.5
    seen = {}

    async def scenario(page):
        at = await fitted(page)
        await set_brush(page, 3)
        await page.mouse.click(*at(*inside))
        await page.mouse.move(*at(30, 30))

        async def look(name, *points):
            await page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
            seen[name] = [(await page.evaluate(PIXEL, at(*point)))[:3] for point in points]

        await page.locator("#opacity").fill("100")
        await look("overlay", inside, outside)
        await page.keyboard.press("v")
        await look("matte", inside, outside)
        await page.keyboard.press("v")
        await look("cutout", inside, outside)
        await page.keyboard.press("v")
        await look("before", neighbour)
        async with page.expect_response(re.compile("masks/subject/0002")):
            await page.keyboard.press("o")
        await page.wait_for_timeout(100)
        await look("onion", neighbour, outside)

    assert browse(drawing.path, scenario) == []
    frame, colour = [20, 40, 200], [255, 59, 107]
    opposite = 255 - np.array(colour)
    expected = {
        "overlay": [colour, frame],
        "matte": [[255] * 3, [0] * 3],
        "cutout": [frame, [128] * 3],
        "before": [frame],
        "onion": [(frame + opposite) / 2, frame],
    }
    for name, colours in expected.items():
        np.testing.assert_allclose(seen[name], colours, atol=1, err_msg=name)


def test_a_polygon_is_painted_by_keys_alone(disc_clip, browse):
    drawing = disc_clip(masks=())

    async def scenario(page):
        await set_brush(page, 24)  # the arrow keys move by a quarter of it
        await page.keyboard.press("g")
        await page.locator("#canvas").focus()
        for keys in ("Enter", "ArrowRight Enter", "ArrowDown Enter", "ArrowLeft Enter", "ArrowUp Enter"):
            for key in keys.split():
                await page.keyboard.press(key)
        await save(page)

    assert browse(drawing.path, scenario) == []
    np.testing.assert_array_equal(stored(drawing), square(np.zeros(SIZE, np.uint8), 24, 16, 30, 22))

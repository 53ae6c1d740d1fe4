"""Keyframes, layers and parts on the page, in a real browser."""

import base64

import numpy as np
import pytest
from page import capsule, fitted, save, set_brush

pytestmark = pytest.mark.slow

DROP = """
([selector, name, data]) => {
  const transfer = new DataTransfer();
  transfer.items.add(new File([Uint8Array.from(atob(data), (c) => c.charCodeAt(0))], name));
  for (const type of ["dragover", "drop"]) {
    document.querySelector(selector)
      .dispatchEvent(new DragEvent(type, { dataTransfer: transfer, bubbles: true, cancelable: true }));
  }
}
"""


async def drop(page, selector, name, data):
    await page.evaluate(DROP, [selector, name, base64.b64encode(data).decode()])


def test_a_frame_is_downloaded_painted_dropped_replaced_and_removed(disc_clip, browse, png):
    drawing = disc_clip(masks=(), keyframes=())
    painted = {stem: png(drawing.styled[stem][..., ::-1]) for stem in ("0001", "0002", "0003")}
    folder, trash = drawing.path / "keyframes/painted", drawing.path / "trash/keyframes/painted"
    downloads = []

    async def scenario(page):
        await page.click("[data-opens=keyframes]")
        await page.locator("#keyframe-state", has_text="no keyframe").wait_for()
        async with page.expect_download() as download:
            await page.click("#download")
        downloads.append((await (await download.value).path()).read_bytes())
        other = await page.context.new_page()
        await other.goto(page.url)
        await page.bring_to_front()
        await page.locator("#message", has_text="another tab").wait_for()
        await drop(page, "#stage", "my painting.png", painted["0001"])
        await page.locator("#message", has_text="Stored").wait_for()
        await other.locator(".thumbnail .mark.keyframe").wait_for()
        await other.close()
        assert (folder / "0001.png").read_bytes() == painted["0001"]
        await drop(page, "#thumbnail-1 img", "again.png", painted["0002"])  # the second frame
        await page.locator("#message", has_text="0002.png").wait_for()
        assert (folder / "0002.png").read_bytes() == painted["0002"]
        await drop(page, "#stage", "0003.png", painted["0003"])  # named like another frame
        await page.locator("#answers button >> nth=0").click()
        await page.locator("#message", has_text="0003.png").wait_for()
        assert (folder / "0003.png").read_bytes() == painted["0003"]
        chosen = {"name": "0003.png", "mimeType": "image/png", "buffer": painted["0001"]}
        await page.set_input_files("#painted-file", chosen)
        await page.locator("#message", has_text="trash/").wait_for()
        assert (folder / "0003.png").read_bytes() == painted["0001"]
        assert (trash / "0003.png").read_bytes() == painted["0003"]
        (folder / "0003.png").write_bytes(painted["0002"])  # by another program
        await page.click("#remove-keyframe")
        await page.locator("#message", has_text="meanwhile").wait_for()
        assert (folder / "0003.png").read_bytes() == painted["0002"]
        await page.click("#remove-keyframe")
        await page.locator("#message", has_text="Moved").wait_for()
        await drop(page, "#stage", "0003.png", painted["0001"][:200])
        await page.locator("#message", has_text="found").wait_for()
        assert await page.locator(".thumbnail .mark.keyframe").count() == 2

    errors = browse(drawing.path, scenario)
    assert [error for error in errors if "409" not in error and "422" not in error] == []
    assert sorted(path.name for path in folder.iterdir()) == ["0001.png", "0002.png"]
    assert sorted(path.name for path in trash.iterdir()) == ["0003.png", "0003.png.kept-1"]
    assert downloads[0] == (drawing.path / "frames/0001.png").read_bytes()


def test_layers_are_edited_and_comments_kept(disc_clip, browse):
    drawing = disc_clip(keyframes=(4,))
    path = drawing.path / "clip.yaml"
    path.write_text("# mine\nlayers: # bottom first\n  # the disc\n  - name: painted # red\n    part: subject\n")
    texts = []

    async def scenario(page):
        await page.click("[data-opens=keyframes]")
        await page.fill("#new-layer", "sky")
        await page.press("#new-layer", "Enter")
        await page.get_by_label("Move sky down").click()
        await page.get_by_label("Part of painted").select_option("subject")
        await page.locator("#layers li", has_text="painted").get_by_label("invert").check()
        await page.click("#save-layers")
        await page.locator("#message", has_text="Saved").wait_for()
        texts.append(path.read_text())
        path.write_text("layers: [{name: painted}]\n")
        await page.get_by_label("Remove sky from the list").click()
        await page.click("#save-layers")
        await page.locator("#message", has_text="meanwhile").wait_for()
        texts.append(path.read_text())
        assert await page.get_by_label("Part of painted").input_value() == ""

    assert [error for error in browse(drawing.path, scenario) if "409" not in error] == []
    assert texts == [
        "# mine\nlayers: # bottom first\n  - name: sky\n"
        "  # the disc\n  - name: painted # red\n    part: subject\n    invert: true\n",
        "layers: [{name: painted}]\n",
    ]


def test_parts_are_added_and_renamed_with_what_is_not_saved(disc_clip, browse):
    drawing = disc_clip(masks=(4,))

    async def scenario(page):
        at = await fitted(page)
        await set_brush(page, 7)
        await page.mouse.click(*at(10.2, 9.3))
        await page.click("#rename-part")
        await page.fill("#part-name", "../disc")
        await page.press("#part-name", "Enter")
        await page.locator("#part-problem", has_text="found").wait_for()
        await page.fill("#part-name", "disc")
        await page.press("#part-name", "Enter")
        await page.locator("#part-dialog").wait_for(state="hidden")
        await page.click("#add-part")
        await page.fill("#part-name", "shadow")
        await page.press("#part-name", "Enter")
        await page.locator("#mask-state", has_text="No mask").wait_for()
        assert await page.locator("#part").input_value() == "shadow"
        await page.mouse.click(*at(10.2, 9.3))
        await save(page)

    assert [error for error in browse(drawing.path, scenario) if "422" not in error] == []
    assert drawing.clip.parts == ["disc", "shadow"]
    dot = capsule((10.2, 9.3), (10.2, 9.3), 7)
    for part in ("disc", "shadow"):
        np.testing.assert_array_equal(drawing.clip.hand_mask(part, "0001"), dot)
    np.testing.assert_array_equal(drawing.clip.hand_mask("disc", "0004"), drawing.truth["0004"])

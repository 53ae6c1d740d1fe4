"""Cuts on the strip of frames, in a real browser."""

import pytest

from dreaming.clip.clip import Clip

pytestmark = pytest.mark.slow


def test_a_cut_is_set_and_removed_at_the_shown_frame(cut_clip, browse):
    drawing = cut_clip(masks=(2, 5))
    path = drawing.path / "clip.yaml"
    path.write_text("# mine\nlayers: [{name: painted}]\n")
    first, second, *_ = [shot[0] for shot in Clip(drawing.path).shots]

    async def scenario(page):
        button, mark = page.locator("#cut"), page.get_by_role("option").filter(has=page.locator(".mark.cut"))
        await mark.first.wait_for()
        assert second in await mark.first.get_attribute("aria-label")
        assert await button.is_disabled(), "the clip begins here"
        await page.keyboard.press(".")
        await page.locator("#cut:enabled", has_text="Cut here").click()
        await page.locator("#cut", has_text="No cut here").wait_for()
        await page.locator("[aria-label='Frame 0002, cut, mask']").wait_for()
        await button.click()
        await page.locator("#cut", has_text="Cut here").wait_for()
        cut = page.locator(f"[aria-label^='Frame {second}'] .mark.cut")
        await cut.wait_for()
        await page.locator(f"[aria-label^='Frame {second}']").click()
        await page.locator("#cut", has_text="No cut here").click()
        await page.locator("#cut", has_text="Cut here").wait_for()
        # The strip is drawn again after the button.
        await cut.wait_for(state="detached")

    before = [shot[0] for shot in Clip(drawing.path).shots]
    assert browse(drawing.path, scenario) == []
    assert path.read_text().startswith("# mine\nlayers: [{name: painted}]\nshots: [")
    assert [shot[0] for shot in Clip(drawing.path).shots] == [stem for stem in before if stem != second]
    assert first == "0001"

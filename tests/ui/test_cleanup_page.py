"""The clean-up of masks on the page, in a real browser."""

import numpy as np
import pytest

from dreaming.imaging.cleanup import STEPS

pytestmark = pytest.mark.slow


def test_steps_are_tried_on_the_frame_ordered_and_saved(disc_clip, browse):
    drawing = disc_clip()
    drawing.clip.masks("subject", "flow").write_probability("0001", drawing.truth["0001"].astype(np.float32))
    path = drawing.path / "clip.yaml"
    path.write_text("cleanup:\n  subject: [{smooth: 1}] # hair\n")

    async def scenario(page):
        async def trying(steps, action):
            """Wait until the server is asked for the effect of these steps."""

            def asks(request):
                return request.url.endswith("/cleaned/subject/flow/0001") and request.post_data_json["steps"] == steps

            async with page.expect_request(asks):
                await action

        await trying([{"smooth": 1}], page.click("[data-opens=cleanup]"))
        offered = await page.locator("#add-step option").evaluate_all("all => all.map(({ value }) => value)")
        assert set(offered) == {"", *STEPS}
        await trying([{"smooth": 1}, {"fill_holes": 0.01}], page.select_option("#add-step", "fill_holes"))
        field = page.get_by_label("Fill holes, step 2", exact=True)
        assert await field.input_value() == "1"  # percent
        await trying([{"smooth": 1}, {"fill_holes": 0.025}], field.fill("2.5"))
        up = page.get_by_label("Move up: Fill holes, step 2", exact=True)
        await trying([{"fill_holes": 0.025}, {"smooth": 1}], up.click())

        async def return_to_cleanup():
            await page.reload()
            await page.click("[data-opens=cleanup]")

        await trying([{"fill_holes": 0.025}, {"smooth": 1}], return_to_cleanup())  # not saved, but not lost either
        await page.click("#save-cleanup")
        await page.locator("#save-cleanup[disabled]").wait_for()
        await trying([{"fill_holes": 0.025}, {"smooth": 1}], return_to_cleanup())
        assert await page.locator("#save-cleanup").is_disabled()

    assert browse(drawing.path, scenario) == []
    assert path.read_text() == "cleanup:\n  subject: [{fill_holes: 0.025}, {smooth: 1}] # hair\n"

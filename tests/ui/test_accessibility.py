"""Texts and markers of the page contrast with their background (WCAG 2.2, AA), and every control has a name."""

import pytest

pytestmark = pytest.mark.slow

MEASURE = """
() => {
  const parse = (colour) => {
    const [red, green, blue, alpha = 1] = colour.match(/[\\d.]+/g).map(Number);
    return { rgb: [red, green, blue], alpha };
  };
  const luminance = (rgb) => {
    const [red, green, blue] = rgb.map((level) => level / 255)
      .map((level) => (level <= 0.04045 ? level / 12.92 : ((level + 0.055) / 1.055) ** 2.4));
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const background = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const { rgb, alpha } = parse(getComputedStyle(at).backgroundColor);
      if (alpha === 1) return rgb;
    }
    throw new Error("no background");
  };
  const ratio = (one, other) => {
    const [dark, light] = [luminance(one), luminance(other)].sort((a, b) => a - b);
    return (light + 0.05) / (dark + 0.05);
  };
  const visible = [...document.querySelectorAll("body *")].filter(
    (element) => element.checkVisibility({ visibilityProperty: true }) && !element.closest("canvas, :disabled, option"),
  );
  const style = (element, pseudo) => getComputedStyle(element, pseudo);
  const describe = ({ tagName, id, className, textContent }) => `${tagName} ${id} ${className} ${textContent}`;
  const measure = (element, colour, behind, least) =>
    [describe(element), ratio(parse(colour).rgb, background(behind)), least];
  const texts = visible.filter((element) =>
    [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim()) ||
    element.matches("select, input:not([type=range], [type=radio], [type=checkbox], [type=color], [type=file])"));
  const opaque = ({ backgroundColor, borderBottomColor }) =>
    [backgroundColor, borderBottomColor].find((colour) => parse(colour).alpha === 1);
  const contrasts = [
    ...texts.map((element) => measure(element, style(element).color, element, 4.5)),
    ...visible.filter((element) => element.placeholder)
      .map((element) => measure(element, style(element, "::placeholder").color, element, 4.5)),
    ...visible.filter((element) => element.matches(".mark"))
      .map((element) => measure(element, opaque(style(element)), element.parentElement, 3)),
  ];
  const nameOf = (element) => element.getAttribute("aria-label")
    || [...(element.labels ?? [])].map((label) => label.textContent).join("").trim()
    || (element.matches("button, a, summary") && element.textContent.trim());
  const nameless = visible
    .filter((element) => element.matches("button, input, select, a[href], canvas, video, summary, [tabindex]"))
    .filter((element) => !nameOf(element)).map(describe);
  return { contrasts, nameless };
}
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_contrast_and_controls_have_names(disc_clip, browse, scheme):
    drawing = disc_clip(masks=(1, 4))
    drawing.clip.masks("subject", "flow").write_probability("0001", drawing.truth["0001"].astype("float32"))
    found = []

    async def scenario(page):
        await page.emulate_media(color_scheme=scheme)
        await page.click("summary")  # the list of keys
        found.append(await page.evaluate(MEASURE))
        await page.click("summary")
        await page.click("[data-opens=keyframes]")
        await page.locator("#layers li").wait_for()
        await page.fill("#new-layer", "painted")
        await page.click("#add-layer")  # which is there already
        await page.locator("#message").wait_for()
        await page.fill("#new-layer", "")
        found.append(await page.evaluate(MEASURE))
        await page.click("[data-opens=live]")
        await page.locator("#live-problem:not(:empty)").wait_for()
        found.append(await page.evaluate(MEASURE))
        await page.click("[data-opens=results]")
        await page.locator("#picture-list label").first.wait_for()
        await page.click("[name=layout][value=wipe]")
        await page.locator("#border").wait_for()
        found.append(await page.evaluate(MEASURE))
        await page.click("#add-part")
        found.append(await page.evaluate(MEASURE))

    assert browse(drawing.path, scenario) == []
    contrasts = [entry for state in found for entry in state["contrasts"]]
    assert len(contrasts) > 100
    assert [entry for entry in contrasts if entry[1] < entry[2]] == []
    assert [name for state in found for name in state["nameless"]] == []


def test_the_page_is_operated_by_keys(disc_clip, browse):
    drawing = disc_clip(masks=(1, 4))
    reached = []

    async def scenario(page):
        for name in ("masks", "keyframes", "results", "live"):
            await page.locator(f"[data-opens={name}]").focus()
            await page.keyboard.press("Enter")
            await page.locator(f".tools[data-workspace={name}]").wait_for()
            for _ in range(60):
                await page.keyboard.press("Tab")
                reached.append(await page.evaluate("document.activeElement.id || document.activeElement.value"))

    assert browse(drawing.path, scenario) == []
    wanted = {
        "part",
        "canvas",
        "save",
        "strip",
        "scrub",
        "download",
        "painted-file",
        "new-layer",
        "layer",
        "comparison",
        "live-layer",
    }
    assert wanted <= set(reached)

"""Frames and thumbnails are sent, and not sent again."""


def test_pictures_are_sent_once(disc_clip, visit, at):
    drawing = disc_clip()

    async def scenario(client):
        for place in (at("frames/0001"), at("thumbnails/0001")):
            first = await client.get(place)
            again = await client.get(place, headers={"If-None-Match": first.headers["ETag"]})
            assert (first.content_type, again.status) == ("image/jpeg", 304)

    visit(drawing.path, scenario)


def test_extracted_frames_are_sent_as_they_are(disc_clip, visit, at):
    drawing = disc_clip(masks=(), keyframes=())
    path = drawing.clip.frames.write("0001", drawing.images["0001"])

    async def scenario(client):
        response = await client.get(at("frames/0001"))
        return response.content_type, await response.read()

    assert visit(drawing.path, scenario) == ("image/png", path.read_bytes())

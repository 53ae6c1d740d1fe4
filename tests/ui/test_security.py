"""Other pages and other names of this machine reach nothing."""

import pytest


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/", {}),
        ("/other-token/api/clip", {}),
        ("/secret-token", {"Host": "evil.example"}),
        ("/secret-token/api/clip", {"Host": "evil.example"}),
        ("/secret-token/api/clip", {"Host": "127.0.0.1:1"}),
        ("/secret-token/api/clip", {"Origin": "http://evil.example"}),
        ("/secret-token/api/clip", {"Origin": "null"}),
        ("/secret-token/api/events", {"Origin": "http://127.0.0.1:1", "Upgrade": "websocket"}),
        ("/secret-token/api/live/painted", {"Origin": "http://127.0.0.1:1", "Upgrade": "websocket"}),
    ],
)
def test_foreign_requests_are_refused(disc_clip, visit, path, headers):
    async def scenario(client):
        return (await client.get(path, headers=headers)).status

    assert visit(disc_clip().path, scenario) == 403


def test_the_own_page_is_served(disc_clip, visit):
    async def scenario(client):
        own = {"Origin": f"http://localhost:{client.port}", "Host": f"localhost:{client.port}"}
        return [await client.get("/secret-token/"), await client.get("/secret-token/api/clip", headers=own)]

    assert [response.status for response in visit(disc_clip().path, scenario)] == [200, 200]


@pytest.mark.parametrize("path", ["/secret-token/", "/secret-token/api/clip", "/secret-token/api/frames/none", "/"])
def test_every_response_forbids_inline_scripts_and_sniffing(disc_clip, visit, path):
    async def scenario(client):
        return (await client.get(path)).headers

    headers = visit(disc_clip().path, scenario)
    policy = dict(entry.split(maxsplit=1) for entry in headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == "'self'"
    assert headers["Permissions-Policy"].startswith("camera=(self), microphone=()")
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert not [name for name in headers if name.startswith("Access-Control")]

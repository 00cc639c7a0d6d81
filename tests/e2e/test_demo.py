"""The demo facility, made anew or found as an older version left it."""

import json
from typing import Any

from codetect_local.demo import Demo, answer
from codetect_local.stack import Stack


def scopes(demo: Demo) -> set[str]:
    """What the demo's API client may."""
    client: dict[str, Any] = demo.known["api_client"]
    with demo.door("member") as door:
        grant = answer(door.post("/oauth/token", data={"grant_type": "client_credentials", **client}))
    return set(grant["scope"].split())


async def test_an_older_demos_people_and_programs_come_to_see_patients(stack: Stack) -> None:
    await Demo(stack).open_facility()
    older = Demo(stack)
    del older.known["api_client_scopes"]
    for who in ("admin", "member"):
        email = older.known[who]["email"]
        await older.auth("grant", "--facility", "demo", "--email", email, "--revoke", "identity")
    older.keep()

    demo = Demo(stack)
    await demo.open_facility()
    assert scopes(demo) == {"read", "write", "identity"}
    assert json.loads(demo.path.read_text())["api_client"] == demo.known["api_client"] != older.known["api_client"]
    for who in ("admin", "member"):
        with demo.door(who) as door:
            me = answer(door.get("/api/v1/auth/me", headers={"Authorization": f"Bearer {demo.log_in(who)}"}))
        assert me["scopes"] == ["identity"]

    again = Demo(stack)
    await again.open_facility()
    assert again.known["api_client"] == demo.known["api_client"]

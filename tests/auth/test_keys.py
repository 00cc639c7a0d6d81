"""Keys rotate without a valid token failing, and a revoked key is out within a minute."""

import asyncio

import pytest
from codetect_auth.keys import PUBLISHED_AHEAD_S
from codetect_shared import tokens
from codetect_shared.problems import Conflict, NotFound
from codetect_shared.tokens import JwksCache, TokenInvalid

from tests.auth.conftest import Account, House


async def fresh_token(account: Account, refresh_token: list[str]) -> str:
    answer = (await account.refresh(refresh_token.pop())).json()
    refresh_token.append(answer["refresh_token"])
    return str(answer["access_token"])


async def kids(house: House) -> set[str]:
    return {key["kid"] for key in (await house.auth.keys.jwks())["keys"]}


async def pass_time(house: House, seconds: int) -> None:
    """Move every key that much into the past."""
    ago = f"- interval '{seconds} seconds'"
    await house.sql(f"UPDATE signing_keys SET signs_from = signs_from {ago}, verifies_until = verifies_until {ago}")


async def test_a_rotation_fails_no_valid_token(house: House) -> None:
    account = await house.account()
    first = await account.enrol()
    refresh = [first["refresh_token"]]
    old_kid = tokens.kid_of(first["access_token"])

    new_kid = await house.auth.keys.rotate()
    assert {old_kid, new_kid} <= await kids(house)
    # A service that asked auth right after the rotation, and won't ask again during this test.
    service = JwksCache(house.auth.keys.jwks, house.auth.settings.issuer, lambda: 0.0)
    before = await fresh_token(account, refresh)
    assert tokens.kid_of(before) == old_kid
    await service.verify(before)
    with pytest.raises(Conflict):
        await house.auth.keys.rotate()

    await pass_time(house, PUBLISHED_AHEAD_S + 1)
    after = await fresh_token(account, refresh)
    assert tokens.kid_of(after) == new_kid
    for token in (first["access_token"], before, after):
        await service.verify(token)

    await pass_time(house, tokens.LIFETIME_S - 5)
    assert old_kid in await kids(house)
    await pass_time(house, 20)
    assert old_kid not in await kids(house)
    assert new_kid in await kids(house)


async def test_a_revoked_key_is_published_no_more_and_another_signs_at_once(house: House) -> None:
    account = await house.account()
    first = await account.enrol()
    kid = tokens.kid_of(first["access_token"])
    new_kid = await house.auth.keys.revoke(kid)
    assert kid not in await kids(house)
    service = JwksCache(house.auth.keys.jwks, house.auth.settings.issuer)
    with pytest.raises(TokenInvalid):
        await service.verify(first["access_token"])
    token = await fresh_token(account, [first["refresh_token"]])
    assert tokens.kid_of(token) == new_kid
    await service.verify(token)


async def test_revoking_a_key_that_was_still_to_come_leaves_the_present_one_signing(house: House) -> None:
    account = await house.account()
    refresh = [(await account.enrol())["refresh_token"]]
    coming = await house.auth.keys.rotate()
    signs_now = await house.auth.keys.revoke(coming)
    assert coming not in await kids(house)
    for seconds in (0, PUBLISHED_AHEAD_S + 1, tokens.STALE_S):
        await pass_time(house, seconds)
        assert tokens.kid_of(await fresh_token(account, refresh)) == signs_now


async def test_revoking_an_unknown_key_is_refused(house: House) -> None:
    with pytest.raises(NotFound):
        await house.auth.keys.revoke("nobody's")


async def test_starting_again_makes_no_second_key(house: House) -> None:
    before = await kids(house)
    await house.auth.keys.ensure()
    assert await kids(house) == before


async def test_private_keys_lie_sealed(house: House) -> None:
    for row in await house.sql("SELECT sealed_private, public_jwk FROM signing_keys"):
        assert b"\x30\x81\x87\x02\x01\x00" not in row.sealed_private
        assert "d" not in row.public_jwk


async def test_other_services_get_the_keys_over_http(house: House) -> None:
    account = await house.account()
    token = (await account.enrol())["access_token"]
    service = JwksCache.over_http(account.client, "http://auth/", house.auth.settings.issuer)
    assert (await service.verify(token)).role == "member"


async def test_a_key_is_followed_by_another_when_it_is_old(house: House) -> None:
    await house.auth.keys.rotate_when_due(30)
    before = await kids(house)
    await asyncio.gather(*(house.auth.keys.rotate_when_due(30) for _ in range(5)))
    assert await kids(house) == before
    await pass_time(house, 31 * 86400)
    await asyncio.gather(*(house.auth.keys.rotate_when_due(30) for _ in range(5)))
    assert len(await kids(house) - before) == 1, "of several processes one rotates"
    await pass_time(house, PUBLISHED_AHEAD_S + 1)

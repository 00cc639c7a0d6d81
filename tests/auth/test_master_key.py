"""The master key can be changed: nothing is lost, and in the end the old one opens nothing that is kept."""

import os
from pathlib import Path
from uuid import UUID

import pytest
from codetect_auth.app import sweep
from codetect_auth.context import opaque_token
from codetect_auth.mails import bounces, undeliverable
from codetect_auth.mails.asking import Kind, ask
from codetect_auth.mails.rows import address_key
from codetect_auth.mails.unsubscribing import person_of, unsubscribe_url
from codetect_auth.resealing import SEALED, reseal_all
from codetect_shared.db import uuid7
from codetect_shared.problems import NotFound
from codetect_shared.sealing import MasterKey, seal, unseal
from codetect_shared.settings import ServiceSettings
from cryptography.exceptions import InvalidTag
from pydantic import ValidationError

from tests.auth.conftest import House, Shell
from tests.auth.mailbox import mailbox
from tests.auth.post import Post, posting
from tests.auth.test_bounces import BOUNCES, report, sent

OLD, NEW = os.urandom(32), os.urandom(32)


def test_what_an_old_key_sealed_opens_while_it_is_named() -> None:
    sealed = seal(OLD, b"secret", "me")
    assert unseal(MasterKey.of(NEW, [OLD]), sealed, "me") == b"secret"
    with pytest.raises(InvalidTag):
        unseal(MasterKey.of(NEW, []), sealed, "me")
    with pytest.raises(InvalidTag):
        unseal(MasterKey.of(NEW, [OLD]), sealed, "somebody else")
    fresh = seal(MasterKey.of(NEW, [OLD]), b"secret", "me")
    assert unseal(NEW, fresh, "me") == b"secret"


@pytest.mark.parametrize("key", ["c2hvcnQ=", "not base64!"])
def test_a_key_that_is_none_is_refused_at_the_start(house: House, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CODETECT_MASTER_KEY", "CODETECT_MASTER_KEYS_OLD"):
        with monkeypatch.context() as patch:
            patch.setenv(name, key)
            with pytest.raises(ValidationError) as refused:
                ServiceSettings(port=1)
            assert key not in str(refused.value), "a mistake in a key is no reason to print it"


async def test_every_sealed_column_is_sealed_anew(house: House) -> None:
    columns = await house.sql(
        "SELECT table_name, column_name FROM information_schema.columns"
        " WHERE table_schema = 'public' AND column_name LIKE 'sealed%'"
    )
    assert {(one.table, one.column) for one in SEALED} == {tuple(row) for row in columns}

    present = house.auth.settings.master_key
    account = await house.account()
    await account.enrol()
    facility = (await house.facility()).id
    async with house.auth.db.facility(facility) as session:
        await ask(session, present, facility, Kind.TEST, "a@b.example", f"test/{opaque_token()}")
    changing = MasterKey.of(NEW, [present])
    try:
        changed = await reseal_all(house.auth.db, changing)
        assert changed["signing_keys"] >= 1
        assert changed["totp_factors"] >= 1
        assert changed["mails"] >= 1
        assert set((await reseal_all(house.auth.db, changing)).values()) == {0}, "a second run has nothing to do"
        for one in SEALED:
            rows = await house.sql(f"SELECT {one.column}, {one.owner} FROM {one.table} WHERE {one.column} IS NOT NULL")  # noqa: S608
            for sealed, owner in rows:
                unseal(NEW, sealed, owner)
    finally:
        await reseal_all(house.auth.db, MasterKey.of(present, [NEW]))
    step = await account.step_one()
    assert (await account.step_two(step.json()["mfa_token"], account.code(1))).status_code == 200


MIRA, JONAS = "mira@clinic.example", "jonas@clinic.example"


async def stop(post: Post, master_key: bytes, address: str = MIRA) -> None:
    async with post.house.auth.db.facility(post.facility.id) as session:
        await undeliverable.mark(session, master_key, post.facility.id, address, "no mailbox", uuid7())


async def keys(post: Post, table: str) -> set[bytes | None]:
    """Of this facility's rows: sweeping asks for mails about API clients of other tests."""
    statement = f"SELECT address_key FROM {table} WHERE facility_id = :id"  # noqa: S608 - our names
    return {row.address_key for row in await post.house.sql(statement, id=post.facility.id)}


async def test_mail_to_a_stopped_address_stays_stopped_through_a_change(house: House, shell: Shell) -> None:
    async with mailbox() as box, posting(house, box) as post:
        present = house.auth.settings.master_key
        changing = MasterKey.of(NEW, [present])
        await stop(post, present)
        await post.ask(to=JONAS)
        try:
            post.settings.master_key = changing
            await post.ask(to=MIRA, cause="asked by the new key")
            ((id, *_),) = [row for row in await post.rows() if row.cause == "cause/1"]
            await house.sql("UPDATE mails SET available_at = NULL WHERE id = :id", id=id)
            await post.deliver()
            assert box.kept == [], "the row has the old key still"
            assert (await reseal_all(house.auth.db, changing))["mail_addresses"] == 2
            assert (await reseal_all(house.auth.db, changing))["mail_addresses"] == 0
            assert await keys(post, "undeliverable_addresses") == {address_key(NEW, MIRA)}
            assert await keys(post, "mails") == {address_key(NEW, MIRA), address_key(NEW, JONAS)}
            post.settings.master_key = NEW
            await post.ask(to="MIRA@clinic.example", cause="the old key is gone")
            await house.sql("UPDATE mails SET available_at = clock_timestamp() WHERE id = :id", id=id)
            await post.deliver()
            assert [kept.recipient for kept in box.kept] == [JONAS]
        finally:
            await reseal_all(house.auth.db, MasterKey.of(present, [NEW]))
        slug = post.facility.slug
        assert (await shell("mail", "clear", "--facility", slug, "--email", MIRA))[0] == 0
        assert await keys(post, "undeliverable_addresses") == set()


async def test_an_address_that_was_stopped_under_either_key_is_listed_once(house: House) -> None:
    async with mailbox() as box, posting(house, box) as post:
        present = house.auth.settings.master_key
        changing = MasterKey.of(NEW, [present])
        await stop(post, present)
        await stop(post, changing)
        try:
            assert (await reseal_all(house.auth.db, changing))["mail_addresses"] == 1
            rows = await house.sql("SELECT address, address_key FROM undeliverable_addresses")
            assert [tuple(row) for row in rows] == [(MIRA, address_key(NEW, MIRA))]
        finally:
            await reseal_all(house.auth.db, MasterKey.of(present, [NEW]))


async def test_a_mail_that_went_before_the_change_is_believed_to_come_back_while_the_old_key_is_named(
    house: House, tmp_path: Path
) -> None:
    async with mailbox() as box, posting(house, box, mail_bounce_address=BOUNCES) as post:
        present = house.auth.settings.master_key
        await sent(post)
        told = bounces.parse(report(box.kept[0].sender, "X: y\n\n", MIRA, status="4.4.7"))
        post.settings.master_key = NEW
        with pytest.raises(NotFound):
            await bounces.apply(house.auth.db, post.settings, told)
        post.settings.master_key = MasterKey.of(NEW, [present])
        (outcome,) = await bounces.apply(house.auth.db, post.settings, told)
        assert outcome.address_stopped is False
        assert (await post.state())[0] == "bounced"


def test_unsubscribing_works_with_a_link_of_before_while_the_old_key_is_named() -> None:
    facility, person = uuid7(), uuid7()
    token = unsubscribe_url(OLD, facility, person).rpartition("/")[2]
    found: UUID | None = person_of(MasterKey.of(NEW, [OLD]), facility, token)
    assert found == person
    assert person_of(NEW, facility, token) is None


async def test_after_a_month_nothing_tells_whom_a_mail_went_to(house: House) -> None:
    async with mailbox() as box, posting(house, box) as post:
        await sent(post)
        await post.pass_time(29 * 86400)
        await post.ask(to=JONAS, cause="waits")
        await sweep(house.auth)
        assert len(await keys(post, "mails")) == 2
        await post.pass_time(2 * 86400)
        await sweep(house.auth)
        assert await keys(post, "mails") == {None, address_key(house.auth.settings.master_key, JONAS)}

"""The master key can be changed: nothing is lost, and in the end the old one opens nothing that is kept."""

import os

import pytest
from codetect_auth.context import opaque_token
from codetect_auth.mails.asking import Kind, ask
from codetect_auth.resealing import SEALED, reseal_all
from codetect_shared.sealing import MasterKey, seal, unseal
from codetect_shared.settings import ServiceSettings
from cryptography.exceptions import InvalidTag
from pydantic import ValidationError

from tests.auth.conftest import House

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
            with pytest.raises(ValidationError):
                ServiceSettings(port=1)


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

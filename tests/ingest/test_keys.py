import asyncio
from uuid import uuid4

import pytest
from codetect_ingest.keys import FacilityKey, facility_key, rewrap
from codetect_shared.db import uuid7
from codetect_shared.events import FacilityOpened
from codetect_shared.sealing import MasterKey
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap

from tests.ingest.conftest import Clinic

KEY = FacilityKey(bytes(range(32)))


def test_each_use_has_a_key_of_its_own() -> None:
    assert KEY.pseudonyms == FacilityKey(bytes(range(32))).pseudonyms
    assert len({KEY.key, KEY.pseudonyms, FacilityKey(bytes(32)).pseudonyms}) == 3


def test_sealed_text_opens_for_its_owner_alone() -> None:
    owner = uuid4()
    sealed = KEY.seal("ward 7", owner)
    assert b"ward" not in sealed
    assert KEY.unseal(sealed, owner) == "ward 7"
    assert KEY.seal("ward 7", owner) != sealed
    with pytest.raises(InvalidTag):
        KEY.unseal(sealed, uuid4())
    with pytest.raises(InvalidTag):
        FacilityKey(bytes(32)).unseal(sealed, owner)


async def test_a_facility_has_one_key_whoever_asks_first(clinic: Clinic) -> None:
    async def ask() -> FacilityKey:
        async with clinic.ingest.db.facility(clinic.facility_id) as session:
            return await facility_key(session, clinic.facility_id, clinic.ingest.settings.master_key)

    keys = await asyncio.gather(*(ask() for _ in range(5)))
    assert len({key.key for key in keys}) == 1
    ((wrapped,),) = await clinic.sql("SELECT wrapped FROM facility_keys WHERE facility_id = :f", f=clinic.facility_id)
    assert keys[0].key not in wrapped
    async with clinic.ingest.db.facility(clinic.facility_id) as session:
        with pytest.raises(InvalidUnwrap):
            await facility_key(session, clinic.facility_id, bytes(32))


async def test_a_facility_that_opens_gets_its_key(clinic: Clinic) -> None:
    from codetect_ingest.consumers import handlers

    facility_id = uuid7()
    handle = handlers(clinic.ingest.settings.master_key)[FacilityOpened]
    async with clinic.ingest.db.facility(facility_id) as session:
        await handle(session, FacilityOpened(facility_id=facility_id, slug="new"), None)
    assert await clinic.sql("SELECT 1 FROM facility_keys WHERE facility_id = :f", f=facility_id)


async def test_after_a_change_of_the_master_key_the_same_key_is_wrapped_anew(clinic: Clinic) -> None:
    present, new = clinic.ingest.settings.master_key, bytes(range(32))
    async with clinic.ingest.db.facility(clinic.facility_id) as session:
        key = await facility_key(session, clinic.facility_id, present)
    async with clinic.ingest.db.system() as session:
        assert await rewrap(session, MasterKey.of(new, [present])) >= 1
        assert await rewrap(session, MasterKey.of(new, [present])) == 0
        assert await facility_key(session, clinic.facility_id, new) == key
        await session.rollback()

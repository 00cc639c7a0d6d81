"""Mail is asked for once per cause, and waits unreadable."""

from codetect_auth.mails.asking import Kind, ask
from codetect_auth.models import MAILS
from codetect_shared.db import uuid7
from codetect_shared.testing import claimed

from tests.auth.conftest import House


async def test_a_cause_makes_one_mail_that_nobody_can_read_at_rest(house: House) -> None:
    facility_id, key = uuid7(), house.auth.settings.master_key
    await house.sql("UPDATE mails SET available_at = NULL")
    for _ in range(2):
        async with house.auth.db.facility(facility_id) as session:
            link = "http://demo.localhost/confirm#geheim"
            await ask(session, key, facility_id, Kind.CONFIRM_ADDRESS, "mira@demo.example", "request/1", url=link)
    rows = await house.sql("SELECT kind, cause, sealed_letter, state FROM mails WHERE facility_id = :f", f=facility_id)
    ((kind, cause, sealed, state),) = rows
    assert (kind, cause, state) == ("confirm_address", "request/1", "queued")
    assert not any(word in sealed for word in (b"mira", b"geheim", b"demo"))
    looks = await house.sql("SELECT queue FROM outbox WHERE facility_id = :f", f=facility_id)
    assert [queue for (queue,) in looks] == ["auth.mails"]
    job = await claimed(MAILS, house.auth.db)
    assert job.facility_id == facility_id

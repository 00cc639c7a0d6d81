from datetime import UTC, datetime
from uuid import UUID

from codetect_ingest import objects
from codetect_shared.db import uuid7


def test_a_derived_id_is_a_uuid_of_version_7_with_the_uploads_time() -> None:
    upload = uuid7()
    found = objects.derived_id(upload, "1.2.3")
    assert (found.version, found.variant) == (7, "specified in RFC 4122")
    assert found.time == upload.time if hasattr(found, "unix_ts_ms") else found.int >> 80 == upload.int >> 80
    assert datetime.fromtimestamp((found.int >> 80) / 1000, UTC).year >= 2025


def test_a_second_try_derives_the_same_ids_and_others_do_not() -> None:
    upload, other = uuid7(), uuid7()
    assert objects.derived_id(upload, "1.2") == objects.derived_id(upload, "1.2")
    many = {objects.derived_id(u, f"1.{n}") for u in (upload, other) for n in range(1000)}
    assert len(many) == 2000


def test_keys_are_made_of_our_own_ids_alone() -> None:
    facility, upload = UUID(int=1), UUID(int=2)
    assert objects.raw_key(facility, upload, 17) == f"{facility}/{upload}/000017"
    assert objects.number_of(f"{facility}/{upload}/000017") == 17
    for name in ("17", "0000017", "00001x", "name.dcm", "", "٠٠٠٠١٧", "deeper/000017"):
        assert objects.number_of(f"{facility}/{upload}/{name}") is None

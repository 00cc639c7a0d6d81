"""Every route of ingest as every role, against the table."""

from collections.abc import Mapping

from codetect_ingest.app import api
from codetect_ingest.settings import Settings

from tests.ingest.conftest import Clinic
from tests.roles import Who, differences


async def test_every_route_lets_in_whom_the_table_says(clinic: Clinic, settings: Settings) -> None:
    async def headers_of(who: Who, auth_time: int) -> Mapping[str, str]:
        return clinic.tokens.headers(clinic.facility_id, who[0], scopes=who[1], auth_time=auth_time)

    # The same routes; this one isn't started.
    assert await differences(api(settings), clinic.http, headers_of) == []

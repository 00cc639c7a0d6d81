"""Requests: names below .localhost, patience, tokens in time, problems as exceptions."""

import asyncio
import time
from pathlib import Path

import pytest
from codetect import ApiClient, Client, CodetectError, Fixed, LoginRequired, Refused, Unreachable
from codetect.api import address, is_localhost
from codetect.credentials import Person, totp
from codetect.models import Tokens

from tests.client.double import CLIENT_ID, CLIENT_SECRET, EMAIL, PASSWORD, TOTP_SECRET, Double


async def test_names_below_localhost_are_this_machine_and_keep_their_host(client: Client, double: Double) -> None:
    assert (await client.facility()).slug == "demo"
    assert double.hosts == {f"demo.localhost:{double.port}"}


async def test_no_proxy_is_asked_for_this_machine(double: Double, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with Client(double.url, ApiClient(CLIENT_ID, CLIENT_SECRET), patience_s=0) as client:
        await client.facility()
        assert (await anext(client.watch(patience_s=0))).type == "ready"
    async with Client("http://clinic.example.org", patience_s=0) as client:
        with pytest.raises(Unreachable):
            await client.facility()


def test_an_address_is_read_as_it_is_meant() -> None:
    assert address("demo.localhost:8080") == "http://demo.localhost:8080"
    assert address(" clinic.example.org ") == "https://clinic.example.org"
    assert address("https://clinic.example.org/api/v1?x=1#y") == "https://clinic.example.org"
    for nonsense in ("", "ftp://x", "http://", "http://a b", "https://[", "http://x:99999999"):
        with pytest.raises(CodetectError):
            address(nonsense)
    assert all(map(is_localhost, ("LOCALHOST", "a.b.localhost.")))
    assert not any(map(is_localhost, ("localhost.example.org", "notlocalhost")))


@pytest.mark.parametrize("status", [None, 429, 502, 503, 504])
async def test_reading_is_tried_again_while_the_server_is_away(
    client: Client, double: Double, status: int | None
) -> None:
    double.fail("GET /api/v1/models", status, times=2, retry_after="0")
    assert [model.name for model in await client.models()] == ["model-0"]
    assert double.times("GET /api/v1/models") == 3


async def test_patience_ends(double: Double) -> None:
    double.fail("GET /api/v1/facility", 503, times=99)
    async with Client(double.url, patience_s=0.5) as client:
        started = time.monotonic()
        with pytest.raises(Refused) as caught:
            await client.facility()
    assert caught.value.status == 503
    assert 0.1 < time.monotonic() - started < 1
    async with Client("http://demo.localhost:9", patience_s=0.2) as client:
        with pytest.raises(Unreachable, match="demo.localhost:9"):
            await client.facility()


async def test_a_server_that_asks_for_a_pause_gets_it(client: Client, double: Double) -> None:
    double.fail("GET /api/v1/facility", 429, retry_after="1")
    started = time.monotonic()
    await client.facility()
    assert time.monotonic() - started >= 1


async def test_what_must_not_happen_twice_is_not_sent_twice(client: Client, double: Double) -> None:
    double.fail("POST /api/v1/auth/login", None, times=2)
    with pytest.raises(Unreachable):
        await client.log_in(EMAIL, PASSWORD)
    assert double.times("POST /api/v1/auth/login") == 1


async def test_a_problem_is_an_exception_with_its_words(client: Client) -> None:
    with pytest.raises(Refused) as caught:
        await client.analysis("018f0000-0000-7000-8000-000000000009")
    assert (caught.value.status, caught.value.code, str(caught.value)) == (
        404,
        "analysis-not-found",
        "Analysis-not-found.",
    )


async def test_an_answer_that_is_no_problem_document_is_explained_too(client: Client, double: Double) -> None:
    double.fail("GET /api/v1/facility", 418)
    with pytest.raises(Refused, match="The server answered 418"):
        await client.facility()


async def test_lists_are_read_page_by_page(client: Client, double: Double, folder: Path) -> None:
    double.analyses_per_study = 5
    await client.submit([folder])
    assert len({analysis.id async for analysis in client.analyses()}) == 5
    before = double.times("GET /api/v1/analyses")
    async for _ in client.analyses():
        break
    assert double.times("GET /api/v1/analyses") == before + 1


async def test_one_token_serves_many_requests_at_once(client: Client, double: Double) -> None:
    await asyncio.gather(*(client.models() for _ in range(20)))
    assert double.times("POST /oauth/token") == 1


async def test_a_token_is_renewed_before_it_ends(client: Client, double: Double) -> None:
    double.token_s = 2
    await client.models()
    await asyncio.sleep(1.2)
    await client.models()
    assert double.times("POST /oauth/token") == 2
    assert double.times("GET /api/v1/models") == 2


async def test_a_refused_token_is_replaced_once_for_all(client: Client, double: Double) -> None:
    await client.models()
    double.access.clear()
    await asyncio.gather(*(client.models() for _ in range(10)))
    assert double.times("POST /oauth/token") == 2


async def test_a_server_that_refuses_every_token_is_believed(client: Client, double: Double) -> None:
    double.token_s = -1
    with pytest.raises(Refused) as caught:
        await client.models()
    assert caught.value.status == 401
    assert double.times("GET /api/v1/models") == 2


async def test_wrong_credentials_are_explained(double: Double) -> None:
    async with Client(double.url, ApiClient(CLIENT_ID, "wrong")) as client:
        with pytest.raises(LoginRequired, match="API client"):
            await client.models()
    async with Client(double.url) as client:
        with pytest.raises(LoginRequired, match="Log in"):
            await client.models()
        with pytest.raises(LoginRequired):
            await client.log_in(EMAIL, "wrong")


async def test_two_steps_let_a_person_in(double: Double) -> None:
    async with Client(double.url) as client:
        challenge = await client.log_in(EMAIL, PASSWORD)
        with pytest.raises(LoginRequired):
            await client.confirm(challenge, "000000")
        await client.confirm(challenge, totp(TOTP_SECRET))
        assert (await client.me()).name == "Ada Reader"
        double.access.clear()
        assert (await client.me()).name == "Ada Reader"
    assert double.times("POST /api/v1/auth/refresh") == 1


async def test_a_first_login_sets_up_the_second_factor(double: Double) -> None:
    async with Client(double.url) as client:
        challenge = await client.log_in("new@example.org", "x")
        assert challenge.mfa_token is None
        enrolment = await client.enrol(challenge)
        enrolled = await client.confirm_enrolment(challenge, totp(enrolment.secret))
        assert enrolled.recovery_codes == ["one", "two"]
        assert (await client.me()).role == "member"


async def test_a_login_that_has_ended_says_so(double: Double) -> None:
    tokens = Tokens(access_token="old", refresh_token="used", expires_in=600)
    async with Client(double.url, Fixed(tokens)) as client:
        with pytest.raises(LoginRequired):
            await client.me()


async def test_a_refresh_whose_answer_is_under_way_is_asked_for_again(double: Double) -> None:
    async with Client(double.url, Person(EMAIL, PASSWORD, TOTP_SECRET)) as client:
        await client.me()
        double.access.clear()
        double.fail("POST /api/v1/auth/refresh", 409)
        await client.me()
    assert double.times("POST /api/v1/auth/login") == 1


def test_codes_are_those_of_rfc_6238() -> None:
    secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
    for at, code in (59, "287082"), (1111111109, "081804"), (1234567890, "005924"), (20000000000, "353130"):
        assert totp(secret, at) == code


def test_secrets_do_not_show_in_representations() -> None:
    shown = repr([ApiClient("id", "s3cret"), Person("e", "s3cret", "s3cret"), Tokens(access_token="s3cret")])
    assert "s3cret" not in shown


async def test_a_bundle_is_pushed_as_a_zip(client: Client, double: Double, tmp_path: Path) -> None:
    import io
    import zipfile

    with pytest.raises(CodetectError, match="no model bundle"):
        await client.push_model(tmp_path)
    (tmp_path / "bundle.json").write_text("{}")
    (tmp_path / "model.onnx").write_bytes(b"x" * 3_000_000)
    (tmp_path / ".hidden").touch()
    assert (await client.push_model(tmp_path)).version == "2.0.0"
    assert zipfile.ZipFile(io.BytesIO(double.store["bundle"])).namelist() == ["bundle.json", "model.onnx"]

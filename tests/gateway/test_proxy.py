"""The door: which facility, which person, which service; bodies pass through untouched and in flat memory."""

import asyncio
import hashlib
import json
import time
from collections.abc import AsyncIterator

import httpx
import pytest

from tests.gateway.conftest import DEMO, OTHER, House, token
from tests.gateway.upstream import MIB


async def test_a_request_reaches_its_service_and_the_answer_comes_back(house: House) -> None:
    async with house.client() as client:
        answer = await client.post("/api/v1/studies/echo?a=1&a=%20", content=b"body")
    seen = answer.json()
    assert answer.status_code == 201
    assert (seen["method"], seen["target"], seen["body"]) == ("POST", "/api/v1/studies/echo?a=1&a=%20", "body")
    assert answer.headers["x-study"] == "yes"


async def test_what_services_tell_each_other_is_not_for_the_public(house: House) -> None:
    async with house.client() as client:
        for path in ("/internal/trust", "/internal/../internal/trust", "/api/v1/../../internal/trust"):
            assert (await client.get(path)).status_code in (400, 404)


async def test_hop_by_hop_headers_stay_on_their_side(house: House) -> None:
    smuggled = {
        "Connection": "close, X-Private",
        "X-Private": "1",
        "TE": "trailers",
        "Proxy-Authorization": "Basic x",
        "Upgrade": "h2c",
        "Expect": "100-continue",
    }
    async with house.client() as client:
        answer = await client.post("/api/v1/studies/echo", content=b"body", headers=smuggled)
    names = [name for name, _ in answer.json()["headers"]]
    assert not {"x-private", "te", "proxy-authorization", "upgrade", "expect"} & set(names)
    assert len(names) == len(set(names))
    assert not {"x-secret", "server"} & {name.lower() for name in answer.headers}
    assert len(answer.headers.get_list("date")) == 1


async def test_nobody_but_the_gateway_says_where_a_request_comes_from(house: House) -> None:
    lies = [
        ("X-Forwarded-Host", "other.localhost"),
        ("X-Forwarded-For", "10.0.0.1"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Prefix", "/x"),
        ("Forwarded", "for=10.0.0.1;host=other.localhost"),
        ("X-Real-IP", "10.0.0.1"),
        ("Connection", "X-Forwarded-Host"),
    ]
    async with house.client() as client:
        answer = await client.get("/api/v1/studies/echo", headers=[*client.headers.items(), *lies])
    ours = {name: value for name, value in answer.json()["headers"] if "forward" in name or "real" in name}
    assert ours == {
        "x-forwarded-host": f"demo.localhost:{house.gateway.port}",
        "x-forwarded-for": "127.0.0.1",
        "x-forwarded-proto": "http",
    }


async def test_the_request_id_and_the_trace_go_on(house: House) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    async with house.client() as client:
        headers = {"X-Request-Id": "from-outside", "traceparent": f"00-{trace}-00f067aa0ba902b7-01"}
        answer = await client.get("/api/v1/studies/echo", headers=headers)
    inside = dict(answer.json()["headers"])
    assert inside["x-request-id"] == answer.headers["x-request-id"] == "from-outside"
    assert inside["traceparent"].split("-")[1] == trace


async def test_cookies_stay_apart(house: House) -> None:
    async with house.client() as client:
        answer = await client.get("/api/v1/studies/cookies")
    assert len(answer.headers.get_list("set-cookie")) == 2


async def test_no_visitor_is_sent_with_anothers_cookies(house: House) -> None:
    async with house.client() as client:
        await client.get("/api/v1/studies/cookies")
    async with house.client() as other:
        answer = await other.get("/api/v1/studies/echo")
    assert "cookie" not in dict(answer.json()["headers"])


async def test_a_redirect_names_no_inner_address(house: House) -> None:
    async with house.client() as client:
        answer = await client.get("/api/v1/studies/redirect")
    assert answer.headers["location"] == "/api/v1/studies/echo"


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/studies/../members",
        "/api/v1/studies/%2e%2e/members",
        "/api/v1/studies/%2E%2e%2fmembers",
        "/api/v1/studies/..",
        "/api/v1/studies//x",
        "/api/v1/studies/a%5cb",
        "/api/v1/studies/a%00b",
    ],
)
async def test_a_path_that_could_mean_another_is_refused(house: House, path: str) -> None:
    async with house.client() as client:
        bearer = client.headers["authorization"]
    status, body = await raw(house, f"GET {path} HTTP/1.1\r\nHost: demo.localhost:1\r\nAuthorization: {bearer}\r\n\r\n")
    assert status == 400
    assert body["type"] == "urn:codetect:problem:malformed"


async def raw(house: House, request: str) -> tuple[int, dict[str, object]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", house.gateway.port)
    writer.write(request.encode("latin-1"))
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    length = int(head.lower().partition("content-length: ")[2].split()[0])
    body = await reader.readexactly(length)
    writer.close()
    return int(head.split()[1]), json.loads(body) if b"{" in body else {}


@pytest.mark.parametrize(
    "framing",
    [
        "Content-Length: 4\r\nContent-Length: 5\r\n",
        "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Content-Length: +4\r\n",
        "Content-Length : 4\r\n",
    ],
)
async def test_a_request_with_two_possible_ends_is_refused(house: House, framing: str) -> None:
    head = f"POST /api/v1/auth/echo HTTP/1.1\r\nHost: demo.localhost\r\n{framing}\r\n"
    status, _ = await raw(house, head + "0\r\n\r\nGET /x HTTP/1.1\r\n\r\n")
    assert status == 400


async def test_headers_without_end_are_cut_off(house: House) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", house.gateway.port)
    writer.write(b"GET / HTTP/1.1\r\nHost: demo.localhost\r\nX: ")
    for _ in range(5):
        writer.write(b"y" * 7000)
        await asyncio.sleep(0.02)
    assert b"400" in await reader.readline()
    writer.close()


@pytest.mark.parametrize(
    "host",
    ["nowhere.localhost", "localhost", "demo.example.org", "demo.localhost.", "a.demo.localhost", "", "127.0.0.1"],
)
async def test_an_unknown_host_is_told_so(house: House, host: str) -> None:
    async with httpx.AsyncClient(base_url=house.gateway.url, trust_env=False) as client:
        answer = await client.get("/api/v1/facility", headers={"Host": host})
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == "urn:codetect:problem:unknown-host"


async def test_a_facility_that_is_suspended_is_gone_within_seconds(house: House) -> None:
    async with httpx.AsyncClient(base_url=house.service.url, trust_env=False) as control, house.client(OTHER) as client:
        assert (await client.get("/api/v1/studies/echo")).status_code == 201
        await control.post("/control/facilities", json=["demo"])
        try:
            deadline = time.monotonic() + 5
            while (await client.get("/api/v1/studies/echo")).status_code != 404:
                assert time.monotonic() < deadline
                await asyncio.sleep(0.2)
        finally:
            await control.post("/control/facilities", json=["demo", "other"])


@pytest.mark.parametrize("path", ["/api/v1/studies/echo", "/api/v1/auth/echo"])
async def test_another_facilitys_token_is_refused_at_the_door(house: House, path: str) -> None:
    async with house.client(DEMO, token(OTHER)) as client:
        answer = await client.get(path)
    assert answer.status_code == 401
    assert answer.json()["type"] == "urn:codetect:problem:token-invalid"
    assert "other" not in answer.text


async def test_a_bad_token_is_refused_but_for_logging_in(house: House) -> None:
    async with house.client(DEMO, "not.a.token") as client:
        assert (await client.get("/api/v1/studies/echo")).status_code == 401
        assert (await client.post("/api/v1/auth/echo")).status_code == 201


async def test_unknown_paths_are_problems(house: House) -> None:
    async with house.client() as client:
        for path in ("/api/v1/nothing", "/api/v2/studies", "/api/v1/studiesx", "/control/cancelled", "/wp-login.php"):
            answer = await client.get(path)
            assert answer.status_code == 404, path
            assert answer.headers["content-type"] == "application/problem+json"


async def test_a_service_that_is_down_is_named(house: House) -> None:
    async with house.client() as client:
        answer = await client.get("/api/v1/analytics/summary")
        assert (await client.get("/api/v1/studies/echo")).status_code == 201
    assert answer.status_code == 503
    assert answer.json()["part"] == "analytics"
    assert int(answer.headers["retry-after"]) > 0


async def test_a_service_that_does_not_answer_is_named(house: House) -> None:
    async with house.client() as client:
        answer = await client.get("/api/v1/studies/late")
    assert answer.status_code == 504
    assert answer.json()["part"] == "ingest"


async def test_an_answer_that_breaks_off_breaks_off_for_the_client_too(house: House) -> None:
    async with house.client() as client:
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get("/api/v1/studies/cut")


@pytest.mark.parametrize("path", ["slow", "endless"])
async def test_when_the_client_goes_the_services_work_ends(house: House, path: str) -> None:
    mark = f"{path}-{time.time()}"
    async with house.client() as client, asyncio.timeout(10):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5), client.stream("GET", f"/api/v1/studies/{path}?mark={mark}") as answer:
                await anext(answer.aiter_raw())
                await asyncio.sleep(10)
        async with httpx.AsyncClient(base_url=house.service.url, trust_env=False) as control:
            while mark not in (await control.get("/control/cancelled")).json():
                await asyncio.sleep(0.05)


async def test_clients_that_go_use_up_no_connections(house: House) -> None:
    async def gone(number: int) -> None:
        path = ("slow", "endless", "big", "echo")[number % 4]
        reader, writer = await asyncio.open_connection("127.0.0.1", house.gateway.port)
        head = f"GET /api/v1/studies/{path}?mark=x&mib=64 HTTP/1.1\r\nHost: demo.localhost\r\n"
        writer.write(f"{head}Authorization: Bearer {bearer}\r\n\r\n".encode())
        await asyncio.sleep(0.002 * (number % 50))
        writer.transport.abort()

    bearer = token()
    for start in range(0, 400, 15):
        await asyncio.gather(*map(gone, range(start, start + 15)))
    async with house.client() as client:
        answers = await asyncio.gather(*(client.get("/api/v1/studies/echo") for _ in range(40)))
    assert {answer.status_code for answer in answers} == {201}


async def test_a_gibibyte_goes_out_in_flat_memory(house: House) -> None:
    async with house.client() as client:
        await client.get("/api/v1/studies/big?mib=8")
        before, most, received = house.gateway.rss_kib(), 0, 0
        async with client.stream("GET", "/api/v1/studies/big?mib=1024") as answer:
            assert answer.headers["content-length"] == str(1024 * MIB)
            async for chunk in answer.aiter_raw():
                received += len(chunk)
                if received % (64 * MIB) < len(chunk):
                    most = max(most, house.gateway.rss_kib())
    assert received == 1024 * MIB
    assert most - before < 16 * 1024


@pytest.mark.parametrize("framed", [True, False])
async def test_half_a_gibibyte_comes_in_in_flat_memory(house: House, framed: bool) -> None:
    digest, most, mib = hashlib.sha256(), 0, 512
    before = house.gateway.rss_kib()

    async def pieces() -> AsyncIterator[bytes]:
        nonlocal most
        for number in range(mib):
            piece = bytes([number % 251]) * MIB
            digest.update(piece)
            most = max(most, house.gateway.rss_kib())
            yield piece

    async with house.client() as client:
        headers = {"Content-Length": str(mib * MIB)} if framed else {}
        answer = await client.post("/dicomweb/studies", content=pieces(), headers=headers)
    assert answer.json() == {"received": mib * MIB, "sha256": digest.hexdigest()}
    assert most - before < 16 * 1024


@pytest.mark.parametrize("framed", [True, False])
async def test_a_body_too_large_for_its_path_is_refused(house: House, framed: bool) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", house.gateway.port)
    size = MIB + 1
    framing, piece = (f"Content-Length: {3 * MIB}", b"") if framed else ("Transfer-Encoding: chunked", b"%x\r\n" % size)
    lines = ["POST /api/v1/auth/echo HTTP/1.1", "Host: demo.localhost", f"Authorization: Bearer {token()}", framing]
    writer.write("\r\n".join([*lines, "", ""]).encode() + piece + bytes(size))
    async with asyncio.timeout(10):
        assert (await reader.readline()).startswith(b"HTTP/1.1 413 ")
    writer.close()


async def test_metrics_name_the_path_and_are_not_for_everybody(house: House) -> None:
    async with house.client() as client:
        await client.get("/api/v1/studies/echo/42")
        metrics = (await client.get("/metrics")).text
    assert 'route="/api/v1/studies"' in metrics
    assert 'codetect_gateway_part_seconds_count{part="ingest"}' in metrics

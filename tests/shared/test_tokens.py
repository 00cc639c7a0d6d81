"""Forty ways to forge an access token, each refused over HTTP with 401; and the one valid token, accepted."""

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any
from uuid import uuid4

import httpx
import pytest
from codetect_shared import tokens
from codetect_shared.problems import install_handlers
from codetect_shared.tokens import CurrentPrincipal, JwksCache, Principal, Role, SigningKey
from cryptography.hazmat.primitives import hashes, hmac, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from fastapi import FastAPI
from jose import jwk, jwt

ISSUER = "https://codetect.test"
KEY = SigningKey.generate()
OTHERS = SigningKey.generate()
PRINCIPAL = Principal(str(uuid4()), uuid4(), "demo", Role.MEMBER, session_id=uuid4())
VALID = tokens.issue(PRINCIPAL, KEY, issuer=ISSUER)
HEADER = {"alg": "ES256", "kid": KEY.kid, "typ": "at+jwt"}
CLAIMS: dict[str, Any] = {
    "iss": ISSUER,
    "aud": "codetect",
    "sub": str(uuid4()),
    "iat": int(time.time()),
    "exp": int(time.time()) + 600,
    "typ": "access",
    "jti": "1",
    "facility": str(uuid4()),
    "slug": "demo",
    "role": "member",
    "scope": "",
}
PUBLIC_PEM = KEY.private.public_key().public_bytes(
    serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
)


def b64(data: bytes | str | dict[str, Any]) -> str:
    raw = data if isinstance(data, bytes) else (data if isinstance(data, str) else json.dumps(data)).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def forged(header: Any = HEADER, claims: Any = CLAIMS, key: SigningKey = KEY) -> str:
    """Signed for real, so that only what stands in it can be the reason to refuse it."""
    signing_input = f"{b64(header)}.{b64(claims)}"
    return f"{signing_input}.{b64(jwk.construct(key.private, 'ES256').sign(signing_input.encode()))}"


def with_header(**members: Any) -> str:
    return forged({**HEADER, **members})


def with_claims(**members: Any) -> str:
    return forged(claims={**CLAIMS, **members})


def without(claim: str) -> str:
    return forged(claims={k: v for k, v in CLAIMS.items() if k != claim})


def raw_claims(old: str, new: str) -> str:
    text = json.dumps(CLAIMS)
    assert old in text
    return forged(claims=text.replace(old, new, 1))


def hmac_with(secret: bytes, alg: str) -> str:
    signing_input = f"{b64({**HEADER, 'alg': alg})}.{b64(CLAIMS)}"
    mac = hmac.HMAC(secret, hashes.SHA256())
    mac.update(signing_input.encode())
    return f"{signing_input}.{b64(mac.finalize())}"


def padded_hmac() -> str:
    """An HS256 token whose signature has the length of an ES256 one."""
    head, body, mac = hmac_with(PUBLIC_PEM, "HS256").split(".")
    return f"{head}.{body}.{mac}{mac}"


def rsa_signed() -> str:
    private = rsa.generate_private_key(65537, 2048)
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return jwt.encode(CLAIMS, pem.decode(), algorithm="RS256", headers={"kid": KEY.kid, "typ": "at+jwt"})


def other_curve() -> str:
    private = ec.generate_private_key(ec.SECP384R1())
    return jwt.encode(CLAIMS, private, algorithm="ES384", headers={"kid": KEY.kid, "typ": "at+jwt"})


def ed_claims() -> str:
    head, _, signature = VALID.split(".")
    claims = json.loads(base64.urlsafe_b64decode(VALID.split(".")[1] + "=="))
    return f"{head}.{b64({**claims, 'role': 'operator'})}.{signature}"


def flipped_signature() -> str:
    last = VALID[-10]
    return VALID[:-10] + ("A" if last != "A" else "B") + VALID[-9:]


def second_spelling() -> str:
    """The same signature bytes in another base64 text: the unused low bits of the last character are set."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return VALID[:-1] + alphabet[alphabet.index(VALID[-1]) | 1]


def der_signature() -> str:
    signing_input = VALID.rsplit(".", 1)[0]
    return f"{signing_input}.{b64(KEY.private.sign(signing_input.encode(), ec.ECDSA(hashes.SHA256())))}"


JWK = OTHERS.public_jwk() | {"kid": KEY.kid}
HEAD, BODY, SIGNATURE = VALID.split(".")

FORGERIES: dict[str, Callable[[], str]] = {
    "alg none, no signature": lambda: f"{b64({**HEADER, 'alg': 'none'})}.{BODY}.",
    "alg none, some signature": lambda: f"{b64({**HEADER, 'alg': 'none'})}.{BODY}.{SIGNATURE}",
    "alg NoNe": lambda: f"{b64({**HEADER, 'alg': 'NoNe'})}.{BODY}.{SIGNATURE}",
    "alg es256 in small letters": lambda: with_header(alg="es256"),
    "alg missing": lambda: forged({"kid": KEY.kid, "typ": "at+jwt"}),
    "alg a list": lambda: with_header(alg=["ES256"]),
    "HS256 with the public key as secret": lambda: hmac_with(PUBLIC_PEM, "HS256"),
    "HS256 with the JWK as secret": lambda: hmac_with(json.dumps(KEY.public_jwk()).encode(), "HS256"),
    "HS256 mac of an ES256 signature's length": padded_hmac,
    "HS256 mac under the header of ES256": lambda: hmac_with(PUBLIC_PEM, "ES256"),
    "RS256 under our kid": rsa_signed,
    "ES384 on P-384 under our kid": other_curve,
    "somebody else's key under our kid": lambda: forged(key=OTHERS),
    "somebody else's key under its own kid": lambda: forged({**HEADER, "kid": OTHERS.kid}, key=OTHERS),
    "kid missing": lambda: forged({"alg": "ES256", "typ": "at+jwt"}),
    "kid a path": lambda: with_header(kid="../../../dev/null"),
    "kid a query": lambda: with_header(kid="x' UNION SELECT 'key"),
    "kid a number": lambda: with_header(kid=1),
    "jku": lambda: forged({**HEADER, "jku": "https://evil.test/jwks.json"}, key=OTHERS),
    "jwk": lambda: forged({**HEADER, "jwk": JWK}, key=OTHERS),
    "jku beside our own signature": lambda: with_header(jku="https://evil.test/jwks.json"),
    "x5u": lambda: forged({**HEADER, "x5u": "https://evil.test/cert.pem"}, key=OTHERS),
    "x5c": lambda: forged({**HEADER, "x5c": ["MIIB"]}, key=OTHERS),
    "crit": lambda: with_header(crit=["exp"]),
    "b64 false (RFC 7797)": lambda: with_header(b64=False, crit=["b64"]),
    "zip": lambda: with_header(zip="DEF"),
    "cty JWT (nested)": lambda: with_header(cty="JWT"),
    "header type JWT": lambda: with_header(typ="JWT"),
    "header type with Unicode look-alike": lambda: with_header(typ="аt+jwt"),
    "alg twice in the header": lambda: forged(
        json.dumps(HEADER).replace('"alg": "ES256"', '"alg": "none", "alg": "ES256"')
    ),
    "header an array": lambda: forged([HEADER]),
    "no aud": lambda: without("aud"),
    "no iss": lambda: without("iss"),
    "no exp": lambda: without("exp"),
    "no iat": lambda: without("iat"),
    "no sub": lambda: without("sub"),
    "no typ": lambda: without("typ"),
    "no jti": lambda: without("jti"),
    "no facility": lambda: without("facility"),
    "no role": lambda: without("role"),
    "another audience": lambda: with_claims(aud="elsewhere"),
    "audience among others": lambda: with_claims(aud=["codetect", "elsewhere"]),
    "audience a number": lambda: with_claims(aud=7),
    "audience an object": lambda: with_claims(aud={"codetect": True}),
    "another issuer": lambda: with_claims(iss="https://evil.test"),
    "issuer a list": lambda: with_claims(iss=[ISSUER]),
    "issuer with a trailing slash": lambda: with_claims(iss=ISSUER + "/"),
    "another typ (mfa)": lambda: with_claims(typ="mfa"),
    "expired a second ago": lambda: with_claims(exp=int(time.time()) - 1),
    "expired, exp as text": lambda: with_claims(exp="9999999999"),
    "exp overflows a float": lambda: raw_claims(f'"exp": {CLAIMS["exp"]}', '"exp": 1e999'),
    "exp Infinity": lambda: raw_claims(f'"exp": {CLAIMS["exp"]}', '"exp": Infinity'),
    "exp NaN": lambda: raw_claims(f'"exp": {CLAIMS["exp"]}', '"exp": NaN'),
    "exp true": lambda: with_claims(exp=True),
    "exp null": lambda: with_claims(exp=None),
    "exp in a thousand years": lambda: with_claims(exp=int(time.time()) + 31_536_000_000),
    "exp of 2,000 digits": lambda: raw_claims(f'"exp": {CLAIMS["exp"]}', f'"exp": {"9" * 2000}'),
    "exp twice": lambda: raw_claims(f'"exp": {CLAIMS["exp"]}', f'"exp": 1, "exp": {CLAIMS["exp"]}'),
    "issued in the future": lambda: with_claims(iat=int(time.time()) + 3600, exp=int(time.time()) + 4000),
    "not yet valid": lambda: with_claims(nbf=int(time.time()) + 3600),
    "facility no uuid": lambda: with_claims(facility="demo"),
    "facility in braces": lambda: with_claims(facility="{" + CLAIMS["facility"] + "}"),
    "facility a list": lambda: with_claims(facility=[CLAIMS["facility"]]),
    "role unknown": lambda: with_claims(role="root"),
    "role in Unicode": lambda: with_claims(role="ａdmin"),
    "sub a number": lambda: with_claims(sub=1),
    "sub with a line break": lambda: with_claims(sub="a\nb"),
    "slug with a look-alike": lambda: with_claims(slug="dеmo"),
    "scope a list": lambda: with_claims(scope=["write"]),
    "session no uuid": lambda: with_claims(sid="x"),
    "auth_time a text": lambda: with_claims(auth_time="9999999999"),
    "auth_time true": lambda: with_claims(auth_time=True),
    "auth_time in the future": lambda: with_claims(auth_time=int(time.time()) + 3600),
    "claims an array": lambda: forged(claims=json.dumps([CLAIMS])),
    "claims nested 1,500 deep": lambda: forged(claims="[" * 1000 + "]" * 1000),
    "claims in Latin-1": lambda: forged(claims=json.dumps(CLAIMS | {"x": "é"}, ensure_ascii=False).encode("latin-1")),
    "claims raised to operator": ed_claims,
    "claims of another token": lambda: f"{HEAD}.{with_claims().split('.')[1]}.{SIGNATURE}",
    "signature flipped": flipped_signature,
    "signature empty": lambda: f"{HEAD}.{BODY}.",
    "signature gone": lambda: f"{HEAD}.{BODY}",
    "signature of zeros": lambda: f"{HEAD}.{BODY}.{b64(bytes(64))}",
    "signature in DER": der_signature,
    "signature in a second spelling": second_spelling,
    "signature padded": lambda: VALID + "==",
    "token twice": lambda: f"{VALID}.{VALID}",
    "claims twice": lambda: f"{HEAD}.{BODY}.{BODY}.{SIGNATURE}",
    "JSON serialisation": lambda: json.dumps({"protected": HEAD, "payload": BODY, "signature": SIGNATURE}),
    "standard base64 alphabet": lambda: f"{HEAD}.{BODY}.{SIGNATURE[:-2]}+/",
    "a space inside": lambda: f"{HEAD}.{BODY} .{SIGNATURE}",
    "a line break at the end": lambda: VALID + "\n",
    "a NUL at the end": lambda: VALID + "\0",
    "full-width dots": lambda: VALID.replace(".", "．"),
    "5 kB of claims": lambda: with_claims(x="x" * 5000),
    "1 MB": lambda: "A" * 1_000_000,
    "nothing": lambda: "",
}


@pytest.fixture(scope="module", autouse=True)
def minted_now() -> None:
    """This module may have been imported long before its tests run, and a token lasts ten minutes."""
    global VALID, HEAD, BODY, SIGNATURE
    CLAIMS.update(iat=int(time.time()), exp=int(time.time()) + 600)
    VALID = tokens.issue(PRINCIPAL, KEY, issuer=ISSUER)
    HEAD, BODY, SIGNATURE = VALID.split(".")


@pytest.fixture(scope="module")
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """A service that trusts KEY alone, asked over its ASGI door."""
    app = FastAPI()
    install_handlers(app, tokens.identify)

    async def fetch() -> Any:
        return {"keys": [KEY.public_jwk()]}

    app.state.jwks = JwksCache(fetch, ISSUER)

    @app.get("/")
    @app.post("/")
    async def who(principal: CurrentPrincipal) -> Principal:
        return principal

    @app.post("/said")
    async def said(principal: CurrentPrincipal, words: list[str]) -> list[str]:
        return words

    @app.post("/open")
    async def heard(words: list[str]) -> list[str]:
        return words

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://service") as client:
        yield client


def bearer(token: str) -> dict[str, bytes]:
    return {"Authorization": b"Bearer " + token.encode("utf-8", "surrogatepass")}


def test_there_are_forty_forgeries_that_differ() -> None:
    made = {make() for make in FORGERIES.values()}
    assert len(made) == len(FORGERIES) >= 40
    assert VALID not in made


@pytest.mark.parametrize("forgery", FORGERIES.values(), ids=FORGERIES)
async def test_a_forged_token_is_refused(client: httpx.AsyncClient, forgery: Callable[[], str]) -> None:
    token = forgery()
    with pytest.raises(tokens.TokenInvalid):
        tokens.verify(token, {KEY.kid: KEY.private.public_key()}, issuer=ISSUER)
    # `Bearer <token> ` is the same request to an HTTP server, which strips the end of a header's value.
    if token == token.rstrip("\n"):
        answer = await client.get("/", headers=bearer(token))
        assert (answer.status_code, answer.headers["content-type"]) == (401, "application/problem+json")
        assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_the_valid_token_is_accepted(client: httpx.AsyncClient) -> None:
    answer = await client.get("/", headers=bearer(VALID))
    assert answer.status_code == 200
    assert answer.json()["subject"] == PRINCIPAL.subject
    assert tokens.verify(VALID, {KEY.kid: KEY.private.public_key()}, issuer=ISSUER) == PRINCIPAL


async def test_the_hand_made_claims_are_valid_before_they_are_bent(client: httpx.AsyncClient) -> None:
    assert (await client.get("/", headers=bearer(forged()))).status_code == 200


@pytest.mark.parametrize("header", [None, "Basic YTpi", "Bearer", f"bearer{VALID}"])
async def test_no_bearer_is_answered_with_how_to_log_in(client: httpx.AsyncClient, header: str | None) -> None:
    answer = await client.get("/", headers={"Authorization": header} if header else {})
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")


@pytest.mark.parametrize("key", [ec.generate_private_key(ec.SECP384R1()), ec.generate_private_key(ec.SECP256K1())])
def test_a_key_on_another_curve_verifies_nothing(key: ec.EllipticCurvePrivateKey) -> None:
    with pytest.raises(tokens.TokenInvalid):
        tokens.verify(VALID, {KEY.kid: key.public_key()}, issuer=ISSUER)


async def test_an_api_client_reads_and_writes_as_its_scopes_say(client: httpx.AsyncClient) -> None:
    reader = Principal("client", uuid4(), "demo", Role.API_CLIENT, frozenset({"read"}))
    headers = bearer(tokens.issue(reader, KEY, issuer=ISSUER))
    assert (await client.get("/", headers=headers)).status_code == 200
    assert (await client.post("/", headers=headers)).status_code == 403


@pytest.mark.parametrize("body", [b"\0", b'"\xff"', b"7", b""])
async def test_who_isnt_known_is_told_only_that_whatever_they_send(client: httpx.AsyncClient, body: bytes) -> None:
    kind = {"Content-Type": "application/json"}
    for headers in ({}, bearer(VALID[:-4] + "AAAA")):
        assert (await client.post("/said", content=body, headers=kind | headers)).status_code == 401
    assert (await client.post("/said", content=body, headers=kind | bearer(VALID))).status_code == 422
    assert (await client.post("/open", content=body, headers=kind)).status_code == 422


class Auth:
    """What auth would answer, and how often it was asked."""

    def __init__(self, *keys: SigningKey) -> None:
        self.keys, self.asked, self.up = list(keys), 0, True

    async def __call__(self) -> Any:
        self.asked += 1
        if not self.up:
            raise httpx.ConnectError("down")
        return {"keys": [key.public_jwk() for key in self.keys]}


class Clock:
    """Monotonic time that a test moves on."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


async def test_keys_are_asked_for_once_and_again_after_thirty_seconds(clock: Clock) -> None:
    auth = Auth(KEY)
    cache = JwksCache(auth, ISSUER, clock)
    for _ in range(100):
        await cache.verify(VALID)
    assert auth.asked == 1
    clock.now += tokens.FRESH_S + 1
    await cache.verify(VALID)
    assert auth.asked == 2


async def test_a_revoked_key_is_refused_within_a_minute(clock: Clock) -> None:
    auth = Auth(KEY)
    cache = JwksCache(auth, ISSUER, clock)
    await cache.verify(VALID)
    auth.keys = [OTHERS]
    clock.now += 59
    with pytest.raises(tokens.TokenInvalid):
        await cache.verify(VALID)


async def test_a_new_key_is_known_at_once_but_unknown_kids_do_not_flood_auth(clock: Clock) -> None:
    auth = Auth(KEY)
    cache = JwksCache(auth, ISSUER, clock)
    await cache.verify(VALID)
    clock.now += tokens.RETRY_S + 0.1
    auth.keys.append(OTHERS)
    await cache.verify(tokens.issue(PRINCIPAL, OTHERS, issuer=ISSUER))
    for _ in range(100):
        with pytest.raises(tokens.TokenInvalid):
            await cache.verify(tokens.issue(PRINCIPAL, SigningKey.generate(), issuer=ISSUER))
    assert auth.asked == 2


async def test_auth_may_be_away_for_one_tokens_life_and_no_longer(clock: Clock) -> None:
    auth = Auth(KEY)
    cache = JwksCache(auth, ISSUER, clock)
    await cache.verify(VALID)
    auth.up = False
    clock.now += tokens.STALE_S - 10
    await cache.verify(VALID)
    clock.now += 20
    with pytest.raises(tokens.KeysUnavailable):
        await cache.verify(VALID)


async def test_a_service_that_never_reached_auth_says_so_instead_of_refusing_the_token(clock: Clock) -> None:
    auth = Auth(KEY)
    auth.up = False
    cache = JwksCache(auth, ISSUER, clock)
    with pytest.raises(tokens.KeysUnavailable):
        await cache.verify(VALID)
    auth.up = True
    clock.now += 0.25
    assert await cache.verify(VALID) == PRINCIPAL


async def test_many_who_come_before_auth_does_ask_it_five_times_a_second_and_no_oftener(clock: Clock) -> None:
    auth = Auth(KEY)
    auth.up = False
    cache = JwksCache(auth, ISSUER, clock)
    for _ in range(100):
        with pytest.raises(tokens.KeysUnavailable):
            await cache.verify(VALID)
        clock.now += 0.01
    assert auth.asked <= 6


async def test_those_who_wait_for_an_auth_that_hangs_wait_once() -> None:
    asked = 0

    async def hang() -> Any:
        nonlocal asked
        asked += 1
        await asyncio.sleep(2 * tokens.FIRST_RETRY_S)
        raise httpx.ReadTimeout("")

    cache = JwksCache(hang, ISSUER)
    answers = await asyncio.gather(*(cache.verify(VALID) for _ in range(10)), return_exceptions=True)
    assert [type(answer) for answer in answers] == [tokens.KeysUnavailable] * 10
    assert asked == 1


@pytest.mark.parametrize(
    "document", [[], {}, {"keys": None}, {"keys": [7]}, {"keys": [KEY.public_jwk() | {"x": "AAAA"}]}]
)
async def test_an_answer_that_is_no_key_set_does_not_replace_the_keys(clock: Clock, document: Any) -> None:
    answers = [{"keys": [KEY.public_jwk()]}, document]

    async def fetch() -> Any:
        return answers.pop(0)

    cache = JwksCache(fetch, ISSUER, clock)
    await cache.verify(VALID)
    clock.now += tokens.FRESH_S + 1
    assert await cache.verify(VALID) == PRINCIPAL

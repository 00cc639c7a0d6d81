"""The doctor sees what is wrong in DNS and on the way to the mail server, against real servers, and says what to do."""

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest
from codetect_auth.doctor.examination import examine
from codetect_auth.doctor.findings import Finding
from codetect_auth.mails.signing import Signer
from codetect_auth.settings import MailerSettings, Tls
from codetect_local.ports import free_block

from tests.auth.conftest import House, Shell
from tests.auth.mailbox import certificate, mailbox
from tests.auth.test_dkim import KEYS

Zone = dict[tuple[str, str], list[str]]


class NameServer(asyncio.DatagramProtocol):
    """Answers from a zone, over UDP."""

    def __init__(self, zone: Zone) -> None:
        self.zone = zone

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, address: Any) -> None:
        question = dns.message.from_wire(data)
        (asked,) = question.question
        name, kind = asked.name.to_text(omit_final_dot=True).lower(), dns.rdatatype.to_text(asked.rdtype)
        answer = dns.message.make_response(question)
        answer.flags |= dns.flags.AA
        wildcard = "*." + name.partition(".")[2]
        known = {known for known, _ in self.zone}
        place = name if name in known else wildcard
        if values := self.zone.get((place, kind)):
            answer.answer.append(dns.rrset.from_text_list(asked.name, 60, "IN", kind, values))
        elif place not in known:
            answer.set_rcode(dns.rcode.NXDOMAIN)
        self.transport.sendto(answer.to_wire(), address)


@asynccontextmanager
async def names(zone: Zone) -> AsyncIterator[str]:
    loop = asyncio.get_running_loop()
    # A port that was free before may be the one of the server before, which closes in its own time.
    transport, _ = await loop.create_datagram_endpoint(lambda: NameServer(zone), local_addr=("127.0.0.1", 0))
    try:
        yield f"127.0.0.1:{transport.get_extra_info('sockname')[1]}"
    finally:
        transport.close()


BASE: dict[str, Any] = {
    "base_domain": "codetect.example",
    "mail_from": "no-reply@mail.codetect.example",
    "smtp_timeout_s": 2,
    **KEYS,
}


def txt(text: str) -> list[str]:
    return [" ".join(f'"{text[at : at + 200]}"' for at in range(0, len(text), 200))]


def good_zone() -> Zone:
    zone = {
        ("mail.codetect.example", "TXT"): [*txt("v=spf1 a:smtp.example -all"), *txt("something else")],
        ("mail.codetect.example", "MX"): ["10 mx.example."],
        ("_dmarc.mail.codetect.example", "TXT"): txt("v=DMARC1; p=reject"),
        ("*.codetect.example", "A"): ["192.0.2.1"],
        ("codetect.example", "CAA"): ['0 issue "letsencrypt.org"'],
    }
    signer = Signer.of(MailerSettings(**BASE))
    return zone | {(f"{key.selector}._domainkey.{signer.domain}", "TXT"): txt(key.record) for key in signer.keys}


async def found(house: House, zone: Zone, **changes: Any) -> dict[str, list[Finding]]:
    async with names(zone) as server:
        settings = MailerSettings(**(BASE | {"dns_server": server} | changes))
        _, findings = await examine(settings, house.auth.db)
    by_name: dict[str, list[Finding]] = {}
    for finding in findings:
        by_name.setdefault(finding.name, []).append(finding)
    return by_name


async def test_all_is_well_and_says_so(house: House) -> None:
    async with mailbox() as box:
        seen = await found(house, good_zone(), smtp_host="127.0.0.1", smtp_port=box.port, smtp_tls=Tls.NONE)
    states = {name: {finding.health.value for finding in findings} for name, findings in seen.items()}
    expected = (
        "database",
        "clock",
        "broker",
        "object store",
        "spf",
        "dkim",
        "dmarc",
        "bounces",
        "hosts",
        "wildcard",
        "caa",
        "smtp",
    )
    assert {name: states[name] for name in expected} == {name: {"ok"} for name in expected}
    assert len(seen["dkim"]) == 2


SPF, DKIM, DMARC = (
    ("mail.codetect.example", "TXT"),
    ("codetect._domainkey.mail.codetect.example", "TXT"),
    ("_dmarc.mail.codetect.example", "TXT"),
)
TROUBLES: dict[str, tuple[Zone, str, str, str]] = {
    "no SPF": ({SPF: txt("hello")}, "spf", "fail", "no SPF record"),
    "two SPF": ({SPF: [*txt("v=spf1 a -all"), *txt("v=spf1 mx -all")]}, "spf", "fail", "believe none"),
    "SPF for all": ({SPF: txt("v=spf1 +all")}, "spf", "fail", "everybody"),
    "SPF for none": ({SPF: txt("v=spf1 -all")}, "spf", "fail", "nobody"),
    "SPF undecided": ({SPF: txt("v=spf1 a ?all")}, "spf", "warn", "refuses nobody"),
    "no DKIM": ({DKIM: []}, "dkim", "fail", "no record"),
    "another key": ({DKIM: txt("v=DKIM1; k=rsa; p=MIIBIjANBg")}, "dkim", "fail", "another key"),
    "a revoked key": ({DKIM: txt("v=DKIM1; p=")}, "dkim", "fail", "another key"),
    "no DMARC": ({DMARC: []}, "dmarc", "fail", "no DMARC record"),
    "DMARC that only watches": ({DMARC: txt("v=DMARC1; p=none")}, "dmarc", "warn", "others may still send"),
    "no MX": ({("mail.codetect.example", "MX"): []}, "bounces", "warn", "receives no mail"),
    "no hosts": ({("*.codetect.example", "A"): []}, "hosts", "fail", "have no address"),
    "no CAA": ({("codetect.example", "CAA"): []}, "caa", "warn", "no CAA record"),
}


@pytest.mark.parametrize("trouble", TROUBLES)
async def test_what_is_wrong_in_dns_is_named_with_what_to_do(house: House, trouble: str) -> None:
    await house.facility()
    changes, name, health, says = TROUBLES[trouble]
    zone = {place: values for place, values in (good_zone() | changes).items() if values}
    worst = [finding for finding in (await found(house, zone))[name] if finding.health.value != "ok"]
    assert [finding.health.value for finding in worst] == [health]
    assert says in worst[0].says
    assert worst[0].do


async def test_dmarc_is_looked_for_at_parents_and_wants_alignment(house: House) -> None:
    zone = good_zone()
    del zone[DMARC]
    zone[("_dmarc.codetect.example", "TXT")] = txt("v=DMARC1; p=reject; sp=none")
    assert (await found(house, zone))["dmarc"][0].health == "warn"
    other = {"dkim_domain": "elsewhere.example", "mail_bounce_address": "b@elsewhere.example"}
    (dmarc,) = (await found(house, zone, **other))["dmarc"]
    assert (dmarc.health, "belongs to" in dmarc.says) == ("fail", True)


async def test_dns_that_does_not_answer_is_one_finding(house: House) -> None:
    settings = MailerSettings(**(BASE | {"dns_server": f"127.0.0.1:{free_block()}"}))
    _, findings = await examine(settings, house.auth.db)
    assert [(f.health.value, f.do != "") for f in findings if f.name == "dns"] == [("fail", True)]


async def test_the_command_prints_records_sends_a_test_and_fails_when_something_does(
    house: House, shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tls, ca_file = certificate(tmp_path, "127.0.0.1")
    zone = good_zone()
    async with mailbox(tls=tls, login=("mailer", "secret word")) as box, names(zone) as server:
        told = {
            "CODETECT_BASE_DOMAIN": "codetect.example",
            "CODETECT_AUTH_MAIL_FROM": BASE["mail_from"],
            "CODETECT_AUTH_DKIM_KEY": KEYS["dkim_key"],
            "CODETECT_AUTH_DKIM_ED25519_KEY": KEYS["dkim_ed25519_key"],
            "CODETECT_AUTH_DNS_SERVER": server,
            "CODETECT_AUTH_SMTP_HOST": "127.0.0.1",
            "CODETECT_AUTH_SMTP_PORT": str(box.port),
            "CODETECT_AUTH_SMTP_TLS": "starttls",
            "CODETECT_AUTH_SMTP_CA_FILE": str(ca_file),
            "CODETECT_AUTH_SMTP_USER": "mailer",
            "CODETECT_AUTH_SMTP_PASSWORD": "secret word",
            "CODETECT_AUTH_SMTP_TIMEOUT_S": "10",
        }
        for name, value in told.items():
            monkeypatch.setenv(name, value)
        code, said, _ = await shell("doctor", "--send-test-to", "operator@clinic.example")
        assert code == 0
        assert {check["health"] for check in said["checks"]} <= {"ok", "warn"}
        (smtp,) = (check["says"] for check in said["checks"] if check["name"] == "smtp")
        assert "TLSv1.3, logged in" in smtp
        (kept,) = box.kept
        assert kept.message["Subject"] == "A test mail of codetect.example"
        values = {record["name"]: record["value"] for record in said["records"]}
        assert values["codetect._domainkey.mail.codetect.example"].startswith("v=DKIM1; k=rsa; p=MII")
        assert {"mail.codetect.example", "_dmarc.mail.codetect.example", "*.codetect.example"} <= values.keys()
        assert not any(word in str(said) for word in ("secret word", "PRIVATE"))

        monkeypatch.setenv("CODETECT_AUTH_SMTP_PASSWORD", "wrong")
        del zone[SPF]
        assert (await shell("doctor"))[0] == 1
        from codetect_auth import admin

        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            await asyncio.to_thread(admin.run, ["doctor"])
        assert ended.value.code == 1
        printed = capsys.readouterr().out
        assert "  fail  spf: mail.codetect.example has no SPF record.\n        Set the record above." in printed
        assert "  fail  smtp: 127.0.0.1" in printed
        assert "  ok    broker: It answers." in printed


async def test_a_house_of_its_own_needs_no_dns(house: House) -> None:
    async with mailbox() as box:
        local = {"base_domain": "localhost", "mail_from": "", "smtp_host": "127.0.0.1", "smtp_port": box.port}
        settings = MailerSettings(**(BASE | local | {"smtp_tls": Tls.NONE}))
        wanted, findings = await examine(settings, house.auth.db)
    assert wanted == []
    assert "fail" not in {finding.health.value for finding in findings}
    assert [f.health.value for f in findings if f.name == "mail domain"] == ["warn"]


async def test_servers_that_are_away_are_named(house: House, environment: dict[str, str]) -> None:
    changes = {
        "rabbitmq_url": f"amqp://guest:guest@127.0.0.1:{free_block()}/",
        "storage_url": f"http://127.0.0.1:{free_block()}",
        "smtp_port": free_block(),
        "dkim_key": "nonsense",
    }
    seen = await found(house, good_zone(), **changes)
    for name in ("broker", "object store", "smtp", "dkim key"):
        (finding,) = seen[name]
        assert (finding.health.value, bool(finding.do)) == ("fail", True), name
    gc.collect()  # aio-pika closes what never opened when it is collected, which must not be in another test's thread

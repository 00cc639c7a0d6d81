"""What is asked for arrives once, however the mail server behaves."""

import asyncio
import re
from collections import Counter
from email.header import decode_header, make_header
from email.parser import BytesParser
from email.policy import compat32
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest
from codetect_auth.mails.kinds import FactRefused, Kind
from codetect_auth.models import MAILS
from codetect_auth.settings import MailerSettings, Tls
from pydantic import ValidationError

from tests.auth.conftest import House
from tests.auth.mailbox import DROP, DROP_AFTER, HANG, Mailbox, certificate, mailbox
from tests.auth.post import posting


async def test_a_mail_arrives_with_all_it_should_say_and_is_forgotten(house: House) -> None:
    async with mailbox() as box, posting(house, box, mail_reply_to="help@clinic.example") as post:
        await post.ask()
        await post.ask()
        await post.deliver()
        (kept,) = box.kept
        ((id, _, state, error, letter, _, _),) = await post.rows()
        assert (state, error, letter) == ("sent", None, None)
        message = kept.message
        assert (kept.sender, kept.recipient) == ("no-reply@mail.clinic.example", "mira@clinic.example")
        assert message["From"] == "Test Clinic via CoDetect <no-reply@mail.clinic.example>"
        assert message["To"] == "mira@clinic.example"
        assert message["Reply-To"] == "help@clinic.example"
        assert message["Subject"] == "Your invitation to Test Clinic"
        assert message["Message-ID"] == f"<{id}@mail.clinic.example>"
        assert message["Auto-Submitted"] == "auto-generated"
        assert parsedate_to_datetime(message["Date"]).tzinfo is not None
        assert message["List-Unsubscribe"] is None
        assert message.get_content_type() == "multipart/alternative"
        for part in (kept.text, kept.html):
            assert "https://demo.localhost/way-in#token=geheim-0123456789" in part
            assert "Jonas Weber" in part
            assert "because an admin gave Test Clinic this address" in part
            home = post.settings.url(post.facility.slug, "/")
            assert f"Sent by CoDetect for Test Clinic, {home}" in part


TEMPORARY = {
    "greylisted": ("rcpt", "451 4.7.1 Greylisted, try again"),
    "busy": ("data", "452 4.3.1 Disk full"),
    "going down": ("mail", "421 4.3.2 Shutting down"),
    "refuses connections": ("connect", "554 5.3.2 No service"),
    "refuses us": ("mail", "550 5.7.1 Sender not allowed"),
    "hangs at the greeting": ("connect", HANG),
    "hangs at the sender": ("mail", HANG),
    "hangs at the recipient": ("rcpt", HANG),
    "hangs at the text": ("data", HANG),
    "drops at the greeting": ("connect", DROP),
    "drops at the sender": ("mail", DROP),
    "drops at the recipient": ("rcpt", DROP),
    "drops at the text": ("data", DROP),
}


@pytest.mark.parametrize("trouble", TEMPORARY)
async def test_a_server_in_trouble_gets_each_mail_once_when_it_is_over(house: House, trouble: str) -> None:
    async with mailbox() as box, posting(house, box, smtp_timeout_s=0.5, smtp_data_timeout_s=0.5) as post:
        for number in range(5):
            await post.ask(cause=f"cause/{number}", to=f"p{number}@clinic.example")
        step, fault = TEMPORARY[trouble]
        box.faults[step] = fault
        await post.deliver()
        for _ in range(3):
            await post.pass_time(30)
            await post.deliver()
        assert box.kept == []
        assert {row[2] for row in await post.rows()} == {"queued"}
        box.faults.clear()
        await post.wait_until_sent()
        assert Counter(kept.recipient for kept in box.kept) == {f"p{n}@clinic.example": 1 for n in range(5)}
        assert {row[2] for row in await post.rows()} == {"sent"}


async def test_a_server_that_takes_a_text_without_saying_so_gets_few_copies_under_one_id(house: House) -> None:
    async with mailbox() as box, posting(house, box) as post:
        await post.ask()
        box.faults["data"] = DROP_AFTER
        await post.deliver()
        await post.pass_time(60)
        await post.deliver()
        assert len(box.kept) == 1  # what nobody knows is asked again in ten minutes, not at once
        await post.wait_until_sent()
        assert 2 <= len(box.kept) <= 9
        assert len({kept.message["Message-ID"] for kept in box.kept}) == 1
        assert len({re.sub(rb"Date: .*", b"", kept.content) for kept in box.kept}) == 1
        state, error = await post.state()
        assert state == "failed"
        assert error
        assert error.startswith("Nobody knows whether it was sent")


REFUSALS = {
    "no such mailbox": ("rcpt", "550 5.1.1 <mira@clinic.example>: unknown", True),
    "no such domain": ("rcpt", "553 5.1.2 clinic.example unknown", True),
    "without a code": ("rcpt", "550 mira@clinic.example is not here", True),
    "policy": ("rcpt", "550 5.7.1 mira@clinic.example: blocked", False),
    "full": ("rcpt", "552 5.2.2 mailbox full", False),
    "spam": ("data", "554 5.7.1 looks like spam to mira@clinic.example", False),
}


@pytest.mark.parametrize("why", REFUSALS)
async def test_what_is_refused_for_good_fails_with_its_reason_and_is_forgotten(
    house: House, why: str, capfd: pytest.CaptureFixture[str]
) -> None:
    step, reply, stops = REFUSALS[why]
    async with mailbox() as box, posting(house, box) as post:
        await post.ask()
        box.faults[step] = reply
        await post.deliver()
        ((_, _, state, error, letter, _, _),) = await post.rows()
        assert (state, letter) == ("failed", None)
        assert error.startswith(reply[:3])
        box.faults.clear()
        await post.ask(cause="another", to="Mira@Clinic.example")
        await post.deliver()
        assert len(box.kept) == (0 if stops else 1)
        if stops:
            assert (await post.rows())[1][3].startswith("Mails to this address stopped: 55")
    logged = capfd.readouterr()
    assert "mira" not in (logged.out + logged.err + error).lower()


async def test_a_server_that_is_down_is_tried_by_one_now_and_then_and_gets_everything_once(house: House) -> None:
    async with mailbox() as box, posting(house, box) as post:
        tries = 0

        async def count() -> str:
            nonlocal tries
            tries += 1
            return "421 down"

        box.faults["mail"] = count
        for number in range(40):
            await post.ask(cause=f"cause/{number}", to=f"p{number}@clinic.example")
        waits = []
        for _ in range(12):
            await post.deliver()
            ((wait,),) = await house.sql(
                "SELECT extract(epoch FROM retry_at - clock_timestamp())::int FROM mail_server"
            )
            waits.append(wait)
            await post.pass_time(wait + 1)
        assert tries <= 13
        assert waits[0] <= 5
        assert waits == sorted(waits)
        assert 290 <= waits[-1] <= 300
        box.faults.clear()
        await box.stop()
        await post.deliver()
        await post.pass_time(301)
        await box.start()
        await post.wait_until_sent()
        assert Counter(kept.recipient for kept in box.kept) == {f"p{n}@clinic.example": 1 for n in range(40)}
        assert await house.sql("SELECT failures, error FROM mail_server") == [(0, None)]


async def test_after_three_days_a_mail_has_failed_and_says_why(house: House) -> None:
    async with mailbox() as box, posting(house, box) as post:
        box.faults["rcpt"] = "451 4.7.1 not today"
        await post.ask()
        await post.wait_until_sent(hours=90, step_s=600)
        state, error = await post.state()
        assert (state, error) == ("failed", "It couldn't be sent in time: 451 4.7.1 not today")
        ((_, _, _, _, letter, _, _),) = await post.rows()
        assert letter is None
        assert 15 < box.commands.count("rcpt") < 40


async def test_five_hundred_mails_at_once_go_out_as_many_a_minute_as_is_allowed(house: House) -> None:
    async with mailbox() as box, posting(house, box, mail_facility_per_minute=60) as post:
        for number in range(500):
            await post.ask(cause=f"cause/{number}", to=f"p{number}@clinic.example")
        claims = await post.deliver()
        assert len(box.kept) == 60
        assert claims < 70
        for _ in range(70):
            await post.pass_time(10)
            await post.deliver()
            if len(box.kept) == 500:
                break
        ((most,),) = await house.sql(
            "SELECT max(n) FROM (SELECT count(*) OVER (ORDER BY tried_at RANGE interval '59.9 seconds' PRECEDING) AS n "
            "FROM mails WHERE facility_id = :id) AS windows",
            id=post.facility.id,
        )
        assert 30 <= most <= 60
        assert len({kept.recipient for kept in box.kept}) == 500
        assert len(box.connections) <= 8


async def test_one_address_gets_so_many_an_hour_and_security_does_not_wait_for_results(house: House) -> None:
    async with mailbox() as box, posting(house, box, mail_address_per_hour=3) as post:
        for number in range(5):
            await post.ask(cause=f"result/{number}", kind=Kind.ANALYSES_FAILED)
        await post.deliver()
        assert len(box.kept) == 3
        await post.ask(cause="password", kind=Kind.PASSWORD_CHANGED)
        await post.deliver()
        assert [kept.message["Subject"] for kept in box.kept[3:]] == ["Your password for Test Clinic was changed"]
        await post.pass_time(3590)
        await post.deliver()
        assert len(box.kept) == 4
        await post.pass_time(20)
        await post.deliver()
        assert len(box.kept) == 6


async def test_many_mails_share_a_connection_and_the_urgent_go_first(house: House) -> None:
    async with mailbox() as box, posting(house, box) as post:
        await post.ask(cause="failed", kind=Kind.ANALYSES_FAILED)
        for number in range(10):
            await post.ask(cause=f"cause/{number}")
        await post.deliver()
        assert len(box.connections) == 1
        assert box.kept[-1].message["Subject"] == "7 analyses failed at Test Clinic"
        for protocol in list(box._open):  # the server has had enough of waiting
            assert protocol.transport
            protocol.transport.abort()
        await post.ask(cause="later")
        await post.deliver()
        assert len(box.kept) == 12


async def test_whoever_knows_says_so_although_the_job_was_taken_from_them(house: House) -> None:
    async with mailbox() as box, posting(house, box) as post:
        await post.ask()

        async def take_away() -> None:
            await house.sql("UPDATE mails SET fence = fence + 1, lease_until = clock_timestamp() + interval '1 hour'")

        box.faults["taken"] = take_away
        await post.deliver()
        assert await post.state() == ("sent", None)
        assert len(box.kept) == 1
        assert await MAILS.claim(house.auth.db) is None


async def test_a_job_that_was_taken_away_before_its_text_was_sent_is_not_sent(house: House) -> None:
    async with mailbox() as box, posting(house, box) as post:
        await post.ask()

        async def take_away() -> None:
            await house.sql("UPDATE mails SET fence = fence + 1, lease_until = clock_timestamp() + interval '1 hour'")

        box.faults["rcpt"] = take_away
        await post.deliver()
        assert box.kept == []
        assert await post.state() == ("queued", None)


async def test_a_mailer_that_finds_a_text_under_way_waits_for_whoever_knows(house: House) -> None:
    async with mailbox() as box, posting(house, box) as post:
        await post.ask()
        await house.sql("UPDATE mails SET handed_over_at = clock_timestamp(), handovers = 1")
        await post.deliver()
        assert box.kept == []
        await post.pass_time(61)
        await post.deliver()
        assert len(box.kept) == 1


# --- the way to the server ---


async def sent_over(house: House, box: Mailbox, **changes: object) -> tuple[int, str | None]:
    """How many mails arrived, and what is wrong with the server if anything is."""
    async with posting(house, box, **changes) as post:
        await post.ask()
        await post.deliver()
        ((error,),) = await house.sql("SELECT error FROM mail_server")
        assert (await post.state())[0] == ("sent" if box.kept else "queued")
        return len(box.kept), error


@pytest.mark.filterwarnings("ignore:Requiring AUTH")  # aiosmtpd doesn't see that the port itself is TLS
@pytest.mark.parametrize("implicit", [False, True])
async def test_tls_with_a_certificate_that_is_checked(house: House, tmp_path: Path, implicit: bool) -> None:
    tls, ca_file = certificate(tmp_path, "localhost", "127.0.0.1")
    login = ("mailer", "a password")
    async with mailbox(tls=tls, implicit=implicit, login=login) as box:
        known = {"smtp_user": login[0], "smtp_password": login[1], "smtp_timeout_s": 10}
        assert await sent_over(house, box, smtp_ca_file=ca_file, **known) == (1, None)
        box.kept.clear()
        arrived, error = await sent_over(house, box, **known)
        assert arrived == 0
        assert error
        assert "certificate verify failed" in error
        arrived, error = await sent_over(house, box, smtp_ca_file=ca_file, **(known | {"smtp_password": "wrong"}))
        assert arrived == 0
        assert error
        assert error.startswith("535")
        assert "wrong" not in error


async def test_a_certificate_for_another_name_is_no_good(house: House, tmp_path: Path) -> None:
    tls, ca_file = certificate(tmp_path, "mail.clinic.example")
    async with mailbox(tls=tls) as box:
        arrived, error = await sent_over(house, box, smtp_ca_file=ca_file)
        assert arrived == 0
        assert error
        assert "certificate" in error


async def test_nothing_is_sent_in_the_clear_where_tls_was_asked_for(house: House) -> None:
    async with mailbox() as box:
        arrived, error = await sent_over(house, box, smtp_tls=Tls.STARTTLS)
        assert arrived == 0
        assert error
        assert "mail" not in box.commands


@pytest.mark.parametrize("host", ["mail.clinic.example", "10.0.0.5", "0.0.0.0", "localhost.evil.example"])
def test_without_tls_mail_stays_on_the_machine(environment: dict[str, str], host: str) -> None:
    with pytest.raises(ValidationError, match="loopback"):
        MailerSettings(smtp_host=host, smtp_tls=Tls.NONE)
    for near in ("127.0.0.1", "::1", "localhost"):
        MailerSettings(smtp_host=near, smtp_tls=Tls.NONE)


async def test_reports_of_failed_delivery_are_asked_for_where_the_server_offers_them(house: House) -> None:
    async with (
        mailbox(dsn=True) as box,
        posting(house, box, mail_bounce_address="bounces@mail.clinic.example") as post,
    ):
        await post.ask()
        await post.deliver()
        ((id, *_),) = await post.rows()
        assert box.kept[0].sender.startswith(f"bounces+{id.hex}-")
        assert {"RET=HDRS", f"ENVID={id.hex}", "NOTIFY=FAILURE"} <= set(box.commands)


# --- headers and addresses ---


async def test_names_cannot_bring_in_headers(house: House) -> None:
    async with mailbox() as box, posting(house, box) as post:
        evil = 'Evil"\r\nBcc: everyone@clinic.example\r\n\r\n<script>alert(1)</script>'
        await house.sql("UPDATE facilities SET name = :n WHERE id = :f", n=evil, f=post.facility.id)
        await post.ask(invited_by=evil)
        await post.deliver()
        (kept,) = box.kept
        assert set(kept.message.keys()) == {
            *("From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "X-Auto-Response-Suppress"),
            *("Content-Language", "MIME-Version", "Content-Type"),
        }
        assert kept.message["From"].addresses[0].addr_spec == "no-reply@mail.clinic.example"
        assert len(kept.message["From"].addresses) == 1
        assert "<script>" not in kept.html
        assert "&lt;script&gt;" in kept.html


async def test_long_and_foreign_names_survive(house: House) -> None:
    name = "Universitätsklinikum für Röntgen, 放射線科 " + "ж" * 80
    async with mailbox() as box, posting(house, box) as post:
        await house.sql("UPDATE facilities SET name = :n WHERE id = :f", n=name, f=post.facility.id)
        await post.ask()
        await post.deliver()
        (kept,) = box.kept
        assert kept.content.isascii()
        assert max(map(len, kept.content.splitlines())) <= 998
        raw = BytesParser(policy=compat32).parsebytes(kept.content)["From"]
        sender = str(make_header(decode_header(raw)))
        assert sender.startswith("Universitätsklinikum für Röntgen, 放射線科 жжж")
        assert sender.endswith("<no-reply@mail.clinic.example>")
        assert kept.message["Subject"].startswith(f"Your invitation to {name}")
        assert name in kept.text.replace("\n", " ")


ADDRESSES = {
    "mira@klinik-süd.example": ("mira@xn--klinik-sd-x9a.example", False),
    "mirä@clinic.example": ("mirä@clinic.example", True),
    "用户@例子.example": ("用户@xn--fsqu00a.example", True),
    "o'brien+ct@clinic.example": ("o'brien+ct@clinic.example", False),
}


@pytest.mark.parametrize("address", ADDRESSES)
async def test_addresses_in_every_script(house: House, address: str) -> None:
    wire, utf8 = ADDRESSES[address]
    async with mailbox() as box, posting(house, box) as post:
        await post.ask(to=address)
        await post.deliver()
        assert box.kept[0].recipient == wire
        assert ("SMTPUTF8" in box.kept[0].options) == utf8
        assert box.kept[0].message["To"] == wire


async def test_a_server_without_smtputf8_refuses_such_an_address_for_good(house: House) -> None:
    async with mailbox(utf8=False) as box, posting(house, box) as post:
        await post.ask(to="mirä@clinic.example")
        await post.ask(to="mira@clinic.example", cause="other")
        await post.deliver()
        assert [kept.recipient for kept in box.kept] == ["mira@clinic.example"]
        assert "SMTPUTF8" in (await post.rows())[0][3]


@pytest.mark.parametrize(
    "address", ["mira", "@clinic.example", "a b@clinic.example", "a@b\r\nRCPT TO:<c@d>", "a,b@c.d"]
)
async def test_what_is_no_address_fails_by_itself(house: House, address: str) -> None:
    async with mailbox() as box, posting(house, box) as post:
        await post.ask(to=address)
        await post.ask(cause="other")
        await post.deliver()
        assert [row[2] for row in await post.rows()] == ["failed", "sent"]
        assert len(box.kept) == 1


ODD = {
    "a study's name": {"study": "DOE^JANE"},
    "a token in the query": {"url": "https://demo.localhost/x?token=abc"},
    "a link of another kind": {"url": "javascript:alert(1)"},
    "a model that is a sentence": {"model": "covid of Jane Doe"},
    "no time": {"completed_at": "2026-11-26T03:13:00"},
}


@pytest.mark.parametrize("what", ODD)
async def test_a_mail_says_nothing_that_its_kind_does_not(house: House, what: str) -> None:
    async with mailbox() as box, posting(house, box) as post:
        with pytest.raises(FactRefused) as refused:
            await post.ask(kind=Kind.ANALYSIS_COMPLETED, **ODD[what])
        assert not any(str(value) in str(refused.value) for value in ODD[what].values())
        assert await post.rows() == []
        await asyncio.sleep(0)

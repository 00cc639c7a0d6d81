"""Reports of failed delivery: believed when they name a mail of ours, and its own recipient."""

from pathlib import Path

import pytest
from codetect_auth.mails import bounces
from codetect_auth.mails.kinds import Kind
from codetect_auth.mails.message import bounce_tag
from codetect_shared.db import uuid7
from codetect_shared.problems import BadInput
from codetect_shared.tokens import Role

from tests.auth.conftest import House, Shell
from tests.auth.mailbox import Kept, mailbox
from tests.auth.post import Post, posting

BOUNCES = "bounces@mail.clinic.example"


def report(
    to: str, returned: str, recipient: str, *, action: str = "failed", status: str = "5.1.1", full: bool = True
) -> bytes:
    """As Postfix writes them."""
    kind = "message/rfc822" if full else "text/rfc822-headers"
    return f"""From: MAILER-DAEMON@mx.example (Mail Delivery System)
To: {to}
Subject: Undelivered Mail Returned to Sender
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b
Content-Type: text/plain; charset=us-ascii

I'm sorry to have to inform you that your message could not be delivered.

--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example
Arrival-Date: Thu, 26 Nov 2026 03:13:00 +0000

Final-Recipient: rfc822; {recipient}
Original-Recipient: rfc822;{recipient}
Action: {action}
Status: {status}
Diagnostic-Code: smtp; 550 {status} <{recipient}>: user unknown

--b
Content-Type: {kind}

{returned}

--b--
""".replace("\n", "\r\n").encode()


def returned(kept: Kept) -> str:
    return kept.content.decode().replace("\r\n", "\n").partition("\n\n")[0] + "\n\n"


async def taken_in(shell: Shell, folder: Path, content: bytes) -> tuple[int, dict[str, object], str]:
    file = folder / "report.eml"
    file.write_bytes(content)
    return await shell("mail", "bounce", str(file))


async def sent(post: Post, to: str = "mira@clinic.example") -> None:
    await post.ask(to=to)
    await post.deliver()


@pytest.mark.parametrize("tagged", [True, False])
@pytest.mark.parametrize("full", [True, False])
async def test_a_mail_that_came_back_stops_the_address_until_an_admin_clears_it(
    house: House, shell: Shell, tmp_path: Path, tagged: bool, full: bool
) -> None:
    async with mailbox() as box, posting(house, box, mail_bounce_address=BOUNCES if tagged else "") as post:
        await sent(post)
        (kept,) = box.kept
        shell._monkeypatch.setenv("CODETECT_AUTH_MAIL_FROM", "no-reply@mail.clinic.example")
        back = "X: y\n\n" if tagged else returned(kept)
        content = report(kept.sender, back, "MIRA@clinic.example", full=full)
        code, said, _ = await taken_in(shell, tmp_path, content)
        assert code == 0
        assert said["address_stopped"] is True
        assert "clinic" not in str(said["reason"])
        state, error = await post.state()
        assert state == "bounced"
        assert error == "It came back: 5.1.1 550 5.1.1 <<address>>: user unknown"
        await post.ask(cause="other")
        await post.deliver()
        assert len(box.kept) == 1

        admin = await house.account(Role.ADMIN, post.facility)
        token = (await admin.enrol())["access_token"]
        (stopped,) = (await admin.get("/api/v1/undeliverable-addresses", token)).json()["items"]
        assert stopped["address"] == "MIRA@clinic.example"
        listed = (await admin.get("/api/v1/mails?state=bounced", token)).json()["items"]
        assert [mail["kind"] for mail in listed] == ["invitation"]
        stranger = await house.account(Role.ADMIN)
        theirs = (await stranger.enrol())["access_token"]
        assert (await stranger.get("/api/v1/undeliverable-addresses", theirs)).json()["items"] == []
        path, me = f"/api/v1/undeliverable-addresses/{stopped['id']}", {"Authorization": f"Bearer {theirs}"}
        assert (await stranger.client.delete(path, headers=me)).status_code == 404
        me = {"Authorization": f"Bearer {token}"}
        assert (await admin.client.delete(path, headers=me)).status_code == 204
        await post.ask(cause="third")
        await post.deliver()
        assert [each.recipient for each in box.kept].count("mira@clinic.example") == 2


@pytest.mark.parametrize("status", ["4.4.7", "5.2.2", "5.7.1"])
async def test_what_may_pass_marks_the_mail_alone(house: House, shell: Shell, tmp_path: Path, status: str) -> None:
    async with mailbox() as box, posting(house, box, mail_bounce_address=BOUNCES) as post:
        await sent(post)
        content = report(box.kept[0].sender, "X: y\n\n", "mira@clinic.example", status=status)
        assert (await taken_in(shell, tmp_path, content))[1]["address_stopped"] is False
        assert (await post.state())[0] == "bounced"
        await post.ask(cause="other")
        await post.deliver()
        assert len(box.kept) == 2


async def test_forged_reports_stop_nobody(house: House, shell: Shell, tmp_path: Path) -> None:
    async with mailbox() as box, posting(house, box, mail_bounce_address=BOUNCES) as post:
        await sent(post)
        (kept,) = box.kept
        ((id, *_),) = await post.rows()
        forged = {
            "another recipient": report(kept.sender, "X: y\n\n", "jonas@clinic.example"),
            "a tag that isn't ours": report(
                f"bounces+{id.hex}-{'0' * 16}@mail.clinic.example", "X: y\n\n", "mira@clinic.example"
            ),
            "another mail": report(
                f"bounces+{uuid7().hex}-{bounce_tag(post.settings.master_key, id)}@mail.clinic.example",
                "X: y\n\n",
                "mira@clinic.example",
            ),
            "no mail at all": report(BOUNCES, "X: y\n\n", "mira@clinic.example"),
        }
        for why, content in forged.items():
            code, _, errors = await taken_in(shell, tmp_path, content)
            assert (code, errors.strip()) == (
                1,
                "The report is about no mail of ours that was sent to this address.",
            ), why
        assert await post.state() == ("sent", None)


@pytest.mark.parametrize("action", ["delayed", "relayed", "delivered", "expanded"])
def test_other_reports_are_no_failures(action: str) -> None:
    with pytest.raises(BadInput, match="no report"):
        bounces.parse(report("a@b.example", "X: y\n\n", "mira@clinic.example", action=action))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff" * 100,
        b"Subject: hello\r\n\r\nI am on holiday.",
        b"Content-Type: multipart/report; boundary=b\r\n\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\n",
        b"x" * (2**20 + 1),
        b"Content-Type: multipart/report\r\n" * 3000,
    ],
)
def test_whatever_is_no_report_is_refused(content: bytes) -> None:
    with pytest.raises(BadInput):
        bounces.parse(content)


async def test_commands_show_and_clear(house: House, shell: Shell) -> None:
    async with mailbox() as box, posting(house, box) as post:
        box.faults["rcpt"] = "550 5.1.1 unknown"
        await sent(post)
        box.faults.clear()
        await post.ask(cause="other", to="jonas@clinic.example", kind=Kind.WELCOME)
        await post.deliver()
        slug = post.facility.slug
        assert (await shell("mail", "status", "--facility", slug))[1] == {
            "failed": 1,
            "sent": 1,
            "undeliverable": ["mira@clinic.example"],
        }
        assert (await shell("mail", "clear", "--facility", slug, "--email", "Mira@clinic.example"))[0] == 0
        assert (await shell("mail", "clear", "--facility", slug, "--email", "mira@clinic.example"))[0] == 1
        assert (await shell("mail", "status", "--facility", slug))[1]["undeliverable"] == []

"""Commands about mail: `admin doctor`, `admin mail ...`."""

import argparse
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from codetect_shared.problems import BadInput, NotFound
from sqlalchemy import delete, func, select

from codetect_auth.admin_access import facility_named
from codetect_auth.context import Auth
from codetect_auth.doctor.examination import examine
from codetect_auth.doctor.findings import Health
from codetect_auth.mails import bounces
from codetect_auth.mails.rows import UndeliverableAddress, address_keys
from codetect_auth.models import Mail
from codetect_auth.settings import MailerSettings

Command = Callable[..., argparse.ArgumentParser]


def add_commands(command: Command, facility: argparse.ArgumentParser) -> None:
    """Add them to those of `admin`."""
    doctor = command("doctor", _doctor, "Say what must stand in DNS, and check that and everything mail needs.")
    doctor.add_argument("--send-test-to", metavar="ADDRESS", help="send a test mail, too")
    doctor.set_defaults(show=_show_examination)
    mail = command("mail", None, "Reports of failed delivery, and how mails stand.")
    commands = mail.add_subparsers(required=True, metavar="COMMAND")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print one JSON object")

    def of_mail(name: str, do: Any, help: str, *parents: argparse.ArgumentParser) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=help, description=help, parents=[common, *parents])
        added.set_defaults(do=do)
        return added

    bounced = of_mail("bounce", _bounce, "Take in a report of failed delivery.")
    bounced.add_argument("file", metavar="FILE.eml", help="- reads it from standard input")
    of_mail("status", _status, "Say how many of a facility's mails wait, were sent, failed.", facility)
    cleared = of_mail("clear", _clear, "Send to an address again that had no mailbox.", facility)
    cleared.add_argument("--email", required=True)


async def _doctor(auth: Auth, options: argparse.Namespace) -> dict[str, Any]:
    wanted, findings = await examine(MailerSettings(), auth.db, options.send_test_to)
    options.failed = any(finding.health == Health.FAIL for finding in findings)
    return {"records": [asdict(record) for record in wanted], "checks": [asdict(finding) for finding in findings]}


def _show_examination(result: dict[str, Any]) -> None:
    print("DNS records to set:\n" if result["records"] else "No DNS records are needed.")
    for record in result["records"]:
        print(f"  {record['name']}  {record['type']}  {record['value']}")
    print("\nChecks:\n")
    for check in result["checks"]:
        print(f"  {check['health']:<5} {check['name']}: {check['says']}")
        if check["do"]:
            print(f"        {check['do']}")


async def _bounce(auth: Auth, options: argparse.Namespace) -> dict[str, Any]:
    outcomes = await bounces.apply(auth.db, MailerSettings(), bounces.parse(_read(options.file)))
    return {
        "mails": [str(outcome.mail_id) for outcome in outcomes],
        "reason": outcomes[0].reason,
        "address_stopped": any(outcome.address_stopped for outcome in outcomes),
    }


def _read(file: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise BadInput(f"{file} can't be read: {error.strerror}.") from None


async def _status(auth: Auth, options: argparse.Namespace) -> dict[str, Any]:
    facility = await facility_named(auth, options.facility)
    async with auth.db.facility(facility.id) as session:
        counted = await session.execute(select(Mail.state, func.count().label("number")).group_by(Mail.state))
        stopped = await session.scalars(select(UndeliverableAddress.address).order_by(UndeliverableAddress.id))
        return {row.state: row.number for row in counted} | {"undeliverable": list(stopped)}


async def _clear(auth: Auth, options: argparse.Namespace) -> dict[str, Any]:
    facility = await facility_named(auth, options.facility)
    keys = address_keys(auth.settings.master_key, options.email)
    cleared = delete(UndeliverableAddress).where(UndeliverableAddress.address_key.in_(keys))
    async with auth.db.facility(facility.id) as session:
        if (await session.execute(cleared.returning(UndeliverableAddress.id))).first() is None:
            raise NotFound("Mail to this address isn't stopped.")
    return {"cleared": options.email}

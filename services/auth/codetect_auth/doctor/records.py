"""DNS: the records that mail and host names need, and what stands there now."""

import asyncio
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

import dns.asyncresolver
import dns.exception
import dns.resolver

from codetect_auth.doctor.findings import Finding, fail, ok, warn
from codetect_auth.mails.message import on_wire
from codetect_auth.mails.signing import Signer
from codetect_auth.settings import MailerSettings, is_loopback

LOOKUP_S = 5


class DnsAway(Exception):
    """No DNS server answered."""


@dataclass(frozen=True)
class Record:
    """A record to set."""

    name: str
    type: str
    value: str


class Names:
    """Looks up records; nothing there is an empty list."""

    def __init__(self, server: str) -> None:
        self._resolver = dns.asyncresolver.Resolver(configure=not server)
        self._resolver.lifetime = LOOKUP_S
        if server:
            host, _, port = server.rpartition(":")
            self._resolver.nameservers, self._resolver.port = [host], int(port)

    async def look_up(self, name: str, type: str) -> list[str]:
        """The values of a name's records. Raises DnsAway."""
        try:
            answer = await self._resolver.resolve(name, type, raise_on_no_answer=False, search=False)
        except dns.resolver.NXDOMAIN:
            return []
        except (dns.exception.DNSException, OSError) as error:
            raise DnsAway(type_name(error)) from None
        if answer.rrset is None:
            return []
        if type == "TXT":
            return [b"".join(item.strings).decode(errors="replace") for item in answer.rrset]
        return [item.to_text() for item in answer.rrset]

    async def addresses(self, name: str) -> list[str]:
        """Both kinds."""
        found = await asyncio.gather(self.look_up(name, "A"), self.look_up(name, "AAAA"))
        return [*found[0], *found[1]]


def type_name(error: BaseException) -> str:
    """An error's name, which is all that is worth showing of many."""
    return type(error).__name__


def wanted(settings: MailerSettings, signer: Signer, slugs: Sequence[str]) -> list[Record]:
    """What to set. Where mail goes through a provider, its own documentation says what SPF must include."""
    envelope, base = envelope_domain(settings), settings.base_domain
    if is_local(from_domain(settings)):
        return []
    server = "mx" if is_loopback(settings.smtp_host) else f"a:{settings.smtp_host}"
    records = [Record(envelope, "TXT", f"v=spf1 {server} -all")]
    records += [Record(f"{key.selector}._domainkey.{signer.domain}", "TXT", key.record) for key in signer.keys]
    reports = settings.mail_reply_to or settings.sender
    records.append(
        Record(f"_dmarc.{from_domain(settings)}", "TXT", f"v=DMARC1; p=reject; rua=mailto:{on_wire(reports)}")
    )
    if not is_local(base):
        records.append(Record(f"*.{base}", "A / AAAA", "the address of the gateway; or one record a facility:"))
        records += [Record(f"{slug}.{base}", "A / AAAA", "the address of the gateway") for slug in slugs]
        records.append(Record(base, "CAA", '0 issue "<who issues your certificates>"'))
    return records


async def check(names: Names, settings: MailerSettings, signer: Signer, slugs: Sequence[str]) -> list[Finding]:
    """What stands there. When DNS doesn't answer, that is the one finding."""
    try:
        if is_local(from_domain(settings)):
            do = "Set CODETECT_AUTH_MAIL_FROM to an address in a domain of yours before anybody else is to get mail."
            says = f"Mails come from {from_domain(settings)}, which only a server on this machine takes."
            return [warn("mail domain", says, do), *(await _hosts(names, settings.base_domain, slugs))]
        return [
            await _spf(names, settings),
            *[await _dkim(names, signer, number) for number in range(len(signer.keys) or 1)],
            await _dmarc(names, settings, signer),
            await _mx(names, settings),
            *(await _hosts(names, settings.base_domain, slugs)),
        ]
    except DnsAway as error:
        return [fail("dns", f"No DNS server answers ({error}).", "Look at the resolver of this machine.")]


async def _spf(names: Names, settings: MailerSettings) -> Finding:
    domain = envelope_domain(settings)
    found = [text for text in await names.look_up(domain, "TXT") if re.match(r"v=spf1( |$)", text)]
    if not found:
        return fail("spf", f"{domain} has no SPF record.", "Set the record above.")
    if len(found) > 1:
        return fail("spf", f"{domain} has {len(found)} SPF records: receivers believe none.", "Leave one of them.")
    terms = found[0].lower().split()
    if "+all" in terms or "all" in terms:
        return fail("spf", "The SPF record lets everybody send in your name.", "End it with -all.")
    if not {"-all", "~all"} & set(terms) and not any(term.startswith("redirect=") for term in terms):
        return warn("spf", "The SPF record refuses nobody.", "End it with -all.")
    if not any(re.match(r"[+]?(a|mx|ip4|ip6|include|exists)([:/]|$)", t) or t.startswith("redirect=") for t in terms):
        return fail("spf", "The SPF record lets nobody send.", "Add the mail server that sends for you.")
    return ok("spf", f"{domain}: {found[0]}")


async def _dkim(names: Names, signer: Signer, number: int) -> Finding:
    if not signer.keys:
        do = "Make a key (docs/mail.md), and set CODETECT_AUTH_DKIM_KEY_FILE."
        return fail("dkim", "No DKIM key is set: mails go out unsigned, and many receivers refuse them.", do)
    key = signer.keys[number]
    name = f"{key.selector}._domainkey.{signer.domain}"
    texts = await names.look_up(name, "TXT")
    if not texts:
        return fail("dkim", f"{name} has no record.", "Set the record above.")
    public = _tags(key.record)["p"]
    if all(_tags(text).get("p", "").replace(" ", "") != public for text in texts):
        return fail("dkim", f"{name} holds another key than the one we sign with.", "Set the record above.")
    return ok("dkim", f"{name} holds our key ({key.algorithm}).")


async def _dmarc(names: Names, settings: MailerSettings, signer: Signer) -> Finding:
    domain = from_domain(settings)
    labels = domain.split(".")
    for start in range(max(1, len(labels) - 1)):
        name = "_dmarc." + ".".join(labels[start:])
        found = [text for text in await names.look_up(name, "TXT") if text.startswith("v=DMARC1")]
        if found:
            break
    else:
        return fail("dmarc", f"{domain} has no DMARC record.", "Set the record above; begin with p=none to watch.")
    if len(found) > 1:
        return fail("dmarc", f"{name} has {len(found)} DMARC records: receivers believe none.", "Leave one of them.")
    envelope = envelope_domain(settings)
    if not _aligned(domain, signer.domain) and not _aligned(domain, envelope):
        do = "Sign with the domain that mails come from, or a parent of it."
        return fail("dmarc", f"Neither the DKIM domain nor {envelope} belongs to {domain}.", do)
    tags = _tags(found[0])
    policy = tags.get("sp" if start else "p") or tags.get("p")
    if policy not in ("reject", "quarantine"):
        do = "Once reports show that your own mail passes, set p=quarantine, then p=reject."
        return warn("dmarc", f"{name}: {found[0]}; others may still send in your name.", do)
    return ok("dmarc", f"{name}: {found[0]}")


async def _mx(names: Names, settings: MailerSettings) -> Finding:
    domain = envelope_domain(settings)
    if await names.look_up(domain, "MX") or await names.addresses(domain):
        return ok("bounces", f"{domain} can receive reports of failed delivery.")
    do = "Set an MX record, and hand what arrives to `admin mail bounce` (docs/mail.md)."
    return warn("bounces", f"{domain} receives no mail, so reports of failed delivery get lost.", do)


async def _hosts(names: Names, base: str, slugs: Sequence[str]) -> list[Finding]:
    if is_local(base):
        return [ok("hosts", f"Names below {base} are this machine's own (RFC 6761).")]
    found = await asyncio.gather(*(names.addresses(f"{slug}.{base}") for slug in slugs))
    missing = [f"{slug}.{base}" for slug, addresses in zip(slugs, found, strict=True) if not addresses]
    if missing:
        hosts = fail("hosts", f"These have no address: {', '.join(missing)}.", f"Set them, or *.{base}.")
    else:
        hosts = ok("hosts", f"All {len(slugs)} host names have an address.")
    label = secrets.token_hex(8)
    if await names.addresses(f"{label}.{base}"):
        wildcard = ok("wildcard", f"*.{base} is set: a new facility's host works at once.")
    else:
        do = f"Set *.{base}, or set a record for each new facility."
        wildcard = warn("wildcard", f"*.{base} isn't set.", do)
    return [hosts, wildcard, await _caa(names, base)]


async def _caa(names: Names, base: str) -> Finding:
    labels = base.split(".")
    for start in range(len(labels)):
        name = ".".join(labels[start:])
        if found := await names.look_up(name, "CAA"):
            return ok("caa", f"{name}: {'; '.join(found)}")
    do = "Set a CAA record that names who issues your certificates: then nobody else can."
    return warn("caa", f"{base} has no CAA record.", do)


def envelope_domain(settings: MailerSettings) -> str:
    """Whose SPF record receivers look at."""
    return on_wire(settings.mail_bounce_address or settings.sender).rpartition("@")[2]


def from_domain(settings: MailerSettings) -> str:
    """Whose DMARC record receivers look at."""
    return on_wire(settings.sender).rpartition("@")[2]


def is_local(domain: str) -> bool:
    """Whether its names are the machine's own."""
    return domain == "localhost" or domain.endswith(".localhost")


def _aligned(one: str, other: str) -> bool:
    return one == other or one.endswith(f".{other}") or other.endswith(f".{one}")


def _tags(text: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in text.split(";"))
    return {name.strip(): value.strip() for name, _, value in pairs}

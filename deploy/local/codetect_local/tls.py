"""The certificate of the public doors: files of yours, or one signed by an authority of this machine's own."""

import hashlib
import ipaddress
import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from codetect_local.account import give_file
from codetect_local.settings import Settings, Trouble

AUTHORITY_DAYS, DAYS, RENEW_DAYS = 3650, 397, 30
NAME = "CoDetect on {host}"
DIGEST = "TLS_CHAIN_SHA256"


@dataclass(frozen=True)
class Certificate:
    """Files that the unprivileged user can read; `authority` is what clients are to trust, if nobody knows it yet."""

    chain: Path
    key: Path
    authority: Path | None

    def told(self) -> dict[str, str]:
        """For the environment of who serves it: a chain is read once, so that another one needs another process."""
        return {DIGEST: hashlib.sha256(self.chain.read_bytes()).hexdigest()}


def certificate(settings: Settings) -> Certificate | None:
    """What `HOST` and `TLS` ask for; None on a machine that serves only itself. Raises Trouble."""
    if settings.host is None and settings.tls is None:
        return None
    if settings.host is None or settings.tls is None:
        raise Trouble("HOST and TLS go together: make up HOST=ct.example.org TLS=self (or TLS=files).")
    home = settings.state / "tls"
    home.mkdir(mode=0o755, parents=True, exist_ok=True)
    return _self_signed(settings, home) if settings.tls == "self" else _from_files(settings, home)


def _from_files(settings: Settings, home: Path) -> Certificate:
    if not settings.tls_cert or not settings.tls_key:
        raise Trouble("TLS=files needs CODETECT_TLS_CERT (the certificate chain, PEM) and CODETECT_TLS_KEY.")
    try:
        chain, key = settings.tls_cert.read_text(), settings.tls_key.read_text()
        leaf = x509.load_pem_x509_certificates(chain.encode())[0]
        private = load_pem_private_key(key.encode(), None)
    except (OSError, ValueError, TypeError, IndexError) as error:
        raise Trouble(f"The certificate or its key can't be read as PEM without a password: {error}") from None
    if _public(private) != leaf.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo):
        raise Trouble(f"{settings.tls_key} isn't the key of the certificate in {settings.tls_cert}.")
    if not leaf.not_valid_before_utc <= datetime.now(UTC) < leaf.not_valid_after_utc:
        raise Trouble(
            f"The certificate in {settings.tls_cert} is valid from {leaf.not_valid_before_utc} "
            f"to {leaf.not_valid_after_utc} only."
        )
    names = _names(leaf)
    missing = [name for name in (settings.host or "", f"*.{settings.host}") if name not in names]
    if missing:
        raise Trouble(f"The certificate must name {' and '.join(missing)} (it names {', '.join(names) or 'nothing'}).")
    return Certificate(
        give_file(home / "chain.pem", chain, settings.run_as), give_file(home / "key.pem", key, settings.run_as), None
    )


def _self_signed(settings: Settings, home: Path) -> Certificate:
    """A certificate of our own authority; the authority stays, so that who trusts it once is not asked again."""
    host = settings.host or ""
    made = Certificate(home / "chain.pem", home / "key.pem", home / "ca.pem")
    authority, authority_key = _authority(settings, home)
    if made.chain.exists() and made.key.exists():
        leaf = x509.load_pem_x509_certificate(made.chain.read_bytes())
        lasts = leaf.not_valid_after_utc - datetime.now(UTC) > timedelta(days=RENEW_DAYS)
        if lasts and host in _names(leaf) and leaf.issuer == authority.subject:
            return made
    key = ec.generate_private_key(ec.SECP256R1())
    names: list[x509.GeneralName] = [x509.DNSName(host), x509.DNSName(f"*.{host}")]
    names.append(x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
    leaf = (
        _builder(_name(host), authority.subject, key.public_key(), DAYS)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()),
            critical=False,
        )
        .sign(authority_key, hashes.SHA256())
    )
    give_file(made.key, _pem(key), settings.run_as)
    give_file(made.chain, leaf.public_bytes(Encoding.PEM).decode(), settings.run_as)
    return made


def _authority(settings: Settings, home: Path) -> tuple[x509.Certificate, CertificateIssuerPrivateKeyTypes]:
    """Ours, made when there is none; its key is for the machine's owner alone, no service can read it."""
    path, key_path = home / "ca.pem", home / "ca.key"
    if path.exists() and key_path.exists():
        private = load_pem_private_key(key_path.read_bytes(), None)
        return x509.load_pem_x509_certificate(path.read_bytes()), private  # type: ignore[return-value]
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name(NAME.format(host=settings.host))
    authority = (
        _builder(name, name, key.public_key(), AUTHORITY_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(
            x509.KeyUsage(False, False, False, False, False, True, True, False, False),  # certificates, revocations
            critical=True,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        # Whoever trusts it trusts it for our names only.
        .add_extension(
            x509.NameConstraints(
                [x509.DNSName(settings.host or ""), x509.IPAddress(ipaddress.ip_network("127.0.0.1/32"))], None
            ),
            critical=True,
        )
        .sign(key, hashes.SHA256())
    )
    with open(os.open(key_path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(_pem(key))
    path.write_bytes(authority.public_bytes(Encoding.PEM))
    path.chmod(0o644)
    return authority, key


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, days: int
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=days))
    )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common[:64])])


def _names(leaf: x509.Certificate) -> list[str]:
    try:
        found = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    return [name.lower() for name in found.value.get_values_for_type(x509.DNSName)]


def _pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def _public(private: object) -> bytes:
    found: bytes = private.public_key().public_bytes(  # type: ignore[attr-defined]
        Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    )
    return found

"""Who vouches for a bundle: signatures as OpenSSF's tool writes them, and every way they can be wrong."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from codetect_inference.bundle import (
    BundleAltered,
    BundleSignerUnknown,
    BundleUnsigned,
    open_bundle,
    open_folder,
)
from codetect_inference.settings import Settings
from codetect_inference.signature import (
    SIGNATURE,
    SignatureUnreadable,
    SignatureWrong,
    SignerUnknown,
    fingerprint,
    read_keys,
    shipped_keys,
    sign,
    verify,
)
from codetect_training.signing import sign_bundle
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from tests.inference.samples import BUNDLE, bundle_files, sha256
from tests.signing import KEY, made, public_pem, signed

TRUSTED = read_keys(public_pem(KEY))
REFERENCE = Path(__file__).parents[1] / "data/model-signing"  # made by model_signing 1.1.1: `sign key`


def test_what_the_reference_implementation_signed_is_read() -> None:
    keys = read_keys((REFERENCE / "key.pub.pem").read_text())
    found = verify((REFERENCE / SIGNATURE).read_bytes(), keys)
    assert found.files == {name: sha256((REFERENCE / name).read_bytes()) for name in ("bundle.json", "model.onnx")}
    assert [found.signer] == list(keys)


def test_the_shipped_models_are_signed_by_the_shipped_key() -> None:
    for manifest in BUNDLE.parents[1].glob("*/*/bundle.json"):
        assert open_folder(manifest.parent, shipped_keys()).signed_by in shipped_keys()


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()])
def test_a_signature_names_its_signer_and_all_files(curve: ec.EllipticCurve) -> None:
    key = ec.generate_private_key(curve)
    files = signed(bundle_files(), key)
    bundle = open_bundle(files, read_keys(public_pem(KEY) + public_pem(key)))
    assert bundle.signed_by == fingerprint(key.public_key())


def test_a_bundle_without_signature_is_refused_where_one_is_asked_for() -> None:
    files = {name: content for name, content in bundle_files().items() if name != SIGNATURE}
    with pytest.raises(BundleUnsigned, match="codetect_training sign"):
        open_bundle(files, TRUSTED)
    assert open_bundle(files).signed_by is None


def test_a_strangers_signature_is_refused() -> None:
    with pytest.raises(BundleSignerUnknown, match="CODETECT_INFERENCE_MODEL_KEYS"):
        open_bundle(signed(bundle_files(), made("a stranger")), TRUSTED)


def test_another_bundles_signature_is_refused() -> None:
    with pytest.raises(BundleAltered, match=r"bundle\.json"):
        open_bundle(bundle_files() | {SIGNATURE: bundle_files(title="Another")[SIGNATURE]}, TRUSTED)


def test_a_file_more_under_the_signature_is_refused() -> None:
    with pytest.raises(BundleAltered, match=r"extra\.bin"):
        open_bundle(signed(bundle_files() | {"extra.bin": b"x"}), TRUSTED)


def test_a_stranger_who_names_a_trusted_key_is_refused() -> None:
    forged = json.loads(signed(bundle_files(), made("a stranger"))[SIGNATURE])
    forged["verificationMaterial"]["publicKey"]["hint"] = fingerprint(KEY.public_key())
    with pytest.raises(BundleAltered, match="doesn't fit"):
        open_bundle(bundle_files() | {SIGNATURE: json.dumps(forged).encode()}, TRUSTED)


@pytest.mark.parametrize("place", range(0, 600, 23))
def test_one_changed_byte_of_what_is_signed_is_noticed(place: int) -> None:
    found = json.loads(bundle_files()[SIGNATURE])
    payload = bytearray(base64.b64decode(found["dsseEnvelope"]["payload"]))
    payload[place % len(payload)] ^= 1
    found["dsseEnvelope"]["payload"] = base64.b64encode(payload).decode()
    with pytest.raises(SignatureWrong):
        verify(json.dumps(found).encode(), TRUSTED)


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b"\xff", b'{"mediaType": "text/plain"}', b"[" * 100_000, b'{"mediaType": null}']
)
def test_what_is_no_signature_is_refused_in_words(content: bytes) -> None:
    with pytest.raises(BundleUnsigned):
        open_bundle(bundle_files() | {SIGNATURE: content}, TRUSTED)


def enveloped(statement: Any, kind: str = "application/vnd.in-toto+json") -> bytes:
    """A sound signature of something else."""
    payload = json.dumps(statement).encode()
    start = f"DSSEv1 {len(kind)} {kind} {len(payload)} ".encode()
    made = KEY.sign(start + payload, ec.ECDSA(SHA256()))
    found = json.loads(bundle_files()[SIGNATURE])
    found["dsseEnvelope"] = {
        "payload": base64.b64encode(payload).decode(),
        "payloadType": kind,
        "signatures": [{"sig": base64.b64encode(made).decode()}],
    }
    return json.dumps(found).encode()


def statement() -> dict[str, Any]:
    envelope = json.loads(bundle_files()[SIGNATURE])["dsseEnvelope"]
    found: dict[str, Any] = json.loads(base64.b64decode(envelope["payload"]))
    return found


def test_a_sound_statement_of_ours_is_read_whoever_wraps_it() -> None:
    assert verify(enveloped(statement()), TRUSTED).files == open_statement(statement())


def open_statement(found: dict[str, Any]) -> dict[str, str]:
    return {one["name"]: one["digest"] for one in found["predicate"]["resources"]}


def test_other_statements_by_a_trusted_key_are_no_signatures_of_models() -> None:
    other, sharded, twice, root = statement(), statement(), statement(), statement()
    other["predicateType"] = "https://slsa.dev/provenance/v1"
    sharded["predicate"]["serialization"]["method"] = "shards"
    twice["predicate"]["resources"].append(twice["predicate"]["resources"][0])
    root["subject"][0]["digest"]["sha256"] = "0" * 64
    for each in ([], {}, "text", other, sharded, twice, root):
        with pytest.raises(SignatureUnreadable):
            verify(enveloped(each), TRUSTED)


def test_keys_are_elliptic_curves_in_pem_and_nothing_else() -> None:
    assert len(read_keys(public_pem(KEY).replace("\n", "\\n") + public_pem(made("another")))) == 2
    assert read_keys("") == {}
    wrong = rsa.generate_private_key(65537, 2048).public_key()
    for text in (
        "x",
        wrong.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(),
        public_pem(ec.generate_private_key(ec.SECP256K1())),
        public_pem(KEY) + "and more",
    ):
        with pytest.raises(ValueError):
            read_keys(text)
    with pytest.raises(ValueError):
        sign("x", {}, ec.generate_private_key(ec.SECP256K1()))


def test_the_shipped_key_is_trusted_unless_the_operator_says_otherwise() -> None:
    mine = {"model_keys": public_pem(KEY)}
    assert set(Settings.model_construct(**mine, model_keys_shipped=True).trusted_keys) == {*shipped_keys(), *TRUSTED}
    assert set(Settings.model_construct(**mine, model_keys_shipped=False).trusted_keys) == set(TRUSTED)


@pytest.mark.parametrize("password", [None, b"a password"])
def test_the_command_signs_with_a_key_file(tmp_path: Path, password: bytes | None) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    encryption = BestAvailableEncryption(password) if password else NoEncryption()
    (tmp_path / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))
    folder = tmp_path / "bundle"
    folder.mkdir()
    for name, content in bundle_files().items():
        (folder / name).write_bytes(content)
    signer = sign_bundle(folder, tmp_path / "key.pem", lambda _: (password or b"").decode())
    assert open_folder(folder, read_keys(public_pem(key))).signed_by == signer
    if password:
        with pytest.raises(SystemExit, match="password"):
            sign_bundle(folder, tmp_path / "key.pem", lambda _: "another")


def test_an_unknown_signer_is_named() -> None:
    with pytest.raises(SignerUnknown, match=fingerprint(KEY.public_key())):
        verify(bundle_files()[SIGNATURE], {})

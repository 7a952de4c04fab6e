"""Ed25519 keys, and DSSE envelopes signed with them (github.com/secure-systems-lab/dsse)."""

import json
import os
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import UnverifiedSignatureError, VerificationError
from securesystemslib.signer import CryptoSigner, Key, SSlibKey

from app.exports.formats import STATEMENT

_LARGEST_KEY: Final = 10_000
_ENVELOPE: Final = {"payload", "payloadType", "signatures"}


class SigningKeyError(Exception):
    """A key file that cannot be used. The message says what to mend, and holds nothing of the key."""


class SignatureError(Exception):
    """The envelope is not signed by the given key."""


class SigningKey:
    """The private key that attestations are signed with."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._signer: Final = CryptoSigner(private, SSlibKey.from_crypto(private.public_key()))
        self.public_pem: Final = public_pem(private.public_key())

    @property
    def key_id(self) -> str:
        """By which an envelope names the key: the SHA-256 of its public part, as securesystemslib has it."""
        return str(self._signer.public_key.keyid)

    @classmethod
    def read(cls, path: Path) -> "SigningKey":
        """Raises SigningKeyError."""
        try:
            key = load_pem_private_key(_content(path), password=None)
        except (ValueError, TypeError) as error:
            msg = f"{path} holds no unencrypted private key in PEM; `verdicts signing-key create` makes one"
            raise SigningKeyError(msg) from error
        if not isinstance(key, Ed25519PrivateKey):
            msg = f"{path} holds a key of another kind; attestations are signed with Ed25519"
            raise SigningKeyError(msg)
        return cls(key)

    def sign(self, payload: bytes) -> bytes:
        """The payload, an in-toto statement, in a signed envelope: compact JSON."""
        envelope = Envelope(payload, STATEMENT, {})
        envelope.sign(self._signer)
        return json.dumps(envelope.to_dict(), separators=(",", ":")).encode()


def create_key(path: Path) -> SigningKey:
    """Make a key in a new file that only its owner may read, and its public part beside it, as `<name>.pub`.

    Raises SigningKeyError where either file exists or cannot be written.
    """
    private = Ed25519PrivateKey.generate()
    public = path.with_name(path.name + ".pub")
    try:
        _write_new(path, private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), 0o600)
        _write_new(public, public_pem(private.public_key()), 0o644)
    except FileExistsError as error:
        msg = f"{error.filename} exists already; name another file, or move that one away"
        raise SigningKeyError(msg) from error
    except OSError as error:
        msg = f"{error.filename}: {error.strerror}"
        raise SigningKeyError(msg) from error
    return SigningKey(private)


def public_pem(key: Ed25519PublicKey) -> bytes:
    """The public key as PEM (SubjectPublicKeyInfo)."""
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def read_public_key(path: Path) -> Key:
    """Raises SigningKeyError."""
    try:
        key = load_pem_public_key(_content(path))
    except (ValueError, TypeError) as error:
        msg = f"{path} holds no public key in PEM"
        raise SigningKeyError(msg) from error
    if not isinstance(key, Ed25519PublicKey):
        msg = f"{path} holds a key of another kind; attestations are signed with Ed25519"
        raise SigningKeyError(msg)
    return SSlibKey.from_crypto(key)


def open_envelope(document: dict[str, object], key: Key | None) -> bytes:
    """The payload of an envelope, its signature checked where a key is given.

    Raises SignatureError where the key has not signed it, ValueError for what is no envelope of a statement.
    """
    if set(document) != _ENVELOPE or document["payloadType"] != STATEMENT:
        msg = f"it is no DSSE envelope of {STATEMENT}"
        raise ValueError(msg)
    try:
        envelope = Envelope.from_dict(document)
    except (KeyError, TypeError, AttributeError) as error:
        msg = "its signatures are not those of a DSSE envelope"
        raise ValueError(msg) from error
    if key is not None:
        try:
            envelope.verify([key], 1)
        except (VerificationError, UnverifiedSignatureError) as error:
            msg = f"no signature of it is of the key {key.keyid}"
            raise SignatureError(msg) from error
    return bytes(envelope.payload)


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_LARGEST_KEY)
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror}"
        raise SigningKeyError(msg) from error


def _write_new(path: Path, content: bytes, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)

"""Who made a file: Ed25519 signatures (RFC 8032) beside it.

The signature of FILE is FILE.sig, 64 bytes over all bytes of FILE, as `openssl pkeyutl -sign
-rawin` makes it. It tells who made a file, not which of their files it is. Keys are PEM files.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from cnndsl.diagnostics import CnnError
from cnndsl.runtime.files import atomic_write
from cnndsl.runtime.options import wrong

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )

Keys: TypeAlias = str | PathLike[str] | Sequence[str | PathLike[str]]
"""One file of a public key, or several."""

TRUSTED = "CNNDSL_TRUST"
"""The environment variable that names the files of trusted keys, with `:` between them."""
REQUIRED = "CNNDSL_REQUIRE_SIGNATURE"
"""The environment variable that, being 1, refuses all files as long as no key is trusted."""
SIGNATURE_BYTES = 64
LARGEST_KEY = 1 << 16
"""Bytes; a longer file is not one of ours."""
MAKE = "make a pair: openssl genpkey -algorithm ed25519 -out key.pem; " + (
    "openssl pkey -in key.pem -pubout -out public.pem"
)


def signature_path(path: Path) -> Path:
    """Where the signature of a file is."""
    return path.with_name(f"{path.name}.sig")


class SigningKey:
    """A private key.

    Raises CnnError: E0601 if its file cannot be read, E0641 if it is none of Ed25519, or encrypted,
    E0642 without cryptography.
    """

    def __init__(self, path: str | PathLike[str]):
        self._key = _private_key(Path(path))

    def sign(self, path: Path) -> Path:
        """Write the signature of a file beside it, and return its path.

        Raises CnnError: E0601 if the file cannot be read, E0602 if nothing can be written there.
        """
        if path.exists() and not path.is_file():
            raise CnnError.of("E0601", f"cannot sign {path}: it is no regular file")
        signature = self._key.sign(_content(path))
        with atomic_write(signature_path(path)) as file:
            file.write(signature)
        return signature_path(path)


class Trust:
    """Some public keys, possibly none: files that one of them signed are trusted.

    Raises CnnError: E0601 if the file of a key cannot be read, E0641 if it is none of Ed25519,
    E0642 without cryptography.
    """

    def __init__(self, paths: Sequence[str | PathLike[str]]):
        self._keys = {str(path): _public_key(Path(path)) for path in paths}

    def read(self, path: Path) -> bytes:
        """The content of a file, which one of the keys signed as it is returned.

        Raises CnnError: E0601 if the file cannot be read, E0640 if no key signed it.
        """
        if not self._keys:
            raise CnnError.of(
                "E0640",
                f"{path} is not opened: signatures are required, and no key is trusted",
                hint=f"name a key by --trust or {TRUSTED}",
            )
        signature, content = _signature(path), _content(path)
        if not any(_is_signed_by(key, signature, content) for key in self._keys.values()):
            raise CnnError.of(
                "E0640",
                f"{path} is not what a trusted key signed: it was changed, or is of someone else",
                hint=f"trusted: {', '.join(self._keys)}",
            )
        return content


def trust(keys: Keys | None = None) -> Trust | None:
    """Who is trusted: the given keys, or else those that the environment names.

    None if any file will do. Raises CnnError as `Trust` does, and E0615 for what names no files, or
    if CNNDSL_REQUIRE_SIGNATURE is neither 0 nor 1.
    """
    if keys is None:
        keys = [name for name in os.environ.get(TRUSTED, "").split(os.pathsep) if name]
        if not keys and not _is_required():
            return None
    given = [keys] if isinstance(keys, str | PathLike) else keys
    if not isinstance(given, Collection) or not all(isinstance(k, str | PathLike) for k in given):
        raise wrong("trust", "the file of a key, or several", keys)
    return Trust(given)


def _is_required() -> bool:
    text = os.environ.get(REQUIRED, "")
    if text not in ("", "0", "1"):
        raise CnnError.of("E0615", f"{REQUIRED} is 0 or 1, not {text!r}")
    return text == "1"


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CnnError.of("E0601", f"cannot read {path}: {error.strerror or error}") from None


def _signature(path: Path) -> bytes:
    place = signature_path(path)
    if place.exists() and not place.is_file():
        raise CnnError.of("E0640", f"{path} is not signed: {place} is no regular file")
    try:
        with place.open("rb") as file:
            signature = file.read(SIGNATURE_BYTES + 1)
    except OSError as error:
        reason = error.strerror or error
        hint = "sign it: cnndsl sign FILE --key KEY"
        problem = f"{path} is not signed: cannot read {place}: {reason}"
        raise CnnError.of("E0640", problem, hint=hint) from None
    if len(signature) != SIGNATURE_BYTES:
        raise CnnError.of("E0640", f"{place} is no signature: it has not {SIGNATURE_BYTES} bytes")
    return signature


def _is_signed_by(key: Ed25519PublicKey, signature: bytes, content: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature

    try:
        key.verify(signature, content)
    except InvalidSignature:
        return False
    return True


def _private_key(path: Path) -> Ed25519PrivateKey:
    text = _pem(path)
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(text, None)
    except TypeError:
        hint = f"give it decrypted, say by the shell: <(openssl pkey -in {path})"
        raise CnnError.of("E0641", f"{path} is encrypted", hint=hint) from None
    except (ValueError, UnsupportedAlgorithm):
        raise CnnError.of("E0641", f"{path} is no private key in PEM", hint=MAKE) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise CnnError.of("E0641", f"{path} is a key, but none of Ed25519", hint=MAKE)
    return key


def _public_key(path: Path) -> Ed25519PublicKey:
    text = _pem(path)
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    if b"PRIVATE KEY" in text:
        hint = f"trust its public half: openssl pkey -in {path} -pubout -out public.pem"
        raise CnnError.of("E0641", f"{path} is a private key, for signing alone", hint=hint)
    if text.count(b"-----BEGIN") > 1:
        raise CnnError.of("E0641", f"{path} has several keys", hint="put each into a file")
    try:
        key = load_pem_public_key(text)
    except (ValueError, UnsupportedAlgorithm):
        raise CnnError.of("E0641", f"{path} is no public key in PEM", hint=MAKE) from None
    if not isinstance(key, Ed25519PublicKey):
        raise CnnError.of("E0641", f"{path} is a key, but none of Ed25519", hint=MAKE)
    return key


def _pem(path: Path) -> bytes:
    """The content of a key's file; afterwards cryptography can be imported."""
    try:
        import cryptography  # noqa: F401
    except ImportError:
        raise CnnError.of(
            "E0642", "cryptography is not installed", hint="install it: pip install 'cnndsl[sign]'"
        ) from None
    try:
        with path.open("rb") as file:
            text = file.read(LARGEST_KEY + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise CnnError.of("E0601", f"cannot read {path}: {reason}") from None
    if len(text) > LARGEST_KEY:
        raise CnnError.of("E0641", f"{path} is no key: it has over {LARGEST_KEY} bytes", hint=MAKE)
    return text

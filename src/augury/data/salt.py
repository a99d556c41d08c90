"""Identifiers become keyed hashes as they enter: the same patient gets the same name, and nobody can tell which.

The key is the salt of a project: $AUGURY_SALT where it is set, else the file "salt" in the cache folder, made of 32
random bytes at its first use, readable by its owner alone. With the same salt the same identifier gives the same hash,
so a set that grows keeps its patients; without the salt a hash cannot be tried against a list of names. Whoever
shares hashed names should not share the salt.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import secrets
from pathlib import Path

from augury.data.cache import cache_folder, make_folder
from augury.errors import UserError

VARIABLE = "AUGURY_SALT"
_FEWEST = 8  # characters of a salt: fewer could be guessed
_DIGITS = 16  # of a hash, 64 bits: among a million patients two collide with a chance of 3 in 100 million


def salt() -> bytes:
    """The project's salt, made where there is none. UserError where it is too short or cannot be kept."""
    given = os.environ.get(VARIABLE)
    if given is not None:
        if len(given) < _FEWEST:
            raise UserError(f"{VARIABLE} has {len(given)} characters; expected at least {_FEWEST}: lengthen it")
        return given.encode()
    path = cache_folder() / "salt"
    if not path.exists():
        _make(path)
    try:
        kept = path.read_bytes()
    except OSError as error:
        raise UserError(
            f"the salt {str(path)!r} cannot be read ({error.strerror}); expected {VARIABLE} else"
        ) from error
    if len(kept) < _FEWEST:
        raise UserError(f"the salt {str(path)!r} is damaged; remove it, or set {VARIABLE}: patients get new names")
    return kept


def whence() -> str:
    """Where the salt comes from, in words."""
    return f"the salt in {VARIABLE}" if os.environ.get(VARIABLE) is not None else "the salt in the cache folder"


def hashed(kind: str, identifier: str, *, key: bytes) -> str:
    """Sixteen hex digits of the HMAC-SHA-256 (RFC 2104) of an identifier; kinds ("patient", "study") never meet.

    >>> hashed("patient", "7", key=b"a salt") == hashed("patient", " 7 ", key=b"a salt")
    True
    >>> hashed("patient", "7", key=b"a salt") == hashed("patient", "7", key=b"another")
    False
    """
    return hmac.new(key, f"{kind}\0{identifier.strip()}".encode(), hashlib.sha256).hexdigest()[:_DIGITS]


def _make(path: Path) -> None:
    """Complete or absent, and never twice: of two processes that make it at once, the second keeps the first's."""
    make_folder(path.parent)
    beside = path.with_name(f".salt.{secrets.token_hex(6)}.tmp")
    try:
        number = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(number, "wb") as file:
            file.write(secrets.token_bytes(32))
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(beside, path)
    except OSError as error:
        raise UserError(
            f"cannot keep a salt in {str(path.parent)!r} ({error.strerror}); set AUGURY_CACHE to a folder that can be "
            f"written, or {VARIABLE} to a secret text"
        ) from error
    finally:
        beside.unlink(missing_ok=True)

# SPDX-License-Identifier: Apache-2.0
"""The keys that the backend and proxxy share."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple

from .errors import KeyFileError

KEYS_MAX = 8
_NAME = re.compile(r"[A-Za-z0-9._-]{1,32}")
_HEX = re.compile(r"[0-9A-Fa-f]{64}")


class NamedKey(NamedTuple):
    kid: str | None
    secret: bytes

    def __repr__(self) -> str:
        return f"NamedKey(kid={self.kid!r})"


def _parse_key(item: str) -> NamedKey:
    name, colon, digits = item.rpartition(":")
    if colon and not _NAME.fullmatch(name):
        raise KeyFileError("a key's name is not 1 to 32 letters, digits or -_.")
    if not _HEX.fullmatch(digits):
        raise KeyFileError("a key is not 64 hex digits")
    return NamedKey(name if colon else None, bytes.fromhex(digits))


class Key:
    """What proxxy's key file contains: one key, or several with names. The first one seals, all of them open."""

    def __init__(self, text: str, kid: str | None = None) -> None:
        """text: 64 hex digits, or "NAME:HEX,NAME:HEX,…". kid: the name of the key that seals, if it is not the
        first."""
        items = text.rstrip(" \t\r\n").removesuffix(",").split(",")
        if len(items) == 1 and not items[0].strip():
            raise KeyFileError("there is no key")
        if len(items) > KEYS_MAX:
            raise KeyFileError(f"there are more than {KEYS_MAX} keys")
        self._keys = [_parse_key(item.strip(" \t")) for item in items]
        self._sealing = self._keys[0]
        if kid is None:
            return
        if not isinstance(kid, str) or not _NAME.fullmatch(kid):
            raise KeyFileError("kid is not 1 to 32 letters, digits or -_.")
        if len(self._keys) == 1 and self._sealing.kid is None:
            self._sealing = NamedKey(kid, self._sealing.secret)
            return
        named = [key for key in self._keys if key.kid == kid]
        if not named:
            raise KeyFileError("no key has this kid")
        self._sealing = named[0]

    @classmethod
    def from_file(cls, path: str | os.PathLike[str], kid: str | None = None) -> Key:
        """Reads a file such as /etc/proxxy/signature.key."""
        try:
            text = Path(path).read_text(encoding="utf-8")
        except OSError as error:
            raise KeyFileError(f"the key file cannot be read: {path}: {error.strerror}") from None
        except UnicodeDecodeError:
            raise KeyFileError(f"the key file is not text: {path}") from None
        return cls(text, kid)

    @property
    def sealing(self) -> NamedKey:
        """The key that seals."""
        return self._sealing

    def opening(self, kid: str | None) -> list[NamedKey]:
        """The keys that may open a payload: those with its kid or without a name; all for a payload without a kid."""
        return [key for key in self._keys if kid is None or key.kid is None or key.kid == kid]

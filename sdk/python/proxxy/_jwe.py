# SPDX-License-Identifier: Apache-2.0
"""A payload's encryption: JWE in compact serialization (RFC 7516), with jwcrypto."""

from __future__ import annotations

import json
import re

from jwcrypto.common import JWException, base64url_decode, base64url_encode  # type: ignore # it has no types
from jwcrypto.jwe import JWE  # type: ignore # it has no types
from jwcrypto.jwk import JWK  # type: ignore # it has no types

from .errors import InvalidOption
from ._key import Key, NamedKey

_HEADER = {"alg": "dir", "enc": "A256GCM"}
# Without an encrypted key, with a nonce of 12 and a tag of 16 bytes.
_PARTS = re.compile(r"([\w-]+)\.\.[\w-]{16}\.[\w-]+\.[\w-]{22}", re.ASCII)


def _jwk(key: NamedKey) -> JWK:
    return JWK(kty="oct", k=base64url_encode(key.secret))


def seal(text: str, key: Key) -> str:
    kid = key.sealing.kid
    header = json.dumps(_HEADER if kid is None else {**_HEADER, "kid": kid}, separators=(",", ":"))
    jwe = JWE(text.encode(), header)
    jwe.add_recipient(_jwk(key.sealing))
    sealed: str = jwe.serialize(compact=True)
    return sealed


def unseal(payload: str, key: Key) -> str:
    """Returns a payload's text."""
    parts = _PARTS.fullmatch(payload)
    if not parts:
        raise InvalidOption("payload", "is not a JWE of five parts, with dots between them")
    for candidate in key.opening(_read_kid(parts[1])):
        jwe = JWE(algs=list(_HEADER.values()))
        try:
            jwe.deserialize(payload, _jwk(candidate))
            plain: bytes = jwe.payload
        except (JWException, ValueError):  # another key's
            continue
        try:
            return plain.decode("utf-8-sig")
        except UnicodeDecodeError:
            break
    else:
        raise InvalidOption("payload", "was not made with this key, or was changed on its way")
    raise InvalidOption("payload", "is not a JSON object")


def _read_kid(protected: str) -> str | None:
    """Checks the header and returns its kid, None if it has none."""
    try:
        header = json.loads(base64url_decode(protected))
    except ValueError:
        header = None
    if not isinstance(header, dict):
        raise InvalidOption("payload", "has a header that is not JSON in base64url")
    for name, value in _HEADER.items():
        if header.get(name) != value:
            raise InvalidOption("payload", f"has an {name} that is not {value}")
    if "zip" in header or "crit" in header:
        raise InvalidOption("payload", "requires an extension, zip or crit")
    kid = header.get("kid")
    if "kid" in header and not (isinstance(kid, str) and 1 <= len(kid) <= 32):
        raise InvalidOption("payload", "has a kid that is not the name of a key")
    return kid

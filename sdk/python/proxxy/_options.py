# SPDX-License-Identifier: Apache-2.0
"""The options of a link, and the claims that they become."""

from __future__ import annotations

import ssl
import time
import uuid
from typing import Any, Dict, Literal

from ._claims import VMID_MAX, Claims, check_claims, is_integer, is_text
from .errors import InvalidOption

GuestType = Literal["qemu", "lxc"]
Protocol = Literal["vnc", "term"]
Given = Dict[str, Any]

LIFETIME_MAX = 86400  # seconds, the largest that proxxy's PROXXY_PAYLOAD_LIFETIME may be
VMID_MIN = 100  # Proxmox's

# Options that are claims of the same name and the same value.
_SAME = (
    *("vmid", "type", "cluster", "host", "node", "protocol", "ticket", "csrf", "ca", "fingerprint", "vncticket"),
    *("port", "password", "user", "sub", "origin", "client", "session_max"),
)
_OPTION_OF = {"exp": "expires_in", "nbf": "not_before"}


def given(values: Given) -> Given:
    """Returns the arguments of a method, as locals() has them, that are set."""
    return {name: value for name, value in values.items() if name != "self" and value is not None}


def is_certificate(pem: object) -> bool:
    if not isinstance(pem, str):
        return False
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=pem)
    except (ssl.SSLError, ValueError):
        return False
    return True


def _check_options(options: Given) -> None:
    if type(options.get("vmid")) is not int or not VMID_MIN <= options["vmid"] <= VMID_MAX:
        raise InvalidOption("vmid", f"is not an integer from {VMID_MIN} to {VMID_MAX}")
    if options.get("protocol", "vnc") not in ("vnc", "term"):
        raise InvalidOption("protocol", "is not vnc or term")
    if type(options["expires_in"]) is not int or not 1 <= options["expires_in"] <= LIFETIME_MAX:
        raise InvalidOption("expires_in", f"is not a number of seconds from 1 to {LIFETIME_MAX}")
    if type(options.get("not_before", 0)) is not int:
        raise InvalidOption("not_before", "is not in seconds since 1970")
    if type(options.get("session_max", 0)) is not int:
        raise InvalidOption("session_max", "is not a number of seconds")
    sub = options.get("sub", "")
    if not is_text(sub) and (isinstance(sub, bool) or not is_integer(sub, -(2**53) + 1, 2**53 - 1)):
        raise InvalidOption("sub", "is neither text nor an integer")
    if "ca" in options and not is_certificate(options["ca"]):
        raise InvalidOption("ca", "is not a certificate in PEM")
    if "vncticket" in options or "port" in options:
        if "cluster" in options:
            raise InvalidOption("host", "is needed in place of cluster")
        return
    for name in ("password", "user"):
        if name in options:
            raise InvalidOption(name, "belongs to a console ticket, which is missing")


def claims_of(options: Given) -> Claims:
    """Returns the claims of the options, or raises InvalidOption."""
    _check_options(options)
    now = int(time.time())
    claims: Claims = {name: options[name] for name in _SAME if name in options}
    claims |= {"iat": now, "exp": now + options["expires_in"]}
    if "not_before" in options:
        claims["nbf"] = options["not_before"]
    if "jti" in options:
        claims["jti"] = str(uuid.uuid4()) if options["jti"] is True else options["jti"]
    try:
        check_claims(claims)
    except InvalidOption as error:
        raise InvalidOption(_OPTION_OF.get(error.option, error.option), error.why) from None
    return claims

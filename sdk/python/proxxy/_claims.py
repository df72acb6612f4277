# SPDX-License-Identifier: Apache-2.0
"""What a payload must have so that proxxy accepts it: proxxy-payload(7). Raises InvalidOption with the claim's name."""

from __future__ import annotations

import re
from typing import Any, Dict, NoReturn

from ._host import is_name, is_network, is_origin, parse_host, parse_port
from .errors import InvalidOption

Claims = Dict[str, Any]

DATE_MAX = 253402300799  # the end of the year 9999
CA_MAX = 8192  # bytes
ORIGIN_MAX = 267  # bytes
SESSION_MAX = 31536000  # seconds
VMID_MAX = 999999999
PORT_MAX = 65535
_FINGERPRINT = re.compile(r"[0-9A-Fa-f]{64}|(?:[0-9A-Fa-f]{2}:){31}[0-9A-Fa-f]{2}")
_CLUSTER = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,31}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def _fail(claim: str, why: str) -> NoReturn:
    raise InvalidOption(claim, why)


def is_text(value: object) -> bool:
    """Whether it is a string that UTF-8 can express, and without NUL, which proxxy's JSON does not have."""
    if not isinstance(value, str) or "\0" in value:
        return False
    try:
        value.encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        return False
    return True


def is_line(value: Any, most: float = float("inf")) -> bool:
    """Whether it is a string of 1 to most bytes without control characters."""
    return is_text(value) and 1 <= len(value.encode()) <= most and not _CONTROL.search(value)


def is_integer(value: Any, low: int, high: int) -> bool:
    """JSON's 1.0 is an integer, too; True is not."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_number and low <= value <= high and value == int(value)


def _check_line(claims: Claims, claim: str, most: int) -> None:
    if claim in claims and not is_line(claims[claim], most):
        _fail(claim, f"is not a string of 1 to {most} bytes without control characters")


def _check_guest(claims: Claims, late: bool) -> None:
    if not is_integer(claims.get("vmid"), 1, VMID_MAX):
        _fail("vmid", f"is not an integer from 1 to {VMID_MAX}")
    if claims.get("type") not in ("qemu", "lxc"):
        _fail("type", "is not qemu or lxc")
    if late and "cluster" in claims:
        if "host" in claims:
            _fail("host", "and cluster cannot be combined")
        if not (isinstance(claims["cluster"], str) and _CLUSTER.fullmatch(claims["cluster"])):
            _fail("cluster", "is not the name of a cluster file")
    elif "host" not in claims:
        _fail(*(("cluster", "or host is missing") if late else ("host", "is missing, which a console ticket needs")))
    elif not (isinstance(claims["host"], str) and parse_host(claims["host"])):
        _fail("host", "is not a host name or address, with or without a port")
    if not late and "node" not in claims:
        _fail("node", "is missing, which a console ticket needs")
    if "node" in claims and not (isinstance(claims["node"], str) and is_name(claims["node"])):
        _fail("node", "is not a host name")


def _check_console(claims: Claims, late: bool) -> None:
    protocol = claims.get("protocol")
    if late:
        if "protocol" in claims and protocol not in ("vnc", "term"):
            _fail("protocol", "is not vnc or term")
        return
    if not is_line(claims.get("vncticket"), 512):
        _fail("vncticket", "is not a string of 1 to 512 bytes without control characters")
    port = claims.get("port")
    if not (parse_port(port) if isinstance(port, str) else is_integer(port, 1, PORT_MAX)):
        _fail("port", f"is not a number from 1 to {PORT_MAX}")
    if protocol == "term":
        if "user" in claims and not (is_line(claims["user"], 160) and ":" not in claims["user"]):
            _fail("user", "is not USER@REALM or USER@REALM!NAME")
    elif claims.get("password") is not None and not is_line(claims["password"]):
        _fail("password", "is not a string without control characters")


def _check_identity(claims: Claims, late: bool) -> None:
    _check_line(claims, "ticket", 4096)
    if late:
        _check_line(claims, "csrf", 256)
    if "ticket" not in claims:
        if not late:
            _fail("ticket", "is missing, which a console ticket needs")
        for claim in ("ca", "fingerprint"):
            if claim in claims:
                _fail(claim, "needs a ticket in the payload: proxxy's own token goes only where proxxy says")
        return
    is_token = claims["ticket"].startswith("PVEAPIToken=")
    if not is_token and not re.match(r"PVE:|(?i:PVE%3A)", claims["ticket"]):
        _fail("ticket", "is neither PVEAPIToken=USER@REALM!NAME=SECRET nor a user's ticket, which begins with PVE:")
    if late and not is_token and "csrf" not in claims:
        _fail("csrf", "is missing: a user's ticket needs its CSRFPreventionToken")


def _is_date(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 1 <= value <= DATE_MAX


def _check_limits(claims: Claims) -> None:
    if not _is_date(claims.get("exp")):
        _fail("exp", "is missing or not in seconds since 1970")
    if "nbf" in claims and not _is_date(claims["nbf"]):
        _fail("nbf", "is not in seconds since 1970")
    if isinstance(claims.get("sub"), str) and not is_text(claims["sub"]):
        _fail("sub", "is not text that JSON can express")
    _check_line(claims, "jti", 256)
    if "origin" in claims and not (is_line(claims["origin"], ORIGIN_MAX) and is_origin(claims["origin"])):
        _fail("origin", "is not an origin, like https://panel.example.com")
    if "client" in claims and not (isinstance(claims["client"], str) and is_network(claims["client"])):
        _fail("client", "is not an IP address or network")
    fingerprint = claims.get("fingerprint")
    if "fingerprint" in claims and not (isinstance(fingerprint, str) and _FINGERPRINT.fullmatch(fingerprint)):
        _fail("fingerprint", "is not a SHA-256 fingerprint, 64 hex digits")
    if "session_max" in claims and not is_integer(claims["session_max"], 1, SESSION_MAX):
        _fail("session_max", f"is not a number of seconds from 1 to {SESSION_MAX}")
    if "ca" in claims:
        ca = claims["ca"]
        if not (is_text(ca) and len(ca.encode()) <= CA_MAX and "-----BEGIN CERTIFICATE-----" in ca):
            _fail("ca", f"is not a PEM certificate of at most {CA_MAX} bytes")


def check_claims(claims: Claims) -> None:
    """Raises InvalidOption unless proxxy accepts the claims as far as their format goes."""
    late = "vncticket" not in claims and "port" not in claims  # proxxy requests the console
    _check_guest(claims, late)
    _check_console(claims, late)
    _check_identity(claims, late)
    _check_limits(claims)

# SPDX-License-Identifier: Apache-2.0
"""Host names, addresses, networks and origins, as proxxy accepts them."""

from __future__ import annotations

import ipaddress
import re
import socket
from typing import NamedTuple

NAME_MAX = 253  # characters of a host name (RFC 1035)
_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_PORT = re.compile(r"[0-9]{1,5}")
_ORIGIN = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://(\[[^\]]*\]|[^:]*)(?::[0-9]{1,5})?")


class Host(NamedTuple):
    name: str
    port: int | None
    is_ipv6: bool

    def authority(self, fallback: int) -> str:
        """Returns "host:port" as in a URL."""
        return f"{f'[{self.name}]' if self.is_ipv6 else self.name}:{self.port or fallback}"


def _is_address(family: int, text: str) -> bool:
    try:
        socket.inet_pton(family, text)
    except (OSError, ValueError):  # ValueError: it has a NUL
        return False
    return True


def is_ipv4(text: str) -> bool:
    return _is_address(socket.AF_INET, text)


def is_ipv6(text: str) -> bool:
    return "%" not in text and _is_address(socket.AF_INET6, text)


def is_name(text: str) -> bool:
    return len(text) <= NAME_MAX and all(_LABEL.fullmatch(label) for label in text.split("."))


def _looks_like_ipv4(name: str) -> bool:
    """Whether a name's last label is a number: some resolvers read it as an address."""
    last = name.rpartition(".")[2]
    return re.fullmatch(r"[0-9]+|0[xX].*", last) is not None


def parse_port(text: str) -> int | None:
    port = int(text) if _PORT.fullmatch(text) else 0
    return port if 1 <= port <= 65535 else None


def parse_host(text: str) -> Host | None:
    """Parses "name", "name:port", "address", "address:port" of IPv4, and "address", "[address]" or "[address]:port" of
    IPv6. Returns None for any other text."""
    bracketed = re.fullmatch(r"\[([^\]]*)\](?::(.*))?", text, re.DOTALL)
    is_v6 = bool(bracketed) or text.count(":") > 1
    if bracketed:
        name, port_text = bracketed[1], bracketed[2]
    elif is_v6:
        name, port_text = text, None
    else:
        name, colon, after = text.partition(":")
        port_text = after if colon else None
        name = name[:-1] if len(name) > 1 and name.endswith(".") else name
    port = None if port_text is None else parse_port(port_text)
    if port is None and port_text is not None:
        return None
    if is_v6:
        return Host(name, port, True) if is_ipv6(name) else None
    if is_ipv4(name) or (is_name(name) and not _looks_like_ipv4(name)):
        return Host(name, port, False)
    return None


def is_network(text: str) -> bool:
    """Whether it is an address, or a network without a bit set behind its prefix."""
    address, slash, length = text.partition("/")
    if not (is_ipv4(address) or is_ipv6(address)) or (slash and not re.fullmatch(r"[0-9]{1,3}", length)):
        return False
    try:
        ipaddress.ip_network(text)
    except ValueError:
        return False
    return True


def is_origin(text: str) -> bool:
    """Whether it is one origin, such as https://panel.example.com."""
    found = _ORIGIN.fullmatch(text)
    host = found[1] if found else ""
    if host.startswith("["):
        return is_ipv6(host[1:-1])
    return is_ipv4(host) or (is_name(host) and not _looks_like_ipv4(host))

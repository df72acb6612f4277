# SPDX-License-Identifier: Apache-2.0
"""Requests that two parsers could read in two ways: repeated fields, announced bodies, and malformed fields."""

from __future__ import annotations

from typing import Iterator

from .smuggling import HOST, NO_CHUNKS, SECOND, UPGRADE, Case, each, request, shown

CONTROLS = b"\x00\x01\x08\x0b\x0c\x0e\x1b\x1f\x7f"


# --- fields that come twice ------------------------------------------------------------------


def twice() -> Iterator[Case]:
    yield Case("9112-3.2", "two-Hosts", request(HOST))
    yield Case("9112-3.2", "two-Hosts-that-differ", request(b"Host: evil.example.com"))
    yield Case("9112-3.2", "two-Hosts-in-other-case", request(b"hOST: proxxy.example.com"))
    yield Case("9112-3.2", "two-Hosts-one-empty", request(b"Host:"))
    yield Case("9112-3.2", "two-Hosts-apart", request()[:-2] + HOST + b"\r\n\r\n")
    for first, second in [(b"0", b"0"), (b"0", b"42"), (b"42", b"0"), (b"", b"0")]:
        name = f"two-Content-Lengths-{shown(first)}-and-{shown(second)}"
        yield Case("9110-8.6", name, request(b"Content-Length: " + first, b"Content-Length: " + second))
    for first, second in [(b"chunked", b"identity"), (b"identity", b"chunked"), (b"chunked", b"chunked")]:
        name = f"two-Transfer-Encodings-{shown(first)}-and-{shown(second)}"
        fields = (b"Transfer-Encoding: " + first, b"Transfer-Encoding: " + second)
        yield Case("9112-6.1", name, request(*fields) + NO_CHUNKS)
    yield Case("6455-11.3.1", "two-keys", request(UPGRADE[2]))
    yield Case("6455-11.3.1", "two-keys-that-differ", request(b"Sec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4PEA=="))
    yield Case("6455-11.3.5", "two-versions", request(UPGRADE[3]))
    yield Case("6455-11.3.5", "two-versions-that-differ", request(b"Sec-WebSocket-Version: 8"))
    yield Case("9110-5.3", "two-Origins", request(b"Origin: https://a", b"Origin: https://b"))
    # Lists may go over several lines (RFC 9110 section 5.3).
    yield Case("9110-5.3", "two-Connections", request(b"Connection: keep-alive"), 101)
    yield Case("9110-5.3", "two-Upgrades", request(b"Upgrade: h2c"), 101)
    yield Case("6455-11.3.4", "two-protocol-lists", request(*[b"Sec-WebSocket-Protocol: a, b"] * 2), 101)
    # proxxy drops fields that it does not read while they arrive. It must still check the fields around them.
    cookie = b"Cookie: " + b"c" * 20000
    for name, field in {"Host": HOST, "key": UPGRADE[2], "length": b"Content-Length: 5", "fold": b" folded"}.items():
        yield Case("9112-5", f"second-{name}-behind-a-long-cookie", request(cookie, field))
    yield Case(
        "9112-6.1", "chunked-between-long-cookies", request(cookie, b"Transfer-Encoding: chunked", cookie) + NO_CHUNKS
    )


# --- where a body would be -------------------------------------------------------------------

LENGTHS = {
    101: [b"0", b"00", b"0 ", b"\t0"],  # any digits are a number; white space around a value is not part of it
    400: [
        b"",
        b"1",
        b"41",
        b"-1",
        b"-0",
        b"+1",
        b"+0",
        b"1, 1",
        b"1,1",
        b"0, 0",
        b"0,41",
        b"0x0",
        b"0x29",
        b"29h",
        b"0.0",
        b"1e1",
        b"0 0",
        b"4 1",
        b"0;",
        b'"0"',
        b"0,",
        b",0",
        b"0_0",
        b"\xd9\xa1",
        b"\xa00",
        b"00000000041",
        b"9223372036854775807",
        b"9223372036854775808",
        b"18446744073709551615",
        b"18446744073709551616",
        b"18446744073709551657",
        b"4294967296",
        b"9" * 100,
    ],
}
ENCODINGS = [
    b"chunked",
    b"CHUNKED",
    b"identity",
    b"gzip",
    b"gzip, chunked",
    b"chunked, identity",
    b"chunked, chunked",
    b"\tchunked",
    b" chunked ",
    b"xchunked",
    b"chunked;q=1",
    b'"chunked"',
    b"chunked,",
    b", chunked",
    b"",
]


def bodies() -> Iterator[Case]:
    """Requests that announce a body. A console's request has none, so proxxy refuses each that announces one."""
    for status, lengths in LENGTHS.items():
        for length in lengths:
            sent = request(b"Content-Length: " + length)
            yield Case("9112-6.3", f"Content-Length-is-{shown(length)}", sent, status)
    for encoding in ENCODINGS:
        sent = request(b"Transfer-Encoding: " + encoding) + NO_CHUNKS
        yield Case("9112-6.1", f"Transfer-Encoding-is-{shown(encoding)}", sent)
    chunked, length = b"Transfer-Encoding: chunked", b"Content-Length: 5"
    chunk = b"%x\r\n%s\r\n" % (len(SECOND), SECOND) + NO_CHUNKS
    none, own = b"Content-Length: 0", b"Content-Length: %d" % len(SECOND)
    old = request(chunked, line=b"GET TARGET HTTP/1.0")
    yield Case("9112-7.1", "request-inside-a-chunk", request(chunked) + chunk)
    huge = b"ffffffffff\r\n" + SECOND
    yield Case("9112-7.1", "request-inside-a-chunk-that-is-too-long", request(chunked) + huge)
    yield Case("9112-6.3", "request-inside-the-body", request(own) + SECOND)
    yield Case("9112-6.3", "Content-Length-then-Transfer-Encoding", request(length, chunked) + NO_CHUNKS)
    yield Case("9112-6.3", "Transfer-Encoding-then-Content-Length", request(chunked, length) + NO_CHUNKS)
    yield Case("9112-6.3", "Content-Length-of-0-with-Transfer-Encoding", request(none, chunked) + NO_CHUNKS)
    yield Case("9112-6.1", "Transfer-Encoding-in-HTTP-1.0", old + NO_CHUNKS)
    hidden = {
        "white-space-before-colon": b"Transfer-Encoding : chunked",
        "tab-before-colon": b"Transfer-Encoding\t: chunked",
        "vertical-tab-before-value": b"Transfer-Encoding:\x0bchunked",
        "NUL-before-value": b"Transfer-Encoding: \x00chunked",
        "NUL-in-name": b"Transfer\x00-Encoding: chunked",
        "white-space-before-name": b" Transfer-Encoding: chunked",
        "folded": b"Transfer-Encoding:\r\n chunked",
        "behind-bare-LF": b"X: a\nTransfer-Encoding: chunked",
        "behind-bare-CR": b"X: a\rTransfer-Encoding: chunked",
        "quoted-name": b'"Transfer-Encoding": chunked',
        "no-colon": b"Transfer-Encoding chunked",
    }
    for name, field in hidden.items():
        yield Case("9112-5.1", f"Transfer-Encoding-{name}", request(field) + NO_CHUNKS)
        for before, behind in [(b"Transfer", b"Content"), (b"Encoding", b"Length"), (b"chunked", b"0")]:
            field = field.replace(before, behind)
        yield Case("9112-5.1", f"Content-Length-{name}", request(field))
    # Fields with other names: no recipient takes them for a body's announcement.
    for unknown in (b"TE: trailers", b"Trailer: X", b"Content_Length: 5", b"Transfer_Encoding: chunked"):
        yield Case("9110-5.1", f"unknown-field-{shown(unknown)}", request(unknown), 101)
    yield Case("9110-10.1.1", "Expect-gets-no-interim-answer", request(b"Expect: 100-continue"), 101)


# --- field lines -----------------------------------------------------------------------------


def fields() -> Iterator[Case]:
    folds = {
        "with-a-space": request(b"X: a\r\n b"),
        "with-a-tab": request(b"X: a\r\n\tb"),
        "that-looks-like-a-field": request(b"X: a\r\n Content-Length: 5"),
        "of-Host": request(host=b"Host: a\r\n b"),
        "of-the-key": request().replace(b"Key: ", b"Key:\r\n "),
        "that-is-empty": request(b"X: a\r\n \r\nY: b"),
        "before-any-field": request(host=b" folded\r\nHost: a"),
    }
    yield from each("9112-5.2", "obs-fold", folds)
    for name in (b"Host", b"Upgrade", b"X"):
        for space in (b" ", b"\t", b"  "):
            sent = request(name + space + b": websocket")
            yield Case("9112-5.1", f"{shown(space)}-between-{shown(name)}-and-colon", sent)
    yield Case("9112-5", "field-without-colon", request(b"X"))
    yield Case("9112-5", "field-without-name", request(b": a"))
    yield Case("9112-5", "colon-alone", request(b":"))
    for character in b'"(),/;<=>?@[\\]{} \x80\xc3\xff':
        for where, field in {"in": b"X%cY: a", "before": b"%cXY: a", "behind": b"XY%c: a"}.items():
            sent = request(field % character)
            yield Case("9110-5.6.2", f"{shown(bytes([character]))}-{where}-a-field-name", sent)
    for value in (b"a:b", b"\xff\x80", b"a\tb", b'"\\"', b"(x)", b"", b"\xc3\xa9"):
        yield Case("9110-5.5", f"value-{shown(value)}", request(b"X: " + value), 101)
    for character in CONTROLS:
        control = shown(bytes([character]))
        places = {
            "in-the-method": request(line=b"G%cET TARGET HTTP/1.1" % character),
            "before-the-method": request(line=b"%cGET TARGET HTTP/1.1" % character),
            "in-the-target": request(line=b"GET /%cTARGET HTTP/1.1" % character),
            "behind-the-target": request(line=b"GET TARGET%c HTTP/1.1" % character),
            "instead-of-a-space": request(line=b"GET%cTARGET HTTP/1.1" % character),
            "in-the-version": request(line=b"GET TARGET HTTP/1.1%c" % character),
            "in-a-field-name": request(b"X%cY: a" % character),
            "in-a-value": request(b"X: a%cb" % character),
            "around-a-value": request(b"X: %ca%c" % (character, character)),
            "in-Host": request(host=b"Host: a%cb" % character),
        }
        yield from each("9110-5.5", control, places)


def hosts() -> Iterator[Case]:
    yield Case("9112-3.2", "no-Host", request(host=b""))
    for value in (b"", b"a", b"a:8443", b"a:", b"127.0.0.1:1", b"[::1]", b"[::1]:8443", b"a%2eb", b"a_b"):
        yield Case("9112-3.2", f"Host-is-{shown(value)}", request(host=b"Host: " + value), 101)
    wrong = (
        b"a b",
        b"a/b",
        b"a?b",
        b"a#b",
        b"user@a",
        b"a\\b",
        b"<a>",
        b'"a"',
        b"a|b",
        b"\xc3\xa9",
        b"http://a",
        b"a:b",
        b"a:80:80",
        b"a:-1",
        b"[::1",
        b"::1",
        b"[::1]a",
        b"a[b]",
        b"a%zz",
        b"a%",
    )
    for value in wrong:
        yield Case("9112-3.2", f"Host-is-{shown(value)}", request(host=b"Host: " + value))

# SPDX-License-Identifier: Apache-2.0
"""Requests that two parsers could read in two ways: ends of lines, request lines, sizes, upgrades, other protocols."""

from __future__ import annotations

from typing import Iterator

from .smuggling import LINE, NO_CHUNKS, SECOND, UPGRADE, Case, each, request, shown
from .wire import CLOSE, close_payload, encode_frame

HEAD_MAX, FIELDS_MAX = 65536, 100  # limits of a head: bytes, and number of fields
KEPT_MAX, NAME_MAX = 16384, 256  # limits in bytes: the kept part of a head, and a field's name


# --- ends of lines ---------------------------------------------------------------------------


def line_ends() -> Iterator[Case]:
    """RFC 9112 section 2.2 allows a recipient to accept a bare LF. proxxy does not, because other recipients
    might not. The RFC forbids accepting a bare CR."""
    good = request()
    places = {
        "everywhere": good.replace(b"\r\n", b"\n"),
        "behind-the-request-line": good.replace(b"\r\n", b"\n", 1),
        "behind-a-field": good.replace(b"\r\nUpgrade", b"\nUpgrade"),
        "at-the-end": good[:-2] + b"\n",
        "twice-at-the-end": good[:-4] + b"\n\n",
        "that-hides-a-field": request(b"X: a\nContent-Length: 5"),
        "before-the-request": b"\n" + good,
    }
    yield from each("9112-2.2", "bare-LF", places)
    places = {
        "everywhere": good.replace(b"\r\n", b"\r"),
        "behind-the-request-line": good.replace(b"\r\n", b"\r", 1),
        "in-a-value": request(b"X: a\rb"),
        "that-hides-a-field": request(b"X: a\rContent-Length: 5"),
        "in-a-name": request(b"X\rY: a"),
        "in-the-target": request(line=b"GET TARGET\r HTTP/1.1"),
        "in-the-version": request(line=b"GET TARGET HTTP/1.1\r"),
        "before-the-request": b"\r" + good,
    }
    yield from each("9112-2.2", "bare-CR", places)
    for end in (b"\r\r\n", b"\n\r", b"\r\n\r", b"\n\n", b"\x0b\r\n", b"\x85", b"\xe2\x80\xa8"):
        name = shown(end)
        yield Case("9112-2.2", f"{name}-behind-the-request-line", good.replace(b"\r\n", end, 1))
        yield Case("9112-2.2", f"{name}-behind-a-field", good.replace(b"\r\nUpgrade", end + b"Upgrade"))
        yield Case("9112-2.2", f"{name}-at-the-end", good[:-4] + end + b"\r\n")
    # Every parser must find the end of the head at the same place.
    hidden = request(b"Content-Length: 5").replace(b"\r\nContent", b"\r\r\nContent")
    yield Case("9112-2.2", "CR-CR-LF-before-a-Content-Length", hidden)
    yield Case("9112-2.2", "one-empty-line-first", b"\r\n" + good, 101)
    yield Case("9112-2.2", "two-empty-lines-first", b"\r\n\r\n" + good)
    yield Case("9112-2.2", "white-space-before-the-request", b" " + good)
    yield Case("9112-2.2", "white-space-before-the-first-field", good.replace(b"\r\nHost", b"\r\n Host"))


# --- request lines ---------------------------------------------------------------------------


def targets() -> Iterator[Case]:
    absolute = (b"http://a", b"https://a", b"HTTP://a", b"http://a:1", b"http://[::1]:8443")
    for form in absolute:
        sent = request(line=b"GET %sTARGET HTTP/1.1" % form)
        yield Case("9112-3.2.2", f"absolute-form-{shown(form)}", sent, 101)
    yield Case("9112-3.2.2", "absolute-form-without-path", request(line=b"GET http://aQUERY HTTP/1.1"), 101)
    for scheme in (b"ftp", b"ws", b"wss", b"file", b"javascript", b"httpx", b"http+unix"):
        sent = request(line=b"GET %s://aTARGET HTTP/1.1" % scheme)
        yield Case("9112-3.2.2", f"absolute-form-{shown(scheme)}", sent)
    wrong: dict[tuple[str, str], bytes] = {
        ("9110-4.2.1", "absolute-form-without-host"): b"http://TARGET",
        ("9110-4.2.1", "absolute-form-with-a-port-alone"): b"http://:80TARGET",
        ("9110-4.2.4", "absolute-form-with-a-user"): b"http://user@aTARGET",
        ("9110-4.2.4", "absolute-form-with-a-password"): b"http://user:secret@aTARGET",
        ("3986-3.2", "authority-ends-at-the-question-mark"): b"http://a?bTARGET",
        ("3986-3.2.3", "absolute-form-with-a-bad-port"): b"http://a:bTARGET",
        ("9112-3.2.2", "scheme-alone"): b"http:TARGET",
        ("9112-3.2.2", "one-slash"): b"http:/aTARGET",
        ("9112-3.2.3", "authority-form"): b"a:443",
        ("9112-3.2.4", "asterisk-form"): b"*",
        ("9112-3.2.4", "asterisk-and-query"): b"*QUERY",
        ("9112-3.2.1", "no-slash"): b"consoleTARGET",
        ("9112-3.2.1", "query-alone"): b"QUERY",
        ("9112-3.2", "fragment"): b"TARGET#x",
        ("9112-3.2", "fragment-alone"): b"#TARGET",
        ("9112-3.2", "backslash-first"): b"\\TARGET",
        ("9112-3.2", "not-ASCII"): b"/\xc3\xa9TARGET",
        ("9112-3.2", "space"): b"TARGET &x",
        ("9112-3.2", "tab"): b"TARGET\t",
        ("9112-3.2", "nothing"): b"",
    }
    for (section, name), form in wrong.items():
        yield Case(section, name, request(line=b"GET %s HTTP/1.1" % form))
    # These characters are not allowed in a URI, but browsers do not encode them in a query (the URL standard's
    # query percent-encode set), and no parser ends a target at one.
    for character in b"\\^`{|}":
        name = f"{chr(character)}-in-the-query"
        yield Case("3986-3.4", name, request(line=b"GET TARGET&x=%c HTTP/1.1" % character), 101)
    yield Case("9112-3.2.1", "two-slashes-first", request(line=b"GET /TARGET HTTP/1.1"), 101)


def request_lines() -> Iterator[Case]:
    for line in (
        b"",
        b"GET",
        b"GET TARGET",
        b"TARGET HTTP/1.1",
        b"GET  TARGET HTTP/1.1",
        b"GET TARGET  HTTP/1.1",
        b"GET TARGET HTTP/1.1 ",
        b"GET TARGET HTTP/1.1 x",
        b"GET\tTARGET\tHTTP/1.1",
        b"GET TARGET\xa0HTTP/1.1",
        b"G(T TARGET HTTP/1.1",
        b"GET: TARGET HTTP/1.1",
    ):
        yield Case("9112-3", f"line-{shown(line).replace('TARGET', '/')}", request(line=line))
    versions = {
        101: (
            b"HTTP/1.2",
            b"HTTP/1.9",  # read as 1.1, the highest minor version that is known
            # RFC 9110 section 7.8: no Upgrade in HTTP/1.0. An nginx without proxy_http_version sends it, and takes 101.
            b"HTTP/1.0",
        ),
        505: (b"HTTP/0.9", b"HTTP/2.0", b"HTTP/3.0"),
        400: (
            b"HTTP/1",
            b"HTTP/2",
            b"HTTP/1.",
            b"HTTP/1.10",
            b"HTTP/11.1",
            b"HTTP/1,1",
            b"http/1.1",
            b"HTTP/-1.1",
            b"HTTP/1.x",
            b"HTTP/x.1",
            b"HTTP/1.+1",
            b"HTTP /1.1",
            b"HTTPS/1.1",
            b"ICAP/1.0",
            b"RTSP/1.0",
        ),
    }
    for status, names in versions.items():
        for name in names:
            yield Case("9112-2.3", f"version-{shown(name)}", request(line=b"GET TARGET " + name), status)
    # RFC 9110 section 9.1 has 501 for methods that a server does not know; proxxy answers 405, as the original did.
    # HEAD is answered like GET without the body. OPTIONS of any target lists the methods: health checks use both.
    for method in (b"get", b"Get", b"GETT", b"GE", b"POST", b"PUT", b"TRACE", b"PRI", b"!#$%&'*+-.^_`|~"):
        yield Case("9110-9.1", f"method-{shown(method)}", request(line=method + b" TARGET HTTP/1.1"), 405)
    yield Case("9112-3.2.3", "CONNECT", request(line=b"CONNECT a:443 HTTP/1.1"), 405)
    yield Case("9112-3.2.4", "OPTIONS-asterisk", request(line=b"OPTIONS * HTTP/1.1"), 204)
    yield Case("9110-9.3.7", "OPTIONS-of-a-payload", request(line=b"OPTIONS TARGET HTTP/1.1"), 204)
    yield Case(
        "9110-9.3.7", "OPTIONS-with-a-length-of-0", request(b"Content-Length: 0", line=b"OPTIONS / HTTP/1.1"), 204
    )
    yield Case(
        "9110-9.3.7", "OPTIONS-with-a-body", request(b"Content-Length: 5", line=b"OPTIONS / HTTP/1.1") + b"12345"
    )
    yield Case(
        "9110-9.3.7",
        "OPTIONS-with-chunks",
        request(b"Transfer-Encoding: chunked", line=b"OPTIONS / HTTP/1.1") + NO_CHUNKS,
    )
    yield Case("9110-9.3.2", "HEAD-is-never-upgraded", request(line=b"HEAD TARGET HTTP/1.1"), 426)
    yield Case("9110-9.3.2", "HEAD-of-the-status", request(line=b"HEAD /api/status HTTP/1.1"), 200)
    yield Case(
        "9110-9.3.2", "HEAD-with-a-body", request(b"Content-Length: 5", line=b"HEAD /api/status HTTP/1.1") + b"12345"
    )
    body = b"Content-Length: %d" % len(SECOND)
    sent = request(body, line=b"POST TARGET HTTP/1.1") + SECOND
    yield Case("9110-9.1", "POST-with-a-request-inside", sent, 405)


def sized(size: int, line: bytes = LINE) -> bytes:
    """Returns a head that has exactly that size after the test has put in the payload and the filler."""
    return request(b"X: FILL%d" % size, line=line)


def limits() -> Iterator[Case]:
    used = request().count(b"\r\n") - 2
    yield Case("9110-5.4", "head-of-65536-bytes", sized(HEAD_MAX), 101)
    yield Case("9110-5.4", "head-of-65537-bytes", sized(HEAD_MAX + 1), 431)
    dropped = len(UPGRADE[1]) + 2  # proxxy does not keep Connection
    long = b"GET TARGET&x=FILL%d HTTP/1.1"
    yield Case("9110-5.4", "16384-bytes-that-are-kept", request(line=long % (KEPT_MAX + dropped)), 101)
    yield Case("9110-5.4", "16385-bytes-that-are-kept", request(line=long % (KEPT_MAX + dropped + 1)), 431)
    yield Case("9110-5.4", "name-of-256-bytes", request(b"X" * NAME_MAX + b": y"), 101)
    yield Case("9110-5.4", "name-of-257-bytes", request(b"X" * (NAME_MAX + 1) + b": y"), 431)
    yield Case("9110-5.4", "90-fields-of-700-bytes", request(*[b"Cookie: " + b"c" * 690] * 90), 101)
    yield Case("9110-5.4", "head-of-a-MiB", sized(1 << 20), 431)
    yield Case("9110-5.4", "100-fields", request(*[b"X: y"] * (FIELDS_MAX - used)), 101)
    yield Case("9110-5.4", "101-fields", request(*[b"X: y"] * (FIELDS_MAX - used + 1)), 431)
    yield Case("9110-5.4", "10000-fields", request(*[b"X: y"] * 10000), 431)
    yield Case("9110-5.4", "field-name-of-17000-bytes", request(b"X" * 17000 + b": y"), 431)
    yield Case("9110-5.4", "head-without-end", b"X" * 17000, 431)
    # RFC 9112 section 3 has 414 for a target and 501 for a method that is too long. proxxy answers 431 to any
    # head that is too large, as the original does.
    long = b"x" * 17000
    yield Case("9112-3", "target-of-17000-bytes", request(line=b"GET TARGET&x=%s HTTP/1.1" % long), 431)
    yield Case("9112-3", "method-of-17000-bytes", request(line=b"%s TARGET HTTP/1.1" % long), 431)


def strangers() -> Iterator[Case]:
    """Other protocols sent to the port. proxxy sends at most one answer and then waits for nothing more."""
    hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64)
    yield Case("9112-2.2", "TLS-ClientHello", hello)
    yield Case("9112-2.2", "TLS-alert", b"\x15\x03\x01\x00\x02\x02\x46")
    yield Case("9112-2.2", "SSH", b"SSH-2.0-OpenSSH_9.2\r\n")
    yield Case("9112-2.2", "RFB", b"RFB 003.008\n")
    yield Case("9112-2.2", "SOCKS5", b"\x05\x01\x00")
    yield Case("9112-2.2", "SMTP", b"EHLO a\r\n")
    yield Case("9112-2.2", "PROXY-v1", b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n" + request())
    yield Case("9112-2.2", "PROXY-v2", b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + bytes(12) + request())
    frame = encode_frame(CLOSE, close_payload(1000), mask=b"abcd")
    yield Case("9112-2.2", "frame-without-a-handshake", frame)
    yield Case("9112-2.2", "response", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    yield Case("9110-2.5", "HTTP-0.9", b"GET TARGET\r\n")
    yield Case("9113-3.4", "HTTP-2-preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0", 505)


def upgrades() -> Iterator[Case]:
    """Upgrades, mostly refused. An intermediary could take a refusal for a 101, so proxxy must answer nothing after
    it."""

    def without(index: int, *more: bytes, line: bytes = LINE) -> bytes:
        return request(*more, line=line).replace(UPGRADE[index] + b"\r\n", b"")

    h2c = (b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAAQAAP__")
    yield Case("9110-7.8", "upgrade-to-h2c", without(0, *h2c), 426)
    yield Case("9110-7.8", "upgrade-to-TLS", without(0, b"Upgrade: TLS/1.2"), 426)
    yield Case("9110-7.8", "no-upgrade", without(0), 426)
    # proxxy ignores Connection: an nginx that is not configured for it sends "close" and accepts the 101.
    yield Case("9110-7.8", "no-connection", without(1), 101)
    for options in (b"close", b"keep-alive", b"", b"keep-alive, close", b"Upgrade, close", b"upgraded"):
        yield Case("9110-7.8", f"connection-is-{shown(options)}", without(1, b"Connection: " + options), 101)
    yield Case("9110-7.8", "close-in-HTTP-1.0", without(1, b"Connection: close", line=b"GET TARGET HTTP/1.0"), 101)
    yield Case("9110-7.8", "HTTP-1.0-without-upgrade", without(0, line=b"GET TARGET HTTP/1.0"), 426)
    yield Case("6455-4.2.1", "no-key", without(2), 400)
    yield Case("6455-4.2.2", "no-version", without(3), 426)
    for version in (b"1337", b"12", b"130", b"1 3", b"0x0d"):
        sent = without(3, b"Sec-WebSocket-Version: " + version)
        yield Case("6455-4.2.2", f"version-{shown(version)}", sent, 426)
    yield Case("6455-4.2.1", "no-payload", request(line=b"GET / HTTP/1.1"))
    yield Case("6455-4.2.1", "bad-payload", request(line=b"GET /?payload=00:00 HTTP/1.1"))
    yield Case("9112-9.6", "status", SECOND, 200)

# SPDX-License-Identifier: Apache-2.0
"""The built console pages as the shipped configurations of the reverse proxies serve them."""

from __future__ import annotations

import base64
import gzip
import hashlib
import re
import urllib.error
import urllib.request
from email.message import Message
from pathlib import Path
from typing import Iterator

import pytest

from lib.activator import TREE
from lib.process import free_port
from lib.web import SITE, Apache, Caddy, HAProxy, Nginx

PAGES = ("novnc.html", "xterm.html")
HASHED = re.compile(r"[\w-]+\.[0-9A-Z]{8}\.js")
CONFIGURATIONS = ("nginx.conf", "Caddyfile", "apache.conf")  # HAProxy and Traefik pass on to nginx
TYPES = {"html": "text/html", "js": "text/javascript", "txt": "text/plain", "svg": "image/svg+xml"}


def names() -> list[str]:
    return sorted(path.name for path in Path(SITE).iterdir() if path.suffix != ".gz")


def inline_script(page: str) -> str:
    [script] = re.findall(r"<script>(.*?)</script>", (Path(SITE) / page).read_text(), re.S)
    return script


# --- the files ----------------------------------------------------------------------------------


def test_site_has_what_pages_need_and_nothing_else() -> None:
    hashed = [name for name in names() if HASHED.fullmatch(name)]
    assert set(names()) - set(hashed) == {*PAGES, "favicon.svg", "NOTICE.txt"}
    for page, bundle in zip(PAGES, ("page-vnc", "page-term")):
        [loaded] = re.findall(r'<script type="module"[^>]* src="([^"]+)"', (Path(SITE) / page).read_text())
        assert loaded in hashed and loaded.startswith(f"{bundle}.")


def test_every_file_is_there_compressed() -> None:
    for name in names():
        file = Path(SITE) / name
        assert gzip.decompress(file.with_name(f"{name}.gz").read_bytes()) == file.read_bytes()


def test_licences_are_there() -> None:
    notice = (Path(SITE) / "NOTICE.txt").read_text()
    words = ["Mozilla Public License Version 2.0", "The xterm.js authors", "Vitaly Puzrin", "Jef Poskanzer"]
    for word in [*words, "Copyright (c) 1996 Widget Workshop"]:
        assert word in notice, word


def test_pages_hold_one_script_of_their_own_and_no_attributes_with_code() -> None:
    for page in PAGES:
        text = (Path(SITE) / page).read_text()
        assert "style=" not in text and not re.search(r"<[^>]*\son\w+=", text)
        assert text.count("<script") == 2 and inline_script(page)


@pytest.mark.parametrize("configuration", CONFIGURATIONS)
def test_policy_allows_the_script_inside_the_pages(configuration: str) -> None:
    """The script inside the pages opens the WebSocket. If it changed, its hash belongs into each configuration; "node
    build.js site" in console/ prints it."""
    [policy] = re.findall(r"Content-Security-Policy \"(.*?)\"", (TREE / "deploy" / configuration).read_text())
    digests = {base64.b64encode(hashlib.sha256(inline_script(page).encode()).digest()).decode() for page in PAGES}
    assert re.findall(r"'sha256-(.*?)'", policy) == list(digests)


def test_all_configurations_send_the_same_policy() -> None:
    files = [path for path in (TREE / "deploy").iterdir() if path.is_file()]
    assert sorted(path.name for path in files if "script-src" in path.read_text()) == sorted(CONFIGURATIONS)
    found = [
        re.findall(r"Content-Security-Policy \"(.*?)\"", (TREE / "deploy" / name).read_text())
        for name in CONFIGURATIONS
    ]
    assert found[1:] == found[:-1] and len(found[0]) == 1


# --- as it is served ----------------------------------------------------------------------------


@pytest.fixture(scope="module", params=[Nginx, Caddy, HAProxy, Apache], ids=["nginx", "caddy", "haproxy", "apache"])
def web(request: pytest.FixtureRequest) -> Iterator[Nginx]:
    with request.param(free_port()) as running:
        yield running


def get(web: Nginx, name: str, encoding: str = "") -> tuple[int, Message, bytes]:
    request = urllib.request.Request(f"{web.url}/console/{name}")
    if encoding:
        request.add_header("Accept-Encoding", encoding)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, b""


def test_every_file_is_served_as_it_is(web: Nginx) -> None:
    for name in names():
        content = (Path(SITE) / name).read_bytes()
        for encoding in ("", "br", "gzip, deflate, br, zstd"):
            status, headers, body = get(web, name, encoding)
            compressed = "gzip" in encoding
            assert status == 200 and headers["Content-Encoding"] == ("gzip" if compressed else None), name
            assert (gzip.decompress(body) if compressed else body) == content
            assert headers["Content-Type"].partition(";")[0] == TYPES[name.rpartition(".")[2]]
            assert not compressed or headers["Vary"] == "Accept-Encoding"


def test_only_names_with_a_hash_are_kept_by_browsers(web: Nginx) -> None:
    for name in names():
        kept = "public, max-age=31536000, immutable" if HASHED.fullmatch(name) else "no-cache"
        assert get(web, name)[1].get_all("Cache-Control") == [kept], name
        # Time and size of a file say nothing: packages of two versions can have the same, and other scripts.
        assert get(web, name)[1]["ETag"] is None and get(web, name)[1]["Last-Modified"] is None, name
    status, headers, _ = get(web, "page-vnc.AAAAAAAA.js")
    assert status == 404 and headers["Cache-Control"] is None


def test_every_answer_has_the_headers_that_protect_pages(web: Nginx) -> None:
    for name in (*names(), "none"):
        headers = get(web, name)[1]
        assert headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self' 'sha256-")
        assert headers["X-Content-Type-Options"] == "nosniff" and headers["Referrer-Policy"] == "no-referrer"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"


def test_only_the_built_pages_are_served(web: Nginx) -> None:
    """noVNC's own page would connect to any server that a link names, and so let anybody's server look like ours."""
    for name in ("vnc.html", "vnc_lite.html", "novnc/vnc.html", "novnc/core/rfb.js", "package.json", "../sources",
                 "%2e%2e/sources", "src/page.ts", ""):  # fmt: skip
        status, _, body = get(web, name)
        assert status in (400, 403, 404) or body == b"", name  # Caddy's answer to a path that nothing handles is empty

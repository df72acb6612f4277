# SPDX-License-Identifier: Apache-2.0
"""The address of a console's page: what it is told in the fragment, which browsers send to no server."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote, urlsplit

from ._claims import ORIGIN_MAX, is_line
from ._host import is_origin
from ._options import Given
from .errors import InvalidOption

LINE_MAX = 2048  # bytes of a title or an address
_PAGE = re.compile(r"https?://[^/?#@\s][^?#@\s]*/")
_PATH = re.compile(r"/(?![/\\])[^\x00-\x1f\x7f]*")
_LANGUAGE = re.compile(r"[A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8})*")
_LAYOUT = re.compile(r"[A-Za-z0-9_-]{1,32}")


def check_page(url: Any) -> None:
    """Raises InvalidOption unless url is the folder of the console pages."""
    right = is_line(url, LINE_MAX) and _PAGE.fullmatch(url) is not None
    try:
        right = right and bool(urlsplit(url).hostname) and urlsplit(url).port != 0
    except ValueError:
        right = False
    if not right:
        raise InvalidOption("page", "is not an http or https URL that ends with a slash")


def _is_path(value: Any) -> bool:
    return is_line(value, LINE_MAX) and _PATH.fullmatch(value) is not None


def _are_origins(value: Any) -> bool:
    return not isinstance(value, str) and all(is_line(item, ORIGIN_MAX) and is_origin(item) for item in value)


def _matches(pattern: re.Pattern[str], value: Any) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def _check(options: Given) -> None:
    def check(option: str, right: bool, why: str) -> None:
        if option in options and not right:
            raise InvalidOption(option, why)

    title, bar = options.get("title"), options.get("bar")
    check("title", title == "" or is_line(title, LINE_MAX), "is not one line of text")
    check("again", _is_path(options.get("again")), "is not a path, like /console-link/100")
    check("panel", _are_origins(options.get("panel", ())), "is not a list of origins, like https://panel.example.com")
    check("lang", _matches(_LANGUAGE, options.get("lang")), "is not a language, like de or pt-BR")
    check("layout", _matches(_LAYOUT, options.get("layout")), "is not the name of a keyboard layout")
    check("view_only", isinstance(options.get("view_only"), bool), "is not true or false")
    check("bar", bar == "none", "is not none")


def page_parameters(options: Given) -> str:
    """Returns the fragment's parameters behind the payload, or raises InvalidOption."""
    _check(options)
    pairs = [
        ("title", options.get("title")),
        ("session_max", options.get("session_max")),
        ("again", options.get("again")),
        *(("panel", origin) for origin in options.get("panel", ())),
        ("lang", options.get("lang")),
        ("layout", options.get("layout")),
        ("view_only", 1 if options.get("view_only") else None),
        ("bar", options.get("bar")),
    ]
    return "".join(f"&{name}={quote(str(value), safe='')}" for name, value in pairs if value not in (None, ""))

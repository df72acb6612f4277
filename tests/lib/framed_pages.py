# SPDX-License-Identifier: Apache-2.0
"""A panel that has the console pages in a frame: of its own origin, or of another one."""

from __future__ import annotations

from typing import Any, Iterator

import pytest
from selenium import webdriver

from .cable import Cable
from .console_pages import PAGE_SECONDS
from .late_proxxy import SEALED, LateProxxy
from .live_pages import Live
from .process import wait_for
from .web import Nginx

FIELD = """
    const field = document.createElement("input");
    field.id = "field";
    document.body.append(field);
    field.focus();
"""
FRAME = """
    window.heard = [];
    window.frame = document.createElement("iframe");
    addEventListener("message", ({ source, data }) => source === frame.contentWindow && heard.push(data));
    frame.id = "frame";
    frame.width = 900;
    frame.height = 600;
    frame.allow = "fullscreen; clipboard-read; clipboard-write";
    frame.src = arguments[0];
    document.body.append(frame);
"""


class Open(Nginx):
    """Panels of all origins may have its pages in a frame."""

    def shipped(self, name: str) -> str:
        text = super().shipped(name)
        assert "frame-ancestors 'self'" in text
        return text.replace("frame-ancestors 'self'", "frame-ancestors *")


class Framed(Live):
    """own and other: the origins of panels; the pages' is own."""

    @property
    def own(self) -> str:
        return self.url

    @property
    def other(self) -> str:
        return self.url.replace("127.0.0.1", "localhost")

    def open(self, browser: webdriver.Remote, origin: str, link: str, first: str = "") -> None:
        """Opens the link in a frame of a panel, which runs the script `first` before that."""
        browser.get(f"{origin}/panel")
        browser.execute_script(first + FRAME, link)


@pytest.fixture
def framed() -> Iterator[Framed]:
    with LateProxxy() as proxxy, Open(proxxy.port) as web, Cable(web.port) as cable:
        yield Framed(proxxy, cable)
        assert SEALED not in web.logs()


def heard(browser: webdriver.Remote) -> list[dict[str, Any]]:
    return browser.execute_script("return heard")


def told(browser: webdriver.Remote, type: str) -> list[dict[str, Any]]:
    """The panel's messages of a type."""
    return [message for message in heard(browser) if message["type"] == f"proxxy:{type}"]


def wait_told(browser: webdriver.Remote, type: str, count: int = 1) -> dict[str, Any]:
    """Waits for a message's last of `count`; returns it."""
    wait_for(lambda: len(told(browser, type)) >= count, PAGE_SECONDS, lambda: f"no {type}: {heard(browser)}")
    return told(browser, type)[count - 1]

# SPDX-License-Identifier: Apache-2.0
"""Pictures of the console pages: Chromium opens them through nginx and proxxy, with a real desktop and a terminal
behind a stand-in Proxmox. In tests/, "python3 -m lib.pictures FOLDER" writes every state at four sizes, light and dark;
contact_sheet.py makes those of docs/."""

from __future__ import annotations

import re
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Callable, Iterator
from urllib.parse import urlencode

from selenium import webdriver

from .browser import chromium
from .cable import Cable
from .console_pages import PAGE_SECONDS, choose_entry, part, press_tool, shows, type_text, write
from .late_proxxy import SEALED, LateProxxy
from .panel import page
from .process import wait_for
from .scripted_terminal import ScriptedTerminal
from .stage import TERMINAL, Stage
from .web import Nginx

SIZES = {"wide": (1440, 900), "medium": (1024, 768), "tablet": (768, 1024), "phone": (390, 844)}
TOUCH = ("tablet", "phone")
THEMES = ("light", "dark")
SETTLED_SECONDS = 0.6  # after what moves
DRAWN_SECONDS = 1.5  # for a desktop
NAME = "web-01"
OFF = (1000, "Console closed before it sent anything")
OLD = (1008, "Payload has expired: exp was 61 s ago")

GREEN, YELLOW, BLUE, CYAN, RED, BOLD, END = (f"\x1b[{code}m" for code in (32, 33, 34, 36, 31, 1, 0))
PROMPT = f"{BOLD}{GREEN}root@web-01{END}:{BOLD}{BLUE}/srv{END}# "


def meter(name: str, percent: int) -> str:
    """A bar as htop draws it."""
    used = percent * 30 // 100
    bar = f"{GREEN}{'|' * min(used, 20)}{YELLOW}{'|' * max(0, used - 20)}{END}{' ' * (30 - used)}"
    return f"{CYAN}{name:>3}{END}{BOLD}[{END}{bar}{percent:>3}%{BOLD}]{END}"


# As wide as a phone's terminal.
LINES = (
    *(meter(name, percent) for name, percent in (("0", 62), ("1", 34), ("Mem", 78), ("Swp", 5))),
    "",
    "\x1b[30;42m  PID USER      RES CPU% Command       \x1b[0m",
    f"  814 postgres  96M 12.4 {GREEN}postgres{END}",
    f"  902 www-data  41M  7.9 {GREEN}nginx: worker{END}",
    f" 1033 root      12M  1.3 {GREEN}sshd: root{END}",
    "",
    f"{PROMPT}ls --color -l",
    f"drwxr-xr-x 5 root  4096 {BOLD}{BLUE}www{END}",
    f"-rwxr-xr-x 1 root 18213 {BOLD}{GREEN}deploy.sh{END}",
    f"lrwxrwxrwx 1 root    11 {BOLD}{CYAN}live{END} -> {BOLD}{BLUE}www/new{END}",
    f"-rw-r--r-- 1 root 88120 {RED}backup.tar.gz{END}",
    PROMPT,
)
SHOWN = "\x1b[2J\x1b[H" + "\r\n".join(LINES)  # by the container's terminal
# What the desktop's terminal shows: printf reads the escape sequences.
COMMAND = ["/bin/sh", "-c", 'printf "$1"; exec cat', "sh", SHOWN.replace("%", "%%")]


class Scene:
    """The servers that the pages need."""

    def __init__(self, stage: Stage, cable: Cable, late: LateProxxy, late_web: Nginx) -> None:
        self.stage, self.cable, self.late = stage, cable, late
        self._late_url = late_web.url

    def link(self, kind: str, **more: str) -> str:
        """A link that the demo's panel makes, to the desktop or the terminal."""
        made = redirected(self.stage.panel.url + ("terminal" if kind == "term" else ""))
        named = re.sub("title=[^&]*", urlencode({"title": NAME, **more}), made)
        return f"http://127.0.0.1:{self.cable.port}{named}"

    def late_link(self, kind: str, **more: str) -> str:
        """A link to a page behind which a script plays proxxy."""
        name = "xterm" if kind == "term" else "novnc"
        return self._late_url + page(name, payload=SEALED, **{"title": NAME, **more})


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


def redirected(address: str) -> str:
    try:
        urllib.request.build_opener(_NoRedirect).open(address, timeout=PAGE_SECONDS)
    except urllib.error.HTTPError as answer:
        return answer.headers["Location"]
    raise AssertionError("no redirect")


@contextmanager
def scene() -> Iterator[Scene]:
    with Stage(terminal=COMMAND) as stage, Nginx(stage.activator.port) as web, Cable(web.port) as cable:
        with LateProxxy() as late, Nginx(late.port) as late_web:
            yield Scene(stage, cable, late, late_web)


# --- the states -------------------------------------------------------------------------------

State = Callable[[webdriver.Remote, Scene], None]


def wait_state(browser: webdriver.Remote, wanted: str) -> None:
    state = lambda: browser.execute_script("return document.documentElement.className")  # noqa: E731
    wait_for(lambda: state() == wanted, PAGE_SECONDS, lambda: f"{state()}, not {wanted}")


def connecting(browser: webdriver.Remote, scene: Scene) -> None:
    scene.late.silent, scene.late.refusal = True, None
    browser.get(scene.late_link("vnc"))
    wait_for(lambda: part(browser, ".bar"), PAGE_SECONDS, "no bar")


def desktop(browser: webdriver.Remote, scene: Scene, **more: str) -> None:
    scene.cable.plug()
    browser.get(scene.link("vnc", **more))
    wait_state(browser, "connected")
    time.sleep(DRAWN_SECONDS)


def terminal(browser: webdriver.Remote, scene: Scene, **more: str) -> None:
    scene.cable.plug()
    guest = ScriptedTerminal()
    scene.stage.standin.add("lxc", TERMINAL, guest.connect)
    browser.get(scene.link("term", **more))
    guest.say(SHOWN)
    wait_state(browser, "connected")
    time.sleep(SETTLED_SECONDS)


def lost(show: State) -> State:
    def reconnecting(browser: webdriver.Remote, scene: Scene) -> None:
        show(browser, scene)
        scene.cable.unplug()
        wait_state(browser, "reconnecting")

    return reconnecting


def ended(code: int, reason: str, **more: str) -> State:
    def refused(browser: webdriver.Remote, scene: Scene) -> None:
        scene.late.silent, scene.late.refusal = False, (code, reason)
        browser.get(scene.late_link("vnc", **more))
        wait_state(browser, "ended")

    return refused


def ended_terminal(browser: webdriver.Remote, scene: Scene) -> None:
    scene.late.silent, scene.late.refusal = False, None
    browser.get(scene.late_link("term"))
    wait_state(browser, "connected")
    scene.late.sessions[-1].end(1000, "Console was idle too long")
    wait_state(browser, "ended")


def pressed(name: str, show: Callable[..., None] = desktop, **more: str) -> State:
    def press(browser: webdriver.Remote, scene: Scene) -> None:
        show(browser, scene, **more)
        press_tool(browser, name)

    return press


def type_dialog(browser: webdriver.Remote, scene: Scene) -> None:
    pressed("type")(browser, scene)
    write(browser, "#type-text", "curl -fsS https://example.net/setup.sh | sh\n# Grüße aus Köln")


def typing(browser: webdriver.Remote, scene: Scene) -> None:
    desktop(browser, scene)
    type_text(browser, "a line of a configuration file\n" * 40)
    wait_for(lambda: shows(browser, ".notice"), PAGE_SECONDS, "no notice")
    time.sleep(DRAWN_SECONDS)


def more_menu(browser: webdriver.Remote, scene: Scene) -> None:
    """In a bar that has all controls, it is as connected."""
    desktop(browser, scene)
    if shows(browser, "#tool-more"):
        part(browser, "#tool-more").click()


def extra_keys(browser: webdriver.Remote, scene: Scene) -> None:
    """Without a touch screen, it is as connected."""
    terminal(browser, scene)
    for key in ("Control", "Fn"):
        if shows(browser, f"[data-key={key}]"):
            part(browser, f"[data-key={key}]").click()


def resized(browser: webdriver.Remote, scene: Scene) -> None:
    """The desktop takes the window's size."""
    pressed("scaling")(browser, scene)
    choose_entry(browser, "remote")
    time.sleep(DRAWN_SECONDS)


STATES: dict[str, State] = {
    "connecting": connecting,
    "desktop": desktop,
    "resized": resized,
    "terminal": terminal,
    "keys": pressed("keys"),
    "terminal-keys": pressed("keys", terminal),
    "scaling": pressed("scaling"),
    "more": more_menu,
    "type": type_dialog,
    "typing": typing,
    "clipboard": pressed("clipboard"),
    "search": pressed("search", terminal),
    "help": pressed("help"),
    "folded": pressed("fold"),
    "extra": extra_keys,
    "reconnecting": lost(desktop),
    "terminal-reconnecting": lost(terminal),
    "ended": ended(*OFF),
    "ended-old": ended(*OLD),
    "ended-panel": ended(*OLD, again="/panel"),
    "ended-terminal": ended_terminal,
    "arabic": pressed("scaling", lang="ar"),
    "arabic-ended": ended(*OFF, again="/panel", lang="ar"),
    "german": pressed("clipboard", lang="de"),
}


# --- pictures ---------------------------------------------------------------------------------


def devtools(browser: webdriver.Remote, command: str, **parameters: Any) -> None:
    # A remote session of selenium lacks this command of Chromium's.
    browser.command_executor._commands["cdp"] = ("POST", "/session/$sessionId/goog/cdp/execute")
    browser.execute("cdp", {"cmd": command, "params": parameters})


@contextmanager
def window(width: int, height: int, *, touch: bool) -> Iterator[webdriver.Remote]:
    with chromium(width, height, phone=touch) as browser:
        if not touch:  # the window has a frame
            frame = height - int(browser.execute_script("return innerHeight"))
            browser.set_window_size(width, height + frame)
        yield browser


def take(browser: webdriver.Remote, scene: Scene, name: str, theme: str) -> bytes:
    """Returns a picture (PNG) of that state."""
    features = [{"name": "prefers-color-scheme", "value": theme}]
    devtools(browser, "Emulation.setEmulatedMedia", features=features)
    browser.get("about:blank")
    STATES[name](browser, scene)
    time.sleep(SETTLED_SECONDS)
    png = browser.get_screenshot_as_png()
    browser.get("about:blank")
    return png


def take_all(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with scene() as servers:
        for size, (width, height) in SIZES.items():
            with window(width, height, touch=size in TOUCH) as browser:
                for theme in THEMES:
                    for name in STATES:
                        (folder / f"{name}-{size}-{theme}.png").write_bytes(take(browser, servers, name, theme))


if __name__ == "__main__":
    take_all(Path(sys.argv[1]))

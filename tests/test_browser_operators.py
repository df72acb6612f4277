# SPDX-License-Identifier: Apache-2.0
"""The page for operators in Chromium: what it shows of a session, that it shows text as text, filter and order,
refreshing, ending a session, errors, a phone's width. Once with sessions of a real systemd, behind nginx."""

from __future__ import annotations

import time
from typing import Any, Iterator

import pytest
from conftest import ECHO
from lib.browser import chromium
from lib.certs import Cert
from lib.fronts import Front, nginx
from lib.installed import deploy, key, wait_instances
from lib.operators_docs import PASSWORD, USER, front_lines, password_file
from lib.operators_page import PAGE_SECONDS, Operators, example, open_page, press_end, session
from lib.payload import seal_jwe, target
from lib.pid1 import Machine
from lib.process import wait_for
from lib.standin import StandIn
from lib.wire import BINARY, Client
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

PORT = 8443
PHONE = (390, 844)
HOSTILE = '"><img src=x onerror="document.title=1"><script>document.title=2</script>'
CELLS = """return [...document.querySelectorAll(`td.${arguments[0]}`)].filter((cell) => cell.checkVisibility())
  .map((cell) => cell.textContent)"""
WIDE = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
SMALL = """return [...document.querySelectorAll("button, input, select")]
  .filter((control) => control.checkVisibility() && control.offsetHeight < 44).map((control) => control.id)"""
HIDE = """Object.defineProperty(document, "hidden", { value: arguments[0], configurable: true });
document.dispatchEvent(new Event("visibilitychange"))"""


@pytest.fixture(scope="module")
def desk() -> Iterator[webdriver.Remote]:
    with chromium(1440, 900) as browser:
        yield browser


@pytest.fixture
def site(desk: webdriver.Remote) -> Iterator[Operators]:
    with Operators() as served:
        served.sessions = example()
        yield served
        violations = [entry for entry in desk.get_log("browser") if "Content Security Policy" in entry["message"]]
        assert violations == []


def text(browser: webdriver.Remote, id: str) -> str:
    """Returns the text that is seen there."""
    seen = """const part = document.getElementById(arguments[0]);
    return part.checkVisibility() ? part.innerText.trim() : "" """
    return str(browser.execute_script(seen, id))


def cells(browser: webdriver.Remote, column: str) -> list[str]:
    found: list[str] = browser.execute_script(CELLS, column)
    return found


def press(browser: webdriver.Remote, id: str) -> None:
    browser.execute_script("document.getElementById(arguments[0]).click()", id)


def write(browser: webdriver.Remote, words: str) -> None:
    browser.execute_script("document.getElementById('filter').select()")
    ActionChains(browser).send_keys(words or Keys.DELETE).perform()


def sort_by(browser: webdriver.Remote, column: str) -> str:
    """Presses a column's heading, and returns the order that it then has."""
    return str(
        browser.execute_script(
            """const heading = document.querySelector(`th.${arguments[0]}`);
            heading.querySelector("button").click();
            return heading.getAttribute("aria-sort")""",
            column,
        )
    )


def is_asking(browser: webdriver.Remote) -> bool:
    return bool(browser.execute_script("return document.getElementById('ask').open"))


def test_table_says_who_is_on_which_guest(desk: webdriver.Remote, site: Operators) -> None:
    open_page(desk, site)
    assert cells(desk, "guest") == ["No console yet", "VM 100", "CT 2104", "VM 311", "VM 118", "CT 905", "VM 4021"]
    assert cells(desk, "client")[:3] == ["", "203.0.113.7", "198.51.100.23"]
    assert cells(desk, "place")[1] == "pve01" and cells(desk, "sub")[4] == "Grüne Wiese GmbH"
    assert cells(desk, "jti")[2] == "7a4b" and cells(desk, "kid")[1] == "main"
    assert text(desk, "count") == "7 sessions"
    assert (
        desk.current_url == site.url and desk.execute_script("return localStorage.length + sessionStorage.length") == 0
    )


def test_text_of_a_session_is_text(desk: webdriver.Remote, site: Operators) -> None:
    hostile: dict[str, Any] = {name: HOSTILE for name in ("sub", "jti", "kid", "place", "client", "type")}
    site.sessions = [session(1, **hostile), session(2, status=HOSTILE, type=None)]
    open_page(desk, site)
    assert cells(desk, "sub")[:1] == cells(desk, "jti")[:1] == cells(desk, "client")[:1] == [HOSTILE]
    assert HOSTILE in cells(desk, "guest")
    press_end(desk)
    assert HOSTILE in text(desk, "ask-what")
    assert desk.execute_script("return document.querySelectorAll('img').length + document.scripts.length") == 1
    assert desk.title.startswith("Sessions")


def test_policy_lets_no_other_script_run(desk: webdriver.Remote) -> None:
    with Operators() as site:
        open_page(desk, site)
        desk.execute_script(
            """const run = "document.title = 'ran'", script = document.createElement("script");
            const attempts = [() => document.body.setAttribute("onclick", run), () => document.body.click(),
              () => script.append(run), () => document.body.append(script),
              () => { document.body.innerHTML = `<img src=x onerror="${run}">` }];
            for (const attempt of attempts) try { attempt() } catch { /* Trusted Types */ }"""
        )
        assert desk.title.startswith("Sessions")
        blocked = desk.execute_async_script(
            "fetch('http://127.0.0.1:9/').then(() => 'sent', (e) => e.name).then(arguments[0])"
        )
        assert blocked == "TypeError"
        told = "".join(entry["message"] for entry in desk.get_log("browser"))
        assert "requires 'TrustedScript'" in told and "violates the document's Content Security Policy" in told


def test_filter_and_order(desk: webdriver.Remote, site: Operators) -> None:
    open_page(desk, site)
    for words, guests in (
        ("grüne", ["VM 118"]),
        ("ct pve02", ["CT 2104", "CT 905"]),
        ("qemu 311", ["VM 311"]),
        ("2001:db8", ["VM 311"]),
    ):
        write(desk, words)
        assert cells(desk, "guest") == guests
        assert text(desk, "count") == f"{len(guests)} of 7 sessions"
    write(desk, "nobody")
    assert cells(desk, "guest") == [] and text(desk, "nothing") == "No session has these words."
    press(desk, "clear")
    assert len(cells(desk, "guest")) == 7 and text(desk, "count") == "7 sessions"
    assert sort_by(desk, "guest") == "ascending"
    assert cells(desk, "guest")[:6] == ["VM 100", "VM 118", "VM 311", "CT 905", "CT 2104", "VM 4021"]
    assert sort_by(desk, "guest") == "descending"
    assert cells(desk, "guest")[-1] == "VM 100"
    assert sort_by(desk, "duration") == "ascending"
    assert cells(desk, "guest")[0] == "No console yet"
    assert desk.execute_script("return document.querySelectorAll('th:not([aria-sort=none])').length") == 1


def test_list_refreshes_itself(desk: webdriver.Remote, site: Operators) -> None:
    """A row that stays keeps the focus, and durations go on between two answers."""
    open_page(desk, site)
    desk.execute_script("document.querySelectorAll('td.action button')[2].focus()")
    durations = cells(desk, "duration")
    wait_for(lambda: cells(desk, "duration") != durations, PAGE_SECONDS, "no duration changes")
    gone = site.sessions[0]["unit"]
    site.sessions = [session(77, "lxc", 555, 5), *(kept for kept in site.sessions if kept["unit"] != gone)]
    wait_for(lambda: "CT 555" in cells(desk, "guest"), PAGE_SECONDS, "the list is not refreshed")
    assert "VM 100" not in cells(desk, "guest")
    focused = "return document.activeElement.getAttribute('aria-label')"
    assert desk.execute_script(focused) == "End the session of CT 2104 for 198.51.100.23"


def test_hidden_page_asks_for_nothing(desk: webdriver.Remote, site: Operators) -> None:
    open_page(desk, site)
    desk.execute_script(HIDE, True)
    time.sleep(1)  # an answer may be on its way
    asked = site.asked
    time.sleep(7)  # more than the time between two requests
    assert site.asked == asked
    desk.execute_script(HIDE, False)
    wait_for(lambda: site.asked > asked, PAGE_SECONDS, "it does not ask again")


def test_end_asks_first(desk: webdriver.Remote, site: Operators) -> None:
    open_page(desk, site)
    press_end(desk, 2)
    asked = text(desk, "ask-what").split("\n")
    assert asked[:6] == ["Guest", "CT 2104 on pve02", "Client", "198.51.100.23", "User", "bob"]
    assert desk.execute_script("return document.activeElement.id") == "ask-cancel"
    ActionChains(desk).send_keys(Keys.ESCAPE).perform()
    wait_for(lambda: not is_asking(desk), PAGE_SECONDS, "the question stays")
    press_end(desk, 2)
    press(desk, "ask-cancel")
    assert not is_asking(desk) and site.ended == []


def test_end(desk: webdriver.Remote, site: Operators) -> None:
    open_page(desk, site)
    unit = site.sessions[1]["unit"]
    press_end(desk, 2)
    press(desk, "ask-end")
    wait_for(lambda: not is_asking(desk), PAGE_SECONDS, "the question stays")
    assert text(desk, "said") == "CT 2104 was ended for 198.51.100.23"
    [(told, fields)] = site.ended
    assert told == unit and fields["Proxxy-Action"] == "end" and fields["Sec-Fetch-Site"] == "same-origin"
    assert fields["Content-Length"] == "0"
    wait_for(lambda: "CT 2104" not in cells(desk, "guest"), PAGE_SECONDS, "the session is still listed")


def test_session_that_still_says_goodbye_is_not_ended_twice(desk: webdriver.Remote, site: Operators) -> None:
    open_page(desk, site)
    kept = list(site.sessions)
    press_end(desk, 2)
    press(desk, "ask-end")
    wait_for(lambda: site.ended, PAGE_SECONDS, "no request")
    site.sessions = kept
    buttons = (
        "return [...document.querySelectorAll('td.action button')].filter((b) => b.disabled).map((b) => b.textContent)"
    )
    wait_for(lambda: desk.execute_script(buttons) == ["Ending …"], PAGE_SECONDS, "the button can be pressed")


def test_end_that_is_refused(desk: webdriver.Remote, site: Operators) -> None:
    open_page(desk, site)
    site.refusal = (503, "Sessions cannot be ended: proxxy-end.socket does not answer")
    press_end(desk, 1)
    press(desk, "ask-end")
    wait_for(lambda: "proxxy-end.socket" in text(desk, "ask-problem"), PAGE_SECONDS, "no word of it")
    assert is_asking(desk)
    site.refusal = None
    press(desk, "ask-end")
    wait_for(lambda: not is_asking(desk), PAGE_SECONDS, "the question stays")


def test_error_and_recovery(desk: webdriver.Remote, site: Operators) -> None:
    open_page(desk, site)
    site.failure = (503, "systemd cannot be queried")
    press(desk, "refresh")
    wait_for(lambda: "systemd cannot be queried" in text(desk, "problem"), PAGE_SECONDS, "no error")
    assert len(cells(desk, "guest")) == 7  # what was known last
    assert desk.execute_script("return document.getElementById('table').className") == "old"
    site.failure = None
    wait_for(lambda: text(desk, "problem") == "", PAGE_SECONDS, "the error stays")
    assert desk.execute_script("return document.getElementById('table').className") == ""


def test_no_session(desk: webdriver.Remote, site: Operators) -> None:
    site.sessions = []
    open_page(desk, site)
    assert text(desk, "nothing") == "No console is open." and text(desk, "count") == "0 sessions"
    assert desk.execute_script("return document.getElementById('clear').checkVisibility()") is False


def test_thousands_of_sessions(desk: webdriver.Remote, site: Operators) -> None:
    site.sessions = [session(n, vmid=100 + n, age=n, sub=f"user{n}") for n in range(4096)]
    open_page(desk, site)
    assert text(desk, "count").replace(",", "") == "4096 sessions"
    write(desk, "user4095")
    assert cells(desk, "guest") == ["VM 4195"]


@pytest.mark.parametrize("width", [320, 390, 721, 961, 1081, 1440])
def test_nothing_is_wider_than_the_window(width: int) -> None:
    with chromium(max(width, 500), 800, phone=False) as browser, Operators() as site:
        long = "x" * 128
        site.sessions = [*example(), session(50, sub=long, jti=long * 2, kid=long, place=long[:63])]
        site.sessions.append(session(51, status=long, type=None))
        browser.set_window_size(width, 800)
        open_page(browser, site)
        shown = browser.execute_script("return innerWidth")
        assert browser.execute_script(WIDE) <= 0, shown


def test_phone() -> None:
    with chromium(*PHONE, phone=True) as browser, Operators() as site:
        site.sessions = example()
        open_page(browser, site)
        assert browser.execute_script(WIDE) <= 0 and browser.execute_script(SMALL) == []
        assert len(browser.execute_script("return [...document.querySelectorAll('td.jti:not(.none) bdi')]")) == 5
        browser.execute_script(
            """const order = document.getElementById("order");
            order.value = "guest false";
            order.dispatchEvent(new Event("change"))"""
        )
        assert cells(browser, "guest")[0] == "VM 100"
        press_end(browser)
        assert browser.execute_script(WIDE) <= 0 and browser.execute_script(SMALL) == []


# --- with sessions of a real systemd, behind nginx as docs/operating.md configures it ---------


class _Nginx(Front):
    def __init__(self, machine: Machine) -> None:
        super().__init__(0)
        self._machine = machine

    def command(self) -> list[Any]:
        lines = front_lines("nginx", self._machine, password_file(self.directory))
        return nginx(self.directory, self.port, lines)


@pytest.fixture(scope="module")
def machine(cert: Cert) -> Iterator[Machine]:
    with Machine() as booted, booted.network():
        deploy(booted, cert)
        booted.run(["systemctl", "enable", "--now", "proxxy-status.socket"])
        yield booted


def test_session_is_ended_through_nginx(machine: Machine, proxmox: StandIn) -> None:
    payload = seal_jwe(proxmox.console("qemu", ECHO), key(machine))
    with _Nginx(machine) as front, Client.upgraded(PORT, target(payload)) as client, chromium(1280, 800) as browser:
        client.send_frame(BINARY, b"x")
        assert client.read_data(1) == b"x"
        [unit] = wait_instances(machine, 1)
        browser.get(f"http://{USER}:{PASSWORD}@127.0.0.1:{front.port}/proxxy-sessions/")
        address = client.sock.getsockname()[0]
        wait_for(lambda: cells(browser, "client") == [address], PAGE_SECONDS, lambda: str(cells(browser, "client")))
        assert cells(browser, "guest") == [f"VM {ECHO}"]
        press_end(browser)
        press(browser, "ask-end")
        assert client.close_code(PAGE_SECONDS) == (1001, "Session was ended by the operator")
        wait_for(lambda: cells(browser, "guest") == [], PAGE_SECONDS, "the session is still listed")
        [record] = machine.journal(f"PROXXY_UNIT={unit}")
        assert record["PROXXY_OPERATOR"] == USER

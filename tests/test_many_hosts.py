# SPDX-License-Identifier: Apache-2.0
"""Three hosts behind HAProxy with the shipped configuration, under load: a host is killed, vanishes, is drained for an
upgrade, is added. What hosts share: the single use of a link, and the limit of a user's consoles.

To see what happens in each tenth of a second while a host is killed, and while its cable is pulled:
/usr/bin/python3 tests/test_many_hosts.py
"""

from __future__ import annotations

import contextlib
import socket
import sys
import threading
import time
from typing import Callable, Iterator

import pytest
from lib import lan
from lib.console_load import Console, Link
from lib.many_hosts import FRONT, PORT, Host, Site
from lib.payload import protocols
from lib.process import wait_for
from lib.wire import Client, upgrade_request

LIVE, PER_SECOND = 30, 5
STEADY_SECONDS = 2.0  # of load before and after an event
LATE_SECONDS = 1.0  # a console that takes longer to open is late
RECOVERED_SECONDS = 5.0  # after the loss of a host, until no console is late
GAP_SECONDS = 2.5  # without an echo in a console that goes on; there is one every 0.1 s
KILLED_SECONDS = 5.0  # until all browsers of a killed host know it
RETRIES = 5  # net.ipv4.tcp_retries2 as docs/scaling.md recommends: a vanished host is given up after some 13 s
VANISHED_SECONDS = 60.0
PATIENCE = 10.0

pytestmark = pytest.mark.skipif(bool(lan.missing()), reason=lan.missing())


def begin(site: Site) -> None:
    """Opens consoles that stay, and goes on opening others."""
    live = site.load.hold(LIVE)
    assert all(console.is_live(time.monotonic()) for console in live), [console.end for console in live]
    site.load.stream(PER_SECOND)
    time.sleep(STEADY_SECONDS)


def of(site: Site, host: Host) -> tuple[list[Console], list[Console]]:
    """Returns the consoles that stay on that host, and those on others."""
    theirs = [console for console in site.load.live if site.host_of(console.vmid) is host]
    return theirs, [console for console in site.load.live if console not in theirs]


def suffered(site: Site, begin: float, end: float) -> list[Console]:
    """Returns the new consoles, asked for between two times, that were late or never opened."""
    decided = [console for console in site.load.new if begin <= console.asked < end and console.ended]
    return [console for console in decided if console.is_late(LATE_SECONDS)]


def goes_on(consoles: list[Console], since: float) -> float:
    """None of these consoles ended. Returns the longest time without an echo since then."""
    now = time.monotonic()
    assert all(console.is_live(now) for console in consoles), [console.end for console in consoles]
    gap = max(console.longest_gap(since, now) for console in consoles)
    assert gap < GAP_SECONDS
    return gap


def lose(site: Site, how: Callable[[Host], None], patience: float) -> tuple[Host, float]:
    """Loses one of the three hosts under load; returns it and when. Waits until its browsers know it."""
    site.lan.sysctl(FRONT, "ipv4/tcp_retries2", RETRIES)
    begin(site)
    host = site.hosts[1]
    theirs, _ = of(site, host)
    at = time.monotonic()
    how(host)
    wait_for(lambda: all(console.ended for console in theirs), patience, "its consoles have not ended")
    time.sleep(max(0.0, at + RECOVERED_SECONDS + STEADY_SECONDS - time.monotonic()))
    return host, at


@pytest.mark.parametrize(
    "how, patience", [(Host.kill, KILLED_SECONDS), (Host.pull, VANISHED_SECONDS)], ids=["killed", "unplugged"]
)
def test_lost_host_ends_only_its_own_consoles(how: Callable[[Host], None], patience: float) -> None:
    with Site() as site:
        host, at = lose(site, how, patience)
        theirs, others = of(site, host)
        assert len(theirs) >= LIVE // 6 and len(others) >= LIVE // 2
        gap = goes_on(others, at - STEADY_SECONDS)
        ended = max(console.ended for console in theirs) - at
        late = suffered(site, at - LATE_SECONDS, at + RECOVERED_SECONDS + STEADY_SECONDS)
        recovered = max((console.asked - at for console in late), default=0.0)
        slowest = max(console.opened - console.asked for console in site.load.new if console.opened)
        print(f"\n{len(theirs)} consoles ended within {ended:.1f} s. Longest gap in the others: {gap:.2f} s")
        print(f"New consoles that were late or failed: {len(late)}, the last after {recovered:.1f} s")
        print(f"The slowest took {slowest:.1f} s")
        assert recovered < RECOVERED_SECONDS
        later = [console for console in site.load.new if at + RECOVERED_SECONDS < console.asked and console.ended]
        assert len(later) >= PER_SECOND and {console.end for console in later} == {"left"}


@pytest.mark.parametrize("told", [True, False], ids=["HAProxy is told", "HAProxy is not told"])
def test_host_is_drained_for_an_upgrade(told: bool) -> None:
    with Site() as site:
        begin(site)
        host = site.hosts[0]
        theirs, others = of(site, host)
        at = time.monotonic()
        if told:
            site.front.command(f"set server proxxy/{host.name} state drain")
        host.drain()
        time.sleep(STEADY_SECONDS)
        goes_on(site.load.live, at - STEADY_SECONDS)
        site.load.leave(theirs[1:])
        wait_for(lambda: host.sessions() == 1, PATIENCE, host.log)
        goes_on(theirs[:1], at)
        assert not host.drained()
        site.load.leave(theirs[:1])
        wait_for(host.drained, PATIENCE, host.log)
        assert host.process.returncode == 0, host.log()
        back = time.monotonic()
        host.start()
        if told:
            site.front.command(f"set server proxxy/{host.name} state ready")
        gets_new_consoles(site, host, back)
        goes_on(others, at)
        meanwhile = [console for console in site.load.new if at + LATE_SECONDS < console.asked < back]
        assert meanwhile and not any(host.opened(console.vmid) for console in meanwhile)
        no_new_console_failed(site)


def test_host_is_added() -> None:
    with Site(hosts=2) as site:
        begin(site)
        host = site.hosts[2]
        at = time.monotonic()
        host.start()
        site.front.reload(site.hosts)
        gets_new_consoles(site, host, at)
        goes_on(site.load.live, at)
        no_new_console_failed(site)


@contextlib.contextmanager
def full_host(site: Site, host: Host) -> Iterator[list[bytes]]:
    """A host whose systemd has reached MaxConnections=, except that it answers HAProxy's checks. Yields the requests
    that it closed."""
    closed: list[bytes] = []

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:  # the test is over
                return
            with connection:
                request = connection.recv(65536)
                if b"/api/status" in request:
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                else:
                    closed.append(request)

    with site.lan.on(host.number):
        listener = socket.create_server((host.address, PORT))
    thread = threading.Thread(target=serve, name="full host")
    thread.start()
    try:
        yield closed
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
        listener.close()


def test_new_consoles_of_a_full_host_open_on_others() -> None:
    with Site(hosts=2) as site, full_host(site, site.hosts[2]) as closed:
        site.front.reload(site.hosts)
        tries = site.load.hold(6)
        assert all(console.opened for console in tries), {console.end for console in tries}
        assert closed


def gets_new_consoles(site: Site, host: Host, since: float) -> None:
    def some() -> bool:
        return any(host.opened(console.vmid) for console in site.load.new if console.asked > since)

    wait_for(some, PATIENCE, lambda: f"no new console on {host.name}")


def no_new_console_failed(site: Site) -> None:
    failed = [console for console in site.load.new if console.ended and console.end != "left"]
    assert failed == [], {console.end for console in failed}


@pytest.fixture(scope="module")
def sharing() -> Iterator[Site]:
    with Site(store=True, PROXXY_MAX_PER_SUB=2) as site:
        yield site


def statuses(site: Site, link: Link) -> list[int]:
    """Tries a link on all hosts at once, without HAProxy's choice; returns their answers."""
    with site.lan.on(FRONT):
        clients = [Client.connect(PORT, address=host.address) for host in site.hosts]
    try:
        for client, host in zip(clients, site.hosts):
            client.send(f"PROXY TCP4 192.0.2.7 {site.lan.address(FRONT)} 50000 443\r\n".encode())
            fields = {"Host": "panel.example", "Sec-WebSocket-Protocol": protocols(link.payload)}
            client.send(upgrade_request(PORT, "/console/ws", fields))
        return [client.read_head(PATIENCE).status for client in clients]
    finally:
        for client in clients:
            client.sock.close()


def test_link_opens_one_console_on_hosts_with_a_store(sharing: Site) -> None:
    for n in range(5):
        link = sharing.link(jti=f"once-{n}")
        answers = statuses(sharing, link)
        assert sorted(answers)[0] == 101 and sorted(answers)[1] >= 400, answers
        sharing.host_of(link.vmid)  # waits for it
        assert [bool(host.opened(link.vmid)) for host in sharing.hosts].count(True) == 1


def test_link_reaches_one_host_without_a_store() -> None:
    with Site(hashed=True) as site:
        used = set()
        for n in range(12):
            link = site.link(jti=f"once-{n}")
            tries = site.load.attempt([link] * 3)
            opened = [console for console in tries if console.opened]
            assert len(opened) == 1, [console.end for console in tries]
            assert all("used" in console.end for console in tries if console not in opened), tries
            used.add(site.host_of(link.vmid).name)
            site.load.leave(opened)
        assert len(used) > 1


def test_user_has_so_many_consoles_on_all_hosts_together(sharing: Site) -> None:
    alice = sharing.load.attempt([sharing.link(sub="alice") for _ in range(2)])
    assert all(console.opened for console in alice), [console.end for console in alice]
    assert len({sharing.host_of(console.vmid).name for console in alice}) == 2
    third, bob = sharing.load.attempt([sharing.link(sub="alice"), sharing.link(sub="bob")])
    assert third.opened is None and "Too many consoles of this user" in third.end
    assert bob.opened
    sharing.load.leave(alice[:1])

    def opens() -> bool:
        return bool(sharing.load.attempt([sharing.link(sub="alice")])[0].opened)

    wait_for(opens, PATIENCE, "the user's place is not free")


def test_logs_have_the_browsers_addresses(sharing: Site) -> None:
    for console in sharing.load.hold(6):
        line = sharing.host_of(console.vmid).opened(console.vmid)
        assert f" client={console.client}:" in line and f" peer={sharing.lan.address(FRONT)}:" in line, line


# --- the timeline, for people ---------------------------------------------------------------


def timeline(site: Site, at: float, host: Host, begin: float, end: float, step: float) -> Iterator[str]:
    """Yields the rows of a table: for each step, what the new consoles asked for in it came to, how many of the lost
    host's consoles and of the others' are live at its end, and the echoes that arrived in it."""
    theirs, others = of(site, host)
    yield "| s | new: opened | late | failed | its consoles | others | echoes |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    for n in range(round((end - begin) / step)):
        first = at + begin + n * step
        last = first + step
        new = [console for console in site.load.new if first <= console.asked < last]
        failed = [console for console in new if console.opened is None]
        late = [console for console in new if console not in failed and console.is_late(LATE_SECONDS)]
        live = [sum(console.is_live(last) for console in some) for some in (theirs, others)]
        echoes = sum(first <= at < last for console in site.load.live for at in console.echoes)
        counts = (len(new) - len(failed) - len(late), len(late), len(failed), *live, echoes)
        yield f"| {begin + n * step:+.1f} | {' | '.join(map(str, counts))} |"


def main() -> None:
    for how, patience, end, step in ((Host.kill, KILLED_SECONDS, 3.0, 0.1), (Host.pull, VANISHED_SECONDS, 16.0, 1.0)):
        with Site() as site:
            host, at = lose(site, how, patience)
            time.sleep(max(0.0, at + end - time.monotonic()))
            print(f"\n{how.__name__}: {host.name}\n")
            for row in timeline(site, at, host, -1.0, end, step):
                print(row)


if __name__ == "__main__":
    sys.exit(main())

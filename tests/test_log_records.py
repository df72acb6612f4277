# SPDX-License-Identifier: Apache-2.0
"""A session's records in the log: its beginning, its summary and the reason for its end."""

from __future__ import annotations

import re
from typing import Any

from conftest import ECHO, Open
from lib.activator import Activator
from lib.payload import seal, target
from lib.standin import StandIn
from lib.upstream import Connection
from lib.wire import BINARY, CLOSE, Client, close_payload, encode_frame


def test_log_has_begin_and_summary(settings: dict[str, Any], standin: StandIn, key: str) -> None:
    with Activator(settings) as proxxy:
        with Client.upgraded(proxxy.port, target(seal(standin.console("lxc", ECHO), key))) as client:
            client.send_frame(BINARY, b"12345")
            assert client.read_data(5) == b"12345"
            peer = "%s:%d" % client.sock.getsockname()
            client.send_frame(CLOSE, close_payload(1000))
            client.close_code()
        log = proxxy.wait_log("Session ended")
    who = f"peer={peer} client={peer} vmid=100 type=lxc node=pve01 host=127.0.0.1 format=cbc"
    assert re.search(rf"^proxxy-conn\[\d+\]: Session began: lxc 100 on pve01 {re.escape(who)}$", log, re.M)
    assert re.search(
        rf"^proxxy-conn\[\d+\]: Session ended: Client closed the console {re.escape(who)}"
        r" outcome=client-closed close_code=1000 bytes_up=5 bytes_down=5 duration=\d+\.\d{3}$",
        log,
        re.M,
    )


def test_log_says_how_proxmox_broke_off(settings: dict[str, Any], scripted: Open) -> None:
    def broken(c: Connection) -> None:
        c.accept_upgrade()
        c.send(encode_frame(BINARY, b"x" * 1000)[:500])
        c.close_notify()

    with Activator(settings) as proxxy:
        scripted(broken, proxxy).read_all()
        log = proxxy.wait_log("Session ended")
        assert "connection lost: inside a frame" in log and "outcome=upstream-broke" in log
        assert "close_code" not in log  # no Close could be sent


def test_syslog(settings: dict[str, Any], key: str) -> None:
    """With PROXXY_LOG=syslog, nothing is written to standard error. What syslog receives is not tested here."""
    with Activator(settings | {"PROXXY_LOG": "syslog"}) as proxxy:
        with Client.connect(proxxy.port, "/?payload=00:00") as client:
            assert client.read_head().status == 400
        proxxy.wait_sessions(0)
        assert "proxxy-conn[" not in proxxy.log()

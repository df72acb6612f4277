# SPDX-License-Identifier: Apache-2.0
"""A session's deadlines, Pings, limits, ends and logs."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import ECHO, Open, console
from lib.activator import ANYWHERE, Activator, binary
from lib.certs import Cert
from lib.payload import seal, target
from lib.process import children, wait_for
from lib.standin import StandIn
from lib.upstream import Connection, Upstream
from lib.wire import BINARY, CLOSE, PING, PONG, Client, close_payload, encode_frame

UPGRADE = b"GET / HTTP/1.1\r\nHost: proxxy\r\n"


def hold(c: Connection) -> None:
    """A console that says nothing and goes when the client does."""
    c.accept_upgrade()
    c.close_code(60)


# --- the request's deadline ------------------------------------------------------------------


def test_silent_client_is_ended_without_an_answer(settings: dict[str, Any]) -> None:
    with Activator(settings | {"PROXXY_REQUEST_TIMEOUT": 1}) as proxxy:
        started = time.monotonic()
        with Client.connect(proxxy.port) as client:
            assert client.read_all() == b""
        assert 0.9 < time.monotonic() - started < 3
        proxxy.wait_sessions(0)


def test_dripping_client_is_ended_on_time(settings: dict[str, Any]) -> None:
    with Activator(settings | {"PROXXY_REQUEST_TIMEOUT": 2}) as proxxy:
        started = time.monotonic()
        with Client.connect(proxxy.port) as client:
            for byte in UPGRADE[:8]:
                client.send(bytes([byte]))
                time.sleep(0.2)
            assert client.read_head().status == 408
        assert 1.9 < time.monotonic() - started < 4
        assert "outcome=request-timeout" in proxxy.wait_log("Request refused")


def test_request_may_come_byte_by_byte(proxxy: Activator) -> None:
    with Client.connect(proxxy.port) as client:
        for byte in b"GET /api/status HTTP/1.1\r\nHost: proxxy\r\n\r\n":
            client.send(bytes([byte]))
        assert client.read_head().status == 200


def test_client_that_leaves_before_its_request_is_whole_is_noticed(settings: dict[str, Any]) -> None:
    with Activator(settings) as proxxy:
        for sent in (b"", UPGRADE):
            Client.connect(proxxy.port, raw=sent).sock.close()
        proxxy.wait_sessions(0)


# --- Pings -----------------------------------------------------------------------------------


def test_client_that_does_not_answer_a_ping_is_ended(settings: dict[str, Any], scripted: Open) -> None:
    with Activator(settings | {"PROXXY_PING_INTERVAL": 1}) as proxxy:
        client = scripted(hold, proxxy)
        started = time.monotonic()
        assert client.read_frame(3).opcode == PING
        assert client.close_code() == (1001, "Client did not answer a Ping")
        assert 1.8 < time.monotonic() - started < 4
        client.sock.close()
        assert "outcome=client-silent" in proxxy.wait_log("Session ended")


def test_pings_can_be_switched_off(settings: dict[str, Any], scripted: Open) -> None:
    with Activator(settings | {"PROXXY_PING_INTERVAL": 0}) as proxxy:
        client = scripted(hold, proxxy)
        with pytest.raises(TimeoutError):
            client.read_frame(2.5)


def test_ping_comes_when_only_one_way_is_quiet(settings: dict[str, Any], scripted: Open) -> None:
    """A proxy in front may count the silence of one direction: the client only sends, then only gets."""

    def sink_then_source(c: Connection) -> None:
        c.accept_upgrade()
        c.read_data(8, 10)
        for _ in range(12):
            c.send_frame(BINARY, b"x")
            time.sleep(0.25)
        c.close_code(10)

    with Activator(settings | {"PROXXY_PING_INTERVAL": 1}) as proxxy:
        client = scripted(sink_then_source, proxxy)
        for _ in range(8):
            client.send_frame(BINARY, b"x")
            time.sleep(0.25)
        assert client.read_frame().opcode == PING
        client.send_frame(PONG)
        seen = [client.read_frame().opcode for _ in range(9)]
        assert PING in seen
        client.send_frame(PONG)


def test_ping_waits_for_the_end_of_a_frame(settings: dict[str, Any], scripted: Open) -> None:
    frame = encode_frame(BINARY, b"y" * 4000)

    def halting(c: Connection) -> None:
        c.accept_upgrade()
        c.send(frame[:1000])
        time.sleep(2.5)
        c.send(frame[1000:])
        c.close_code(10)

    with Activator(settings | {"PROXXY_PING_INTERVAL": 1}) as proxxy:
        client = scripted(halting, proxxy)
        assert client.read_frame().payload == b"y" * 4000
        assert client.read_frame().opcode == PING


def test_pings_do_not_pile_up_behind_a_frame_that_halts(settings: dict[str, Any], scripted: Open) -> None:
    """Nor do they stop the client's input: there is one at the most that could not leave."""
    frame = encode_frame(BINARY, b"y" * 4000)
    got: list[bytes] = []

    def halting(c: Connection) -> None:
        c.accept_upgrade()
        c.send(frame[:1000])
        got.append(c.read_data(900, 20))
        c.send(frame[1000:])
        c.close_code(10)

    with Activator(settings | {"PROXXY_PING_INTERVAL": 1}) as proxxy:
        client = scripted(halting, proxxy)
        time.sleep(1.5)
        for _ in range(900):
            client.send_frame(BINARY, b"k")
            time.sleep(0.001)
        assert client.read_frame().payload == b"y" * 4000
        assert client.read_frame().opcode == PING
        client.send_frame(PONG)
        client.send_frame(CLOSE, close_payload(1000))
        assert client.close_code() == (1000, "")
    assert got == [b"k" * 900]


def test_client_that_leaves_while_upstream_does_not_read_is_noticed(settings: dict[str, Any], scripted: Open) -> None:
    with Activator(settings | {"PROXXY_PING_INTERVAL": 0}) as proxxy:
        client = scripted(lambda c: (c.accept_upgrade(), c.hang()), proxxy)
        client.sock.settimeout(1)
        with pytest.raises(TimeoutError):
            client.sock.sendall(encode_frame(BINARY, b"z" * (32 << 20), mask=b"\0\0\0\0"))
        client.reset()
        proxxy.wait_sessions(0, 8)
        assert "outcome=client-gone" in proxxy.wait_log("Session ended")


# --- limits ----------------------------------------------------------------------------------


def test_idle_limit(settings: dict[str, Any], scripted: Open) -> None:
    with Activator(settings | {"PROXXY_IDLE_TIMEOUT": 2}) as proxxy:
        client = scripted(hold, proxxy)
        started = time.monotonic()
        time.sleep(1)
        client.send_frame(BINARY, b"not idle")
        for _ in range(5):  # Pings and Pongs are no activity, or nobody would ever be idle
            client.send_frame(PONG)
            client.send_frame(PING)
            time.sleep(0.3)
        assert client.close_code() == (1001, "Session was idle too long")
        assert 2.8 < time.monotonic() - started < 5


def test_time_to_connect_is_not_idle(settings: dict[str, Any], scripted: Open) -> None:
    def slow(c: Connection) -> None:
        time.sleep(1.5)
        c.accept_upgrade()
        time.sleep(0.2)
        c.send_frame(BINARY, b"here")
        c.close_code(10)

    with Activator(settings | {"PROXXY_IDLE_TIMEOUT": 1}) as proxxy:
        assert scripted(slow, proxxy).read_data(4) == b"here"


def test_close_while_connecting_is_answered(settings: dict[str, Any], cert: Cert, key: str) -> None:
    with Activator(settings | {"PROXXY_CONNECT_TIMEOUT": 1}) as proxxy, Upstream(cert, lambda c: c.hang()) as upstream:
        with Client.upgraded(proxxy.port, target(seal(console(upstream.port), key))) as client:
            client.send_frame(CLOSE, close_payload(1000))
            assert client.close_code() == (1000, "")


def test_session_max(settings: dict[str, Any], standin: StandIn, key: str) -> None:
    with Activator(settings | {"PROXXY_SESSION_MAX": 2}) as proxxy:
        started = time.monotonic()
        with Client.upgraded(proxxy.port, target(seal(standin.console("qemu", ECHO), key))) as client:
            while True:  # however busy it is
                client.send_frame(BINARY, b"busy")
                frame = client.read_frame()
                if frame.opcode == CLOSE:
                    break
                time.sleep(0.01)
        assert frame.payload == close_payload(1001, "Session reached its maximum length")
        assert 1.8 < time.monotonic() - started < 4


def test_sigterm_says_1001_to_both_sides(settings: dict[str, Any], standin: StandIn, key: str) -> None:
    with Activator(settings) as proxxy:
        with Client.upgraded(proxxy.port, target(seal(standin.console("qemu", ECHO), key))) as client:
            client.send_frame(BINARY, b"x")
            assert client.read_data(1) == b"x"
            os.kill(proxxy.sessions()[0], signal.SIGTERM)
            assert client.close_code() == (1001, "Session was ended by the operator")
            client.send_frame(CLOSE, close_payload(1001))
            assert client.at_end()
        proxxy.wait_sessions(0)
        assert "outcome=terminated" in proxxy.wait_log("Session ended")
    wait_for(lambda: standin.closes and standin.closes[-1][0] == 1001, 5, "no Close at Proxmox's end")


def test_sigterm_while_connecting(settings: dict[str, Any], cert: Cert, key: str) -> None:
    with Activator(settings) as proxxy, Upstream(cert, lambda c: c.hang()) as upstream:
        with Client.upgraded(proxxy.port, target(seal(console(upstream.port), key))) as client:
            wait_for(lambda: upstream.connections, 5, "never connected")
            os.kill(proxxy.sessions()[0], signal.SIGTERM)
            assert client.close_code() == (1001, "Session was ended by the operator")


def test_sigterm_under_load(settings: dict[str, Any], scripted: Open) -> None:
    """A session that never has to wait looks at signals all the same."""

    def flood(c: Connection) -> None:
        c.accept_upgrade()
        while True:
            c.send(encode_frame(BINARY, b"z" * 131072), 10)

    with Activator(settings) as proxxy:
        client = scripted(flood, proxxy)
        client.read_data(1 << 20)
        os.kill(proxxy.sessions()[0], signal.SIGTERM)
        assert client.close_code(10) == (1001, "Session was ended by the operator")


def test_client_that_never_answers_a_close_is_not_waited_for(settings: dict[str, Any], standin: StandIn, key: str) -> None:
    with Activator(settings) as proxxy:
        with Client.upgraded(proxxy.port, target(seal(standin.console("qemu", ECHO), key))) as client:
            client.send_frame(BINARY, b"quit")
            assert client.close_code()[0] == 1000
            proxxy.wait_sessions(0, 8)


def test_client_that_drops_while_connecting_frees_everything(settings: dict[str, Any], cert: Cert, key: str) -> None:
    with Activator(settings) as proxxy, Upstream(cert, lambda c: c.hang()) as upstream:
        client = Client.upgraded(proxxy.port, target(seal(console(upstream.port), key)))
        wait_for(lambda: upstream.connections, 5, "never connected")
        client.sock.close()
        proxxy.wait_sessions(0, 3)
        assert "outcome=client-gone" in proxxy.wait_log("Session ended")


def test_last_bytes_and_close_in_one_segment_all_arrive(scripted: Open) -> None:
    got: list[bytes] = []

    def collect(c: Connection) -> None:
        c.accept_upgrade()
        c.send_frame(BINARY, b"go")
        got.append(c.read_data(50000, 10))
        assert c.close_code(10)[0] == 1000

    client = scripted(collect)
    assert client.read_data(2) == b"go"
    client.send(encode_frame(BINARY, b"w" * 50000, mask=b"abcd") + encode_frame(CLOSE, close_payload(1000), mask=b"abcd"))
    client.sock.shutdown(1)
    assert client.close_code() == (1000, "")
    wait_for(lambda: got, 5, "nothing came")
    assert got == [b"w" * 50000]


def test_upstream_ping_is_answered_and_its_pong_swallowed(scripted: Open) -> None:
    pongs: list[bytes] = []

    def pinging(c: Connection) -> None:
        c.accept_upgrade()
        for n in range(30):
            c.send_frame(PING, b"%d" % n)
        c.send_frame(PONG, b"unasked")
        while len(pongs) < 30:
            frame = c.read_frame()
            assert frame.opcode == PONG
            pongs.append(frame.payload)
        c.send_frame(BINARY, b"done")
        c.close_code()

    client = scripted(pinging)
    assert client.read_frame() == (1, 0, BINARY, b"done")
    assert pongs == [b"%d" % n for n in range(30)]


@pytest.mark.parametrize(
    "frame",
    [
        encode_frame(BINARY, b"masked", mask=b"abcd"),
        encode_frame(BINARY, b"reserved", rsv=1),
        encode_frame(5, b"opcode"),
        encode_frame(0, b"continuation of nothing"),
        encode_frame(PING, b"x" * 126),
        encode_frame(CLOSE, b"x"),
    ],
)
def test_upstream_that_breaks_the_protocol(scripted: Open, frame: bytes) -> None:
    def breaking(c: Connection) -> None:
        c.accept_upgrade()
        c.send_frame(BINARY, b"fine")
        c.send(frame)
        c.at_end(5)

    client = scripted(breaking)
    assert client.read_data(4) == b"fine"
    code, reason = client.close_code()
    assert code == 1011 and reason.startswith("Proxmox violated the WebSocket protocol")


def test_fragments_from_upstream_pass_as_they_are(scripted: Open) -> None:
    def fragments(c: Connection) -> None:
        c.accept_upgrade()
        c.send_frame(BINARY, b"one", fin=0)
        c.send_frame(PING, b"between")
        c.send_frame(0, b"two")
        c.close_code()

    client = scripted(fragments)
    assert client.read_frame() == (0, 0, BINARY, b"one")
    assert client.read_frame() == (1, 0, 0, b"two")


# --- logs ------------------------------------------------------------------------------------


def test_log_has_begin_and_summary(settings: dict[str, Any], standin: StandIn, key: str) -> None:
    with Activator(settings) as proxxy:
        with Client.upgraded(proxxy.port, target(seal(standin.console("lxc", ECHO), key))) as client:
            client.send_frame(BINARY, b"12345")
            assert client.read_data(5) == b"12345"
            peer = "%s:%d" % client.sock.getsockname()
            client.send_frame(CLOSE, close_payload(1000))
            client.close_code()
        log = proxxy.wait_log("Session ended")
    who = f"peer={peer} vmid=100 type=lxc node=pve01 host=127.0.0.1 format=cbc"
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


def test_no_secret_in_log_argv_environment_or_core(settings: dict[str, Any], standin: StandIn, key: str) -> None:
    members = standin.console("qemu", ECHO)
    payload = seal(members, key)
    secrets = [key, members["ticket"], members["vncticket"], members["vncticket"][:8], payload, payload.split(":")[1]]
    with Activator(settings) as proxxy:
        with Client.upgraded(proxxy.port, target(payload)) as client:
            client.send_frame(BINARY, b"x")
            assert client.read_data(1) == b"x"
            process = Path("/proc", str(proxxy.sessions()[0]))
            shown = (process / "cmdline").read_text() + (process / "environ").read_text()
            assert re.search(r"Max core file size\s+0\s+0", (process / "limits").read_text())
        Client.connect(proxxy.port, target(payload[:-2])).read_all()
        Client.connect(proxxy.port, target(payload), {"Sec-WebSocket-Version": "8"}).read_all()
        proxxy.wait_log("websocket-version")
        shown += proxxy.log()
    for secret in secrets:
        assert secret not in shown


def test_key_in_the_environment_is_overwritten_there(key: str, standin: StandIn, cert: Cert) -> None:
    ca = f"PROXXY_CA_FILE={cert.ca}"
    with Activator({}) as proxxy:  # its file has no key: the environment must do
        port = proxxy.port
    os.environ["SIGNATURE_KEY"] = key
    try:
        command = ["systemd-socket-activate", "--inetd", "-a", "-l", f"127.0.0.1:{port}"]
        command += ["-E", ca, "-E", f"PROXXY_ALLOWED_HOSTS={ANYWHERE}", "-E", "SIGNATURE_KEY"]
        activator = subprocess.Popen([*command, binary()], stderr=subprocess.DEVNULL)
    finally:
        del os.environ["SIGNATURE_KEY"]
    try:
        wait_for(lambda: is_open(port), 5, "not listening")
        with Client.upgraded(port, target(seal(standin.console("qemu", ECHO), key))) as client:
            client.send_frame(BINARY, b"x")
            assert client.read_data(1) == b"x"
            # The probe's own process ends by and by.
            wait_for(lambda: len(children(activator.pid)) == 1, 5, "not one session")
            [pid] = children(activator.pid)
            assert key.encode() not in Path("/proc", str(pid), "environ").read_bytes()
    finally:
        activator.terminate()
        activator.wait()


def is_open(port: int) -> bool:
    try:
        Client.connect(port).sock.close()
    except ConnectionRefusedError:
        return False
    return True


def test_keys_rotate(cert: Cert, standin: StandIn, key: str) -> None:
    new = "ab" * 32
    with Activator({"SIGNATURE_KEY": f"2026:{new}, 2025:{key}", "PROXXY_CA_FILE": cert.ca}) as proxxy:
        for which in (new, key):
            with Client.upgraded(proxxy.port, target(seal(standin.console("qemu", ECHO), which))) as client:
                client.send_frame(BINARY, b"x")
                assert client.read_data(1) == b"x"


def test_syslog(settings: dict[str, Any], key: str) -> None:
    """PROXXY_LOG=syslog leaves standard error alone. (Where syslog goes is the machine's affair.)"""
    with Activator(settings | {"PROXXY_LOG": "syslog"}) as proxxy:
        with Client.connect(proxxy.port, "/?payload=00:00") as client:
            assert client.read_head().status == 400
        proxxy.wait_sessions(0)
        assert "proxxy-conn[" not in proxxy.log()


def test_by_hand_it_explains_itself() -> None:
    run = subprocess.run([binary()], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert run.returncode == 64 and "systemd-socket-activate" in run.stderr and run.stdout == ""
    text = subprocess.run([binary(), "--help"], capture_output=True, text=True, check=True).stdout
    assert len(text.splitlines()) <= 40
    assert max(map(len, text.splitlines())) <= 160

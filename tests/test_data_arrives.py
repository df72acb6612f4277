# SPDX-License-Identifier: Apache-2.0
"""All data arrives, in order: sent before the console is open, in fragments, in frames of any size, before a Close."""

from __future__ import annotations

import os
import threading
import time

import pytest
from conftest import ECHO, NAMED, Open, console
from lib.activator import Activator
from lib.certs import Cert
from lib.payload import seal, target
from lib.process import wait_for
from lib.standin import StandIn
from lib.upstream import Connection, Upstream
from lib.wire import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, Client, close_payload, encode_frame, upgrade_request


MIB = 1 << 20


def test_data_before_upstream_is_open_is_kept_in_order(proxxy: Activator, cert: Cert, key: str) -> None:
    got: list[bytes] = []

    def slow(c: Connection) -> None:
        time.sleep(0.5)
        c.accept_upgrade()
        got.append(c.read_data(MIB + 11, 10))
        c.send_frame(BINARY, b"ok")
        c.close_code()

    with Upstream(cert, slow) as upstream:
        with Client.upgraded(proxxy.port, target(seal(console(upstream.port), key))) as client:
            client.send_frame(TEXT, b"user:ticket")
            flood = os.urandom(MIB)
            client.send_frame(BINARY, flood, mask=b"\0\0\0\0")
            assert client.read_data(2, 10) == b"ok"
            client.send_frame(CLOSE, close_payload(1000))
            assert client.close_code() == (1000, "")
    assert got == [b"user:ticket" + flood]


def test_data_in_one_segment_with_the_request_is_kept(proxxy: Activator, standin: StandIn, key: str) -> None:
    payload = seal(standin.console("qemu", ECHO), key)
    with Client.connect(proxxy.port) as client:
        client.send(upgrade_request(proxxy.port, target(payload), {}) + encode_frame(BINARY, b"early", mask=b"abcd"))
        assert client.read_head().status == 101
        assert client.read_data(5) == b"early"


def test_two_clients_on_one_vmid_are_independent(opened: Open) -> None:
    first, second, elsewhere = opened(), opened(), opened(NAMED)
    assert elsewhere.read_data(11) == b"this is 101"
    first.send_frame(TEXT, b"to the first")
    second.send_frame(TEXT, b"to the second")
    elsewhere.send_frame(TEXT, b"to the third")
    assert second.read_data(13) == b"to the second"
    assert first.read_data(12) == b"to the first"
    assert elsewhere.read_data(12) == b"to the third"
    first.send_frame(CLOSE, close_payload(1000))
    assert first.close_code() == (1000, "")
    second.send_frame(TEXT, b"alive")
    assert second.read_data(5) == b"alive"


def test_fragments_and_large_messages(opened: Open, standin: StandIn) -> None:
    """All data and the Pong come back. The stand-in got no frame that the real Proxmox cannot handle."""
    client = opened()
    data = os.urandom(3 * MIB + 17)
    sent = threading.Thread(
        target=lambda: (
            client.send(
                encode_frame(BINARY, data[:5], fin=0, mask=b"abcd")
                + encode_frame(PING, b"between", mask=b"efgh")
                + encode_frame(CONTINUATION, b"", fin=0, mask=b"abcd")
                + encode_frame(CONTINUATION, data[5:70000], fin=0, mask=b"1234")
                + encode_frame(CONTINUATION, data[70000:MIB], fin=1, mask=b"wxyz")
                + encode_frame(TEXT, b"", mask=b"abcd")
                + encode_frame(BINARY, data[MIB:], mask=os.urandom(4)),
                30,
            )
        )
    )
    sent.start()
    got, pongs = bytearray(), []
    while len(got) < len(data):
        frame = client.read_frame(20)
        if frame.opcode == PONG:
            pongs.append(frame.payload)
        else:
            got += frame.payload
    sent.join()
    assert bytes(got) == data and pongs == [b"between"]
    assert standin.violations == []


@pytest.mark.parametrize("size", [1, 125, 126, 65535, 65536, 131071, 131072, 131073, 262144, 262145])
def test_frame_sizes(opened: Open, size: int) -> None:
    client = opened()
    data = os.urandom(size)
    sender = threading.Thread(target=client.send_frame, args=(BINARY, data))
    sender.start()
    assert client.read_data(size, 10) == data
    sender.join()


def test_last_bytes_and_close_in_one_segment_all_arrive(scripted: Open) -> None:
    got: list[bytes] = []

    def collect(c: Connection) -> None:
        c.accept_upgrade()
        c.send_frame(BINARY, b"go")
        got.append(c.read_data(50000, 10))
        assert c.close_code(10)[0] == 1000

    client = scripted(collect)
    assert client.read_data(2) == b"go"
    client.send(
        encode_frame(BINARY, b"w" * 50000, mask=b"abcd") + encode_frame(CLOSE, close_payload(1000), mask=b"abcd")
    )
    client.sock.shutdown(1)
    assert client.close_code() == (1000, "")
    wait_for(lambda: got, 5, "nothing came")
    assert got == [b"w" * 50000]


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

# SPDX-License-Identifier: Apache-2.0
"""proxxy-url --vnc: a native viewer instead of a browser. TigerVNC's viewer shows a real desktop; scripts play a
viewer, a proxxy or a proxy that misbehaves."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import socket
import struct
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Callable

import pytest
from PIL import Image

from conftest import ECHO, NAMED, echo
from lib.activator import TREE, Activator
from lib.certs import Cert
from lib.consoles import handler_console, tcp_console
from lib.desktop import BACKGROUND, TERMINAL_BACKGROUND, Desktop
from lib.process import descendants, free_port, spawn, stop_tree, wait_for
from lib.standin import StandIn
from lib.upstream import Connection, Upstream
from lib.url_command import RUN_SECONDS, UrlCommand
from lib.vnc_console import VncConsole
from lib.wire import BINARY, CLOSE, PING, PONG, close_payload, encode_frame

SCREENSHOT = TREE / "build" / "viewer.png"
DRAW_SECONDS = 30.0
VIEWER = Path(__file__).with_name("lib") / "fake_viewer.py"
GUEST = ("--node", "pve01", "--vmid")
OFF, LINKED = 109, 110
TYPED = "Typed in a viewer, read in the guest"


@pytest.fixture
def command(tmp_path: Path, standin: StandIn, relay: Activator, cert: Cert, key: str) -> UrlCommand:
    settings = {
        "PROXMOX_HOST": f"127.0.0.1:{standin.port}",
        "PROXXY_CA_FILE": cert.ca,
        "PROXXY_WEBSOCKET": f"ws://127.0.0.1:{relay.port}/console/ws",
    }
    return UrlCommand(tmp_path, settings, standin.access.token("root@pam"), key)


def view(
    command: UrlCommand, script: str, vmid: int = ECHO, guest: tuple = (), **environment: Any
) -> subprocess.CompletedProcess:
    """Runs --vnc with a fake viewer that runs the script; `console` is the viewer's connection. guest: the options that
    name the guest, if Proxmox is not to be asked for it."""
    program = command.directory / "viewer"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} {VIEWER} "$@"\n')
    program.chmod(0o700)
    (command.directory / "script.py").write_text(script)
    return command.run(
        *(guest or (*GUEST, vmid)),
        "--vnc",
        "--",
        command.directory / "script.py",
        VNCVIEWER=program,
        XDG_RUNTIME_DIR=command.directory,
        **environment,
    )


# --- a real viewer ----------------------------------------------------------------------------


@pytest.mark.timeout(120)
@pytest.mark.parametrize("kind", ["link", "ask"])
def test_tigervnc_shows_the_desktop_and_types_into_it(
    command: UrlCommand, cert: Cert, settings: dict[str, Any], tmp_path: Path, kind: str
) -> None:
    """The viewer runs on the screen of a second TigerVNC server; the test takes screenshots of that screen. With a
    link, the viewer needs no password, and proxxy-url needs nothing of Proxmox."""
    arrived, log = tmp_path / "arrived", tmp_path / "viewer.log"
    terminal = ["/bin/sh", "-c", 'exec cat > "$1"', "sh", str(arrived)]
    with ExitStack() as stack:
        desktop = stack.enter_context(Desktop(terminal))
        screen = stack.enter_context(Desktop(["/bin/sleep", "1000"], width=1400, height=1000))
        standin = stack.enter_context(StandIn(cert))
        standin.add("qemu", ECHO, tcp_console("127.0.0.1", desktop.rfb_port), desktop.set_password)
        clusters = tmp_path / "clusters"
        clusters.mkdir()
        cluster = f"HOSTS=127.0.0.1:{standin.port}\nTOKEN={standin.access.token('root@pam')}\n"
        (clusters / "main.conf").write_text(cluster)
        relay = stack.enter_context(Activator({**settings, "PROXXY_CLUSTER_DIRECTORY": clusters}))
        if kind == "ask":
            command.settings["PROXMOX_HOST"] = f"127.0.0.1:{standin.port}"
            command.secret("token", standin.access.token("root@pam").removeprefix("PVEAPIToken="))
        else:
            del command.settings["PROXMOX_HOST"], command.settings["PROXMOX_TOKEN_FILE"]
        command.settings["PROXXY_WEBSOCKET"] = f"ws://127.0.0.1:{relay.port}/console/ws"
        guest = ["--vmid", ECHO, "--cluster", "main"] if kind == "link" else [*GUEST, ECHO]
        display = {name: screen.environment()[name] for name in ("DISPLAY", "XAUTHORITY", "HOME")}
        quiet = ["-AlertOnFatalError=0", "-ReconnectOnError=0"]
        arguments = [*guest, "--vnc", "--", "-FullScreen", "-RemoteResize=0", *quiet]
        with log.open("wb") as out:
            argv = [str(command.path), *map(str, arguments)]
            viewer = spawn(argv, env=command.environment(**display), stdout=out, stderr=out)
        stack.callback(stop_tree, viewer)
        said = lambda: f"{log.read_text()}\n{relay.log()}"  # noqa: E731
        wait_for(lambda: is_drawn(screen), DRAW_SECONDS, lambda: f"the desktop is not drawn:\n{said()}")
        x_type(screen, f"{TYPED}\n")
        wait_for(
            lambda: arrived.read_text() == f"{TYPED}\n",
            DRAW_SECONDS,
            lambda: f"{arrived.read_text()!r} arrived:\n{said()}",
        )
        for pid in descendants(viewer.pid):
            os.kill(pid, signal.SIGTERM)
        assert viewer.wait(10) == 0, said()
        assert "outcome=client-closed" in relay.wait_log("Session ended")
        assert standin.violations == []


def is_drawn(screen: Desktop) -> bool:
    """Returns whether the viewer covers its screen and shows the guest's terminal. The screenshot stays in build/ for
    a person to look at."""
    SCREENSHOT.parent.mkdir(exist_ok=True)
    grab = f"from PIL import ImageGrab; ImageGrab.grab(xdisplay={screen.display!r}).save({str(SCREENSHOT)!r})"
    subprocess.run(["/usr/bin/python3", "-c", grab], env=screen.environment(), check=True)
    picture = Image.open(SCREENSHOT).convert("RGB")
    found = {colour: count for count, colour in picture.getcolors(picture.width * picture.height)}
    beside = picture.getpixel((screen.width - 10, screen.height // 2))  # outside the guest's screen, which is smaller
    return beside != BACKGROUND and found.get(TERMINAL_BACKGROUND, 0) > 100_000 and found.get(BACKGROUND, 0) > 100_000


def x_type(screen: Desktop, text: str) -> None:
    def run(*action: str) -> str:
        done = subprocess.run(
            ["xdotool", *action], env=screen.environment(), capture_output=True, text=True, timeout=RUN_SECONDS
        )
        return done.stdout

    def is_active() -> bool:
        if "VNC" in run("getactivewindow", "getwindowname"):
            return True
        run("search", "--onlyvisible", "--name", "VNC", "windowactivate")
        return False

    # The screen's own terminal starts at the same time and may have the keyboard focus.
    wait_for(is_active, DRAW_SECONDS, "the viewer's window is not active")
    run("mousemove", str(screen.width // 2), str(screen.height // 2), "click", "1")
    run("type", "--delay", "30", text)


# --- scripts as viewers -----------------------------------------------------------------------


def test_every_byte_both_ways(command: UrlCommand) -> None:
    """Every byte arrives in both directions: more bytes than fit in any buffer, in pieces of random size, while both
    sides send at once."""
    done = view(
        command,
        """
import hashlib, os, threading
sent, n = hashlib.sha256(), 8 << 20
def send():
    left = n
    while left:
        piece = os.urandom(min(left, 1 + int.from_bytes(os.urandom(2), "big")))
        sent.update(piece)
        console.sendall(piece)
        left -= len(piece)
thread = threading.Thread(target=send)
thread.start()
got, left = hashlib.sha256(), n
while left:
    data = console.recv(min(left, 50000))
    assert data
    got.update(data)
    left -= len(data)
thread.join()
assert got.digest() == sent.digest()
print("the same")
""",
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "the same\n", "")


def test_password_is_the_viewers_alone(command: UrlCommand) -> None:
    script = "import sys; p = os.environ['VNC_PASSWORD']; print(len(p), [a for a in sys.argv if p in a])"
    done = view(command, script)
    assert (done.returncode, done.stdout, done.stderr) == (0, "8 []\n", "")


def test_viewer_of_a_link_gets_no_password(
    command: UrlCommand, standin: StandIn, settings: dict[str, Any], tmp_path: Path
) -> None:
    """proxxy logs in, and offers the viewer a console without authentication."""
    standin.add("qemu", LINKED, VncConsole(echo).connect)
    cluster = f"HOSTS=127.0.0.1:{standin.port}\nTOKEN={standin.access.token('root@pam')}\n"
    (tmp_path / "main.conf").write_text(cluster)
    script = """
assert console.recv(12) == b"RFB 003.008\\n"
console.sendall(b"RFB 003.008\\n")
assert console.recv(2) == bytes([1, 1])
console.sendall(bytes([1]))
assert console.recv(4) == bytes(4)
console.sendall(b"in the guest")
print(console.recv(12), "VNC_PASSWORD" in os.environ)
"""
    with Activator({**settings, "PROXXY_CLUSTER_DIRECTORY": tmp_path}) as relay:
        command.settings["PROXXY_WEBSOCKET"] = f"ws://127.0.0.1:{relay.port}/console/ws"
        command.settings["PROXXY_PAGE"] = "https://panel.example.com/console/"  # whose origin a viewer does not send
        done = view(command, script, guest=("--cluster", "main", "--vmid", LINKED))
    assert (done.returncode, done.stdout, done.stderr) == (0, "b'in the guest' False\n", "")


def test_socket_is_this_users_alone_and_gone_afterwards(command: UrlCommand) -> None:
    script = "print(oct(os.stat(os.path.dirname(path)).st_mode & 0o777) if os.path.exists(path) else 'gone')"
    done = view(command, script, vmid=NAMED)
    assert done.stdout in ("0o700\n", "gone\n") and done.returncode == 0
    assert not list(command.directory.glob("proxxy-*"))


def test_console_that_ends(command: UrlCommand) -> None:
    done = view(command, "console.sendall(b'x'); console.recv(1); console.sendall(b'quit'); print(console.recv(1))")
    assert (done.returncode, done.stdout, done.stderr) == (0, "b''\n", "")


async def ends_at_once(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Plays a guest that is off: its console ends without a byte."""


def test_console_of_a_guest_that_is_off(command: UrlCommand, standin: StandIn) -> None:
    standin.add("qemu", OFF, handler_console(ends_at_once))
    done = view(command, "print(console.recv(1))", vmid=OFF)
    assert (done.returncode, done.stdout) == (69, "b''\n")
    assert done.stderr == "proxxy-url: Console closed before it sent anything: the guest or its node is off\n"


def test_console_that_proxmox_refuses(command: UrlCommand, standin: StandIn) -> None:
    """Proxmox's 401 arrives after the viewer has connected: proxxy sends the reason in a Close."""
    check = standin.access.check_vnc_ticket
    standin.access.check_vnc_ticket = lambda *_: check("x", "x", "x", 0)  # type: ignore[assignment, method-assign]
    try:
        done = view(command, "print(console.recv(1))")
    finally:
        standin.access.check_vnc_ticket = check  # type: ignore[assignment, method-assign]
    assert done.returncode == 69 and done.stdout == "b''\n"
    words = "Proxmox: 401 permission denied - invalid PVEVNC ticket"
    assert done.stderr == f"proxxy-url: proxxy closed the console: 1011 {words}\n"


def test_viewer_that_ends_before_it_comes(command: UrlCommand) -> None:
    done = command.run(*GUEST, ECHO, "--vnc", VNCVIEWER="/bin/false", XDG_RUNTIME_DIR=command.directory)
    assert (done.returncode, done.stderr) == (71, "proxxy-url: the viewer ended before it opened the console\n")
    assert not list(command.directory.glob("proxxy-*"))


def test_viewer_that_there_is_not(command: UrlCommand) -> None:
    done = command.run(*GUEST, ECHO, "--vnc", VNCVIEWER="no-such-viewer", XDG_RUNTIME_DIR=command.directory)
    words = "no-such-viewer: No such file or directory; VNCVIEWER can name another viewer"
    assert done.returncode == 71 and done.stderr == f"proxxy-url: {words}\n"


def test_directory_that_there_is_not(command: UrlCommand) -> None:
    done = command.run(*GUEST, ECHO, "--vnc", VNCVIEWER="/bin/true", XDG_RUNTIME_DIR="/nonexistent")
    assert done.returncode == 71 and "cannot make a directory in /nonexistent" in done.stderr


# --- the server at the other end --------------------------------------------------------------


def test_over_tls(command: UrlCommand, relay: Activator, cert: Cert) -> None:
    """wss://, as behind an HTTPS proxy."""

    def script(far: Connection) -> None:
        far.accept_upgrade()
        far.send(encode_frame(BINARY, b"over TLS"))
        far.send(encode_frame(PING, b"there?"))
        assert far.read_frame().opcode == PONG
        far.send(encode_frame(CLOSE, close_payload(1000, "Console closed")))
        assert far.read_frame().opcode == CLOSE

    with Upstream(cert, script) as proxy:
        command.settings["PROXXY_WEBSOCKET"] = f"wss://localhost:{proxy.port}/console/ws"
        done = view(command, "print(console.recv(8))", SSL_CERT_FILE=cert.ca)
        assert (done.returncode, done.stdout, done.stderr) == (0, "b'over TLS'\n", "")
        untrusted = view(command, "print('no')")
    assert untrusted.returncode == 69 and "SSL certificate problem" in untrusted.stderr and untrusted.stdout == ""


@pytest.mark.parametrize("form", ["jwe", "cbc"])
def test_payload_is_in_no_url_if_it_can_be_elsewhere(command: UrlCommand, form: str) -> None:
    requests = []

    def script(far: Connection) -> None:
        requests.append(far.accept_upgrade({"Sec-WebSocket-Protocol": "binary"}))
        far.send(encode_frame(CLOSE, close_payload(1000, "Console closed")))

    with Upstream(None, script) as proxy:
        command.settings["PROXXY_WEBSOCKET"] = f"ws://127.0.0.1:{proxy.port}/console/ws"
        view(command, "console.recv(1)", guest=(*GUEST, ECHO, "--ask", "--format", form))
    [request] = requests
    offered = request.headers["sec-websocket-protocol"]
    if form == "jwe":
        assert request.start == "GET /console/ws HTTP/1.1" and offered.startswith("binary, proxxy.payload.ey")
    else:
        assert "payload=" in request.start and offered == "binary"


def refuse(answer: bytes) -> Callable[[Connection], None]:
    def script(far: Connection) -> None:
        far.read_head()
        far.send(answer)

    return script


def after(*frames: bytes) -> Callable[[Connection], None]:
    def script(far: Connection) -> None:
        far.accept_upgrade()
        far.send(b"".join(frames))
        far.read_frame()

    return script


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (
            refuse(
                b"HTTP/1.1 403 Forbidden\r\nContent-Length: 62\r\n\r\n"
                b'{"error":"Payload was used before","code":403,"issues":[]}\r\n\r\n'
            ),
            "proxxy answered 403 Payload was used before",
        ),
        (refuse(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 4\r\n\r\noops"), "proxxy answered 502"),
        (refuse(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"), "the server at that address is not proxxy"),
        (
            refuse(
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Accept: x\r\n\r\n"
            ),
            "does not accept the upgrade",
        ),
        (refuse(b""), "the server at that address is not proxxy"),
        (after(encode_frame(BINARY, b"x", rsv=4)), "proxxy violated the WebSocket protocol"),
        (after(encode_frame(BINARY, b"x", mask=b"abcd")), "proxxy violated the WebSocket protocol"),
        (after(encode_frame(CLOSE, b"\x03")), "proxxy sent an invalid Close"),
        (
            after(encode_frame(CLOSE, close_payload(1001, "Operator ended it"))),
            "proxxy closed the console: 1001 Operator ended it",
        ),
        (after(encode_frame(CLOSE, close_payload(1011, "\x1b[31mred"))), "proxxy closed the console: 1011 ?[31mred"),
    ],
)  # fmt: skip
def test_what_proxxy_is_not(command: UrlCommand, cert: Cert, script: Callable[[Connection], None], words: str) -> None:
    with Upstream(cert, script) as strange:
        command.settings["PROXXY_WEBSOCKET"] = f"wss://localhost:{strange.port}/"
        done = view(command, "console.recv(1)", SSL_CERT_FILE=cert.ca)
    assert done.returncode in (69, 76) and words in done.stderr


def test_server_that_says_nothing(command: UrlCommand, cert: Cert) -> None:
    with Upstream(cert, lambda far: far.hang()) as silent:
        command.settings["PROXXY_WEBSOCKET"] = f"wss://localhost:{silent.port}/"
        done = view(command, "print('no')", SSL_CERT_FILE=cert.ca)
    assert done.returncode == 69 and done.stderr == "proxxy-url: proxxy does not answer\n"


def test_refusal_over_a_connection_that_stays_open(command: UrlCommand, cert: Cert) -> None:
    """nginx keeps the connection open after an error: proxxy-url must not wait for its end."""

    def script(far: Connection) -> None:
        far.read_head()
        far.send(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 4\r\n\r\noops")
        far.hang()

    with Upstream(cert, script) as proxy:
        command.settings["PROXXY_WEBSOCKET"] = f"wss://localhost:{proxy.port}/"
        began = time.monotonic()
        done = view(command, "print('no')", SSL_CERT_FILE=cert.ca)
        assert time.monotonic() - began < 10
    assert done.stderr == "proxxy-url: proxxy answered 502\n"


def test_close_without_a_code_is_an_end_like_others(command: UrlCommand, cert: Cert) -> None:
    with Upstream(cert, after(encode_frame(BINARY, b"x"), encode_frame(CLOSE))) as proxy:
        command.settings["PROXXY_WEBSOCKET"] = f"wss://localhost:{proxy.port}/"
        done = view(command, "print(console.recv(2))", SSL_CERT_FILE=cert.ca)
    assert (done.returncode, done.stdout, done.stderr) == (0, "b'x'\n", "")
    with Upstream(cert, after(encode_frame(CLOSE))) as proxy:
        command.settings["PROXXY_WEBSOCKET"] = f"wss://localhost:{proxy.port}/"
        done = view(command, "print(console.recv(2))", SSL_CERT_FILE=cert.ca)
    assert (done.returncode, done.stderr) == (69, "proxxy-url: Console closed before it sent anything\n")


FLOOD = """
import select
while select.select([], [console], [], 1)[1]:
    console.send(bytes(65536), socket.MSG_DONTWAIT)
"""


def test_viewer_that_leaves_while_nothing_is_read(command: UrlCommand, cert: Cert) -> None:
    """The viewer's last bytes cannot be delivered; the session ends anyway."""

    def script(far: Connection) -> None:
        far.accept_upgrade()
        far.hang()

    with Upstream(cert, script) as proxy:
        command.settings["PROXXY_WEBSOCKET"] = f"wss://localhost:{proxy.port}/"
        done = view(command, FLOOD, SSL_CERT_FILE=cert.ca)
    assert (done.returncode, done.stderr) == (0, "")


def test_waiting_takes_no_processor(command: UrlCommand, cert: Cert) -> None:
    """proxxy-url uses little CPU time while the viewer does not read and the connection is reset."""

    def script(far: Connection) -> None:
        far.accept_upgrade()
        try:
            while True:
                far.send(encode_frame(BINARY, bytes(65536)), timeout=1)
        except OSError:  # nobody reads
            pass
        far.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with Upstream(cert, script) as proxy:
        command.settings["PROXXY_WEBSOCKET"] = f"wss://localhost:{proxy.port}/"
        view(command, "import time; time.sleep(6)", SSL_CERT_FILE=cert.ca)
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert spent.ru_utime + spent.ru_stime - before.ru_utime - before.ru_stime < 3


def test_signal_while_the_viewer_is_awaited(command: UrlCommand) -> None:
    program = command.directory / "viewer"
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    program.chmod(0o700)
    environment = command.environment(VNCVIEWER=program, XDG_RUNTIME_DIR=command.directory)
    waiting = spawn([command.path, *GUEST, str(ECHO), "--vnc"], env=environment)
    try:
        wait_for(lambda: list(command.directory.glob("proxxy-*/console")), RUN_SECONDS, "no socket")
        os.kill(waiting.pid, signal.SIGTERM)
        assert waiting.wait(RUN_SECONDS) == 128 + signal.SIGTERM
        assert not list(command.directory.glob("proxxy-*"))
    finally:
        stop_tree(waiting)


def test_viewer_inherits_no_connection(command: UrlCommand) -> None:
    script = (
        "print(sorted(os.readlink(f'/proc/self/fd/{n}')[:6] for n in os.listdir('/proc/self/fd') "
        "if int(n) > 2 and os.path.exists(f'/proc/self/fd/{n}')))"
    )
    done = view(command, script)
    assert done.stdout.count("socket") == 1  # the viewer's own connection to the console


def test_nobody_there(command: UrlCommand) -> None:
    command.settings["PROXXY_WEBSOCKET"] = f"ws://127.0.0.1:{free_port()}/"
    done = view(command, "print('no')")
    assert done.returncode == 69 and "Failed to connect" in done.stderr and done.stdout == ""


def test_payload_is_not_said_when_it_fails(command: UrlCommand) -> None:
    command.settings["PROXXY_WEBSOCKET"] = f"ws://127.0.0.1:{free_port()}/"
    assert "payload" not in view(command, "print('no')").stderr


def test_websocket_must_be_set(command: UrlCommand) -> None:
    del command.settings["PROXXY_WEBSOCKET"]
    assert "PROXXY_WEBSOCKET is not set" in command.refusal(78, *GUEST, ECHO, "--vnc")

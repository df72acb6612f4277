# SPDX-License-Identifier: Apache-2.0
"""The images of deploy/Dockerfile: built, and run without an init, read-only and without a capability; stopped and
drained with consoles open; and proxxy with its front as compose.yaml runs them."""

from __future__ import annotations

import re
import secrets
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Iterator, Mapping
from urllib.request import urlopen

import pytest
import yaml
from conftest import ECHO, echo
from lib.activator import ANYWHERE, TREE
from lib.certs import Authority, Cert
from lib.consoles import handler_console
from lib.containers import DEBIAN, Container, Engine, Unable
from lib.payload import seal, target
from lib.process import free_port, wait_for
from lib.standin import StandIn
from lib.wire import BINARY, CLOSE, Client, close_payload

pytestmark = pytest.mark.timeout(600)  # the first test builds the images

DOCKERFILE = TREE / "deploy" / "Dockerfile"
COMPOSE = TREE / "deploy" / "compose.yaml"
CADDY = "docker.io/library/caddy:2"
# In place of Caddy's own image.
CADDY_LINES = f"""
FROM {DEBIAN}
RUN apt-get update && apt-get install -y --no-install-recommends caddy
ENV XDG_CONFIG_HOME=/config XDG_DATA_HOME=/data
RUN mkdir -p /config/caddy /data/caddy /etc/caddy
CMD ["caddy", "run", "--config", "/etc/caddy/Caddyfile", "--adapter", "caddyfile"]
"""
# Of libraries and our programs, above Debian's image.
ADDED_MAX = 16 * 1000 * 1000
STOP_SECONDS = 10  # after which Docker and Podman kill a container
IMAGES = {"proxxy": "proxxy", "front": "proxxy-front"}  # by the Dockerfile's targets
CONFINED = ("--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--tmpfs=/var/lib/proxxy:mode=1777")


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    try:
        with Engine() as engine:
            engine.import_debian()
            subprocess.run(["make", "-s", "-C", TREE, "console"], check=True)
            engine.build(DOCKERFILE, IMAGES["proxxy"], TREE, "proxxy")
            folder = tmp_path_factory.mktemp("caddy")
            (folder / "Dockerfile").write_text(CADDY_LINES)
            engine.build(folder / "Dockerfile", CADDY, folder)
            engine.build(DOCKERFILE, IMAGES["front"], TREE, "front")
            yield engine
    except Unable as error:
        pytest.skip(f"containers: {error}")


@pytest.fixture(scope="module")
def proxmox(authority: Authority) -> Iterator[StandIn]:
    with StandIn(authority.leaf()) as standin:
        standin.add("qemu", ECHO, handler_console(echo))
        yield standin


@contextmanager
def proxxy(engine: Engine, authority: Cert, key: str, port: int, *options: str) -> Iterator[Container]:
    """The image with the original's two settings, and those that the stand-in needs."""
    settings = {**standin_settings(authority), "PORT": f'"{port}"', "SIGNATURE_KEY": f'"{key}"'}
    variables = [f"--env={name}={value}" for name, value in settings.items()]
    with engine.run("proxxy", *CONFINED, f"--volume={authority.ca}:/ca.pem:ro", *variables, *options) as container:
        wait_for(lambda: "Listening on" in container.logs(), 20, container.logs)
        yield container


def standin_settings(cert: Cert) -> dict[str, str]:
    return {"PROXXY_CA_FILE": "/ca.pem", "PROXXY_ALLOWED_HOSTS": ANYWHERE}


@pytest.fixture
def ca(cert: Cert) -> Iterator[Cert]:
    """The certificate of the stand-in, with a CA file that every user can read."""
    yield cert


def opened(port: int, proxmox: StandIn, key: str, path: str = "/") -> Client:
    client = Client.upgraded(port, target(seal(proxmox.console("qemu", ECHO), key)).replace("/", path, 1))
    check(client)
    return client


def check(client: Client) -> None:
    client.send_frame(BINARY, b"x")
    assert client.read_data(1) == b"x"


# --- the image ----------------------------------------------------------------------------------


def test_image_is_small_and_describes_itself(engine: Engine) -> None:
    added = engine.size("proxxy") - engine.size(DEBIAN)
    print(f"Debian {engine.size(DEBIAN)} bytes, proxxy adds {added}")
    assert added < ADDED_MAX
    shown = engine.podman("image", "inspect", "proxxy").stdout
    image = yaml.safe_load(shown)[0]
    config = image["Config"]
    assert config["User"] == "8443:8443" and config["StopSignal"] in ("SIGTERM", "15")
    assert config["Cmd"] == ["proxxy"] and list(config["ExposedPorts"]) == ["8443/tcp"]
    labels = {name.removeprefix("org.opencontainers.image."): value for name, value in config["Labels"].items()}
    [version] = re.findall(r"^VERSION := (.*)$", (TREE / "Makefile").read_text(), re.M)
    assert (labels["title"], labels["version"], labels["licenses"]) == ("proxxy", version, "Apache-2.0")
    assert image["Healthcheck"]["Test"] == ["CMD", "proxxy", "--health"]


def test_image_has_no_systemd_no_compiler_and_no_sources(engine: Engine) -> None:
    look = "dpkg-query -W -f '${Package}\\n'; ls / /usr/local/sbin /usr/local/bin; id -u; ls -ld /var/lib/proxxy"
    with engine.run("proxxy", command=("sh", "-c", look), detach=False) as container:
        words = container.logs().split()
    assert not {"systemd", "gcc", "make", "src", "curl"} & set(words)
    assert {"proxxy-conn", "proxxy-listen", "proxxy", "libssl3t64", "libhiredis1.1.0", "8443", "drwx------"} <= set(
        words
    )


def test_image_answers_metrics(engine: Engine) -> None:
    """As docs/monitoring.md runs a second container of the image."""
    port = free_port()
    status = ("proxxy-listen", "--listen", str(port), "--max", "16", "/usr/local/sbin/proxxy-status", "--no-systemd")
    with engine.run("proxxy", command=status) as container:
        wait_for(lambda: "Listening on" in container.logs(), 20, container.logs)
        with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            assert b"proxxy_sessions 0\n" in answer.read()


def test_no_layer_has_an_env(engine: Engine, tmp_path: Path) -> None:
    """The whole context of the build: what .dockerignore lets through."""
    (tmp_path / "Dockerfile").write_text(f"FROM {DEBIAN}\nCOPY . /context\nCMD find /context -type f\n")
    (tmp_path / "Dockerfile.dockerignore").write_text((DOCKERFILE.with_name("Dockerfile.dockerignore")).read_text())
    tree = tmp_path / "tree"
    for name in (
        ".env",
        "deploy/.env",
        "console/src/page.ts",
        "lib/io.c",
        ".git/config",
        "build/proxxy-conn",
        "tests/x.py",
    ):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(name)
    engine.build(tmp_path / "Dockerfile", "context", tree)
    with engine.run("context", detach=False) as container:
        assert sorted(container.logs().split()) == ["/context/console/src/page.ts", "/context/lib/io.c"]


# --- one container ------------------------------------------------------------------------------


def test_stop_ends_consoles_with_a_close(engine: Engine, proxmox: StandIn, ca: Cert, key: str) -> None:
    """Without --init: Docker would wait for ten seconds and then cut every console."""
    port = free_port()
    with proxxy(engine, ca, key, port) as container:
        clients = [opened(port, proxmox, key) for _ in range(3)]
        assert container.exec("proxxy", "--health").returncode == 0
        began = time.monotonic()
        stopping = subprocess.Popen(container.stop_command())
        for client in clients:
            assert client.close_code() == (1001, "Session was ended by the operator")
            client.send_frame(CLOSE, close_payload(1001))
            assert client.at_end()
        assert stopping.wait(60) == 0
        seconds = time.monotonic() - began
        logs = container.logs()
        assert container.state("ExitCode") == "0", logs
        assert logs.count("Session began") == logs.count("Session ended") == 3, logs
        assert logs.rstrip().endswith("proxxy-listen[1]: Stopped") and "Kills" not in logs
        print(f"stopped with 3 consoles open within {seconds:.1f} s")
        assert seconds < STOP_SECONDS


def test_stop_with_clients_that_do_not_answer(engine: Engine, proxmox: StandIn, ca: Cert, key: str) -> None:
    """They do not answer the Close: their sessions wait for 6.5 s, and still log how they ended."""
    port = free_port()
    with proxxy(engine, ca, key, port) as container, opened(port, proxmox, key):
        assert subprocess.run(container.stop_command(), timeout=60).returncode == 0
        logs = container.logs()
        assert container.state("ExitCode") == "0" and "Session ended" in logs and "Kills" not in logs, logs


def test_health_tells_a_missing_key(engine: Engine, ca: Cert, key: str) -> None:
    port = free_port()
    with proxxy(engine, ca, key, port, "--env=PROXXY_CLIENT_ADDRESS=proxy-protocol") as container:
        healthy = container.exec("proxxy", "--health")  # with a PROXY header, which it then needs
        assert healthy.returncode == 0, healthy.stderr
        assert engine.podman("healthcheck", "run", container.name, check=False).returncode == 0
    with proxxy(engine, ca, "short", port) as container:
        assert "SIGNATURE_KEY" in container.logs()  # said at the start
        sick = container.exec("proxxy", "--health")
        assert sick.returncode == 1 and "500" in sick.stderr
        assert engine.podman("healthcheck", "run", container.name, check=False).returncode == 1


def test_container_drains_as_kubernetes_does(engine: Engine, proxmox: StandIn, ca: Cert, key: str) -> None:
    """With the command of preStop in kubernetes.yaml."""
    objects = yaml.safe_load_all((TREE / "deploy" / "kubernetes.yaml").read_text())
    [deployment] = [each for each in objects if each["kind"] == "Deployment"]
    [pod] = deployment["spec"]["template"]["spec"]["containers"]
    command = pod["lifecycle"]["preStop"]["exec"]["command"]
    port = free_port()
    with proxxy(engine, ca, key, port) as container, opened(port, proxmox, key) as client:
        hook = subprocess.Popen(engine.command("podman", "exec", container.name, *command))
        wait_for(lambda: "Draining" in container.logs(), 60, container.logs)
        with pytest.raises(ConnectionRefusedError):
            Client.connect(port, "/api/status")
        check(client)
        assert container.state("Status") == "running" and hook.poll() is None
        client.send_frame(CLOSE, close_payload(1000))
        assert client.close_code()[0] == 1000
        wait_for(lambda: container.state("Status") == "exited", 30, container.logs)
        assert container.state("ExitCode") == "0" and "Session ended" in container.logs()
        hook.wait(30)  # it ends with PID 1


# --- with the front, as compose.yaml says -------------------------------------------------------

OTHER_KEYS = {"build", "restart", "env_file", "healthcheck", "ports", "pids_limit", "depends_on"}


def service(name: str, variables: Mapping[str, str]) -> dict[str, Any]:
    """A service of compose.yaml, with ${NAME:-default} replaced."""
    text = re.sub(r"\$\{(\w+):-(.*?)\}", lambda match: variables.get(match[1], match[2]), COMPOSE.read_text())
    found: dict[str, Any] = yaml.safe_load(text)["services"][name]
    return found


def options(found: Mapping[str, Any]) -> list[str]:
    """What podman needs to do the same."""
    lists = {"cap_drop": "cap-drop", "cap_add": "cap-add", "group_add": "group-add", "volumes": "volume"}
    given = [f"--{lists[key]}={item}" for key in lists for item in found.get(key, [])]
    given += [f"--env={name}={value}" for name, value in found.get("environment", {}).items()]
    assert found["read_only"] and found["security_opt"] == ["no-new-privileges:true"]
    assert set(found) - OTHER_KEYS - set(lists) <= {"environment", "read_only", "security_opt", "command"}
    return [*given, "--read-only", "--security-opt=no-new-privileges"]


@contextmanager
def composed(engine: Engine, env: Mapping[str, str], *more: str) -> Iterator[tuple[Container, Container]]:
    """proxxy and its front, with the variables of an .env."""
    file = engine.folder / "env"
    file.touch(mode=0o600)
    file.write_text("".join(f"{name}={value}\n" for name, value in env.items()))
    back, front = service("proxxy", env), service("front", env)
    with engine.run(
        IMAGES[back["build"]["target"]],
        f"--env-file={file}",
        *options(back),
        *more,
        command=tuple(back["command"]),
        name="proxxy",
    ) as proxxy:
        wait_for(lambda: proxxy.logs().count("Listening on") == 2, 20, proxxy.logs)
        test = back["healthcheck"]["test"]
        assert test[0] == "CMD" and proxxy.exec(*test[1:]).returncode == 0
        network = [option.replace("none", "container:proxxy") for option in more if option.startswith("--network")]
        admin = f"--env=CADDY_ADMIN=127.0.0.1:{free_port()}"  # other tests may run a Caddy
        with engine.run(IMAGES[front["build"]["target"]], *options(front), admin, *network) as caddy:
            wait_for(lambda: "serving initial configuration" in caddy.logs(), 20, caddy.logs)
            yield proxxy, caddy
    engine.podman("volume", "rm", "--all", "--force")


def test_console_through_the_front(engine: Engine, proxmox: StandIn, ca: Cert, key: str) -> None:
    port, site = free_port(), free_port()
    env = {
        **standin_settings(ca), "PORT": str(port), "SIGNATURE_KEY": key, "SITE": f"http://127.0.0.1:{site}",
        "PROXXY_CONNECT_TIMEOUT": "20",
    }  # fmt: skip
    with composed(engine, env, f"--volume={ca.ca}:/ca.pem:ro") as (proxxy, caddy):
        with opened(site, proxmox, key, "/console/ws") as client, opened(port, proxmox, key) as direct:
            logs = proxxy.logs()
            assert re.search(r"Session began.* peer=unix .*client=127\.0\.0\.1", logs), logs
            stopping = subprocess.Popen(proxxy.stop_command())
            for each in (client, direct):
                assert each.close_code()[0] == 1001
                each.send_frame(CLOSE, close_payload(1001))
            assert stopping.wait(60) == 0 and proxxy.state("ExitCode") == "0"
        assert key not in caddy.logs() + proxxy.logs()


def test_front_serves_the_pages_over_https(engine: Engine) -> None:
    """With its default site, localhost, whose certificate it makes itself. In a network of their own."""
    env = {"SIGNATURE_KEY": secrets.token_hex(32)}
    with composed(engine, env, "--network=none") as (proxxy, caddy):
        enter = ["nsenter", "--net", f"--target={caddy.state('Pid')}", "curl", "-sk", "--max-time", "20", "-i"]

        def get(*arguments: str) -> str:
            return subprocess.run([*enter, *arguments], capture_output=True, text=True, timeout=60).stdout

        page = wait_for(lambda: get("https://localhost/console/novnc.html"), 60, caddy.logs)  # it makes its CA first
        assert page.startswith("HTTP/2 200") and "content-security-policy:" in page.lower()
        assert page.rstrip().endswith("</html>")
        refused = get("https://localhost/console/ws?payload=bad")
        assert refused.startswith("HTTP/2 400") and '"error":"Invalid payload"' in refused
        assert "308" in get("http://localhost/console/novnc.html").splitlines()[0]
        assert "payload=bad" not in caddy.logs() and "peer=unix" in proxxy.logs()

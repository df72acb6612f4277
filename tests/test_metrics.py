# SPDX-License-Identifier: Apache-2.0
"""Metrics: what sessions count, how proxxy-status shows it without systemd, and the dashboard and the alerts that are
made of it. tests/test_status_unit.py has the same under systemd."""

from __future__ import annotations

import json
import os
import pwd
import re
import socket
import subprocess
from pathlib import Path
from typing import Any, Iterator

import pytest
from conftest import ECHO, console
from lib.activator import TREE, Activator
from lib.metrics import NO_SYSTEMD, Prometheus, Status, parse, status_program
from lib.payload import seal, target
from lib.process import free_port, spawn, stop, wait_for
from lib.standin import StandIn
from lib.wire import BINARY, CLOSE, Client, close_payload

DASHBOARD = TREE / "deploy" / "grafana-dashboard.json"
RULES = TREE / "deploy" / "prometheus-rules.yml"
MONITORING = (TREE / "docs" / "monitoring.md").read_text()
BYTES_SECONDS = 60.0  # a session that relays adds its bytes every 5 s


@pytest.fixture
def counted(settings: dict[str, Any]) -> Iterator[Activator]:
    """proxxy, whose counters begin with 0."""
    with Activator(settings) as running:
        yield running


@pytest.fixture
def status(counted: Activator) -> Iterator[Status]:
    with Status(counted.used) as running:
        yield running


def open_console(proxxy: Activator, standin: StandIn, key: str, **members: Any) -> Client:
    return Client.upgraded(proxxy.port, target(seal({**standin.console("qemu", ECHO), **members}, key)))


def close(client: Client) -> None:
    client.send_frame(CLOSE, close_payload(1000))
    assert client.close_code()[0] == 1000


def refuse(proxxy: Activator) -> None:
    with Client.connect(proxxy.port, "/?payload=00:00") as client:
        assert client.read_head().status == 400


def test_what_a_session_does_is_counted(counted: Activator, status: Status, standin: StandIn, key: str) -> None:
    before = status.samples()
    assert before["proxxy_sessions_opened_total"] == before['proxxy_bytes_total{direction="up"}'] == 0
    with open_console(counted, standin, key) as client:
        client.send_frame(BINARY, b"12345")
        assert client.read_data(5) == b"12345"
        during = status.wait_for_sample("proxxy_sessions_opened_total", 1)
        assert during["proxxy_connect_seconds_count"] == during['proxxy_connect_seconds_bucket{le="+Inf"}'] == 1
        assert during["proxxy_session_duration_seconds_count"] == 0
        close(client)
    after = status.wait_for_sample('proxxy_bytes_total{direction="down"}', 5)  # they are added last
    assert after["proxxy_session_duration_seconds_count"] == 1
    assert after['proxxy_sessions_ended_total{outcome="client-closed"}'] == 1
    assert after['proxxy_bytes_total{direction="up"}'] == 5
    ended = {name: value for name, value in after.items() if name.startswith("proxxy_sessions_ended") and value}
    refused = {name: value for name, value in after.items() if name.startswith("proxxy_requests") and value}
    assert list(ended) == ['proxxy_sessions_ended_total{outcome="client-closed"}'] and refused == {}


def test_times_are_the_logs(counted: Activator, status: Status, standin: StandIn, key: str) -> None:
    with open_console(counted, standin, key) as client:
        client.send_frame(BINARY, b"x")
        client.read_data(1)
        close(client)
    match = re.search(r"duration=(\S+)", counted.wait_log("Session ended"))
    assert match
    samples = status.wait_for_sample('proxxy_bytes_total{direction="down"}', 1)  # they are added last
    duration = float(match[1])
    assert samples["proxxy_session_duration_seconds_count"] == 1
    assert 0 <= samples["proxxy_session_duration_seconds_sum"] - duration < 5
    assert 0 <= samples["proxxy_connect_seconds_sum"] <= duration + 0.001
    bounds = [float(bound) for bound in re.findall(r'duration_seconds_bucket\{le="([\d.]+)"', status.text())]
    assert bounds == sorted(bounds) and len(bounds) == 12
    for bound in bounds:
        name = f'proxxy_session_duration_seconds_bucket{{le="{bound:g}"}}'
        assert samples[name] == (samples["proxxy_session_duration_seconds_sum"] <= bound), name


def test_refusals_and_failures_are_counted_as_they_are_logged(
    counted: Activator, status: Status, standin: StandIn, key: str
) -> None:
    refuse(counted)
    refuse(counted)
    with Client.connect(counted.port, raw=b"nonsense\r\n\r\n") as client:
        assert client.read_head().status == 400
    with Client.upgraded(counted.port, target(seal(console(free_port()), key))) as client:
        assert client.close_code()[0] == 1011
    status.wait_for_sample('proxxy_sessions_ended_total{outcome="upstream-connect"}', 1)
    samples = status.wait_for_sample('proxxy_requests_refused_total{reason="request-malformed"}', 1)
    assert samples['proxxy_requests_refused_total{reason="payload-invalid"}'] == 2
    assert samples["proxxy_sessions_opened_total"] == samples["proxxy_session_duration_seconds_count"] == 0
    log = counted.log()
    for name, words in (("proxxy_requests_refused", "Request refused"), ("proxxy_sessions_ended", "Session ended")):
        assert sum(value for sample, value in samples.items() if sample.startswith(name)) == log.count(words), name


def test_bytes_are_counted_while_the_session_runs(
    counted: Activator, status: Status, standin: StandIn, key: str
) -> None:
    with open_console(counted, standin, key) as client:

        def is_counted() -> bool:
            client.send_frame(BINARY, b"x" * 1000)
            client.read_data(1000)
            return status.samples()['proxxy_bytes_total{direction="down"}'] >= 1000

        wait_for(is_counted, BYTES_SECONDS, "the bytes of an open session are not counted")
        assert status.samples()["proxxy_session_duration_seconds_count"] == 0


def test_port_probes_and_status_requests_open_no_counters(counted: Activator) -> None:
    with socket.create_connection(("127.0.0.1", counted.port), 5):
        pass
    with Client.connect(counted.port, "/api/status") as client:
        assert client.read_head().status == 200
    counted.wait_sessions(0)
    assert not (counted.used / "counters").exists()
    refuse(counted)
    wait_for(lambda: (counted.used / "counters").exists(), 5, "no counters")
    assert (counted.used / "counters").stat().st_mode & 0o777 == 0o644


def test_session_has_the_counters_mapped_but_not_open(counted: Activator, standin: StandIn, key: str) -> None:
    with open_console(counted, standin, key) as client:
        client.send_frame(BINARY, b"x")
        client.read_data(1)
        [pid] = counted.sessions()
        maps = Path(f"/proc/{pid}/maps").read_text()
        assert re.search(rf"rw-s .* {re.escape(str(counted.used))}/counters$", maps, re.M)
        descriptors = [os.readlink(path) for path in Path(f"/proc/{pid}/fd").iterdir()]
        assert descriptors and not [name for name in descriptors if "counters" in name]


def test_shortened_file_ends_no_session(counted: Activator, status: Status, standin: StandIn, key: str) -> None:
    """A session cannot do this once it is in its sandbox, but a process of its user that is not, can."""
    with open_console(counted, standin, key) as client:
        client.send_frame(BINARY, b"x")
        client.read_data(1)
        os.truncate(counted.used / "counters", 0)
        client.send_frame(BINARY, b"y")
        assert client.read_data(1) == b"y"
        close(client)
    assert "outcome=client-closed" in counted.wait_log("Session ended")
    assert re.findall(r"died with code (\d+)", counted.wait_log("died with code")) == ["0"]
    assert "proxxy_sessions_opened_total" not in status.samples()
    assert "counters cannot be read" in status.wait_log("not a file of this version")
    refuse(counted)  # the next session makes a new file
    status.wait_for_sample('proxxy_requests_refused_total{reason="payload-invalid"}', 1)


@pytest.mark.parametrize("state", ["/nonexistent", "/dev/null", "/proc"])
def test_without_counters_sessions_go_on(settings: dict[str, Any], standin: StandIn, key: str, state: str) -> None:
    with Activator({**settings, "PROXXY_STATE_DIRECTORY": state}) as proxxy:
        with open_console(proxxy, standin, key) as client:
            client.send_frame(BINARY, b"x")
            assert client.read_data(1) == b"x"
            close(client)
        assert "counter" not in proxxy.wait_log("Session ended")


def test_numbers_of_a_hostile_session_do_no_harm(counted: Activator, status: Status) -> None:
    """A session that was taken over can write any bytes behind the file's head."""
    refuse(counted)
    status.wait_for_sample('proxxy_requests_refused_total{reason="payload-invalid"}', 1)
    file = counted.used / "counters"
    file.write_bytes(file.read_bytes()[:16] + b"\xff" * (file.stat().st_size - 16))
    text = status.text()
    assert all(re.fullmatch(r'# .*|[a-z_]+(\{[a-z]+="[\w.+-]+"\})? [\d.]+', line) for line in text.splitlines())
    assert text.count("\n") < 300 and 'proxxy_requests_refused_total{reason="internal"}' in text
    check_metrics(text)


def check_metrics(text: str) -> None:
    checked = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_each_metric_is_described_and_of_the_right_form(status: Status) -> None:
    text = status.text()
    check_metrics(text)
    families = {re.sub(r"_(bucket|sum|count)$", "", name.split("{")[0]) for name in parse(text)}
    assert families == set(re.findall(r"^# HELP (\w+) [A-Z].*\.$", text, re.M))
    assert families == set(re.findall(r"^# TYPE (\w+) (?:gauge|counter|histogram)$", text, re.M))


def test_every_outcome_is_there_from_the_beginning(status: Status) -> None:
    """Prometheus sees no increase in the first value of a counter."""
    samples = status.samples()
    for reason in ("payload-expired", "limit-client", "store", "config", "internal"):
        assert samples[f'proxxy_requests_refused_total{{reason="{reason}"}}'] == 0
    for outcome in ("client-closed", "console-closed", "upstream-tls", "terminated", "system", "internal"):
        assert samples[f'proxxy_sessions_ended_total{{outcome="{outcome}"}}'] == 0


def test_sessions_are_counted_by_their_processes(counted: Activator, standin: StandIn, key: str) -> None:
    """Other tests may run sessions at the same time, so the number is only a lower limit."""
    with Status(counted.used, PROXXY_MAX_SESSIONS="77") as status:
        with open_console(counted, standin, key), open_console(counted, standin, key):
            assert status.samples()["proxxy_sessions"] >= 2
        assert status.samples()["proxxy_sessions_limit"] == 77
        assert not [name for name in status.samples() if name.startswith(("proxxy_up", "proxxy_connections"))]


def test_other_answers_need_systemd(status: Status) -> None:
    with Client.connect(status.port, "/api/status") as client:
        head = client.read_head()
        assert head.status == 503 and "Only under systemd" in json.loads(client.read_body(head))["error"]


# --- xinetd -----------------------------------------------------------------------------------------------------------


def test_documented_lines_for_xinetd(tmp_path: Path, counted: Activator) -> None:
    block = re.search(r"^    service proxxy-status\n    \{\n.*?^    \}$", MONITORING, re.M | re.S)
    assert block
    lines = re.sub(r"(?m)^    ", "", block.group())
    port = free_port()
    replaced = {
        "port": str(port), "user": pwd.getpwuid(os.getuid()).pw_name, "server": str(status_program()),
        "server_args": f"{NO_SYSTEMD}\n    env = PROXXY_STATE_DIRECTORY={counted.used}",
    }  # fmt: skip
    for name, value in replaced.items():
        lines, n = re.subn(rf"(?m)^( *{name} *=).*$", rf"\1 {value}", lines)
        assert n == 1, name
    config = tmp_path / "xinetd.conf"
    config.write_text(re.sub(r"(?m)^ *group .*\n", "", lines))
    log = tmp_path / "log"
    log.touch()
    process = spawn(["xinetd", "-dontfork", "-f", config, "-pidfile", tmp_path / "pid", "-filelog", log])
    try:
        wait_for(lambda: "1 available service" in log.read_text(), 10, lambda: log.read_text())
        refuse(counted)
        counted.wait_sessions(0)
        (counted.used / "counters").write_bytes(b"not these")  # what is logged must not reach the client
        with Client.connect(port, "/metrics") as client:
            head = client.read_head()
            assert head.status == 200
            assert "proxxy_build_info" in client.read(int(head.headers["content-length"])).decode()
            assert client.at_end(), "something came behind the answer"
        assert "ERROR" not in log.read_text(), log.read_text()
    finally:
        stop(process)


# --- containers -------------------------------------------------------------------------------------------------------


def is_listening(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


def test_documented_command_for_containers(counted: Activator, standin: StandIn, key: str) -> None:
    """proxxy-listen runs proxxy-status, as in a container. It passes its environment on."""
    match = re.search(r"^ +(proxxy-listen --listen 8444 .*)$", MONITORING, re.M)
    assert match
    port = free_port()
    argv = [
        str(status_program().with_name(word.rpartition("/")[2])) if "proxxy-" in word else word
        for word in match[1].replace("8444", f"127.0.0.1:{port}").split()
    ]
    environment = {**os.environ, "PROXXY_STATE_DIRECTORY": str(counted.used)}
    process = spawn(argv, env=environment)
    try:
        wait_for(lambda: is_listening(port), 10, "proxxy-listen does not listen")
        with open_console(counted, standin, key) as client:
            close(client)
        for _ in range(2):
            with Client.connect(port, "/metrics") as client:
                head = client.read_head()
                samples = parse(client.read(int(head.headers["content-length"])).decode())
                assert head.status == 200 and samples["proxxy_sessions_opened_total"] == 1
    finally:
        stop(process)


# --- the alerts -------------------------------------------------------------------------------------------------------


def test_alerts_fire_when_they_should() -> None:
    for command in (["check", "rules", "--lint=all", RULES], ["test", "rules", TREE / "tests/prometheus/alerts.yml"]):
        run = subprocess.run(["promtool", *map(str, command)], capture_output=True, text=True)
        assert run.returncode == 0, run.stdout + run.stderr


def test_each_alert_is_tested_both_ways_and_documented() -> None:
    alerts = re.findall(r"^ *- alert: (\w+)$", RULES.read_text(), re.M)
    cases = (TREE / "tests/prometheus/alerts.yml").read_text()
    assert len(alerts) == len(set(alerts)) >= 8
    assert set(alerts) == set(re.findall(r"^\| `(Proxxy\w+)` \|", MONITORING, re.M))
    for name in alerts:
        assert re.search(rf"alertname: {name}\n +exp_alerts:", cases), f"{name} fires in no test"
        assert re.search(rf"alertname: {name} \}}", cases), f"{name} is silent in no test"


# --- the dashboard ----------------------------------------------------------------------------------------------------


def panels() -> list[dict[str, Any]]:
    return json.loads(DASHBOARD.read_text())["panels"]


def expressions() -> list[str]:
    """The dashboard's queries, with its variables as Grafana replaces them."""
    found = [target["expr"] for panel in panels() for target in panel["targets"]]
    variables = {"$__rate_interval": "1m", "$host": ".*"}
    for name, value in variables.items():
        found = [expression.replace(name, value) for expression in found]
    assert len(found) > 15 and not [expression for expression in found if "$" in expression]
    return found


def metrics_in(text: str) -> set[str]:
    return set(re.findall(r"\bproxxy_[a-z_]+\b", text))


def known_metrics() -> set[str]:
    """Those of the program: what it answers under systemd is not all here, so its source is read."""
    source = (TREE / "status" / "metrics.c").read_text()
    histograms = set(re.findall(r'histogram\(t, "(proxxy_\w+)"', source))
    assert len(histograms) == 2
    known = set(re.findall(r'(?:gauge|counter|begin)\(&?t, "(proxxy_\w+)"', source))
    return known | {f"{name}_{part}" for name in histograms for part in ("bucket", "sum", "count")}


def test_queries_use_metrics_that_there_are() -> None:
    known = known_metrics()
    assert metrics_in(" ".join(expressions())) - known == set()
    assert metrics_in(RULES.read_text()) - known == set()
    documented = metrics_in(MONITORING) | {
        f"{name}_{part}" for name in metrics_in(MONITORING) for part in ("bucket", "sum", "count")
    }
    assert known - documented == set()


def test_queries_are_promql(tmp_path: Path) -> None:
    rules = [{"record": f"panel:{number}", "expr": query} for number, query in enumerate(expressions())]
    file = tmp_path / "rules.yml"
    file.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    run = subprocess.run(["promtool", "check", "rules", str(file)], capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr


def test_panels_do_not_overlap_and_use_the_chosen_data_source() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in panels():
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken and place["x"] + place["w"] <= 24, panel["title"]
        taken |= cells
        for source in [panel, *panel["targets"]]:
            assert source["datasource"] == {"type": "prometheus", "uid": "${datasource}"}, panel["title"]
    identities = [panel["id"] for panel in panels()]
    assert len(identities) == len(set(identities)) > 12


def test_prometheus_draws_each_panel_and_has_the_alerts(
    counted: Activator, status: Status, standin: StandIn, key: str
) -> None:
    """A real Prometheus scrapes a real session. Metrics that only systemd's socket has are not there."""
    only_under_systemd = {"proxxy_up", "proxxy_start_time_seconds", "proxxy_connections_refused_total"}
    with Prometheus(status.port) as prometheus:
        with open_console(counted, standin, key) as client:
            refuse(counted)
            close(client)
        wait_for(
            lambda: prometheus.query("rate(proxxy_session_duration_seconds_count[1m]) > 0"), 60, "no session was seen"
        )
        wait_for(lambda: prometheus.query("rate(proxxy_requests_refused_total[1m]) > 0"), 60, "no refusal was seen")
        for expression in expressions():
            missing = metrics_in(expression) & (only_under_systemd | {"proxxy_sessions_limit"})
            assert prometheus.query(expression) or missing, expression
        [opened] = prometheus.query('proxxy_sessions_opened_total{job="proxxy"}')
        assert opened["value"][1] == "1"
        groups = prometheus.get("rules")["groups"]
        assert {rule["name"] for group in groups for rule in group["rules"]} == set(
            re.findall(r"^ *- alert: (\w+)$", RULES.read_text(), re.M)
        )
        assert {rule["health"] for group in groups for rule in group["rules"]} <= {"ok", "unknown"}

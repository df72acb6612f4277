# SPDX-License-Identifier: Apache-2.0
"""proxxy-status on a port of its own, without systemd, and its metrics; and a Prometheus that scrapes it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote
from urllib.request import urlopen

from .activator import TREE, Activator
from .process import free_port, spawn, stop, wait_for

NO_SYSTEMD = "--no-systemd"
SAMPLE = re.compile(r"^([a-z_]+(?:\{[^}]*\})?) (\S+)$")
READY_SECONDS = 60.0  # Prometheus on a busy machine
COUNTED_SECONDS = 20.0  # a session counts its end after it has logged it


def status_program() -> Path:
    """proxxy-status of the build that is tested."""
    return Path(os.environ.get("PROXXY_CONN", TREE / "build" / "proxxy-conn")).resolve().with_name("proxxy-status")


def parse(text: str) -> dict[str, float]:
    """The samples of metrics in text format: name with labels -> value."""
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return {match[1]: float(match[2]) for line in lines if (match := SAMPLE.match(line))}


class Status(Activator):
    """proxxy-status --no-systemd for the sessions of another activator, with the same state directory."""

    def __init__(self, state: Path, **environment: str) -> None:
        super().__init__(
            {}, program=status_program(), environment={"PROXXY_STATE_DIRECTORY": str(state), **environment}
        )

    def command(self) -> list[str | Path]:
        return [*super().command(), NO_SYSTEMD]

    def text(self) -> str:
        with urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=10) as answer:
            return answer.read().decode()

    def samples(self) -> dict[str, float]:
        return parse(self.text())

    def wait_for_sample(self, name: str, value: float) -> dict[str, float]:
        """Waits until the sample has the value; returns all samples."""
        wait_for(
            lambda: self.samples().get(name) == value,
            COUNTED_SECONDS,
            lambda: f"{name} is {self.samples().get(name)}, not {value}",
        )
        return self.samples()


class Prometheus:
    """Debian's Prometheus, which scrapes one port each second as the job proxxy, with the shipped alerts."""

    def __init__(self, target: int) -> None:
        self.port = free_port()
        self._target = target

    def __enter__(self) -> Self:
        self._temporary = tempfile.TemporaryDirectory(prefix="proxxy-prometheus-")
        directory = Path(self._temporary.name)
        config = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(TREE / "deploy" / "prometheus-rules.yml")],
            "scrape_configs": [
                {"job_name": "proxxy", "static_configs": [{"targets": [f"127.0.0.1:{self._target}"]}]},
            ],
        }
        (directory / "prometheus.yml").write_text(json.dumps(config))  # JSON is YAML too
        self._log = directory / "log"
        with self._log.open("wb") as log:
            self._process = spawn(
                [
                    "prometheus",
                    f"--config.file={directory}/prometheus.yml",
                    f"--storage.tsdb.path={directory}/data",
                    f"--web.listen-address=127.0.0.1:{self.port}",
                ],
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            wait_for(lambda: self.query("up == 1"), READY_SECONDS, lambda: f"no metrics:\n{self._log.read_text()}")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        stop(self._process)
        self._temporary.cleanup()

    def get(self, path: str) -> Any:
        """The data of an answer of its API, or None while it does not answer."""
        try:
            with urlopen(f"http://127.0.0.1:{self.port}/api/v1/{path}", timeout=10) as answer:
                return json.load(answer)["data"]
        except OSError:
            return None

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The result of an instant query; it is empty while Prometheus does not answer."""
        data = self.get(f"query?query={quote(expression)}")
        return data["result"] if data else []

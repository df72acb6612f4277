# SPDX-License-Identifier: Apache-2.0
"""The libraries for backends (sdk/) and their examples, as programs that a test can start.

Each language has a driver in tests/sdk/ that calls its library. It reads requests from standard input, one JSON object
a line, and writes one line with the answer to each:

    {"settings": {"key" or "keyFile", "kid"?, "page"}, "call": CALL, "options": …}

CALL is link, payload or openConsole, with their options as an object, or open, with a payload as a string. Options have
the names that they have in TypeScript. The answer is one of

    {"result": …}
    {"error": {"name": "InvalidOption", "option": …, "message": …}}
    {"error": {"name": "KeyFileError", "message": …}}
    {"error": {"name": "ProxmoxError", "status": …, "reason": …, "message": …}}

option is the option's name in the language's own style. status is the HTTP status of Proxmox, or 0 without an answer;
reason is unreachable, refused (401, 403), noGuest or other.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Mapping

from .activator import TREE
from .process import spawn, stop

BUILD_SECONDS = 170
ANSWER_SECONDS = 30
NPM = ["npm", "--no-audit", "--no-fund", "--no-update-notifier", "--ignore-scripts"]
PYTHON = "/usr/bin/python3"

Command = list[str]


@dataclass(frozen=True)
class Language:
    """One language. Commands run in a copy of the tree's folders in copy, whose path replaces {tree}; a path that a
    command is paired with is the folder, in the copy, in which it runs."""

    copy: list[str]
    build: list[tuple[str, Command]] = field(default_factory=list)  # before anything else
    unit: list[tuple[str, Command]] = field(default_factory=list)  # the library's own tests
    driver: Command = field(default_factory=list)
    example_build: list[tuple[str, Command]] = field(default_factory=list)  # after build, for server
    server: Command = field(default_factory=list)  # the example: an HTTP endpoint
    environment: dict[str, str] = field(default_factory=dict)
    unset: tuple[Any, ...] = ()  # values that are no option that is set: those of an empty field


LANGUAGES: dict[str, Language] = {
    "typescript": Language(
        copy=["sdk/npm", "tests/sdk", "examples/typescript"],
        build=[("sdk/npm", [*NPM, "ci"]), ("sdk/npm", ["npm", "run", "--silent", "build"])],
        unit=[("sdk/npm", ["npm", "test", "--silent"])],
        driver=["node", "{tree}/tests/sdk/driver.mjs"],
        example_build=[("examples/typescript", [*NPM, "ci"]), ("examples/typescript", ["npx", "--no-install", "tsc"])],
        server=["node", "{tree}/examples/typescript/server.js"],
    ),
    "python": Language(
        copy=["sdk/python", "tests/sdk", "examples/python"],
        unit=[("sdk/python", [PYTHON, "-m", "unittest", "-q"])],
        driver=[PYTHON, "{tree}/tests/sdk/driver.py"],
        server=[PYTHON, "{tree}/examples/python/server.py"],
        environment={"PYTHONPATH": "{tree}/sdk/python", "PYTHONDONTWRITEBYTECODE": "1"},
    ),
    "php": Language(
        copy=["sdk/php", "tests/sdk", "examples/php"],
        unit=[
            ("sdk/php", ["sh", "-c", "for file in src/*.php autoload.php; do php -l $file || exit; done"]),
            ("sdk/php", ["composer", "--no-interaction", "validate", "--strict"]),
            ("sdk/php", ["php", "tests/run.php"]),
        ],
        driver=["php", "{tree}/tests/sdk/driver.php"],
        example_build=[("examples/php", ["composer", "--no-interaction", "--quiet", "install"])],
        server=["php", "-S", "127.0.0.1:{port}", "{tree}/examples/php/console.php"],
        environment={
            "COMPOSER_HOME": "{tree}/composer",
            "COMPOSER_ALLOW_SUPERUSER": "1",
            "COMPOSER_DISABLE_NETWORK": "1",
        },
    ),
    "go": Language(
        copy=["sdk/go", "tests/sdk", "examples/go"],
        build=[("tests/sdk/go", ["go", "build", "-buildvcs=false", "-o", "{tree}/driver", "."])],
        unit=[
            ("sdk/go", ["sh", "-c", "test -z \"$(gofmt -l . ../../tests/sdk ../../examples/go)\""]),
            ("sdk/go", ["go", "vet", "."]),
            ("sdk/go", ["go", "test", "."]),
        ],
        driver=["{tree}/driver"],
        example_build=[("examples/go", ["go", "build", "-buildvcs=false", "-o", "{tree}/server", "."])],
        server=["{tree}/server"],
        # There is no dependency, so neither a module proxy nor a module cache.
        environment={"GOCACHE": "{tree}/go-cache", "GOPATH": "{tree}/gopath", "GOPROXY": "off", "GOFLAGS": ""},
        unset=("", 0),
    ),
}


class Built:
    """A language's library and example, built in a directory of their own."""

    def __init__(self, name: str, directory: Path) -> None:
        self.language = LANGUAGES[name]
        self.tree = directory / name
        leave = shutil.ignore_patterns("node_modules", "dist", "build", "vendor", "__pycache__")
        for folder in self.language.copy:
            shutil.copytree(TREE / folder, self.tree / folder, ignore=leave, symlinks=False)
        for file in ("vectors.json", "cases.json"):
            shutil.copy(TREE / "sdk" / file, self.tree / "sdk")
        self.run(self.language.build)
        self._has_example = False

    def command(self, command: Command) -> Command:
        return [word.replace("{tree}", str(self.tree)) for word in command]

    def environment(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """Only these variables, so that no proxy and no CA comes from the environment."""
        own = {name: value.replace("{tree}", str(self.tree)) for name, value in self.language.environment.items()}
        return {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "LANG": "C.UTF-8", **own, **(more or {})}

    def run(self, commands: list[tuple[str, Command]]) -> str:
        output = ""
        for folder, command in commands:
            environment = {**os.environ, **self.environment(), "HOME": os.environ.get("HOME", "/")}
            done = subprocess.run(
                self.command(command), cwd=self.tree / folder, env=environment, capture_output=True, text=True,
                timeout=BUILD_SECONDS,
            )  # fmt: skip
            assert done.returncode == 0, f"{command}: {(done.stdout + done.stderr)[-3000:]}"
            output += done.stdout + done.stderr
        return output

    def unit_tests(self) -> str:
        return self.run(self.language.unit)

    def server(self) -> Command:
        """Returns the command that starts the example."""
        if not self._has_example:
            self.run(self.language.example_build)
            self._has_example = True
        return self.command(self.language.server)


class Driver:
    """A driver that runs. It keeps its library's settings from request to request only as the library itself does."""

    def __init__(self, built: Built, directory: Path, environment: Mapping[str, str] | None = None) -> None:
        self._log = directory / "driver.stderr"
        with self._log.open("wb") as log:
            self._process = spawn(
                built.command(built.language.driver), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
                env=built.environment(environment),
            )  # fmt: skip

    def __enter__(self) -> Driver:
        return self

    def __exit__(self, *_: object) -> None:
        stop(self._process)

    def ask(self, settings: Mapping[str, Any], call: str, options: Any) -> dict[str, Any]:
        """Returns the answer: {"result": …} or {"error": …}."""
        request = json.dumps({"settings": settings, "call": call, "options": options}) + "\n"
        self._process.stdin.write(request.encode())
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, f"the driver has ended: {self.stderr()[-3000:]}"
        return json.loads(line)

    def stderr(self) -> str:
        return self._log.read_text(errors="replace")


def style(option: str) -> str:
    """A name without its language's style: expiresIn, expires_in and ExpiresIn are one."""
    return option.replace("_", "").lower()

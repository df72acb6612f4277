# SPDX-License-Identifier: Apache-2.0
"""Runs proxxy-url with a test's settings in their own file."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any, Mapping
from urllib.parse import parse_qs, urlsplit

from .activator import SANITIZER_OPTIONS, SANITIZER_WORDS, binary

RUN_SECONDS = 30.0


class UrlCommand:
    """proxxy-url with settings and secrets in files in the directory, not in argv or the environment."""

    def __init__(self, directory: Path, settings: Mapping[str, Any], token: str = "", key: str = "") -> None:
        self.path = binary().with_name("proxxy-url")
        self.directory = directory
        self.settings = dict(settings)
        if token:
            self.settings["PROXMOX_TOKEN_FILE"] = self.secret("token", token.removeprefix("PVEAPIToken="))
        if key:
            self.settings["PROXXY_KEY_FILE"] = self.secret("key", key)
        self._config = directory / "url.conf"

    def secret(self, name: str, text: str) -> Path:
        path = self.directory / name
        path.touch(mode=0o600)
        path.write_text(text + "\n")
        return path

    def environment(self, **more: Any) -> dict[str, str]:
        self._config.write_text("".join(f"{name}={value}\n" for name, value in self.settings.items()))
        sanitizers = {name: os.environ[name] for name in SANITIZER_OPTIONS if name in os.environ}
        proxxy = {"PROXXY_URL_CONFIG": str(self._config), "PROXXY_CONFIG": str(self.directory / "proxxy.conf")}
        others = {name: str(value) for name, value in more.items()}
        return {"PATH": os.environ["PATH"], **proxxy, **sanitizers, **others}

    def run(self, *arguments: Any, input: str = "", **environment: Any) -> subprocess.CompletedProcess:
        done = subprocess.run(
            [self.path, *map(str, arguments)],
            input=input,
            capture_output=True,
            text=True,
            env=self.environment(**environment),
            timeout=RUN_SECONDS,
        )
        assert not any(words in done.stderr for words in SANITIZER_WORDS), done.stderr
        return done

    def ok(self, *arguments: Any, **options: Any) -> str:
        """Runs it; it must succeed. Returns its output without the last newline."""
        done = self.run(*arguments, **options)
        assert done.returncode == 0 and done.stderr == "", done.stderr
        return done.stdout.removesuffix("\n")

    def refusal(self, status: int, *arguments: Any, **options: Any) -> str:
        """Runs it; it must exit with that status. Returns its error message without the program's name."""
        done = self.run(*arguments, **options)
        assert (done.returncode, done.stdout) == (status, ""), done
        line = done.stderr.removesuffix("\n")
        assert line.startswith("proxxy-url: ") and "\n" not in line
        return line.removeprefix("proxxy-url: ")


def fragment(url: str) -> dict[str, str]:
    """Returns the parameters in the fragment of a page's URL."""
    return {name: values[0] for name, values in parse_qs(urlsplit(url).fragment, strict_parsing=True).items()}

# SPDX-License-Identifier: Apache-2.0
"""Runs proxxy-setup as an administrator does: with files like those of an installed proxxy, and a terminal on which
its questions are answered."""

from __future__ import annotations

import fcntl
import os
import pty
import secrets
import select
import shutil
import subprocess
import tempfile
import termios
import time
from pathlib import Path
from typing import IO, Any, Callable, NamedTuple, Self, Sequence

from .activator import ANYWHERE, SANITIZER_OPTIONS, SANITIZER_WORDS, binary
from .mounts import with_mounts

RUN_SECONDS = 60.0
UID = 64321  # of the user proxxy in the accounts below; no other user here has it
PROXXY = f"proxxy:x:{UID}:{UID}:proxxy sessions:/:/usr/sbin/nologin\n"

YES = ("Is the fingerprint the same? [yes/no] ", "yes\n")


def password(text: str = "secret", user: str = "root@pam", host: str = "127.0.0.1") -> tuple[str, str]:
    """The question for a password, and the answer."""
    return f"Password of {user} on {host}: ", f"{text}\n"


class Done(NamedTuple):
    status: int
    out: str
    err: str
    screen: str  # what the terminal showed
    echo: bool  # whether the terminal shows again what is typed


class SetupCommand:
    """proxxy-setup with a user proxxy, a key and settings of its own. The user can read what is in the directory."""

    def __init__(self, **settings: Any) -> None:
        self._temporary = tempfile.TemporaryDirectory(prefix="proxxy-setup-")
        self.directory = Path(self._temporary.name)
        self.clusters = self.directory / "clusters"
        self.key = self.directory / "signature.key"
        self.settings: dict[str, Any] = {
            "PROXXY_KEY_FILE": self.key,
            "PROXXY_CLUSTER_DIRECTORY": self.clusters,
            "PROXXY_STATE_DIRECTORY": self.directory / "state",
            "PROXXY_ALLOWED_HOSTS": ANYWHERE,
            **settings,
        }
        self.url_config = self.directory / "proxxy-url.conf"
        # Which of our files it sees in place of this machine's.
        self.places = {self.directory / name: Path("/etc", name) for name in ("passwd", "group")}

    def __enter__(self) -> Self:
        self.directory.chmod(0o755)
        for program in ("proxxy-setup", "proxxy-conn"):
            shutil.copy(binary().with_name(program), self.directory)
        self.key.write_text(secrets.token_hex(32))
        os.chown(self.key, 0, UID)
        self.key.chmod(0o640)
        state = self.directory / "state"
        state.mkdir(mode=0o700)
        os.chown(state, UID, UID)
        for name, more in (("passwd", PROXXY), ("group", f"proxxy:x:{UID}:\n")):
            (self.directory / name).write_text(Path("/etc", name).read_text().rstrip("\n") + f"\n{more}")
        return self

    def __exit__(self, *_: object) -> None:
        self._temporary.cleanup()

    def environment(self) -> dict[str, str]:
        config = self.directory / "proxxy.conf"
        config.write_text("".join(f"{name}={value}\n" for name, value in self.settings.items()))
        sanitizers = {name: os.environ[name] for name in SANITIZER_OPTIONS if name in os.environ}
        proxxy = {"PROXXY_CONFIG": str(config), "PROXXY_URL_CONFIG": str(self.url_config)}
        return {"PATH": os.environ["PATH"], **proxxy, **sanitizers}

    def command(self, arguments: Sequence[Any], accounts: bool = True) -> list[str]:
        program = [str(self.directory / "proxxy-setup"), *map(str, arguments)]
        return with_mounts(self.places, program) if accounts else program

    def run(
        self,
        *arguments: Any,
        answers: Sequence[tuple[str, str]] | None = (YES, password()),
        input: str = "",
        accounts: bool = True,
        on_question: Callable[[], None] = lambda: None,
        **environment: str,
    ) -> Done:
        """Answers each question once, after a call of on_question. answers=None: it has no terminal.
        accounts=False: there is no user proxxy."""
        terminal, end = pty.openpty()
        files: list[IO[str]] = [tempfile.TemporaryFile("w+", dir=self.directory) for _ in range(3)]
        files[0].write(input)
        files[0].seek(0)

        def take_terminal() -> None:
            if answers is not None:
                fcntl.ioctl(end, termios.TIOCSCTTY, 0)

        process = subprocess.Popen(
            self.command(arguments, accounts),
            stdin=files[0],
            stdout=files[1],
            stderr=files[2],
            env=self.environment() | environment,
            start_new_session=True,
            pass_fds=(end,),
            preexec_fn=take_terminal,
        )
        os.close(end)
        try:
            screen = _converse(process, terminal, list(answers or ()), on_question)
            echo = bool(termios.tcgetattr(terminal)[3] & termios.ECHO)
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()
            os.close(terminal)
        for file in files:
            file.seek(0)
        done = Done(process.returncode, files[1].read(), files[2].read(), screen, echo)
        assert not any(words in done.err for words in SANITIZER_WORDS), done.err
        return done

    def ok(self, *arguments: Any, **options: Any) -> str:
        """Runs it; it must succeed. Returns its output."""
        done = self.run(*arguments, **options)
        assert (done.status, done.err) == (0, ""), done
        return done.out

    def refusal(self, status: int, *arguments: Any, **options: Any) -> str:
        """Runs it; it must exit with that status. Returns its error message without the program's name."""
        done = self.run(*arguments, **options)
        line = done.err.removesuffix("\n")
        assert done.status == status and line.startswith("proxxy-setup: ") and "\n" not in line, done
        return line.removeprefix("proxxy-setup: ")

    def cluster_file(self, name: str = "pve01") -> dict[str, str]:
        text = (self.clusters / f"{name}.conf").read_text()
        return dict(line.split("=", 1) for line in text.splitlines() if not line.startswith("#"))


def _converse(
    process: subprocess.Popen, terminal: int, answers: list[tuple[str, str]], on_question: Callable[[], None]
) -> str:
    """Answers the questions until the process ends. Returns what the terminal showed."""
    shown = ""
    seen = 0  # characters of it that belong to questions that are answered
    deadline = time.monotonic() + RUN_SECONDS
    while True:
        assert time.monotonic() < deadline, f"it still runs: {shown}"
        readable = bool(select.select([terminal], [], [], 0.05)[0])
        if readable:
            try:
                shown += os.read(terminal, 4096).decode()
            except OSError:  # nobody has the terminal's other end open
                readable = False
                process.wait(max(0.1, deadline - time.monotonic()))
        for question, answer in answers:
            if question in shown[seen:]:
                seen = len(shown)
                on_question()
                answers.remove((question, answer))
                os.write(terminal, answer.encode())
                break
        if process.poll() is not None and not readable:
            return shown

# SPDX-License-Identifier: Apache-2.0
"""A second try for the few tests that failed beside others: tests/run runs them once more, with nothing beside them."""

from __future__ import annotations

import pytest
from _pytest.terminal import TerminalReporter

OPTIONS = {
    "--failures": "write the names of the tests that failed to FILE",
    "--only": "only the tests that are named in FILE",
}


def keep(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keeps only the tests of --only."""
    path = config.getoption("only")
    if path:
        names = set(path.read_text().splitlines())
        config.hook.pytest_deselected(items=[item for item in items if item.nodeid not in names])
        items[:] = [item for item in items if item.nodeid in names]


def write(config: pytest.Config, reporter: TerminalReporter) -> None:
    """Writes the file of --failures."""
    path = config.getoption("failures")
    if path:
        reports = [report for kind in ("failed", "error") for report in reporter.getreports(kind)]
        # pytest-xdist adds the test's group to its name.
        names = {report.nodeid.rsplit("@", 1)[0] if hasattr(report, "node") else report.nodeid for report in reports}
        path.write_text("".join(f"{name}\n" for name in sorted(names)))

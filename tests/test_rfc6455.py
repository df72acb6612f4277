# SPDX-License-Identifier: Apache-2.0
"""Conformance to RFC 6455: the Autobahn testsuite's categories, the opening handshake and masking, with frames
from a client and from Proxmox. Each case names the section that it checks;
`/usr/bin/python3 tests/test_rfc6455.py` counts the cases.

test_rfc6455_data.py, test_rfc6455_ends.py and test_rfc6455_handshake.py have the cases; lib/rfc6455.py has both ends.
"""

from __future__ import annotations

from collections import Counter

import test_rfc6455_data  # noqa: F401
import test_rfc6455_ends  # noqa: F401
import test_rfc6455_handshake  # noqa: F401
from lib.rfc6455 import EVERY


def summary() -> str:
    """Returns the number of cases for each section."""
    counts = Counter(case.section for case in EVERY)
    order = sorted(counts, key=lambda section: [int(number) for number in section.split(".")])
    lines = [f"{section:<8}{counts[section]:>5}" for section in order]
    return "\n".join(["section  cases", *lines, f"{'all':<8}{len(EVERY):>5}"])


def test_no_two_cases_share_a_name() -> None:
    names = Counter(map(str, EVERY))
    assert [name for name, count in names.items() if count > 1] == []


if __name__ == "__main__":
    print(summary())

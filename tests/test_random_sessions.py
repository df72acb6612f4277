# SPDX-License-Identifier: Apache-2.0
"""Random sessions (lib/random_session.py): a hundred here; tests/random_sessions runs them for hours."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from lib.certs import Cert
from lib.random_session import Runner

SESSIONS = 30  # of each worker; the workers run at the same time
WORKERS = 4
SEED = int(os.environ.get("PROXXY_TEST_SEED", time.time()))


def test_random_sessions(settings: dict[str, Any], cert: Cert, key: str) -> None:
    def run(worker: int) -> None:
        with Runner(settings, cert, key) as runner:
            for seed in range(SEED + worker * SESSIONS, SEED + (worker + 1) * SESSIONS):
                runner.run(seed)

    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(run, range(WORKERS)))

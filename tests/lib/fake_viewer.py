# SPDX-License-Identifier: Apache-2.0
"""A replacement for a VNC viewer in tests. It runs the script that its first argument names, with `console` connected
to the UNIX socket that its last argument names."""

import os  # noqa: F401 - the script uses it
import socket
import sys

path = sys.argv[-1]
console = socket.socket(socket.AF_UNIX)
console.connect(path)
with open(sys.argv[1]) as script:
    exec(compile(script.read(), sys.argv[1], "exec"))

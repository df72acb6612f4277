# SPDX-License-Identifier: Apache-2.0
"""Calls the Python package for tests/test_sdk.py: tests/lib/sdk.py describes requests and answers."""

from __future__ import annotations

import json
import re
import sys
from typing import Any

from proxxy import InvalidOption, KeyFileError, Proxmox, ProxmoxError, Proxxy

METHODS = {"link": "link", "payload": "payload", "openConsole": "open_console"}
REASONS = {"no_guest": "noGuest"}


def snake(options: dict[str, Any]) -> dict[str, Any]:
    return {re.sub("([A-Z])", r"_\1", name).lower(): value for name, value in options.items()}


def answer(settings: dict[str, Any], call: str, options: Any) -> dict[str, Any]:
    try:
        library = Proxxy(**snake(settings))
        if call == "open":
            return {"result": library.open(options)}
        arguments = snake(options)
        if "proxmox" in arguments:
            arguments["proxmox"] = Proxmox(**arguments["proxmox"])
        return {"result": getattr(library, METHODS[call])(**arguments)}
    except InvalidOption as error:
        return {"error": {"name": "InvalidOption", "option": error.option, "message": str(error)}}
    except KeyFileError as error:
        return {"error": {"name": "KeyFileError", "message": str(error)}}
    except ProxmoxError as error:
        reason = REASONS.get(error.reason, error.reason)
        return {
            "error": {"name": "ProxmoxError", "status": error.status, "reason": reason, "message": str(error)},
        }


for line in sys.stdin:
    print(json.dumps(answer(**json.loads(line))), flush=True)

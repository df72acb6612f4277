# SPDX-License-Identifier: Apache-2.0
"""The errors that this package raises. No message has a secret in it, nor the value of an option."""

from __future__ import annotations

from typing import Literal

# unreachable: there was no answer, or its certificate is not trusted. refused: the token is wrong, or lacks the
# privilege VM.Console. no_guest: the guest is not on this node.
ProxmoxReason = Literal["unreachable", "refused", "no_guest", "other"]


class ProxxyError(Exception):
    pass


class InvalidOption(ProxxyError, ValueError):
    """An option, or a payload given to open(), that proxxy would refuse. The message begins with the option's name."""

    def __init__(self, option: str, why: str) -> None:
        super().__init__(f"{option} {why}")
        self.option = option
        self.why = why


class KeyFileError(ProxxyError):
    """The key cannot be read, or is not in the format of proxxy's key file."""


class ProxmoxError(ProxxyError):
    """Proxmox opened no console."""

    def __init__(self, status: int, reason: ProxmoxReason, message: str) -> None:
        """status is that of Proxmox's answer, or 0 without one."""
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.message = message

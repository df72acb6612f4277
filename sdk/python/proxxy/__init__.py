# SPDX-License-Identifier: Apache-2.0
"""Makes links that open the consoles of Proxmox VE guests through proxxy."""

from ._key import Key
from ._options import GuestType, Protocol
from ._proxmox import Proxmox
from ._proxxy import Proxxy
from .errors import InvalidOption, KeyFileError, ProxmoxError, ProxmoxReason, ProxxyError

__all__ = [
    "GuestType",
    "InvalidOption",
    "Key",
    "KeyFileError",
    "Protocol",
    "Proxmox",
    "ProxmoxError",
    "ProxmoxReason",
    "Proxxy",
    "ProxxyError",
]

#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Example of the backend's part, with jwcrypto: it makes a link that opens a guest's console until it expires. It does
not talk to Proxmox: proxxy asks Proxmox each time the link is opened. Copy console_link() and seal(). As a command:
link.py VMID qemu|lxc USER"""

import json
import os
import sys
import time
from pathlib import Path

from jwcrypto.common import base64url_encode
from jwcrypto.jwe import JWE
from jwcrypto.jwk import JWK


def console_link(vmid, type, user, cluster, keys, page):
    """Return a link for user. Before, check that this user may open the guest's console."""
    now = int(time.time())
    claims = {"vmid": vmid, "type": type, "cluster": cluster, "sub": user, "iat": now, "exp": now + 300}
    # Optional: "jti", a unique text, if the link shall open one console only; "origin", the panel's, so that only its
    # pages can use the link. A terminal: "protocol": "term", and xterm.html. "host" may replace "cluster".
    return f"{page}novnc.html#payload={seal(claims, keys)}"


def seal(claims, keys):
    """Seal with the first of keys, which are "HEX" or "NAME:HEX", separated by commas."""
    kid, _, key = keys.split(",")[0].strip().rpartition(":")
    jwe = JWE(json.dumps(claims).encode(), json.dumps({"alg": "dir", "enc": "A256GCM"} | ({"kid": kid} if kid else {})))
    jwe.add_recipient(JWK(kty="oct", k=base64url_encode(bytes.fromhex(key))))
    return jwe.serialize(compact=True)


if __name__ == "__main__":
    vmid, type, user = sys.argv[1:]
    keys = Path(os.environ["PROXXY_KEY_FILE"]).read_text()
    print(console_link(int(vmid), type, user, os.environ["PROXXY_CLUSTER"], keys, os.environ["PROXXY_PAGE"]))

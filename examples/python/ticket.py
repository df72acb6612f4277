#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Example of the backend's part if proxxy shall have no token of its own, with jwcrypto and proxmoxer: it asks Proxmox
for a guest's console, seals the answer, and makes a link for noVNC. The link must be opened within 10 seconds. Copy
open_console(), and seal() of link.py. As a command: ticket.py NODE VMID qemu|lxc"""

import os
import re
import sys
import time
import uuid
from pathlib import Path

from link import seal
from proxmoxer import ProxmoxAPI, ResourceException


def open_console(host, node, type, vmid, token, keys, page, ca_file=None):
    """Return a link. token is USER@REALM!NAME=SECRET, ca_file the CA of Proxmox's certificate if that is not one of the
    system's."""
    user, name, secret = re.fullmatch(r"(.+)!(.+)=(.+)", token).groups()
    proxmox = ProxmoxAPI(host, user=user, token_name=name, token_value=secret, verify_ssl=ca_file or True)
    # A container's vncproxy has no generate-password: the ticket is its password. Since 9.2
    # Proxmox always sends a VM's password, and plans to remove the parameter.
    options = {"generate-password": 1} if type == "qemu" else {}
    try:
        answer = proxmox.nodes(node)(type)(vmid).vncproxy.post(websocket=1, **options)
    except ResourceException as refused:
        if refused.status_code != 400 or not options:  # older versions of proxmoxer do not name the parameter
            raise
        answer = proxmox.nodes(node)(type)(vmid).vncproxy.post(websocket=1)
    claims = {"vmid": vmid, "type": type, "host": host, "node": node, "ticket": f"PVEAPIToken={token}"}
    claims |= {"vncticket": answer["ticket"], "port": answer["port"]}
    # With the password, proxxy logs in to the console, and the browser needs none.
    claims |= {"password": answer.get("password", answer["ticket"])}
    claims |= {"exp": int(time.time()) + 60, "jti": str(uuid.uuid4())}
    # The CA that proxxy must trust, too. Do not use the answer's "cert": it is never an ACME certificate's CA.
    if ca_file:
        claims["ca"] = Path(ca_file).read_text()
    return f"{page}novnc.html#payload={seal(claims, keys)}"


def main(node, vmid, type, env=os.environ):
    token, keys = (Path(env[name]).read_text().strip() for name in ("PROXMOX_TOKEN_FILE", "PROXXY_KEY_FILE"))
    host, page, ca_file = env["PROXMOX_HOST"], env["PROXXY_PAGE"], env.get("PROXMOX_CA_FILE")
    try:
        return open_console(host, node, type, int(vmid), token, keys, page, ca_file)
    except ResourceException as refused:
        sys.exit(f"Proxmox: {refused.status_code} {refused.content}")
    except OSError as error:  # no connection, or its certificate is not trusted
        sys.exit(f"Proxmox: {error}")


if __name__ == "__main__":
    print(main(*sys.argv[1:]))

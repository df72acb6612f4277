#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Example of the backend's part, with jwcrypto and proxmoxer: it asks Proxmox for a guest's console, seals the answer,
and hands the URL to noVNC. Copy open_console() and seal(). As a command: console.py [check ../vectors.json]"""

import json
import os
import re
import sys
import time
import uuid
from pathlib import Path

from jwcrypto.common import base64url_encode
from jwcrypto.jwe import JWE
from jwcrypto.jwk import JWK
from proxmoxer import ProxmoxAPI, ResourceException


def open_console(host, node, type, vmid, token, keys, websocket, ca_file=None):
    """Return what noVNC needs. token is USER@REALM!NAME=SECRET, ca_file the CA of Proxmox's certificate if that is not
    one of the system's."""
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
    claims |= {"exp": int(time.time()) + 60, "jti": str(uuid.uuid4())}
    # The CA that proxxy must trust, too. Do not use the answer's "cert": it is never an ACME certificate's CA.
    if ca_file:
        claims["ca"] = Path(ca_file).read_text()
    password = answer.get("password", answer["ticket"])
    return {"websocket": f"{websocket}?payload={seal(claims, keys)}", "password": password}


def seal(claims, keys):
    """Seal with the first of keys, which are "HEX" or "NAME:HEX", separated by commas."""
    kid, _, key = keys.split(",")[0].strip().rpartition(":")
    jwe = JWE(json.dumps(claims).encode(), json.dumps({"alg": "dir", "enc": "A256GCM"} | ({"kid": kid} if kid else {})))
    jwe.add_recipient(JWK(kty="oct", k=base64url_encode(bytes.fromhex(key))))
    return jwe.serialize(compact=True)


def unseal(payload, key):
    jwe = JWE()
    jwe.deserialize(payload, JWK(kty="oct", k=base64url_encode(bytes.fromhex(key))))
    return json.loads(jwe.payload)


def check(file):
    vectors = [v for v in json.loads(Path(file).read_text())["vectors"] if v["format"] == "jwe"]
    for v in vectors:
        kid = json.loads(v["header"]).get("kid")
        for payload in v["payload"], seal(v["claims"], f"{kid}:{v['key']}" if kid else v["key"]):
            if unseal(payload, v["key"]) != v["claims"]:
                sys.exit(f"{v['name']}: differs")
    return f"{len(vectors)} vectors" if vectors else sys.exit("no vectors")


def main(env=os.environ):
    guest = env["PROXMOX_HOST"], env["PROXMOX_NODE"], env.get("PROXMOX_TYPE", "qemu"), int(env["PROXMOX_VMID"])
    token, keys = (Path(env[name]).read_text().strip() for name in ("PROXMOX_TOKEN_FILE", "PROXXY_KEY_FILE"))
    try:
        return json.dumps(open_console(*guest, token, keys, env["PROXXY_WEBSOCKET"], env.get("PROXMOX_CA_FILE")))
    except ResourceException as refused:
        sys.exit(f"Proxmox: {refused.status_code} {refused.content}")
    except OSError as error:  # no connection, or its certificate is not trusted
        sys.exit(f"Proxmox: {error}")


if __name__ == "__main__":
    print(check(sys.argv[2]) if sys.argv[1:2] == ["check"] else main())

# SPDX-License-Identifier: Apache-2.0
"""The stand-in's API for administrators: roles, users, tokens and permissions, the cluster's status and its
certificates, as proxxy-setup uses them.

What is marked "Proxmox:" was read from pve-access-control (API2/Role.pm, User.pm, ACL.pm, RPCEnvironment.pm), from
pve-manager (API2/Cluster.pm, Certificates.pm) and from pve-common (Certificate.pm).
"""

from __future__ import annotations

import dataclasses
import re
import uuid
from typing import Any, Callable, Mapping

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from .certs import Cert
from .pve_access import Access
from .pve_api import NOT_IN_SCHEMA, refused_parameters
from .pve_http import Refused, refused_call

# Proxmox: a few of the special roles, which cannot be changed.
SPECIAL = {
    "NoAccess": "",
    "PVEVMUser": "VM.Audit,VM.Backup,VM.Config.CDROM,VM.Config.Cloudinit,VM.Console,VM.PowerMgmt",
}
ROLE_ID = re.compile(r"[A-Za-z0-9.\-_]+")
TOKEN_ID = re.compile(r"[A-Za-z][A-Za-z0-9.\-_]+")
# Proxmox: of AccessControl.pm's check_path(), what concerns guests.
ACL_PATH = re.compile(r"/|/access|/vms|/vms/[1-9][0-9]{2,}|/pool|/pool/[A-Za-z0-9.\-_]+(?:/[A-Za-z0-9.\-_]+){0,2}")
# The parameters of each method; any other one is refused.
PARAMETERS: dict[tuple[str, str], set[str]] = {
    ("GET", "roles"): set(),
    ("POST", "roles"): {"roleid", "privs"},
    ("PUT", "role"): {"privs", "append"},
    ("DELETE", "role"): set(),
    ("GET", "users"): {"enabled", "full"},
    ("POST", "users"): {
        *("userid", "enable", "expire", "firstname", "lastname", "email", "comment", "keys", "password", "groups"),
    },
    ("DELETE", "user"): set(),
    ("POST", "token"): {"expire", "privsep", "comment"},
    ("PUT", "token"): {"expire", "privsep", "comment", "regenerate", "delete"},
    ("DELETE", "token"): set(),
    ("GET", "acl"): set(),
    ("PUT", "acl"): {"propagate", "path", "users", "groups", "tokens", "roles", "delete"},
    ("GET", "status"): set(),
    ("GET", "certificates"): set(),
}
PATHS = {
    "roles": re.compile("/access/roles"),
    "role": re.compile("/access/roles/([^/]+)"),
    "users": re.compile("/access/users"),
    "user": re.compile("/access/users/([^/]+)"),
    "token": re.compile("/access/users/([^/]+)/token/([^/]+)"),
    "acl": re.compile("/access/acl"),
    "status": re.compile("/cluster/status"),
    "certificates": re.compile("/nodes/([^/]+)/certificates/info"),
}


@dataclasses.dataclass
class Node:
    """A node of the cluster, and the certificates in its directory."""

    name: str
    cert: Cert  # pve-ssl.pem, with the CA
    ip: str
    online: bool = True
    custom: Cert | None = None  # pveproxy-ssl.pem


@dataclasses.dataclass
class User:
    comment: str = ""
    enable: int = 1
    expire: int = 0
    tokens: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)


class Admin:
    """What administrators see and change. Its handle() is for Api.more; what has no underscore a test may change."""

    def __init__(self, access: Access, nodes: list[Node], cluster: str = "") -> None:
        """The first node is the one that answers. cluster is the cluster's name, "" for a node without one."""
        self.access = access
        self.nodes = nodes
        self.cluster = cluster
        self.roles = dict(SPECIAL)
        self.users: dict[str, User] = {"root@pam": User(), "alice@pve": User("Alice")}
        self.acl: dict[tuple[str, str, str, str], int] = {}  # (path, type, ugid, role): propagate
        self.pools: dict[str, set[int]] = {}
        # Besides root@pam, who may do everything: "path privilege" of each identity.
        self.privileges: dict[str, set[str]] = {}
        self.calls: list[str] = []  # what changed something: "POST /access/roles"

    def handle(self, method: str, path: str, identity: str, given: Mapping[str, str]) -> tuple[Any] | None:
        """Returns the data of the answer in a tuple, or None for a path that is not of an administrator."""
        for name, pattern in PATHS.items():
            match = pattern.fullmatch(path)
            if match and (method, name) in PARAMETERS:
                if unknown := given.keys() - PARAMETERS[method, name]:
                    raise refused_parameters(dict.fromkeys(sorted(unknown), NOT_IN_SCHEMA))
                handler: Callable[..., Any] = getattr(self, f"_{method.lower()}_{name}")
                data = handler(identity, given, *match.groups())
                if method != "GET":
                    self.calls.append(f"{method} {path}")
                    self._apply()
                return (data,)
        return None

    def grant(self, path: str, type: str, ugid: str, role: str) -> None:
        """Adds a permission as an administrator does by hand."""
        self.acl[path, type, ugid, role] = 1
        self._apply()

    def _need(self, identity: str, path: str, *privileges: str) -> None:
        """Proxmox: one of them is enough; the error names the path and the privileges."""
        has = self.privileges.get(identity, set())
        if identity.partition("!")[0] != "root@pam" and not any(f"{path} {one}" in has for one in privileges):
            raise refused_call(403, f"Permission check failed ({path}, {'|'.join(privileges)})")

    # --- roles

    def _get_roles(self, _: str, __: Mapping[str, str]) -> list[dict[str, Any]]:
        return [{"roleid": role, "privs": privs, "special": int(role in SPECIAL)} for role, privs in self.roles.items()]

    def _post_roles(self, identity: str, given: Mapping[str, str]) -> None:
        self._need(identity, "/access", "Sys.Modify")
        role = given.get("roleid", "")
        if not ROLE_ID.fullmatch(role):
            raise refused_parameters({"roleid": f"role name '{role}' contains invalid characters"})
        if role.upper().startswith("PVE"):
            raise refused_parameters({"roleid": "cannot use role ID starting with the 'PVE' namespace"})
        if role in self.roles:
            raise refused_call(500, f"create role failed: role '{role}' already exists")
        self.roles[role] = _privileges(given.get("privs", ""))

    def _put_role(self, identity: str, given: Mapping[str, str], role: str) -> None:
        self._need(identity, "/access", "Sys.Modify")
        self._changeable(role, "modified")
        before = f"{self.roles[role]}," if given.get("append") == "1" else ""
        self.roles[role] = _privileges(before + given.get("privs", ""))

    def _delete_role(self, identity: str, _: Mapping[str, str], role: str) -> None:
        self._need(identity, "/access", "Sys.Modify")
        self._changeable(role, "deleted")
        del self.roles[role]

    def _changeable(self, role: str, verb: str) -> None:
        if role in SPECIAL:
            raise refused_call(500, f"auto-generated role '{role}' cannot be {verb}")
        if role not in self.roles:
            raise refused_call(500, f"role '{role}' does not exist")

    # --- users and tokens

    def _get_users(self, identity: str, given: Mapping[str, str]) -> list[dict[str, Any]]:
        found = []
        for name, user in sorted(self.users.items()):
            entry: dict[str, Any] = {"userid": name, "enable": user.enable, "expire": user.expire}
            entry |= {"realm-type": name.rpartition("@")[2]}
            entry |= {"comment": user.comment} if user.comment else {}
            if given.get("full") == "1":
                entry |= {"groups": "", "tokens": [{"tokenid": id, **token} for id, token in user.tokens.items()]}
            found.append(entry)
        return found

    def _post_users(self, identity: str, given: Mapping[str, str]) -> None:
        name = given.get("userid", "")
        if not re.fullmatch(r"[^\s:/]+@[A-Za-z][A-Za-z0-9.\-_]+", name):
            raise refused_parameters({"userid": f"value '{name}' does not look like a valid user name"})
        self._need(identity, f"/access/realm/{name.rpartition('@')[2]}", "Realm.AllocateUser")
        self._need(identity, "/access/groups", "User.Modify")
        if name in self.users:
            raise refused_call(500, f"create user failed: user '{name}' already exists")
        self.users[name] = User(given.get("comment", ""), int(given.get("enable", "1")))

    def _delete_user(self, identity: str, _: Mapping[str, str], name: str) -> None:
        self._need(identity, f"/access/realm/{name.rpartition('@')[2]}", "Realm.AllocateUser")
        self._user(identity, name)
        del self.users[name]
        # Proxmox: delete_user_acl() of the user; those of tokens that are gone are ignored when the file is read.
        self.acl = {entry: 1 for entry in self.acl if entry[2].partition("!")[0] != name}

    def _user(self, identity: str, name: str) -> User:
        if name not in self.users:
            raise refused_call(500, f"no such user ('{name}')")
        if identity.partition("!")[0] != name:
            self._need(identity, "/access/groups", "User.Modify")
        return self.users[name]

    def _post_token(self, identity: str, given: Mapping[str, str], name: str, token: str) -> dict[str, Any]:
        user = self._user(identity, name)
        if not TOKEN_ID.fullmatch(token):
            raise refused_parameters({"tokenid": "value does not match the regex pattern"})
        if token in user.tokens:
            raise refused_parameters({"tokenid": "Token already exists."})
        info: dict[str, Any] = {"privsep": int(given.get("privsep", "1"))}
        info |= {"comment": given["comment"]} if given.get("comment") else {}
        info |= {"expire": int(given["expire"])} if "expire" in given else {}
        user.tokens[token] = info
        secret = str(uuid.uuid4())
        self.access.add_token(f"{name}!{token}", secret, separated=bool(info["privsep"]))
        return {"info": info, "value": secret, "full-tokenid": f"{name}!{token}"}

    def _put_token(self, identity: str, given: Mapping[str, str], name: str, token: str) -> dict[str, Any]:
        info = self._token(identity, name, token)
        info |= {"privsep": int(given["privsep"])} if "privsep" in given else {}
        return info

    def _delete_token(self, identity: str, _: Mapping[str, str], name: str, token: str) -> None:
        self._token(identity, name, token)
        del self.users[name].tokens[token]
        self.acl = {entry: 1 for entry in self.acl if entry[2] != f"{name}!{token}"}

    def _token(self, identity: str, name: str, token: str) -> dict[str, Any]:
        if token not in self._user(identity, name).tokens:
            raise refused_call(500, f"no such token '{token}' for user '{name}'")
        return self.users[name].tokens[token]

    # --- permissions

    def _get_acl(self, identity: str, _: Mapping[str, str]) -> list[dict[str, Any]]:
        """Proxmox: only what the identity may change, or everything with Sys.Audit on /access."""
        if identity.partition("!")[0] != "root@pam" and "/access Sys.Audit" not in self.privileges.get(identity, ()):
            return []
        names = ("path", "type", "ugid", "roleid")
        return [{**dict(zip(names, entry)), "propagate": propagate} for entry, propagate in self.acl.items()]

    def _put_acl(self, identity: str, given: Mapping[str, str]) -> None:
        path = given.get("path", "")
        self._need(identity, path, "Permissions.Modify", *(["VM.Allocate"] if path.startswith("/vms/") else []))
        if not (given.get("users") or given.get("groups") or given.get("tokens")):
            required = "either 'users', 'groups' or 'tokens' is required."
            raise refused_parameters(dict.fromkeys(("users", "groups", "tokens"), required))
        if not ACL_PATH.fullmatch(path):
            raise refused_parameters({"path": f"invalid ACL path '{path}'"})
        for role in given.get("roles", "").split(","):
            if role not in self.roles:
                raise refused_call(500, f"ACL update failed: role '{role}' does not exist")
            for type, names in (("user", given.get("users", "")), ("token", given.get("tokens", ""))):
                for name in filter(None, names.split(",")):
                    self._change(path, type, name, role, given)

    def _change(self, path: str, type: str, name: str, role: str, given: Mapping[str, str]) -> None:
        user, _, token = name.partition("!")
        if user not in self.users:
            raise refused_call(500, f"ACL update failed: user '{user}' does not exist")
        if type == "token" and token not in self.users[user].tokens:
            raise refused_call(500, f"ACL update failed: no such token '{token}' for user '{user}'")
        if given.get("delete") == "1":
            self.acl.pop((path, type, name, role), None)
        else:
            self.acl[path, type, name, role] = int(given.get("propagate", "1"))

    def _apply(self) -> None:
        """Tells the stand-in's access control what each user and token may do now."""
        for name, user in self.users.items():
            for identity in (name, *(f"{name}!{token}" for token in user.tokens)):
                self.access.forget(identity)
        known = {f"{name}!{token}" for name, user in self.users.items() for token in user.tokens}
        self.access.keep_tokens(lambda identity: identity.partition("!")[0] != "proxxy@pve" or identity in known)
        for path, _, identity, role in self.acl:
            privileges = self.roles.get(role, "").split(",")
            pool = self.pools.get(path.removeprefix("/pool/"), set())
            for place in {f"/vms/{vmid}" for vmid in pool} if path.startswith("/pool/") else {path}:
                self.access.allow(identity, place, *privileges)

    # --- the cluster

    def _get_status(self, identity: str, _: Mapping[str, str]) -> list[dict[str, Any]]:
        self._need(identity, "/", "Sys.Audit")
        found: list[dict[str, Any]] = []
        if self.cluster:
            count = {"nodes": len(self.nodes), "version": 3, "quorate": 1}
            found.append({"type": "cluster", "id": "cluster", "name": self.cluster, **count})
        for number, node in enumerate(self.nodes):
            entry = {"type": "node", "id": f"node/{node.name}", "name": node.name, "nodeid": number + 1, "level": ""}
            found.append(entry | {"local": int(number == 0), "online": int(node.online), "ip": node.ip})
        return found

    def _get_certificates(self, _: str, __: Mapping[str, str], name: str) -> list[dict[str, Any]]:
        node = next((node for node in self.nodes if node.name == name), None)
        if node is None:
            raise refused_call(500, f"hostname lookup '{name}' failed - failed to get address info for: {name}")
        if not node.online:
            raise Refused(595, "No route to host")
        found = [_certificate_info("pve-root-ca.pem", node.cert.ca.read_text())]
        found.append(_certificate_info("pve-ssl.pem", node.cert.cert.read_text()))
        if node.custom:
            found.append(_certificate_info("pveproxy-ssl.pem", node.custom.cert.read_text()))
        return found


def _privileges(text: str) -> str:
    return ",".join(sorted({name for name in re.split("[, ;]", text) if name}))


def _certificate_info(filename: str, pem: str) -> dict[str, Any]:
    """Proxmox: get_certificate_info() of pve-common's Certificate.pm."""
    certificate = x509.load_pem_x509_certificate(pem.encode())
    fingerprint = certificate.fingerprint(hashes.SHA256()).hex(":").upper()
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        names = [str(name.value) for name in extension]
    except x509.ExtensionNotFound:
        names = []
    return {
        "filename": filename,
        "fingerprint": fingerprint,
        "subject": f"/{certificate.subject.rfc4514_string()}",
        "issuer": f"/{certificate.issuer.rfc4514_string()}",
        "san": names,
        "pem": pem,
    }

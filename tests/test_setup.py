# SPDX-License-Identifier: Apache-2.0
"""proxxy-setup: what it makes in Proxmox and on this machine, that it can run again, and what it takes away again."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import Iterator

import pytest
from lib.activator import TREE
from lib.certs import Cert
from lib.mounts import with_mounts
from lib.pve_admin import Admin, Node, User
from lib.setup_command import UID, YES, SetupCommand, password
from lib.standin import StandIn
from lib.vnc_console import VncConsole

from lib.setup_site import EX_CONFIG, EX_UNAVAILABLE, OK, ROLE, Site, TOKEN, USER, given, idle, mode, site_of


@pytest.fixture
def site(cert: Cert) -> Iterator[Site]:
    with site_of(cert) as site:
        yield site


# --- what it makes ------------------------------------------------------------------------------


def test_first_run_makes_everything_and_opens_a_console(site: Site, cert: Cert) -> None:
    done = site.command.run(site.host)
    assert (done.status, done.err) == (OK, ""), done
    assert cert.fingerprint in done.out and "CN = pve01" in done.out
    assert "OK: the console of VM 100 (web) opened" in done.out
    assert done.out.endswith("\nNext, as root: proxxy-url --vmid 100\n")
    assert site.admin.roles[ROLE] == "VM.Audit,VM.Console"
    assert site.admin.users[USER].comment == "Made by proxxy-setup"
    [token] = site.admin.users[USER].tokens.values()
    assert token["privsep"] == 1 and token["comment"] == f"Made by proxxy-setup on {os.uname().nodename}"
    assert given(site) == {("/vms", USER), ("/vms", TOKEN)}
    assert site.vnc.logins == ["accepted"]
    written = site.command.cluster_file()
    secret = written.pop("TOKEN").removeprefix(f"{TOKEN}=")
    ca = site.command.clusters / "pve01.pem"
    assert re.fullmatch("[0-9a-f-]{36}", secret)
    assert written == {"HOSTS": site.host, "CA_FILE": str(ca)}
    assert ca.read_bytes() == cert.ca.read_bytes()
    assert mode(site.command.clusters / "pve01.conf") == f"0:{UID} 640"
    assert mode(ca) == "0:0 644" and mode(site.command.clusters) == "0:0 755"
    assert sorted(path.name for path in site.command.clusters.iterdir()) == ["pve01.conf", "pve01.pem"]
    assert site.proxmox.violations == []


def test_second_run_changes_nothing(site: Site) -> None:
    site.command.ok(site.host)
    before = site.command.cluster_file()
    site.admin.calls.clear()
    done = site.command.run(site.host)
    out = done.out
    assert done.status == OK and site.admin.calls == [] and site.command.cluster_file() == before
    kept = re.findall(r"^(\w.*?) +kept", out, re.M)
    assert kept == ["role", "user", "token", "permission", "CA", "cluster file"]
    assert site.vnc.logins == ["accepted", "accepted"]
    # The cluster file answers whether the certificate is right.
    assert "[yes/no]" not in done.screen and "the CA or fingerprint in pve01.conf verifies it" in out


def test_token_is_made_anew_if_its_secret_is_lost(site: Site) -> None:
    site.command.ok(site.host)
    before = site.command.cluster_file()["TOKEN"]
    (site.command.clusters / "pve01.conf").unlink()
    assert "made proxxy@pve!proxxy anew" in site.command.ok(site.host)
    assert site.command.cluster_file()["TOKEN"] != before
    assert given(site) == {("/vms", USER), ("/vms", TOKEN)}


def test_token_is_made_anew_if_proxmox_does_not_accept_it(site: Site) -> None:
    site.command.ok(site.host)
    path = site.command.clusters / "pve01.conf"
    path.write_text(re.sub("TOKEN=.*", f"TOKEN={TOKEN}=11111111-2222-3333-4444-555555555555", path.read_text()))
    assert "made proxxy@pve!proxxy anew" in site.command.ok(site.host)


def test_token_can_be_replaced(site: Site) -> None:
    """Such as after its secret leaked."""
    site.command.ok(site.host)
    before = site.command.cluster_file()["TOKEN"]
    assert "the old secret has ended" in site.command.ok(site.host, "--new-token")
    assert site.command.cluster_file()["TOKEN"] != before and given(site) == {("/vms", USER), ("/vms", TOKEN)}


def test_token_with_all_privileges_of_its_user_is_limited(site: Site) -> None:
    site.command.ok(site.host)
    site.admin.users[USER].tokens["proxxy"]["privsep"] = 0
    assert "separated the privileges" in site.command.ok(site.host)
    assert site.admin.users[USER].tokens["proxxy"]["privsep"] == 1


def test_token_of_another_machine_stays(site: Site) -> None:
    """A second machine with proxxy would otherwise end the first one's links."""
    site.admin.users[USER] = User(
        "by hand", tokens={"proxxy": {"privsep": 1, "comment": "Made by proxxy-setup on other"}}
    )
    words = site.command.refusal(EX_CONFIG, site.host)
    assert "--token-name" in words and "Made by proxxy-setup on other" in words
    site.command.ok(site.host, "--token-name", "second")
    assert set(site.admin.users[USER].tokens) == {"proxxy", "second"}
    assert site.command.cluster_file()["TOKEN"].startswith("proxxy@pve!second=")


def test_role_that_lacks_a_privilege_gets_it_and_keeps_others(site: Site) -> None:
    site.admin.roles[ROLE] = "VM.Console,VM.PowerMgmt"
    out = site.command.ok(site.host)
    assert site.admin.roles[ROLE] == "VM.Audit,VM.Console,VM.PowerMgmt"
    assert "added to ProxxyConsole: VM.Audit" in out and "Warning: ProxxyConsole also has VM.PowerMgmt" in out


def test_paths_limit_the_token(site: Site) -> None:
    site.proxmox.add("qemu", 200, site.vnc.connect)
    site.admin.pools = {"customers": {200}}
    out = site.command.ok(site.host, "--path", "/pool/customers")
    assert given(site) == {("/pool/customers", USER), ("/pool/customers", TOKEN)}
    assert "OK: the console of VM 200 (guest200) opened" in out
    # A second run without paths does not extend them; one with other paths moves them.
    site.command.ok(site.host)
    assert ("/vms", TOKEN) not in given(site)
    site.command.ok(site.host, "--path", "/vms/100")
    assert {path for path, id in given(site) if id == TOKEN} == {"/vms/100"}


def test_guest_can_be_chosen(site: Site) -> None:
    site.proxmox.add("lxc", 300, VncConsole(idle, program="vncterm").connect).name = "mail"
    out = site.command.ok(site.host, "--vmid", 300)
    assert "OK: the console of container 300 (mail) opened" in out
    assert out.endswith("\nNext, as root: proxxy-url --type lxc --vmid 300\n")


def test_without_a_guest_it_says_so(cert: Cert) -> None:
    with StandIn(cert) as proxmox, SetupCommand() as command:
        proxmox.attach(Admin(proxmox.access, [Node("pve01", cert, "127.0.0.1")]).handle)
        assert "not tried: the token can see no guest" in command.ok(f"127.0.0.1:{proxmox.port}")


def test_guest_that_is_off_is_not_tried(site: Site) -> None:
    site.proxmox.cluster.guests["qemu", 100].status = "stopped"
    assert "not tried: none of the guests is running" in site.command.ok(site.host)


def test_page_is_set_for_proxxy_url(site: Site) -> None:
    site.command.url_config.write_text("# mine\nPROXMOX_HOST=pve01\nPROXXY_PAGE=http://old.example/")
    site.command.url_config.chmod(0o600)
    site.command.ok(site.host, "--page", "https://panel.example.com/console/")
    expected = "# mine\nPROXMOX_HOST=pve01\nPROXXY_PAGE=https://panel.example.com/console/\n"
    assert site.command.url_config.read_text() == expected and mode(site.command.url_config) == "0:0 600"
    out = site.command.ok(site.host)
    assert "set PROXXY_PAGE" not in out and site.command.url_config.read_text() == expected


def test_administrators_token_does_the_same_as_a_password(site: Site, tmp_path: Path, cert: Cert) -> None:
    token = site.proxmox.access.add_token("root@pam!setup", "8e0f5a52-1111-2222-3333-444444444444")
    file = tmp_path / "token"
    file.write_text(f"{token}\n")
    options = ("--fingerprint", cert.fingerprint)
    site.command.ok(site.host, *options, "--token-file", file, answers=None)
    site.command.ok(site.host, *options, "--token-file", "-", answers=None, input=token.removeprefix("PVEAPIToken="))
    assert all("/access/ticket" not in request.path for request in site.proxmox.requests)


# --- dry run and undo ---------------------------------------------------------------------------

# Proxmox: $cmddef of pve-access-control's CLI/pveum.pm: method, path and arguments by position.
PVEUM = {
    ("role", "add"): ("POST", "/access/roles", ("roleid",)),
    ("role", "delete"): ("DELETE", "/access/roles/{roleid}", ("roleid",)),
    ("user", "add"): ("POST", "/access/users", ("userid",)),
    ("user", "delete"): ("DELETE", "/access/users/{userid}", ("userid",)),
    ("user", "token", "add"): ("POST", "/access/users/{userid}/token/{tokenid}", ("userid", "tokenid")),
    ("user", "token", "delete"): ("DELETE", "/access/users/{userid}/token/{tokenid}", ("userid", "tokenid")),
    ("acl", "modify"): ("PUT", "/access/acl", ("path",)),
}


def pveum(admin: Admin, line: str) -> dict[str, str]:
    """Does what pveum does, with the same parameters as the API. Returns what it prints of a token."""
    words = shlex.split(line)[1:]
    name = next(name for name in PVEUM if tuple(words[: len(name)]) == name)
    method, path, positions = PVEUM[name]
    values = words[len(name) :]
    given = dict(zip(positions, values))
    options = values[len(positions) :]
    assert len(given) == len(positions) and all(option.startswith("--") for option in options[::2])
    given |= {option.removeprefix("--"): value for option, value in zip(options[::2], options[1::2], strict=True)}
    for part in re.findall(r"{(\w+)}", path):
        path = path.replace(f"{{{part}}}", given.pop(part))
    answer = admin.handle(method, path, "root@pam", given)
    assert answer is not None, line
    return answer[0] or {}


def commands(out: str) -> tuple[list[str], str]:
    """The commands for the Proxmox host, and those for this machine."""
    proxmox, _, here = out.partition("\n# On this machine")
    return [line for line in proxmox.splitlines() if not line.startswith("#")], here.partition("\n")[2]


def as_root(site: Site, script: str) -> None:
    """Runs the commands for this machine. scp copies the CA as it would from the Proxmox host."""
    fake = site.command.directory / "bin"
    fake.mkdir(exist_ok=True)
    scp = fake / "scp"
    scp.write_text(
        f'#!/bin/sh\n[ "$1" = root@127.0.0.1:/etc/pve/pve-root-ca.pem ] && cp {site.admin.nodes[0].cert.ca} "$2"\n'
    )
    scp.chmod(0o755)
    environment = {"PATH": f"{fake}:{os.environ['PATH']}"}
    subprocess.run(with_mounts(site.command.places, ["sh", "-euc", script]), env=environment, check=True)


@pytest.mark.parametrize("paths", [(), ("--path", "/vms/100", "--path", "/pool/customers")])
def test_commands_of_the_dry_run_do_the_same(site: Site, paths: tuple[str, ...]) -> None:
    out = site.command.ok(site.host, "--dry-run", "--name", "pve01", *paths, answers=None)
    assert site.proxmox.requests == [] and not site.command.clusters.exists()
    lines, here = commands(out)
    secret = [pveum(site.admin, line) for line in lines][2]["value"]
    as_root(site, here.partition("\n# The first console")[0].replace("=SECRET", f"={secret}"))
    assert here.endswith("\nproxxy-url --vmid 100\n")
    # Then proxxy-setup has nothing to do. Only its comment and the time are not in the file.
    made = site.command.cluster_file(), mode(site.command.clusters / "pve01.conf")
    site.admin.calls.clear()
    again = site.command.ok(site.host, *paths)
    assert site.admin.calls == [] and "kept proxxy@pve!proxxy" in again
    assert (site.command.cluster_file(), mode(site.command.clusters / "pve01.conf")) == made
    lines, here = commands(site.command.ok(site.host, "--dry-run", "--name", "pve01", "--undo", answers=None))
    for line in lines:
        pveum(site.admin, line)
    as_root(site, here)
    assert USER not in site.admin.users and ROLE not in site.admin.roles and given(site) == set()
    assert list(site.command.clusters.iterdir()) == []


def test_readme_shows_the_commands_of_the_dry_run(site: Site) -> None:
    """But for the comments."""
    lines, _ = commands(site.command.ok("pve01.example.com", "--dry-run", answers=None))
    shown = re.findall(r"^    (pveum .*)$", (TREE / "README.md").read_text(), re.M)
    assert shown == [re.sub(" --comment '.*'", "", line) for line in lines]


def test_dry_run_needs_neither_root_nor_proxxy(site: Site) -> None:
    program = str(site.command.directory / "proxxy-setup")
    command = ["setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups", program]
    nothing: dict[str, str] = {}
    for host, name in (("pve01.example.com", "pve01"), ("192.0.2.7:8007", "192.0.2.7"), ("2001:db8::7", "cluster")):
        done = subprocess.run([*command, host, "--dry-run"], env=nothing, capture_output=True, text=True)
        assert done.returncode == OK and f"/etc/proxxy/clusters/{name}.conf <<'END'\nHOSTS={host}\n" in done.stdout


def test_undo_removes_what_was_made(site: Site) -> None:
    roles = dict(site.admin.roles)
    site.command.ok(site.host)
    question = (f"Remove the token {TOKEN}, and {site.command.clusters}/pve01.conf? [yes/no] ", "yes\n")
    out = site.command.ok(site.host, "--undo", answers=(YES, password(), question))
    assert site.admin.roles == roles and USER not in site.admin.users and given(site) == set()
    assert list(site.command.clusters.iterdir()) == []
    assert re.findall(r"^(\w.*?) +removed", out, re.M) == ["token", "user", "role", "cluster file", "CA"]
    # Again, it finds nothing and fails nothing.
    assert "removed" not in site.command.ok(site.host, "--undo", "--yes")


def test_undo_can_be_refused(site: Site) -> None:
    site.command.ok(site.host)
    site.admin.calls.clear()
    site.command.refusal(EX_UNAVAILABLE, site.host, "--undo", answers=(YES, password(), ("?", "no\n")))
    assert site.admin.calls == [] and (site.command.clusters / "pve01.conf").exists()


def test_undo_leaves_what_others_use(site: Site) -> None:
    site.command.ok(site.host)
    site.admin.users[USER].tokens["second"] = {"privsep": 1, "comment": "of another machine"}
    site.admin.grant("/vms", "token", f"{USER}!second", ROLE)
    out = site.command.ok(site.host, "--undo", "--yes")
    assert set(site.admin.users[USER].tokens) == {"second"} and ROLE in site.admin.roles
    assert given(site) == {("/vms", USER), ("/vms", f"{USER}!second")}
    assert "left proxxy@pve, which has another token" in out


def test_undo_leaves_a_user_that_it_has_not_made(site: Site) -> None:
    site.admin.users[USER] = User("by hand")
    site.command.ok(site.host)
    out = site.command.ok(site.host, "--undo", "--yes")
    assert site.admin.users[USER].tokens == {} and given(site) == set() and ROLE not in site.admin.roles
    assert "left proxxy@pve, which proxxy-setup has not made" in out


def test_undo_leaves_a_token_of_another_machine(site: Site) -> None:
    site.command.ok(site.host)
    site.admin.users[USER].tokens["proxxy"]["comment"] = "Made by proxxy-setup on other"
    site.command.ok(site.host, "--undo", "--yes")
    assert set(site.admin.users[USER].tokens) == {"proxxy"} and ROLE in site.admin.roles


def test_undo_leaves_the_file_of_another_cluster(site: Site) -> None:
    """Two hosts that stand alone often have the same node name. The file that has it is not this one's."""
    other = "HOSTS=pve01.elsewhere.example\nTOKEN=proxxy@pve!proxxy=6f1c5bd0-3c8f-4a3e-9d51-7c0d6b0f4a11\n"
    site.command.ok(site.host, "--name", "second")
    (site.command.clusters / "pve01.conf").write_text(other)
    (site.command.clusters / "pve01.pem").write_text("of the other\n")
    site.admin.calls.clear()
    words = site.command.refusal(EX_CONFIG, site.host, "--undo", "--yes")
    assert "pve01.conf is for another host (pve01.elsewhere.example port 8006). Choose another name" in words
    assert site.admin.calls == []
    assert (site.command.clusters / "pve01.conf").read_text() == other
    assert (site.command.clusters / "pve01.pem").exists()
    site.command.ok(site.host, "--undo", "--yes", "--name", "second")
    assert sorted(path.name for path in site.command.clusters.iterdir()) == ["pve01.conf", "pve01.pem"]

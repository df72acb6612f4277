# SPDX-License-Identifier: Apache-2.0
"""proxxy-setup: what it makes in Proxmox and on this machine, that it can run again, what it refuses, and what it
takes away again."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shlex
import shutil
import signal
import stat
import subprocess
from pathlib import Path
from typing import Any, Iterator, Mapping, NamedTuple

import pytest
from lib.activator import TREE
from lib.certs import Authority, Cert
from lib.mounts import with_mounts
from lib.pve_admin import Admin, Node, User
from lib.setup_command import UID, YES, SetupCommand, password
from lib.standin import StandIn
from lib.vnc_console import VncConsole

USER, TOKEN, ROLE = "proxxy@pve", "proxxy@pve!proxxy", "ProxxyConsole"
OK, EX_USAGE, EX_NOINPUT, EX_NOUSER, EX_UNAVAILABLE, EX_CANTCREAT, EX_PROTOCOL, EX_NOPERM, EX_CONFIG = (
    *(0, 64, 66, 67, 69, 73, 76, 77, 78),
)
EVERYTHING = {
    *("/ Sys.Audit", "/access Sys.Modify", "/access Sys.Audit", "/access/realm/pve Realm.AllocateUser"),
    *("/access/groups User.Modify", "/vms Permissions.Modify"),
}


async def idle(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await reader.read()


class Site(NamedTuple):
    """A Proxmox host with an administrator's API, a guest, and a machine with proxxy."""

    proxmox: StandIn
    admin: Admin
    command: SetupCommand
    vnc: VncConsole

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.proxmox.port}"


@contextlib.contextmanager
def site_of(cert: Cert, **settings: object) -> Iterator[Site]:
    vnc = VncConsole(idle)
    with StandIn(cert) as proxmox, SetupCommand(**settings) as command:
        proxmox.add("qemu", 100, vnc.connect).name = "web"
        admin = Admin(proxmox.access, [Node("pve01", cert, "127.0.0.1")])
        proxmox.attach(admin.handle)
        yield Site(proxmox, admin, command, vnc)


@pytest.fixture
def site(cert: Cert) -> Iterator[Site]:
    with site_of(cert) as site:
        yield site


def mode(path: Path) -> str:
    status = path.stat()
    return f"{status.st_uid}:{status.st_gid} {stat.S_IMODE(status.st_mode):o}"


def given(site: Site) -> set[tuple[str, str]]:
    """The permissions that the role gives: (path, user or token)."""
    return {(path, id) for path, _, id, role in site.admin.acl if role == ROLE}


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


# --- trust --------------------------------------------------------------------------------------


@pytest.mark.parametrize("colons", [True, False])
def test_fingerprint_replaces_the_question(site: Site, cert: Cert, colons: bool) -> None:
    fingerprint = cert.fingerprint if colons else cert.fingerprint.replace(":", "").lower()
    done = site.command.run(site.host, "--fingerprint", fingerprint, answers=[password()])
    assert done.status == OK and "[yes/no]" not in done.screen


def test_wrong_fingerprint_sends_nothing(site: Site) -> None:
    words = site.command.refusal(EX_UNAVAILABLE, site.host, "--fingerprint", "AB" * 32)
    assert "another fingerprint" in words and site.proxmox.requests == []


def test_refused_certificate_sends_nothing(site: Site) -> None:
    words = site.command.refusal(EX_UNAVAILABLE, site.host, answers=[(YES[0], "what?\n"), (YES[0], "no\n")])
    assert words == "the certificate was not accepted. Nothing was sent" and site.proxmox.requests == []


def test_certificate_that_changes_after_the_question_gets_nothing(cert: Cert, authority: Authority) -> None:
    """The password goes only to the certificate that was accepted, even if the CA is the same."""
    with StandIn(cert) as first, SetupCommand() as command:
        port = first.port
        other = authority.leaf("changed")
        context = first._tls

        def change() -> None:
            context.load_cert_chain(other.cert, other.key)

        done = command.run(f"127.0.0.1:{port}", answers=[YES, password()], on_question=change)
        assert done.status == EX_UNAVAILABLE and "shows another certificate" in done.err
        assert first.requests == []


def test_certificate_of_another_ca_is_pinned(authority: Authority, tmp_path: Path) -> None:
    other = Authority(tmp_path, "a company's CA").leaf("custom")
    with site_of(other) as site:
        site.admin.nodes[0] = Node("pve01", authority.leaf("pve-ssl"), "127.0.0.1", custom=other)
        out = site.command.ok(site.host)
        assert "neither the cluster's CA nor one of this system" in out and "OK: the console" in out
        written = site.command.cluster_file()
        assert written["FINGERPRINTS"] == other.fingerprint and "CA_FILE" not in written
        assert "[yes/no]" not in site.command.run(site.host).screen


def test_certificate_that_the_cluster_file_does_not_verify_is_asked_about(site: Site, tmp_path: Path) -> None:
    """Such as after the cluster's CA was replaced, or in an attack."""
    site.command.ok(site.host)
    other = Authority(tmp_path, "another CA").leaf("other")
    site.proxmox._tls.load_cert_chain(other.cert, other.key)
    assert "[yes/no]" in site.command.run(site.host, answers=[(YES[0], "no\n")]).screen


def test_ipv6_address(cert: Cert) -> None:
    with StandIn(cert, addresses=("::1",)) as proxmox, SetupCommand() as command:
        proxmox.add("qemu", 100, VncConsole(idle).connect)
        proxmox.attach(Admin(proxmox.access, [Node("pve01", cert, "::1")]).handle)
        host = f"[::1]:{proxmox.port}"
        assert "OK: the console" in command.ok(host, answers=(YES, password(host="::1")))
        assert command.cluster_file()["HOSTS"] == host


def test_certificate_for_another_name_is_pinned(authority: Authority) -> None:
    with site_of(authority.wrong_name()) as site:
        out = site.command.ok(site.host)
        assert "it is not for this name or address" in out and "OK: the console" in out
        assert "FINGERPRINTS" in site.command.cluster_file()


def test_certificate_of_a_public_ca_needs_no_question_and_no_file(authority: Authority, tmp_path: Path) -> None:
    """Such as that of ACME: sessions verify it with the CAs of the system."""
    public = Authority(tmp_path, "a public CA")
    with site_of(public.leaf("acme")) as site:
        site.admin.nodes[0] = Node("pve01", authority.leaf("pve-ssl"), "127.0.0.1", custom=public.leaf("acme"))
        trusted = site.command.directory / "certs"
        trusted.mkdir()
        shutil.copy(public.ca, trusted)
        subprocess.run(["openssl", "rehash", trusted], check=True)
        site.command.places[trusted] = Path("/etc/ssl/certs")
        done = site.command.run(site.host, answers=[password()])
        assert done.status == OK and "verified by a CA of this system" in done.out and "OK: the console" in done.out
        assert set(site.command.cluster_file()) == {"HOSTS", "TOKEN"}
        site.command.settings["PROXXY_CA_FILE"] = authority.ca
        assert "Warning: PROXXY_CA_FILE is set" in site.command.run(site.host, answers=[password()]).out


def test_expired_certificate_is_pinned(authority: Authority) -> None:
    with site_of(authority.expired()) as site:
        assert "because it has expired" in site.command.ok(site.host)


def test_http_proxy_of_the_environment_is_not_used(site: Site) -> None:
    site.command.ok(site.host, https_proxy="http://127.0.0.1:1", ALL_PROXY="http://127.0.0.1:1")


def test_other_nodes_become_hosts(cert: Cert, authority: Authority) -> None:
    """Those that answer with a certificate that a session would verify."""
    second = authority.leaf("pve02", dns=("pve02",), ips=("127.0.0.2",))
    wrong = authority.leaf("pve03", dns=("elsewhere.invalid",), ips=("192.0.2.3",))
    with site_of(cert) as site:
        port = site.proxmox.port
        with (
            StandIn(second, node="pve02", joins=site.proxmox, addresses=("127.0.0.2",), port=port),
            StandIn(wrong, node="pve03", joins=site.proxmox, addresses=("127.0.0.3",), port=port),
        ):
            site.admin.cluster = "prod"
            site.admin.nodes += [
                *(Node("pve02", second, "127.0.0.2"), Node("pve03", wrong, "127.0.0.3")),
                *(Node("pve04", cert, "127.0.0.4", online=False), Node("pve05", cert, "127.0.0.5")),
            ]
            out = site.command.ok(site.host)
            assert site.command.cluster_file("prod")["HOSTS"] == f"127.0.0.1:{port},127.0.0.2:{port}"
            # A node that is off at the next run stays.
            site.admin.nodes[1].online = False
            again = site.command.ok(site.host)
            assert "node pve02 is not added: it is offline" in again and "127.0.0.2 stays in the list" in again
        assert site.command.cluster_file("prod")["HOSTS"] == f"127.0.0.1:{port},127.0.0.2:{port}"
        not_added = dict(re.findall(r"node (\w+) is not added: (.*)", out))
        assert set(not_added) == {"pve03", "pve04", "pve05"} and not_added["pve04"] == "it is offline"
        assert "Connection refused" in not_added["pve05"]


def test_another_cluster_of_the_same_name_needs_another_name(site: Site) -> None:
    """Every new installation may be called pve."""
    site.command.clusters.mkdir()
    file = site.command.clusters / "pve01.conf"
    file.write_text(f"HOSTS=192.0.2.9\nTOKEN={TOKEN}=x\n")
    assert "--name" in site.command.refusal(EX_CONFIG, site.host)
    assert site.admin.calls == [] and "192.0.2.9" in file.read_text()
    out = site.command.ok(site.host, "--name", "second")
    assert "set PROXXY_PAGE" in out and out.endswith("\nNext, as root: proxxy-url --cluster second --vmid 100\n")
    assert site.command.cluster_file("second")["HOSTS"] == site.host


# --- refusals -----------------------------------------------------------------------------------


def test_wrong_password(site: Site) -> None:
    words = site.command.refusal(EX_NOPERM, site.host, answers=(YES, password("wrong")))
    assert "401 authentication failure" in words and "wrong" not in words


def test_empty_password(site: Site) -> None:
    words = site.command.refusal(EX_NOINPUT, site.host, answers=(YES, (password()[0], "\n")))
    assert words == "no password. Nothing was changed"


def test_interrupt_at_the_password_brings_the_echo_back(site: Site) -> None:
    done = site.command.run(site.host, answers=(YES, (password()[0], "sec\x03")))
    assert done.status == -signal.SIGINT and done.echo and "sec" not in done.screen


def test_one_time_code(site: Site) -> None:
    site.proxmox.access.second_factor["root@pam"] = "123456"
    question = "One-time code of root@pam: "
    done = site.command.run(site.host, answers=(YES, password(), (question, "123456\n")))
    assert done.status == OK and "OK: the console" in done.out and "123456" not in done.screen
    words = site.command.refusal(EX_NOPERM, site.host, answers=(YES, password(), (question, "123457\n")))
    assert "401 authentication failure" in words and "one-time code" in words
    words = site.command.refusal(EX_NOINPUT, site.host, answers=(YES, password(), (question, "\n")))
    assert words == "no one-time code. Nothing was changed"


def test_other_second_factor(site: Site) -> None:
    site.proxmox.access.second_factor["root@pam"] = ""
    words = site.command.refusal(EX_NOPERM, site.host)
    assert "second factor" in words and "pveum user token add root@pam" in words


@pytest.mark.parametrize("missing", sorted(EVERYTHING - {"/access Sys.Audit"}))
def test_each_missing_privilege_is_named(site: Site, missing: str) -> None:
    site.admin.privileges["alice@pve"] = EVERYTHING - {missing}
    answers = (YES, password("alice's password", "alice@pve"))
    words = site.command.refusal(EX_NOPERM, site.host, "--user", "alice@pve", answers=answers)
    assert f"403 Permission check failed ({missing.replace(' ', ', ')})" in words and "Administrator" in words
    assert not (site.command.clusters / "pve01.conf").exists()


def test_another_administrator_can_do_it(site: Site) -> None:
    site.admin.privileges["alice@pve"] = EVERYTHING
    answers = (YES, password("alice's password", "alice@pve"))
    assert "OK: the console" in site.command.ok(site.host, "--user", "alice@pve", answers=answers)


def test_disabled_user(site: Site) -> None:
    site.admin.users[USER] = User(enable=0)
    assert "--enable 1" in site.command.refusal(EX_NOPERM, site.host)


def test_nothing_listens(site: Site) -> None:
    words = site.command.refusal(EX_UNAVAILABLE, "127.0.0.1:1")
    assert "Connection refused" in words and "firewall" in words


def test_no_such_name(site: Site) -> None:
    assert "pve.invalid: " in site.command.refusal(EX_UNAVAILABLE, "pve.invalid")


def test_host_that_is_not_proxmox(cert: Cert) -> None:
    with StandIn(cert) as other, SetupCommand() as command:
        words = command.refusal(EX_UNAVAILABLE, f"127.0.0.1:{other.port}")
        assert "501" in words and "Is this Proxmox VE" in words


def test_without_a_terminal(site: Site, cert: Cert) -> None:
    assert "--fingerprint" in site.command.refusal(EX_NOINPUT, site.host, answers=None)
    options = ("--fingerprint", cert.fingerprint)
    assert "--token-file" in site.command.refusal(EX_NOINPUT, site.host, *options, answers=None)


def test_machine_without_proxxy(site: Site) -> None:
    assert "no user proxxy" in site.command.refusal(EX_NOUSER, site.host, accounts=False)


def test_user_who_is_not_root(site: Site) -> None:
    command = [
        "setpriv",
        f"--reuid={UID}",
        f"--regid={UID}",
        "--clear-groups",
        *site.command.command([site.host], False),
    ]
    done = subprocess.run(command, env=site.command.environment(), capture_output=True, text=True)
    assert done.returncode == EX_NOPERM and "only root" in done.stderr


@pytest.mark.parametrize(
    "arguments, words",
    [
        ((), "HOST is missing"),
        (("a b",), "HOST must be"),
        (("pve01", "pve02"), "pve02: unexpected argument"),
        (("pve01", "--path", "/nodes/pve01"), "--path must be"),
        (("pve01", "--path", "/vms/1;id"), "--path must be"),
        (("pve01", "--vmid", "0"), "--vmid must be"),
        (("pve01", "--name", "../x"), "--name must be"),
        (("pve01", "--name", ".x"), "--name must be"),
        (("pve01", "--user", "root"), "--user must be"),
        (("pve01", "--fingerprint", "AB"), "--fingerprint must be"),
        (("pve01", "--token-name", "1x"), "--token-name must be"),
        (("pve01", "--page", "panel.example.com"), "--page must be"),
        (("pve01", "--page", "https://panel.example.com/'x"), "--page must be"),
        (("pve01", "--undo", "--vmid", "100"), "cannot be combined"),
        (("pve01", "--undo", "--new-token"), "cannot be combined"),
        (("pve01", "--yes"), "--yes is for --undo"),
        (("pve01", "--user", "root@pam", "--token-file", "x"), "cannot be combined"),
        (("pve01", "--nothing"), "--nothing: no such option"),
        (("pve01", "--path"), "--path needs a value"),
    ],
)
def test_usage(site: Site, arguments: tuple[str, ...], words: str) -> None:
    assert words in site.command.refusal(EX_USAGE, *arguments, answers=None)


def test_console_that_does_not_open_is_explained(site: Site) -> None:
    site.proxmox.daemon_error = (595, "Connection refused")
    words = site.command.refusal(EX_UNAVAILABLE, site.host)
    assert "the console of VM 100 did not open: Proxmox: 127.0.0.1: vncproxy: 595 Connection refused; " in words
    # What was made stays, so that the next run finds it.
    assert (site.command.clusters / "pve01.conf").exists()


def test_allowed_origins_are_no_obstacle(site: Site) -> None:
    site.command.settings["PROXXY_ALLOWED_ORIGINS"] = "https://*.panel.example, https://other.example"
    assert "OK: the console" in site.command.ok(site.host)


def test_payloads_that_proxxy_url_makes_must_be_accepted(site: Site) -> None:
    site.command.settings["PROXXY_PAYLOADS"] = "cbc"
    assert "PROXXY_PAYLOADS" in site.command.refusal(EX_CONFIG, site.host)
    assert site.proxmox.requests == []


def test_cluster_file_that_cannot_be_read(site: Site) -> None:
    site.command.clusters.mkdir()
    (site.command.clusters / "pve01.conf").write_text("HOSTS=pve01\n")
    assert "pve01.conf: TOKEN is missing" in site.command.refusal(EX_CONFIG, site.host)
    assert site.admin.calls == []


def test_directory_that_cannot_be_made(site: Site) -> None:
    site.command.settings["PROXXY_CLUSTER_DIRECTORY"] = site.command.directory / "missing" / "clusters"
    assert "missing/clusters: No such file" in site.command.refusal(EX_CANTCREAT, site.host)


@pytest.mark.parametrize(
    "path, data",
    [
        ("/cluster/status", {"type": "node"}),
        ("/cluster/status", []),
        ("/cluster/status", [None, 7, {"type": "node", "local": 1, "name": "../x"}]),
        ("/access/roles", None),
        ("/access/users", "none"),
        ("/access/acl", {}),
        ("/cluster/resources", {}),
    ],
)
def test_answer_that_is_not_proxmoxs(site: Site, path: str, data: Any) -> None:
    def answer(method: str, asked: str, identity: str, given: Mapping[str, str]) -> tuple[Any] | None:
        return (data,) if (method, asked) == ("GET", path) else site.admin.handle(method, asked, identity, given)

    site.proxmox.attach(answer)
    if path == "/cluster/resources":
        setattr(site.proxmox.cluster, "resources", lambda identity, type: data)
    assert "its answer to" in site.command.refusal(EX_PROTOCOL, site.host)


def test_token_without_a_secret_in_the_answer(site: Site) -> None:
    def answer(method: str, asked: str, identity: str, given: Mapping[str, str]) -> tuple[Any] | None:
        data = site.admin.handle(method, asked, identity, given)
        return ({"value": "two\nlines"},) if "/token/" in asked else data

    site.proxmox.attach(answer)
    assert "no secret" in site.command.refusal(EX_PROTOCOL, site.host)
    assert not (site.command.clusters / "pve01.conf").exists()


def test_session_that_cannot_read_its_key_is_explained(site: Site) -> None:
    os.chown(site.command.key, 0, 0)
    words = site.command.refusal(EX_CONFIG, site.host)
    assert "did not open" in words and "signature.key: Permission denied" in words


# --- secrets ------------------------------------------------------------------------------------


def test_no_secret_in_arguments_environment_or_output(site: Site) -> None:
    seen: list[bytes] = []

    async def look(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        """The guest looks at every process while the console is open."""
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if entry.name.isdigit() and b"proxxy-" in (entry / "comm").read_bytes():
                    text = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
                    if str(site.command.directory).encode() in text:  # others run at the same time
                        seen.append(text)
        await reader.read()

    site.proxmox.add("qemu", 100, VncConsole(look).connect)
    done = site.command.run(site.host)
    assert done.status == OK and b"".join(seen).count(b"proxxy-setup\0") == 1
    secret = site.command.cluster_file()["TOKEN"].rpartition("=")[2]
    for secret in (secret, "secret", site.command.key.read_text()):
        text = done.out.replace("without a password", "") + done.err + done.screen
        assert secret not in text and secret.encode() not in b"".join(seen).replace(b"secrets", b"")


def test_password_is_not_shown(site: Site) -> None:
    assert "secret" not in site.command.run(site.host).screen


def test_subject_cannot_show_a_fingerprint(authority: Authority) -> None:
    """The subject is text of whoever answers. With spaces, its end would be in the next line of a terminal, in the
    column of the fingerprint."""
    name = " ".join(f"{byte:02X}" for byte in range(32)).replace(" ", ":")
    cert = authority.leaf("long", organization="x" + 80 * " " + name)
    with site_of(cert) as site:
        done = site.command.run(site.host)
    lines = done.out.splitlines()
    assert lines[0].startswith("certificate  O = x") and lines[1].strip() == cert.fingerprint
    assert len(lines[0]) < 80 and name not in done.out


def test_file_of_another_cluster_at_the_same_address(site: Site, cert: Cert) -> None:
    """Ports of one address may lead to different clusters, whose nodes may have the same name."""
    site.command.ok(site.host)
    before = site.command.cluster_file()
    with site_of(cert) as other:
        words = site.command.refusal(EX_CONFIG, other.host)
        assert f"pve01.conf is for another host (127.0.0.1 port {site.proxmox.port})" in words
        assert other.admin.calls == [] and site.command.cluster_file() == before


def test_cluster_that_claims_the_host_of_another(cert: Cert, authority: Authority) -> None:
    """A host that names another cluster's host as a node does not get that cluster's token."""
    mine = authority.leaf("mine", ips=("127.0.0.2",))
    shown = authority.leaf("shown", ips=("127.0.0.2",), self_signed=True)
    with site_of(cert) as site:
        site.command.ok(site.host)
        before = site.command.cluster_file()
        with StandIn(shown, addresses=("127.0.0.2",), port=site.proxmox.port) as other:
            nodes = [Node("pve01", mine, "127.0.0.2", custom=shown), Node("pve02", cert, "127.0.0.1")]
            admin = Admin(other.access, nodes)
            admin.cluster = "pve01"
            other.attach(admin.handle)
            host = f"127.0.0.2:{other.port}"
            words = site.command.refusal(EX_CONFIG, host, answers=(YES, password(host="127.0.0.2")))
        assert f"pve01.conf is for another host (127.0.0.1 port {site.proxmox.port})" in words
        assert admin.calls == [] and site.command.cluster_file() == before


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

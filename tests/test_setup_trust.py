# SPDX-License-Identifier: Apache-2.0
"""proxxy-setup: which certificates it trusts, what it refuses, and that no secret of it can be seen."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any, Iterator, Mapping

import pytest
from lib.certs import Authority, Cert
from lib.pve_admin import Admin, Node, User
from lib.setup_command import UID, YES, SetupCommand, password
from lib.standin import StandIn
from lib.vnc_console import VncConsole

from lib.setup_site import (
    EVERYTHING,
    EX_CANTCREAT,
    EX_CONFIG,
    EX_NOINPUT,
    EX_NOPERM,
    EX_NOUSER,
    EX_PROTOCOL,
    EX_UNAVAILABLE,
    EX_USAGE,
    OK,
    Site,
    TOKEN,
    USER,
    idle,
    site_of,
)


@pytest.fixture
def site(cert: Cert) -> Iterator[Site]:
    with site_of(cert) as site:
        yield site


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
        (("pve01", "--page", "https://panel.example.com/console/novnc.html"), "--page must be"),
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


def test_console_opens_whatever_a_proxy_must_tell(site: Site) -> None:
    """No proxy is before this session, so none sends a PROXY header."""
    site.command.settings["PROXXY_CLIENT_ADDRESS"] = "proxy-protocol"
    assert "OK: the console of VM 100 (web) opened" in site.command.ok(site.host)


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

# SPDX-License-Identifier: Apache-2.0
"""Which tests run at the same time. tests/run starts pytest once for each kind: most tests wait, so many run at once.
pytest without --kind runs every test, one after the other."""

from __future__ import annotations

from collections import Counter

import pytest

KINDS = ("waiting", "busy", "timed", "alone", "quick")

# Each name is a file, or a file and a test.

# No other test may run at the same time as these.
_BROWSER = "a browser needs both processors, and its pages have deadlines"
_UNIT = "journald looks up a record's unit by its process, which has ended by then if the machine is busy"
ALONE = {
    "test_bench_programs": "it measures what the machine can do",
    "test_browser_desktop": _BROWSER,
    "test_browser_element": _BROWSER,
    "test_browser_operators": _BROWSER,
    "test_browser_pages_choices": _BROWSER,
    "test_browser_elements": _BROWSER,
    "test_browser_pages_ends": _BROWSER,
    "test_browser_pages_focus": _BROWSER,
    "test_browser_pages_links": _BROWSER,
    "test_browser_pages_live": _BROWSER,
    "test_browser_pages_messages": _BROWSER,
    "test_browser_pages_network": _BROWSER,
    "test_browser_pages_others": _BROWSER,
    "test_browser_pages_panel": _BROWSER,
    "test_browser_pages_reconnect": _BROWSER,
    "test_browser_pages_typing": _BROWSER,
    "test_browser_qemu_typing": "it makes the machine busy, and " + _BROWSER,
    "test_browser_slow_network": _BROWSER,
    "test_browser_terminal": _BROWSER,
    "test_browser_view": _BROWSER,
    "test_browser_vnc": _BROWSER,
    "test_demo": "it ends every process of an account that was unused, which another test may choose too",
    "test_many_hosts": "HAProxy, three hosts and thirty browsers need both processors, and consoles must open in time",
    "test_native_viewer::test_tigervnc_shows_the_desktop_and_types_into_it": "two X servers, a viewer and deadlines",
    "test_systemd::test_journal_tells_begin_and_end_and_no_secret": _UNIT,
    "test_systemd::test_socket_says_at_its_start_what_should_not_last": _UNIT,
    "test_systemd::test_stopping_a_session_says_goodbye": _UNIT,
    "test_systemd_journal": _UNIT,
    "test_systemd_sockets::test_check_reads_as_the_sessions_user_does": _UNIT,
}

# These fail if something takes half a second longer than usual. One for each processor runs at once.
TIMED = {
    "test_hostile_node::test_interim_answers_without_end",
    "test_native_viewer::test_waiting_takes_no_processor",
    "test_payload_authenticated::test_each_mistake_has_its_words_in_the_log_and_one_answer",
    "test_random_sessions",
    "test_relay",
    "test_slow_log",
    "test_vanished_peer::test_client_that_vanishes_is_noticed_within_two_pings",
    "test_vanished_peer::test_short_outage_ends_no_session",
}

# These compile, encrypt or move much data. One for each processor runs at once.
BUSY = {
    "test_containers",
    "test_kubernetes",
    "test_backend_examples",
    "test_browser_sdk_panels",
    "test_build",
    "test_client_limits",
    "test_console_units",
    "test_console_examples",
    "test_console_examples",
    "test_console_units",
    "test_debian_package",
    "test_hostile_node",
    "test_install",
    "test_jwe_libraries",
    "test_proxmox_tls",
    "test_sandbox",
    "test_sdk",
    "test_sdk_packages",
    "test_shell_example",
    "test_slow_reader",
    "test_unix_socket::test_back_pressure_downwards",
    "test_unix_socket::test_back_pressure_upwards",
}

# Files whose tests share no state: each function may run in another process. The tests of any other file stay in one,
# so that they share its fixtures.
SPLIT = {
    "test_client_address",
    "test_hostile_node",
    "test_pings",
    "test_proxmox_connect",
    "test_proxmox_tls",
    "test_relay",
    "test_request_smuggling",
    "test_rfc6455_data",
    "test_rfc6455_ends",
    "test_rfc6455_handshake",
    "test_session_ends",
    "test_session_limits",
    "test_setup",
    "test_setup_trust",
    "test_slow_reader",
}

# A file whose tests take up to a minute each: all of them may run in different processes.
APART = {"test_vanished_peer"}

# These boot a systemd: one after the other, so that no more than two run at once (test_systemd_sockets has another).
MACHINE = {
    "test_operators_page",
    "test_fronts_systemd",
    "test_readme_steps",
    "test_status_unit",
    "test_systemd",
    "test_systemd_dropins",
}

# Files that take long begin first, then groups with many tests.
LONGEST = (
    "test_containers",
    "test_systemd_sockets",
    "test_systemd",
    "test_debian_package",
    "test_sdk",
    "test_shell_example",
    "test_backend_examples",
    "test_relay",
    "test_vanished_peer",
    "test_hostile_node",
)

# A session of each kind, for make check-quick.
QUICK = {
    "test_browser_desktop",
    "test_browser_pages_typing::test_a_command_is_typed_and_its_output_read",
    "test_browser_pages_typing::test_keys_reach_the_guest",
    "test_data_arrives::test_data_in_one_segment_with_the_request_is_kept",
    "test_list_of_tests",
    "test_manuals",
    "test_messages",
    "test_payload_authenticated::test_jwe_opens_a_console",
    "test_payload_old_format::test_invalid_payload_is_one_answer_byte_for_byte",
    "test_proxxy_url_consoles::test_terminal",
    "test_proxxy_url_consoles::test_url_of_a_vm_opens_its_console",
    "test_proxxy_url_links::test_link_opens_consoles_until_it_expires",
    "test_refusal_in_close::test_used_link_is_told_so",
    "test_websocket_libraries",
    "test_xinetd",
}


def choose(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keeps only the tests of the requested kind. In a worker of pytest-xdist, also sets their groups and order."""
    kind = config.getoption("kind")
    if kind:
        others = [item for item in items if not _is(kind, item)]
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if _is(kind, item)]
    if hasattr(config, "workerinput"):
        groups = [_group(item) for item in items]
        sizes = Counter(groups)
        for item, group in zip(items, groups):
            item.add_marker(pytest.mark.xdist_group(group))
        items.sort(key=lambda item: (_place(item), -sizes[_group(item)]))


def _is(kind: str, item: pytest.Item) -> bool:
    names = {_file(item), _function(item)}
    if kind == "quick":
        return bool(names & QUICK)
    for name, of_that_kind in (("alone", ALONE.keys()), ("timed", TIMED), ("busy", BUSY)):
        if names & of_that_kind:
            return kind == name
    return kind == "waiting"


def _file(item: pytest.Item) -> str:
    return item.path.stem


def _function(item: pytest.Item) -> str:
    return f"{_file(item)}::{getattr(item, 'originalname', item.name)}"


def _group(item: pytest.Item) -> str:
    """Returns the test's group. The tests of one group run in one process, one after the other."""
    if _file(item) in SPLIT:
        return _function(item).replace("::", ".")
    if _file(item) in APART:
        return f"{_file(item)}.{item.name}"
    if _file(item) in MACHINE:
        return "machine"
    spawner = item.callspec.params.get("proxxy") if hasattr(item, "callspec") else None
    return f"{_file(item)}.{spawner.__name__}" if spawner else _file(item)


def _place(item: pytest.Item) -> int:
    return LONGEST.index(_file(item)) if _file(item) in LONGEST else len(LONGEST)

#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Example of a panel's backend: POST /console-link/TYPE/VMID answers {"link": …}, a link to the guest's console. It
checks first that the customer may open it. GET / is a small panel, which shows the console in a frame."""

from __future__ import annotations

import json
import os
import re
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from proxxy import GuestType, InvalidOption, Proxxy

PAGE, CLUSTER = os.environ["PROXXY_PAGE"], os.environ["PROXXY_CLUSTER"]
PAGE_ORIGIN = "{0.scheme}://{0.netloc}".format(urlsplit(PAGE))
GUESTS = os.environ.get("GUESTS", "").split()
proxxy = Proxxy(key_file=os.environ["PROXXY_KEY_FILE"], page=PAGE)


def customer_of(request: BaseHTTPRequestHandler, guest: str) -> str | None:
    """YOURS TO FILL IN. Returns the customer's name if the session of this request may open the guest's console, else
    None. proxxy opens whatever a link names: this is the only check. Here, everybody may open the guests in GUESTS."""
    return "alice" if guest in GUESTS else None


def open_console(request: BaseHTTPRequestHandler, type: GuestType, vmid: int) -> tuple[int, dict[str, Any]]:
    customer = customer_of(request, f"{type}/{vmid}")
    if customer is None:
        return 403, {"error": "You may not open this console."}
    title = f"{type} {vmid}"
    link = proxxy.link(vmid=vmid, type=type, cluster=CLUSTER, sub=customer, origin=PAGE_ORIGIN, title=title)
    return 200, {"link": link}


PANEL = """<!doctype html>
<meta charset="utf-8">
<title>Panel</title>
<p>BUTTONS</p>
<p id="error" role="alert"></p>
<iframe title="Console" width="1024" height="768" allow="fullscreen; clipboard-read; clipboard-write"></iframe>
<script type="module">
  const frame = document.querySelector("iframe");
  let guest;

  async function open(chosen) {
    guest = chosen;
    const answer = await fetch("/console-link/" + guest, { method: "POST" });
    const { link, error = "" } = await answer.json();
    document.querySelector("#error").textContent = error;
    if (link) frame.src = link;
  }

  for (const button of document.querySelectorAll("button")) button.onclick = () => open(button.value);
  // The console needs another link: the last one has expired, or its user wants to open it again.
  addEventListener("message", ({ source, origin, data }) => {
    const isConsole = source === frame.contentWindow && origin === PAGE_ORIGIN;
    if (isConsole && data?.type === "proxxy:again") open(guest);
  });
</script>
"""
PANEL = PANEL.replace("PAGE_ORIGIN", json.dumps(PAGE_ORIGIN))
PANEL = PANEL.replace("BUTTONS", " ".join(f'<button value="{guest}">{guest}</button>' for guest in GUESTS))


class Panel(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/":
            self.answer(200, "text/html; charset=utf-8", PANEL)
        else:
            self.answer_json(404, {"error": "There is no such page."})

    def do_POST(self) -> None:
        found = re.fullmatch(r"/console-link/(qemu|lxc)/([0-9]{1,9})", self.path)
        if not found:
            self.answer_json(404, {"error": "There is no such page."})
            return
        try:
            self.answer_json(*open_console(self, "lxc" if found[1] == "lxc" else "qemu", int(found[2])))
        except InvalidOption as error:
            print(error, file=sys.stderr)  # no error of the library has a secret in it
            self.answer_json(400, {"error": str(error)})

    def answer_json(self, status: int, body: dict[str, Any]) -> None:
        self.answer(status, "application/json", json.dumps(body))

    def answer(self, status: int, kind: str, text: str) -> None:
        self.send_response(status)
        for name, value in [("Content-Type", kind), ("Content-Length", len(text.encode())), ("Connection", "close")]:
            self.send_header(name, str(value))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(text.encode())


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", "8080"))), Panel).serve_forever()

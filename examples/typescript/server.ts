// SPDX-License-Identifier: Apache-2.0
// Example of a panel's backend: POST /console-link/TYPE/VMID answers {"link": …}, a link to the guest's console. It
// checks first that the customer may open it. GET / is a small panel, which shows the console in a frame.
import { createServer, type IncomingMessage } from "node:http";
import { InvalidOption, Proxxy, type GuestType } from "@proxxy/sdk";

const { PROXXY_KEY_FILE: keyFile, PROXXY_PAGE: page = "", PROXXY_CLUSTER: cluster = "" } = process.env;
const { PORT = "8080", GUESTS = "" } = process.env;
const proxxy = new Proxxy({ keyFile, page });
const pageOrigin = new URL(page).origin;

/**
 * YOURS TO FILL IN. Returns the customer's name if the session of this request may open the guest's console, else
 * null. proxxy opens whatever a link names: this is the only check. Here, everybody may open the guests in GUESTS.
 */
function customerOf(request: IncomingMessage, guest: string): string | null {
  return GUESTS.split(" ").includes(guest) ? "alice" : null;
}

async function openConsole(request: IncomingMessage, type: GuestType, vmid: number): Promise<[number, object]> {
  const customer = customerOf(request, `${type}/${vmid}`);
  if (!customer) return [403, { error: "You may not open this console." }];
  const link = await proxxy.link({ vmid, type, cluster, sub: customer, origin: pageOrigin, title: `${type} ${vmid}` });
  return [200, { link }];
}

const panel = `<!doctype html>
<meta charset="utf-8">
<title>Panel</title>
<p>${GUESTS.split(" ").map((guest) => `<button value="${guest}">${guest}</button>`).join(" ")}</p>
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
    const isConsole = source === frame.contentWindow && origin === ${JSON.stringify(pageOrigin)};
    if (isConsole && data?.type === "proxxy:again") open(guest);
  });
</script>
`;

const server = createServer(async (request, response) => {
  const [, type, vmid] = /^\/console-link\/(qemu|lxc)\/(\d{1,9})$/.exec(request.url ?? "") ?? [];
  if (request.method === "GET" && request.url === "/") {
    response.writeHead(200, { "Content-Type": "text/html; charset=utf-8" }).end(panel);
    return;
  }
  let answer: [number, object] = [404, { error: "There is no such page." }];
  try {
    if (request.method === "POST" && type) answer = await openConsole(request, type as GuestType, Number(vmid));
  } catch (error) {
    console.error(error); // no error of the library has a secret in it
    answer = error instanceof InvalidOption ? [400, { error: error.message }] : [500, { error: "Please try again." }];
  }
  const [status, body] = answer;
  response.writeHead(status, { "Content-Type": "application/json", "Cache-Control": "no-store" });
  response.end(JSON.stringify(body));
});
server.listen(Number(PORT), "127.0.0.1");

// SPDX-License-Identifier: Apache-2.0
// The script inside the pages: takes the link out of the address and opens the WebSocket, before the page's module is
// there, which comes late on a slow network. Where a Content-Security-Policy forbids this script, page.ts does it.
import { parseLink, TabLink } from "./link.js";
import { hold, openSocket, websocketOf, type Early } from "./socket.js";

const INCOMPLETE = "The console cannot be shown: a part of this page is missing.";

function open(link: string): Early {
  const nothing = { link, socket: null, held: [], closed: null };
  const { payload } = parseLink(link, location.origin);
  try {
    return payload ? hold(openSocket(payload, websocketOf(document), document.baseURI), link) : nothing;
  } catch {
    return nothing; // page.ts has the same error, and says so
  }
}

const early = (window.proxxyEarly = open(new TabLink(window).take()));

/** Nothing else of the page can say it. */
function explain(reason: string): void {
  early.socket?.close();
  document.documentElement.className = "ended";
  const panel = parent === window ? (opener as Window | null) : parent;
  panel?.postMessage({ type: "proxxy:closed", code: 4000, reason }, "*");
  const again = document.createElement("button");
  again.textContent = "Try again";
  again.onclick = () => location.reload();
  const details = document.createElement("code");
  details.textContent = reason;
  document.querySelector("proxxy-console")?.replaceChildren(INCOMPLETE, again, details);
}

// The module is not there, or this browser cannot run it.
addEventListener(
  "error",
  ({ target, message }) => {
    if (customElements.get("proxxy-console")) return;
    const reason = target instanceof HTMLScriptElement ? `Cannot load ${target.src}` : message;
    // Other parts of the page, such as its icon, do not matter.
    if (!reason) return;
    if (document.readyState === "loading") addEventListener("DOMContentLoaded", () => explain(reason));
    else explain(reason);
  },
  true,
);

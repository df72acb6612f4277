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

// The module is not there, so this has to say it.
addEventListener(
  "error",
  ({ target }) => {
    if (!(target instanceof HTMLScriptElement)) return;
    early.socket?.close();
    const page = document.documentElement;
    page.className = "ended";
    const show = () => (document.querySelector("proxxy-console")!.textContent = INCOMPLETE);
    if (document.readyState === "loading") addEventListener("DOMContentLoaded", show);
    else show();
  },
  true,
);

// SPDX-License-Identifier: Apache-2.0
// The script inside the pages: takes the link out of the address and opens the WebSocket, before the page's module is
// there, which comes late on a slow network. Where a Content-Security-Policy forbids this script, page.ts does it.
import { parseLink, TabLink } from "./link.js";
import { hold, openSocket, websocketOf } from "./socket.js";

const link = new TabLink(window).take();
const { payload } = parseLink(link, location.origin);
if (payload) {
  try {
    window.proxxyEarly = hold(openSocket(payload, websocketOf(document), document.baseURI), link);
  } catch {
    // then page.ts says so
  }
}
window.proxxyEarly ??= { link, socket: null, held: [], closed: null };

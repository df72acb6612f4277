// SPDX-License-Identifier: Apache-2.0
// What both pages do around their <proxxy-console>: give it the links that come in the fragment, connect it with the
// window that has the page in a frame, and keep the page's title and size.
import { define, provide, type ProxxyConsole } from "./element.js";
import type { ConsoleEvents } from "./events.js";
import { Frame } from "./frame.js";
import type { Kind, MakeGuest } from "./guest.js";
import { choose } from "./i18n.js";
import { parseLink, TabLink, type Link } from "./link.js";
import { websocketOf, type Early } from "./socket.js";

class Page {
  #element = document.querySelector("proxxy-console") as ProxxyConsole;
  #tab = new TabLink(window);
  #frame = new Frame(window, this.#element);
  #name = document.title;
  #label = "";
  #early: Early | undefined = window.proxxyEarly;

  constructor() {
    delete window.proxxyEarly;
    const element = this.#element;
    element.addEventListener("state", ({ detail }) => (document.documentElement.className = detail.state));
    element.addEventListener("closed", (event) => this.#closed(event));
    element.addEventListener("consoletitle", ({ detail }) => this.#showTitle(detail.title));
    if (window.parent === window) element.addEventListener("leave", leave);
    // A page that was left must not keep its console in the browser's cache of pages.
    addEventListener("pagehide", () => (element.payload = ""));
    addEventListener("pageshow", (event) => event.persisted && this.start());
    addEventListener("hashchange", () => this.start());
    // iOS lays its keyboard over the page, which would keep its height, and the line that is typed below it.
    visualViewport?.addEventListener("resize", () => {
      const { scale, height } = visualViewport!;
      document.body.style.height = scale > 1.01 ? "" : `${height}px`;
    });
  }

  /** Opens the address's link, or the one that was kept. */
  start(): void {
    const early = this.#early;
    this.#early = undefined;
    const link = parseLink(early?.link ?? this.#tab.take(), location.origin);
    this.#label = link.title;
    this.#showTitle("");
    this.#frame.allow(link.panels);
    this.#open(link, early);
  }

  #open(link: Link, early?: Early): void {
    const element = this.#element;
    const { payload, credentials, title, sessionMax, again, layout, viewOnly, bar, language } = link;
    const set = (name: string, value: string) =>
      value ? element.setAttribute(name, value) : element.removeAttribute(name);
    set("websocket", websocketOf(document));
    set("label", title);
    set("again", again);
    set("layout", layout);
    set("lang", language);
    Object.assign(element, { sessionMax, viewOnly, bar });
    document.documentElement.lang = choose([...(language ? [language] : []), ...navigator.languages]);
    const { password, user, ticket } = credentials;
    Object.assign(element, { password, user, ticket });
    if (early?.socket) element.adopt(early);
    element.payload = payload;
    if (!payload) element.connect();
  }

  #closed({ detail }: ConsoleEvents["closed"]): void {
    if (!detail.live) this.#tab.forget();
  }

  /** title: of the terminal's program, or QEMU's name of the screen, which says no more than the link's. */
  #showTitle(title: string): void {
    const own = this.#element.kind === "term" || !this.#label ? title : "";
    document.title = [own, this.#label].filter(Boolean).join(" – ") || this.#name;
  }
}

/** A browser closes only a window that a script opened, or that has shown nothing before. Any other goes back to where
 *  the user came from. */
function leave(): void {
  if (history.length > 1 && !opener) history.back();
  else close();
}

/** Runs a page, whose bundle has this guest. */
export function run(kind: Kind, make: MakeGuest): void {
  provide(kind, () => Promise.resolve(make));
  define();
  new Page().start();
}

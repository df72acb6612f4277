// SPDX-License-Identifier: Apache-2.0
// The link in a page's fragment, and the tab's storage, which keeps it for a reload. A link is secret: neither the
// address nor the history has it after it was taken.

/** What can be in a link. Names are those of the fragment. */
export interface Link {
  payload: string;
  title: string;
  credentials: { password?: string; user?: string; ticket?: string };
  /** Seconds until proxxy ends the session; 0 is unknown. */
  sessionMax: number;
  /** Where the panel gives another link: a path of the page's own origin, or "". */
  again: string;
  /** The origins of panels that may control the page and are told all that happens. */
  panels: string[];
  language: string;
  layout: string;
  viewOnly: boolean;
  bar: "full" | "none";
}

/** The parts of a window that a link is taken from. */
export interface Place {
  location: { hash: string; pathname: string; search: string; origin: string };
  history: { readonly state: unknown; replaceState(data: unknown, unused: string, url?: string): void };
  readonly sessionStorage: Storage; // may throw, where the browser allows none
}

const KEPT_MAX = 16; // other links in the tab's storage: of its other frames, and of pages that were left
const KEPT = "proxxy-link-";
const CREDENTIALS = ["password", "user", "ticket"] as const;
const SESSION_MAX_S = 365 * 86_400;

/** False for javascript:, data: and blob:, although a blob: address has the page's origin. */
export function isWeb(url: URL): boolean {
  return /^https?:$/.test(url.protocol);
}

/** Returns the address of another link, if it is of the same origin; "" otherwise. */
function sameOrigin(text: string | null, origin: string): string {
  if (!text || !URL.canParse(text, origin)) return "";
  const url = new URL(text, origin);
  return url.origin === origin && isWeb(url) ? url.href : "";
}

function origins(values: string[]): string[] {
  const urls = values.filter((value) => URL.canParse(value)).map((value) => new URL(value));
  return urls.filter(isWeb).map(({ origin }) => origin);
}

export function parseLink(text: string, origin: string): Link {
  const parameters = new URLSearchParams(text);
  const get = (name: string) => parameters.get(name) ?? "";
  const credentials: Link["credentials"] = {};
  for (const name of CREDENTIALS) if (parameters.has(name)) credentials[name] = get(name);
  const seconds = Number(get("session_max"));
  return {
    payload: get("payload"),
    title: get("title"),
    credentials,
    sessionMax: seconds > 0 && seconds <= SESSION_MAX_S ? seconds : 0,
    again: sameOrigin(parameters.get("again"), origin),
    panels: origins(parameters.getAll("panel")),
    language: get("lang"),
    layout: get("layout"),
    viewOnly: get("view_only") === "1",
    bar: get("bar") === "none" ? "none" : "full",
  };
}

/** Whether the payload is all that the console needs. Then it may open more than one, until it expires. */
export function lives(payload: string, credentials: object): boolean {
  return Boolean(payload) && Object.keys(credentials).length === 0;
}

/** Takes links out of the address. One object for a page. */
export class TabLink {
  #place: Place;
  #kept: string; // the link's name in the tab's storage, which a page's frames share; "" is none

  constructor(place: Place) {
    this.#place = place;
    const state = place.history.state as { kept?: unknown } | null;
    this.#kept = typeof state?.kept === "string" && state.kept.startsWith(KEPT) ? state.kept : "";
  }

  /** Returns the address's link, and removes it there; without one, the link that was kept, or "". */
  take(): string {
    const { location, history } = this.#place;
    if (!location.hash) return this.#recall();
    const link = location.hash.slice(1);
    this.forget();
    history.replaceState(null, "", location.pathname + location.search);
    const { payload, credentials } = parseLink(link, location.origin);
    if (lives(payload, credentials)) this.#keep(link);
    return link;
  }

  #recall(): string {
    try {
      return this.#place.sessionStorage.getItem(this.#kept) ?? "";
    } catch {
      return "";
    }
  }

  /** Where the browser allows no storage, a reload asks for another link. */
  #keep(link: string): void {
    try {
      const storage = this.#place.sessionStorage;
      const others = Object.keys(storage).filter((name) => name.startsWith(KEPT));
      for (const name of others.sort().slice(0, -KEPT_MAX)) storage.removeItem(name);
      const kept = `${KEPT}${Date.now()}-${Math.random()}`;
      storage.setItem(kept, link);
      this.#place.history.replaceState({ kept }, "");
      this.#kept = kept;
    } catch {
      // then it is not kept
    }
  }

  /** The link is of no more use. */
  forget(): void {
    if (!this.#kept) return;
    try {
      this.#place.sessionStorage.removeItem(this.#kept);
    } catch {
      // then it was never kept
    }
    this.#kept = "";
    this.#place.history.replaceState(null, "");
  }
}

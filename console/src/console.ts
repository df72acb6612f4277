// SPDX-License-Identifier: Apache-2.0
// What is inside a <proxxy-console>: the view, and for each link a guest and its session. It passes the view's controls
// on to the guest, and what the guest and the session tell to the view and to the element.
import { Calm } from "./calm.js";
import { Clipboard } from "./clipboard.js";
import { BROKEN } from "./endings.js";
import { focusIsFree } from "./focus.js";
import type { Action, Guest, Key, Kind, MakeGuest, Options, Typing } from "./guest.js";
import type { Host, Loader, Opener } from "./host.js";
import { isWeb, lives } from "./link.js";
import { Notices } from "./notices.js";
import { askRefusal } from "./refusal.js";
import { CLOCK, Session, type Hooks } from "./session.js";
import { close, hold, openSocket, release, type Early } from "./socket.js";
import { untypable } from "./typing/layouts.js";
import type { Choice, Controls, State } from "./view.js";
import { View } from "./view/view.js";

const OFFLINE_MS = 5_000; // without a byte, after the browser said that it is offline
const PROGRESS_MS = 250;
const CALM_MS = 250; // between two bells, titles or copied texts
const TITLE_MAX = 200; // characters
/** These need a guest that answers. */
const INPUT: Action[] = ["keys", "type", "paste", "remote-size", "quality", "screenshot"];
const HANDS_OFF: Action[] = ["keys", "type", "paste"]; // not in view-only

/** False also for "". */
function isWebAddress(address: string): boolean {
  const base = document.baseURI;
  return address !== "" && URL.canParse(address, base) && isWeb(new URL(address, base));
}

export class Console implements Controls {
  state: State = "ended";
  latency: number | null = null;
  #host: Host;
  #kind: Kind;
  #view: View;
  #notices: Notices;
  #clipboard: Clipboard;
  #guest: Guest | null = null;
  #session: Session | null = null;
  #link = 0; // counts the links, so that what comes late is of no use
  #lastBell = -Infinity;
  #titles = new Calm<string>(CALM_MS, (title) => this.#host.emit("consoletitle", { title }), CLOCK);
  #copies = new Calm<string>(CALM_MS, (text) => this.#copied(text), CLOCK);
  #typing: Promise<void> = Promise.resolve();
  #typed = false;
  #listening = new AbortController();

  constructor(root: ShadowRoot, host: Host, kind: Kind) {
    this.#host = host;
    this.#kind = kind;
    this.#view = new View(root, kind, this);
    this.#notices = new Notices((notice, milliseconds) => this.#view.notify(notice, milliseconds), CLOCK);
    const { signal } = this.#listening;
    this.#clipboard = new Clipboard(this.#view.screen, signal);
    addEventListener("online", () => this.#online(), { signal });
    addEventListener("offline", () => this.#offline(), { signal });
    addEventListener("beforeunload", (event) => this.#beforeUnload(event), { signal });
    document.addEventListener("visibilitychange", () => document.hidden || this.#session?.now(), { signal });
    for (const type of ["keydown", "paste", "input"])
      this.#view.screen.addEventListener(type, () => (this.#typed = true), { signal, capture: true });
  }

  get view(): View {
    return this.#view;
  }

  /** Opens a link's console, at once: the guest's code may come later. early: a connection that was opened already. */
  async start(opener: Opener, load: Loader, early: Early | null): Promise<void> {
    this.stop();
    const link = ++this.#link;
    const { payload, credentials, websocket } = opener;
    this.#setState("connecting");
    const open = () => hold(openSocket(payload, websocket, document.baseURI));
    let first: Early | null = null;
    let make: MakeGuest;
    try {
      first = early ?? open();
      make = await load();
    } catch (error) {
      if (link !== this.#link) return;
      if (first) close(first);
      this.explain(first ? BROKEN : "end.unreachable", (error as Error).message);
      return;
    }
    if (link !== this.#link) {
      close(first);
      return;
    }
    const guest = make(this.#view.screen, credentials);
    this.#guest = guest;
    guest.set(this.#host.options());
    const take = () => {
      const taken = first ?? open();
      first = null;
      release(taken);
      return taken;
    };
    const refusal = () => askRefusal(payload, websocket, document.baseURI);
    const parts = { guest, hooks: this.#hooks(), open: take, refusal, offers: () => this.#host.offers };
    this.#session = new Session(parts, lives(payload, credentials));
    this.#session.open();
    this.#view.update();
  }

  /** Ends the link's console without a word. */
  stop(): void {
    this.#link++;
    this.#session?.end();
    this.#guest?.end();
    this.#session = this.#guest = null;
    this.#typed = false;
    this.#titles.forget();
    this.#copies.forget();
    this.#notices.ended();
    this.#view.setMessage(null);
    this.#setState("ended");
  }

  /** Removes all of it. */
  end(): void {
    this.stop();
    this.#listening.abort();
    this.#view.end();
  }

  /** Connects again with the same link. Returns false if it cannot. */
  connect(): boolean {
    return this.state !== "ended" || Boolean(this.#session?.open());
  }

  disconnect(): void {
    this.#session?.close();
  }

  /** The element's options have changed. */
  apply(options: Partial<Options>): void {
    this.#guest?.set(options);
    this.#view.update();
  }

  /** An end without a session. */
  explain(word: string, details = ""): void {
    this.#setState("ended");
    this.#view.setMessage({ sentence: [{ word }], choices: this.#host.offers, details });
  }

  #setState(state: State): void {
    this.state = state;
    if (state !== "connected") this.#setLatency(null);
    this.#view.setState(state);
    this.#view.update();
    this.#host.emit("state", { state });
  }

  #setLatency(milliseconds: number | null): void {
    this.latency = milliseconds;
    this.#view.setLatency(milliseconds);
  }

  #hooks(): Hooks {
    const host = this.#host;
    return {
      state: (state) => this.#setState(state),
      message: (message) => this.#view.setMessage(message),
      connected: () => {
        this.#notices.connected(this.#session!.channel!, host.sessionMax);
        if (focusIsFree(host, this.#view.screen)) this.#guest?.focus();
        host.emit("connected", null);
      },
      reconnecting: (code, reason, milliseconds) => {
        this.#notices.ended();
        host.emit("reconnecting", { code, reason, milliseconds });
      },
      closed: (end) => {
        this.#notices.ended();
        host.emit("closed", end);
      },
      latency: (milliseconds) => {
        this.#setLatency(milliseconds);
        host.emit("latency", { milliseconds });
      },
      clipboard: (text) => this.#copies.tell(text),
      bell: () => this.#ring(),
      changed: () => this.#view.update(),
      title: (title) => this.#titles.tell(title.slice(0, TITLE_MAX).replace(/\p{C}/gu, "")),
    };
  }

  #ring(): void {
    const now = performance.now();
    if (now - this.#lastBell < CALM_MS) return;
    this.#lastBell = now;
    this.#host.emit("bell", null);
  }

  #copied(text: string): void {
    this.#view.setClipboard(text);
    this.#host.emit("clipboard", { text });
    this.#clipboard.copied(text);
  }

  // --- the network, and the page's end ----------------------------------------------------------

  #online(): void {
    this.#notices.offline(false);
    this.#session?.now();
  }

  /** Some connections outlive it: to this machine itself, or over a network that is back at once. */
  #offline(): void {
    const session = this.#session;
    const channel = session?.channel;
    if (!channel) return;
    this.#notices.offline(true);
    const { lastReceived } = channel;
    setTimeout(() => {
      const silent = session.channel === channel && channel.lastReceived === lastReceived;
      if (silent && !navigator.onLine) session.lose();
    }, OFFLINE_MS);
  }

  #beforeUnload(event: Event): void {
    const asks = this.#kind === "term" && this.#typed && this.state === "connected" && window === top;
    if (asks) event.preventDefault();
  }

  // --- controls ---------------------------------------------------------------------------------

  can(action: Action): boolean {
    if (!this.#guest?.can(action)) return false;
    if (INPUT.includes(action) && this.state !== "connected") return false;
    return !(HANDS_OFF.includes(action) && this.options().viewOnly);
  }

  options(): Options {
    return this.#host.options();
  }

  set(options: Partial<Options>): void {
    this.#host.setOptions(options);
    this.focus();
  }

  sendKeys(keys: Key[]): void {
    if (this.can("keys")) this.#guest!.sendKeys(keys);
    this.focus();
  }

  /** Letting go is always possible: a terminal would have the modifier again on the next connection. */
  hold(modifier: Key, down: boolean): void {
    if (!down || this.can("keys")) this.#guest?.hold(modifier, down);
  }

  type(text: string, layout: string): void {
    const abort = new AbortController();
    const all = [...text].length;
    let remove = () => {};
    let last = 0;
    const progress = (done: number) => {
      if (performance.now() - last < PROGRESS_MS) return;
      last = performance.now();
      remove();
      const words = { word: "notice.typing", values: { done, all } };
      remove = this.#view.notify({ words, progress: done / all, cancel: () => abort.abort() });
    };
    progress(0);
    this.focus();
    // An abort needs no word: the user caused it, or the message of the console's end is shown.
    this.typeText(text, { layout, signal: abort.signal, progress })
      .catch(() => {})
      .finally(() => {
        remove();
        this.focus();
      });
  }

  /** Types one text after the other. */
  typeText(text: string, typing: Typing = {}): Promise<void> {
    const guest = this.#guest;
    const next = this.#typing.then(() => {
      if (guest !== this.#guest || !this.can("type")) throw new DOMException("The console takes no text", "AbortError");
      typing.signal?.throwIfAborted();
      this.#typed = true;
      return guest!.type(text, { layout: this.#host.layout, ...typing });
    });
    this.#typing = next.catch(() => {});
    return next;
  }

  paste(text: string): void {
    if (this.can("paste")) {
      this.#typed = true;
      this.#guest!.paste(text);
    }
    this.focus();
  }

  selection(): string {
    return this.#guest?.selection() ?? "";
  }

  text(): string {
    return this.#guest?.text() ?? "";
  }

  keyboard(show: boolean): void {
    this.#guest?.keyboard(show);
  }

  search(text: string, backwards?: boolean): boolean {
    return this.#guest?.search(text, backwards) ?? false;
  }

  picture(): Promise<Blob> {
    if (this.can("screenshot")) return this.#guest!.screenshot();
    return Promise.reject(new DOMException("The console shows nothing", "InvalidStateError"));
  }

  screenshot(): void {
    this.focus();
    this.#save().catch(() => {}); // the picture is on the screen still
  }

  /** Saves the picture as a file. */
  async #save(): Promise<void> {
    const url = URL.createObjectURL(await this.picture());
    const time = new Date().toISOString().slice(0, 19).replaceAll(":", "-");
    const link = document.createElement("a");
    link.href = url;
    link.download = `${this.#host.label || "console"} ${time}.png`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(url), 10_000);
  }

  fullScreen(): void {
    this.toggleFullScreen().catch(() => {}); // a frame without the permission, or a browser that cannot
  }

  async toggleFullScreen(): Promise<void> {
    const root = this.#host.getRootNode() as Document | ShadowRoot;
    try {
      if (root.fullscreenElement === this.#host) await document.exitFullscreen();
      else await this.#host.requestFullscreen();
    } finally {
      this.focus();
    }
  }

  choose(choice: Choice): void {
    if (choice === "now") this.#session?.now();
    else if (choice === "stop") this.#session?.stop();
    else if (choice === "again") this.#session?.open();
    else if (choice === "close") this.#host.emit("leave", null);
    else if (this.#host.emit("again", null) && isWebAddress(this.#host.again)) location.assign(this.#host.again);
  }

  untypable(text: string, layout: string): string[] {
    return this.#kind === "vnc" ? untypable(text, layout) : [];
  }

  focus(): void {
    this.#guest?.focus();
  }
}

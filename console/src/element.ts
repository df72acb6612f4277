// SPDX-License-Identifier: Apache-2.0
// <proxxy-console>: a Proxmox guest's screen or terminal. This file has what its users see: attributes, properties,
// methods and events. Payload, password, user and ticket are properties that no attribute ever shows.
import { NO_LINK } from "./endings.js";
import { Console } from "./console.js";
import type { ConsoleEventMap, ConsoleEvents, Detail } from "./events.js";
import type { Credentials, Key, Kind, Options, Quality, Scaling, Typing } from "./guest.js";
import type { Loader } from "./host.js";
import { choose } from "./i18n.js";
import type { Early } from "./socket.js";
import type { Choice, State } from "./view.js";

export const TAG = "proxxy-console";

const SCALINGS: Scaling[] = ["fit", "actual", "remote"];
const QUALITIES: Quality[] = ["auto", "low", "medium", "high"];
const THEMES = ["auto", "light", "dark"] as const;
const FONT_SIZE = { least: 6, usual: 15, most: 72 };
/** The attributes of what a user or a panel changes while a console is shown, and the option each one is. */
const OPTIONS: Record<string, keyof Options> = {
  "scaling": "scaling",
  "quality": "quality",
  "view-only": "viewOnly",
  "font-size": "fontSize",
  "screen-reader": "screenReader",
  "lang": "language",
};
/** These open another console. */
const OPENERS = ["type", "payload", "websocket"];

const loaders = new Map<Kind, Loader>();

/** Says where a kind's guest comes from. */
export function provide(kind: Kind, loader: Loader): void {
  loaders.set(kind, loader);
}

function oneOf<Value extends string>(values: readonly Value[], text: string | null): Value {
  return values.find((value) => value === text) ?? values[0]!;
}

export class ProxxyConsole extends HTMLElement {
  static readonly observedAttributes = [
    ...OPENERS,
    ...Object.keys(OPTIONS),
    ...["label", "bar", "theme", "logo", "layout"],
  ];

  #root = this.attachShadow({ mode: "open" });
  #console: Console | null = null;
  #kind: Kind = "vnc"; // of #console
  #payload = "";
  #credentials: Credentials = {};
  #due = false; // a console begins when all that was set together is set
  #left = false; // the page was left while it had a console
  #early: Early | null = null;
  #heard = new Set<string>(); // events that somebody listens to

  // --- what a panel decides ---------------------------------------------------------------------

  get kind(): Kind {
    return this.getAttribute("type") === "term" ? "term" : "vnc";
  }

  /** type("text") types a text; type = "term" is the attribute, which frameworks set as a property. */
  get type(): (text: string, typing?: Typing) => Promise<void> {
    return this.#type;
  }

  set type(value: Kind | ((text: string, typing?: Typing) => Promise<void>)) {
    this.setAttribute("type", String(value));
  }

  /** Opens a console. "" ends it. */
  get payload(): string {
    return this.#payload;
  }

  set payload(value: string) {
    this.#payload = value ?? "";
    if (this.#payload) this.#begin();
    else this.#console?.stop();
  }

  /** With a payload of the old kind, which has a console's ticket: VNC's password. */
  set password(value: string | undefined) {
    this.#setCredential("password", value);
  }

  /** With a payload of the old kind: the user and the ticket for termproxy. */
  set user(value: string | undefined) {
    this.#setCredential("user", value);
  }

  set ticket(value: string | undefined) {
    this.#setCredential("ticket", value);
  }

  /** proxxy's address, relative to the document. */
  get websocket(): string {
    return this.getAttribute("websocket") || "ws";
  }

  set websocket(value: string) {
    this.setAttribute("websocket", value);
  }

  /** The machine's name. */
  get label(): string {
    return this.getAttribute("label") ?? "";
  }

  set label(value: string) {
    this.setAttribute("label", value);
  }

  get scaling(): Scaling {
    return oneOf(SCALINGS, this.getAttribute("scaling"));
  }

  set scaling(value: Scaling) {
    this.setAttribute("scaling", value);
  }

  get quality(): Quality {
    return oneOf(QUALITIES, this.getAttribute("quality"));
  }

  set quality(value: Quality) {
    this.setAttribute("quality", value);
  }

  /** The user sees the console, and types nothing. */
  get viewOnly(): boolean {
    return this.hasAttribute("view-only");
  }

  set viewOnly(value: boolean) {
    this.toggleAttribute("view-only", Boolean(value));
  }

  /** The guest's keyboard layout, for texts that are typed. */
  get layout(): string {
    return this.getAttribute("layout") || "us";
  }

  set layout(value: string) {
    this.setAttribute("layout", value);
  }

  get bar(): "full" | "none" {
    return this.getAttribute("bar") === "none" ? "none" : "full";
  }

  set bar(value: "full" | "none") {
    this.setAttribute("bar", value);
  }

  get theme(): "auto" | "light" | "dark" {
    return oneOf(THEMES, this.getAttribute("theme"));
  }

  set theme(value: "auto" | "light" | "dark") {
    this.setAttribute("theme", value);
  }

  /** The address of a picture for the bar. */
  get logo(): string {
    return this.getAttribute("logo") ?? "";
  }

  set logo(value: string) {
    this.setAttribute("logo", value);
  }

  /** A terminal's, in pixels. */
  get fontSize(): number {
    const { least, usual, most } = FONT_SIZE;
    return Math.min(most, Math.max(least, Number(this.getAttribute("font-size")) || usual));
  }

  set fontSize(value: number) {
    this.setAttribute("font-size", String(value));
  }

  get screenReader(): boolean {
    return this.hasAttribute("screen-reader");
  }

  set screenReader(value: boolean) {
    this.toggleAttribute("screen-reader", Boolean(value));
  }

  /** Seconds until proxxy ends a session; 0 is unknown. */
  get sessionMax(): number {
    return Math.max(0, Number(this.getAttribute("session-max")) || 0);
  }

  set sessionMax(value: number) {
    this.setAttribute("session-max", String(value));
  }

  /** Where the panel gives another link. */
  get again(): string {
    return this.getAttribute("again") ?? "";
  }

  set again(value: string) {
    this.setAttribute("again", value);
  }

  // --- what happens -----------------------------------------------------------------------------

  get state(): State {
    return this.#console?.state ?? "ended";
  }

  /** In milliseconds; null is unknown. */
  get latency(): number | null {
    return this.#console?.latency ?? null;
  }

  /** Opens the console again after an end. Returns false if that takes another payload. */
  connect(): boolean {
    if (this.#payload) return this.#due || Boolean(this.#console?.connect());
    this.#console?.explain(NO_LINK);
    return false;
  }

  disconnect(): void {
    this.#console?.disconnect();
  }

  /** Types a text key by key, behind what is being typed. */
  #type = (text: string, typing: Typing = {}): Promise<void> => {
    return this.#console?.typeText(text, typing) ?? Promise.reject(new DOMException("No console", "AbortError"));
  };

  /** Puts a text into the guest's clipboard (VNC), or pastes it (terminal). */
  paste(text: string): void {
    this.#console?.paste(text);
  }

  /** Presses the keys together: ["Control", "Alt", "Delete"]. */
  sendKeys(keys: Key[]): void {
    this.#console?.sendKeys(keys);
  }

  ctrlAltDel(): void {
    this.sendKeys(["Control", "Alt", "Delete"]);
  }

  /** Scales the picture to the element. */
  fit(): void {
    this.scaling = "fit";
  }

  /** Enters or leaves full screen. Browsers allow it while they handle a click or a key. */
  fullScreen(): Promise<void> {
    return this.#console?.toggleFullScreen() ?? Promise.resolve();
  }

  /** The picture, as a PNG. */
  screenshot(): Promise<Blob> {
    return this.#console?.picture() ?? Promise.reject(new DOMException("No console", "InvalidStateError"));
  }

  /** A terminal's lines, those above the window too; "" for a VNC screen. */
  text(): string {
    return this.#console?.text() ?? "";
  }

  override focus(): void {
    this.#console?.focus();
  }

  override blur(): void {
    (this.#root.activeElement as HTMLElement | null)?.blur();
  }

  override addEventListener<Name extends keyof ConsoleEventMap>(
    name: Name,
    listener: (this: ProxxyConsole, event: ConsoleEventMap[Name]) => void,
    options?: boolean | AddEventListenerOptions,
  ): void;
  override addEventListener(
    name: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
  override addEventListener(
    name: string,
    listener: unknown,
    options?: boolean | AddEventListenerOptions,
  ): void {
    this.#heard.add(name);
    super.addEventListener(name, listener as EventListener, options);
  }

  // --- for the pages and for what is inside -----------------------------------------------------

  /** @internal Uses a connection that was opened before this code was there, for the next payload. */
  adopt(early: Early): void {
    this.#early = early;
  }

  /** @internal What helps at an end, besides the same link: only what somebody answers. */
  get offers(): Choice[] {
    const panel = this.again || this.#heard.has("again");
    return [...(panel ? (["panel"] as const) : []), ...(this.#heard.has("leave") ? (["close"] as const) : [])];
  }

  /** @internal */
  options(): Options {
    const { scaling, quality, viewOnly, fontSize, screenReader, layout } = this;
    const language = choose([...(this.lang ? [this.lang] : []), ...navigator.languages]);
    return { scaling, quality, viewOnly, fontSize, screenReader, language, layout };
  }

  /** @internal The user chose in the bar. */
  setOptions({ language, ...others }: Partial<Options>): void {
    Object.assign(this, others);
    if (language) this.lang = language;
  }

  /** @internal */
  emit<Name extends keyof ConsoleEvents>(name: Name, detail: Detail<Name>): boolean {
    return this.dispatchEvent(new CustomEvent(name, { detail, cancelable: name === "again" }));
  }

  // --- the element's life -----------------------------------------------------------------------

  connectedCallback(): void {
    this.#takeProperties();
    this.#build();
    addEventListener("pagehide", this.#leave);
    addEventListener("pageshow", this.#return);
    if (this.#payload) this.#begin();
  }

  disconnectedCallback(): void {
    removeEventListener("pagehide", this.#leave);
    removeEventListener("pageshow", this.#return);
    this.#console?.end();
    this.#console = null;
  }

  attributeChangedCallback(name: string, before: string | null, value: string | null): void {
    if (before === value) return;
    if (name === "payload") this.payload = value ?? "";
    else if (OPENERS.includes(name)) this.#begin();
    else if (name in OPTIONS) this.#apply(OPTIONS[name]!);
    else this.#show(name);
  }

  /** A browser that keeps the page, for its button "Back", would keep the session. */
  #leave = (): void => {
    this.#left = this.state !== "ended";
    if (this.#left) this.#console?.stop();
  };

  #return = ({ persisted }: PageTransitionEvent): void => {
    if (persisted && this.#left) this.#begin();
  };

  /** Those that were set before the browser knew the element hide the ones of this class. */
  #takeProperties(): void {
    for (const name of Object.keys(this)) {
      if (!(name in ProxxyConsole.prototype)) continue;
      const own = this as unknown as Record<string, unknown>;
      const value = own[name];
      delete own[name];
      own[name] = value;
    }
  }

  #setCredential(name: keyof Credentials, value: string | undefined): void {
    if (value === undefined || value === null) delete this.#credentials[name];
    else this.#credentials[name] = value;
    this.#begin();
  }

  #build(): void {
    this.#console?.end();
    this.#kind = this.kind;
    this.#root.adoptedStyleSheets = [];
    this.#console = new Console(this.#root, this, this.#kind);
    for (const name of ["label", "bar", "theme", "logo", "layout", "lang"]) this.#show(name);
  }

  #begin(): void {
    if (this.#due || !this.isConnected) return;
    this.#due = true;
    queueMicrotask(() => {
      this.#due = false;
      this.#start();
    });
  }

  #start(): void {
    const early = this.#early;
    this.#early = null;
    if (!this.isConnected) return;
    if (this.#kind !== this.kind) this.#build();
    const opener = { payload: this.#payload, credentials: { ...this.#credentials }, websocket: this.websocket };
    if (opener.payload) void this.#console!.start(opener, loaders.get(this.#kind)!, early);
  }

  #apply(option: keyof Options): void {
    this.#console?.apply({ [option]: this.options()[option] });
    if (option === "language") this.#show("lang");
  }

  #show(name: string): void {
    const view = this.#console?.view;
    if (!view) return;
    if (name === "label") view.setLabel(this.label);
    else if (name === "bar") view.setBar(this.bar);
    else if (name === "theme") view.setTheme(this.theme);
    else if (name === "logo") view.setLogo(this.logo);
    else if (name === "layout") {
      view.setLayout(this.layout);
      this.#apply("layout");
    }
    else if (name === "lang") void view.setLanguage(this.options().language);
  }
}

/** Makes the tag known to the browser; a second copy of this code leaves it to the first. */
export function define(): void {
  if (!customElements.get(TAG)) customElements.define(TAG, ProxxyConsole);
}

declare global {
  interface HTMLElementTagNameMap {
    "proxxy-console": ProxxyConsole;
  }
}

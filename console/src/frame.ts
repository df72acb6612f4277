// SPDX-License-Identifier: Apache-2.0
// A page's messages to the window that has it in a frame or opened it, and what that window asks of the console.
import type { ConsoleEvents } from "./events.js";
import type { Key, Typing } from "./guest.js";

/** The element's methods and properties that a message can name. */
export interface Commands {
  type(text: string, typing?: Typing): Promise<void>;
  paste(text: string): void;
  sendKeys(keys: Key[]): void;
  ctrlAltDel(): void;
  connect(): boolean;
  disconnect(): void;
  fit(): void;
  fullScreen(): Promise<void>;
  screenshot(): Promise<Blob>;
  focus(): void;
}

interface Command {
  type: "proxxy:command";
  command: string;
  /** Has the command answered, with a proxxy:result. */
  id?: unknown;
  text?: unknown;
  layout?: unknown;
  keys?: unknown;
  options?: unknown;
}

/** What "set" changes. */
const SETTINGS = [
  ...["label", "lang", "layout", "scaling", "quality", "viewOnly"],
  ...["bar", "theme", "fontSize", "screenReader"],
];
/** These have nothing that not every window may know; a panel of another origin got them before it was named. */
const FOR_ALL = ["connected", "reconnecting", "closed", "again"] as const;
const FOR_PANELS = { latency: "latency", bell: "bell", clipboard: "clipboard", consoletitle: "title" } as const;

function isText(value: unknown): value is string {
  return typeof value === "string";
}

function checked<Value>(value: unknown, is: boolean, name: string): Value {
  if (!is) throw new TypeError(`The command has no ${name}`);
  return value as Value;
}

export class Frame {
  #window: Window;
  #console: Commands & EventTarget;
  #origins: string[] = [];

  constructor(window: Window, console: Commands & EventTarget) {
    this.#window = window;
    this.#console = console;
    window.addEventListener("message", (event) => void this.#receive(event));
    // A console that nobody listens to does not offer what only a listener does.
    if (!this.panel) return;
    for (const name of FOR_ALL) console.addEventListener(name, (event) => this.#tellAll(name, event));
    for (const [name, type] of Object.entries(FOR_PANELS))
      console.addEventListener(name, (event) => this.#tellPanels(type, (event as CustomEvent<object>).detail));
  }

  /** The panel's window, if there is one. */
  get panel(): Window | null {
    const { parent, opener } = this.#window;
    return parent !== this.#window ? parent : (opener as Window | null);
  }

  /** Only these origins, and the page's own, may command, and get what the guest says. */
  allow(panels: string[]): void {
    this.#origins = [...new Set([this.#window.location.origin, ...panels])];
  }

  #tellAll(name: (typeof FOR_ALL)[number], event: Event): void {
    const detail: Partial<ConsoleEvents["closed"]["detail"]> = { ...(event as CustomEvent<object>).detail };
    delete detail.live;
    this.panel?.postMessage({ type: `proxxy:${name}`, ...detail }, "*");
    if (name === "again") event.preventDefault();
  }

  #tellPanels(type: string, detail: object | null): void {
    for (const origin of this.#panelOrigins()) this.panel?.postMessage({ type: `proxxy:${type}`, ...detail }, origin);
  }

  /** The browser drops a message for another origin than the window's, and complains; where it can be known, none is
   *  sent. */
  #panelOrigins(): string[] {
    const { ancestorOrigins } = this.#window.location;
    const parent = this.panel === this.#window.parent ? ancestorOrigins?.[0] : undefined;
    return parent === undefined ? this.#origins : this.#origins.filter((origin) => origin === parent);
  }

  async #receive({ data, origin, source }: MessageEvent): Promise<void> {
    const message = data as Command | null;
    if (message?.type !== "proxxy:command" || !this.#origins.includes(origin)) return;
    const { command, id } = message;
    const result: Record<string, unknown> = { type: "proxxy:result", command, id };
    try {
      result.value = await this.#run(message);
    } catch (error) {
      result.error = (error as Error).message;
    }
    if (id !== undefined) (source as Window | null)?.postMessage(result, origin);
  }

  #run({ command, text, layout, keys, options }: Command): unknown {
    const console = this.#console;
    const run: Record<string, () => unknown> = {
      type: () => console.type(checked(text, isText(text), "text"), isText(layout) ? { layout } : {}),
      paste: () => console.paste(checked(text, isText(text), "text")),
      sendKeys: () => console.sendKeys(checked(keys, Array.isArray(keys) && keys.every(isText), "keys")),
      ctrlAltDel: () => console.ctrlAltDel(),
      connect: () => console.connect(),
      disconnect: () => console.disconnect(),
      fit: () => console.fit(),
      fullScreen: () => console.fullScreen(),
      screenshot: () => console.screenshot(),
      focus: () => console.focus(),
      set: () => this.#set(checked(options, typeof options === "object" && options !== null, "options")),
    };
    if (!Object.hasOwn(run, command)) throw new TypeError(`There is no command ${String(command)}`);
    return run[command]!();
  }

  #set(options: Record<string, unknown>): void {
    for (const [name, value] of Object.entries(options)) {
      if (!SETTINGS.includes(name)) throw new TypeError(`There is no setting ${name}`);
      Object.assign(this.#console, { [name]: value });
    }
  }
}

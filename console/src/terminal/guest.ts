// SPDX-License-Identifier: Apache-2.0
// A guest's terminal: termproxy's protocol on the one side, the screen and the keyboard on the other.

import type { Channel } from "../channel.js";
import type { Action, Credentials, Events, Guest, Key, MakeGuest, Options, Typing } from "../guest.js";
import { load } from "../i18n.js";
import { copy } from "./copy.js";
import { Keyboard } from "./keyboard.js";
import { sequence } from "./keys.js";
import { Liveness, probeServer, TICK_MS } from "./liveness.js";
import { typeInPieces } from "./pace.js";
import { Termproxy } from "./protocol.js";
import { Screen } from "./screen.js";
import { picture } from "./screenshot.js";

const KEEP_ALIVE_MS = 30_000;
const ACTIVITY = ["keydown", "pointerdown", "pointermove", "wheel"] as const;

/** What there is while a connection is used. */
interface Connection {
  channel: Channel;
  events: Events;
  termproxy: Termproxy;
  liveness: Liveness | null; // from the first answer on
  timers: ReturnType<typeof setInterval>[];
  lastReceived: number; // in the time of performance.now()
}

class TerminalGuest implements Guest {
  readonly kind = "term";
  #parent: HTMLElement;
  #login: string;
  #screen: Screen;
  #keyboard: Keyboard;
  #connection: Connection | null = null;
  #viewOnly = false;
  #typing = false;

  constructor(parent: HTMLElement, { user, ticket }: Credentials) {
    this.#parent = parent;
    this.#login = ticket ? `${user}:${ticket}\n` : "";
    this.#screen = new Screen(parent, {
      data: (text) => this.#typed(this.#keyboard.typed(text)),
      resized: (columns, rows) => this.#connection?.termproxy.resize(columns, rows),
      selected: () => this.#events?.changed(),
      bell: () => this.#events?.bell(),
      title: (text) => this.#events?.title(text),
      clipboard: (text) => this.#events?.clipboard(text),
    });
    this.#keyboard = new Keyboard(this.#screen.terminal, {
      send: (text) => this.#typed(text),
      copy: () => copy(this.selection()),
    });
    for (const type of ACTIVITY) parent.addEventListener(type, this.#touch, { capture: true, passive: true });
    document.addEventListener("visibilitychange", this.#touch);
  }

  open(channel: Channel, events: Events): void {
    this.#close();
    const transmit = (data: Uint8Array): void => {
      if (channel.readyState === WebSocket.OPEN) channel.send(data);
    };
    const termproxy = new Termproxy(this.#login, transmit, {
      answers: () => this.#answers(),
      output: (text) => this.#screen.terminal.write(text),
      refused: () => {
        this.#close();
        events.fail("Proxmox: 401 termproxy did not take the ticket");
      },
    });
    const lastReceived = performance.now();
    const connection: Connection = { channel, events, termproxy, liveness: null, timers: [], lastReceived };
    this.#connection = connection;
    const { cols, rows } = this.#screen.terminal;
    termproxy.resize(cols, rows);
    const told = channel.onclose;
    channel.onclose = (event) => {
      if (this.#connection === connection) this.#close();
      told?.call(channel, event);
    };
    if (channel.readyState === WebSocket.OPEN) termproxy.start();
    else channel.onopen = () => termproxy.start();
    channel.onmessage = ({ data }) => {
      connection.lastReceived = performance.now();
      termproxy.receive(data as ArrayBuffer);
    };
  }

  set({ fontSize, language, screenReader, viewOnly }: Partial<Options>): void {
    if (language !== undefined) void load(language).then((words) => this.#screen.setLabel(words.word("name.term")));
    if (fontSize !== undefined) this.#screen.setFontSize(fontSize);
    if (screenReader !== undefined) this.#screen.setScreenReader(screenReader);
    if (viewOnly === undefined || viewOnly === this.#viewOnly) return;
    this.#viewOnly = this.#screen.terminal.options.disableStdin = viewOnly;
    this.#events?.changed();
  }

  can(action: Action): boolean {
    if (action === "search" || action === "screenshot") return true;
    if (action === "copy") return this.#screen.terminal.hasSelection();
    if (action === "keys" || action === "type" || action === "paste") return this.#takesInput;
    return false;
  }

  focus(): void {
    this.#screen.terminal.focus();
  }

  sendKeys(keys: Key[]): void {
    const application = this.#screen.terminal.modes.applicationCursorKeysMode;
    this.#typed(sequence([...this.#keyboard.held, ...keys], application));
  }

  hold(modifier: Key, down: boolean): void {
    this.#keyboard.hold(modifier, down);
  }

  async type(text: string, typing?: Typing): Promise<void> {
    const connection = this.#connection;
    if (!connection || !this.#takesInput) throw new DOMException("the terminal takes no input", "AbortError");
    const { channel } = connection;
    this.#setTyping(true);
    try {
      await typeInPieces(
        text,
        {
          now: () => performance.now(),
          pause: (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds)),
          send: (piece) => (this.#viewOnly ? 0 : this.#send(connection, piece)),
          buffered: () => (connection.termproxy.answering ? channel.bufferedAmount : 0),
          received: () => channel.bytesReceived,
          lastReceived: () => connection.lastReceived,
        },
        typing,
      );
    } finally {
      this.#setTyping(false);
    }
  }

  paste(text: string): void {
    this.#screen.paste(text);
  }

  selection(): string {
    return this.#screen.terminal.getSelection();
  }

  text(): string {
    return this.#screen.text();
  }

  keyboard(show: boolean): void {
    this.#screen.keyboard(show);
  }

  search(text: string, backwards = false): boolean {
    return this.#screen.search(text, backwards);
  }

  screenshot(): Promise<Blob> {
    return picture(this.#screen.terminal);
  }

  end(): void {
    this.#close();
    for (const type of ACTIVITY) this.#parent.removeEventListener(type, this.#touch, { capture: true });
    document.removeEventListener("visibilitychange", this.#touch);
    this.#screen.end();
  }

  get #events(): Events | undefined {
    return this.#connection?.events;
  }

  get #takesInput(): boolean {
    return !this.#viewOnly && !this.#typing && (this.#connection?.termproxy.answering ?? false);
  }

  #touch = (): void => {
    if (!document.hidden) this.#connection?.liveness?.touch();
  };

  #setTyping(typing: boolean): void {
    this.#typing = typing;
    this.#events?.changed();
  }

  #typed(text: string): void {
    if (this.#connection && this.#takesInput) this.#send(this.#connection, text);
  }

  #send({ termproxy, liveness }: Connection, text: string): number {
    const sent = termproxy.input(text);
    if (sent) liveness?.sent();
    return sent;
  }

  #answers(): void {
    const connection = this.#connection!;
    const { channel, events, termproxy } = connection;
    const liveness = new Liveness({
      now: () => performance.now(),
      lastReceived: () => connection.lastReceived,
      probe: () => probeServer(channel.url),
      latency: (milliseconds) => events.latency(milliseconds),
      lost: () => {
        this.#close();
        events.lost();
      },
    });
    connection.liveness = liveness;
    connection.timers.push(setInterval(() => termproxy.keepAlive(), KEEP_ALIVE_MS));
    connection.timers.push(setInterval(() => liveness.tick(), TICK_MS));
    events.connected();
    events.changed();
    // Behind what an earlier connection left; a program on the whole screen draws itself anew.
    const { active, normal } = this.#screen.terminal.buffer;
    if (normal.cursorX > 0 && active.type === "normal") this.#screen.terminal.write("\r\n");
  }

  /** Uses the connection no more. */
  #close(): void {
    const connection = this.#connection;
    if (!connection) return;
    this.#connection = null;
    connection.timers.forEach(clearInterval);
    connection.liveness?.end();
    connection.termproxy.end();
    connection.events.changed();
  }
}

export const makeTerminal: MakeGuest = (screen, credentials) => new TerminalGuest(screen, credentials);

// SPDX-License-Identifier: Apache-2.0
// A link's console, from the first connection until it ends for good: connects, reconnects with growing pauses, and
// says how it ended and what can be done then.
import { Channel } from "./channel.js";
import { busy, ending, LOST, passing, refused, type Close } from "./endings.js";
import type { Events, Guest } from "./guest.js";
import type { Refusal } from "./refusal.js";
import type { Early } from "./socket.js";
import type { Choice, Message, State, Words } from "./view.js";

const PAUSE_MAX_MS = 30_000; // before another attempt; the first pause is a second, and each one is twice the last
const ATTEMPT_MS = 30_000; // for an attempt: PROXXY_CONNECT_TIMEOUT, and time for the network
const STEADY_MS = 30_000; // how long a connection lasts before the pauses are short again
const COUNT_MS = 200;
const QUIET_MS = 15 * 60_000 - 10_000; // Proxmox's limit, minus a tolerance between its clock and ours

/** What a guest tells that is not about the connection. */
export type Told = Omit<Events, "connected" | "fail" | "lost">;

export interface End {
  code: number;
  reason: string;
  /** The same link may open another console. */
  live: boolean;
}

/** What the session tells its element. */
export interface Hooks extends Told {
  state(state: State): void;
  message(message: Message | null): void;
  /** again: after a lost connection. */
  connected(again: boolean): void;
  reconnecting(code: number, reason: string, milliseconds: number): void;
  closed(end: End): void;
}

export interface Clock {
  now(): number;
  /** Returns a function that cancels it. */
  after(milliseconds: number, run: () => void): () => void;
}

export interface Parts {
  guest: Pick<Guest, "open">;
  hooks: Hooks;
  /** Opens a connection, or returns one that was opened early. */
  open(): Pick<Early, "socket" | "held" | "closed">;
  /** Why there was no WebSocket. */
  refusal(): Promise<Refusal>;
  /** What helps besides the same link. */
  offers(): Choice[];
  clock?: Clock;
  random?(): number;
}

export const CLOCK: Clock = {
  now: () => Date.now(),
  after(milliseconds, run) {
    const timer = setTimeout(run, milliseconds);
    return () => clearTimeout(timer);
  },
};

export class Session {
  #parts: Parts;
  #live: boolean;
  #clock: Clock;
  #random: () => number;
  #channel: Channel | null = null; // null when it has ended
  #begun = false;
  #unused = false; // proxxy had no room: the link, although it does not live, is as good as before
  #cancelPause: (() => void) | null = null;
  #cancelAttempt: () => void = () => {};
  #cancelWait: () => void = () => {};
  #attempts = 0; // since the last connection that was steady
  #lost: Pick<Close, "code" | "reason"> | null = null; // how the connection ended, while it reconnects
  #since = 0; // when the guest answered on this connection

  constructor(parts: Parts, live: boolean) {
    this.#parts = parts;
    this.#live = live;
    this.#clock = parts.clock ?? CLOCK;
    this.#random = parts.random ?? (() => Math.random());
  }

  /** null while there is no connection. */
  get channel(): Channel | null {
    return this.#channel;
  }

  /** Connects, also after an end. Returns false if the link cannot open another console. */
  open(): boolean {
    if (this.#begun && !this.#live && !this.#unused) return false;
    this.#begun = true;
    this.#unused = false;
    this.#parts.hooks.message(null);
    this.#attempts = 0;
    this.#connect();
    return true;
  }

  /** Ends the pause. */
  now(): void {
    if (this.#cancelPause) this.#connect();
  }

  /** Reconnects no more, until open() is called. */
  stop(): void {
    if (!this.#lost) return;
    this.#drop();
    this.#end([LOST], this.#lost);
  }

  /** The user or the panel closes the console. */
  close(): void {
    if (!this.#channel && !this.#lost) return;
    this.#drop(1000);
    this.#end(["end.closed"], { code: 1000, reason: "" });
  }

  /** The connection is lost, although the socket does not say so yet. */
  lose(): void {
    if (!this.#channel) return;
    this.#drop();
    this.#closed({ code: 1006, reason: "", opened: this.#since > 0, quiet: false }, 0);
  }

  /** Ends all of it without a word. */
  end(): void {
    this.#drop(1000);
    this.#lost = null;
  }

  #drop(code?: number): void {
    this.#cancelPause?.();
    this.#cancelPause = null;
    this.#cancelAttempt();
    this.#cancelWait();
    const channel = this.#channel;
    this.#channel = null; // the socket's own end may come late
    channel?.drop(code);
  }

  #connect(): void {
    this.#drop();
    this.#since = 0;
    if (this.#lost) this.#showLost(null);
    else this.#parts.hooks.state("connecting");

    let opened;
    try {
      opened = this.#parts.open();
    } catch (error) {
      this.#end(["end.unreachable"], { code: 4000, reason: (error as Error).message });
      return;
    }
    const { socket, held, closed } = opened;
    const channel = new Channel(socket!, held, () => this.#clock.now());
    this.#channel = channel;
    if (closed) {
      void this.#hangUp(channel, closed, "");
      return;
    }
    if (this.#lost) this.#cancelAttempt = this.#clock.after(ATTEMPT_MS, () => this.lose());
    let fault = "";
    const fail = (reason: string) => {
      fault ||= reason;
      channel.close(4000);
    };
    try {
      this.#parts.guest.open(channel, this.#events(channel, fail));
    } catch (error) {
      fail((error as Error).message);
    }
    // After the guest's own handler, so that it has done what it does at an end.
    socket!.addEventListener("close", (event) => void this.#hangUp(channel, event, fault));
  }

  /** What comes of an earlier connection is dropped. */
  #events(channel: Channel, fail: (reason: string) => void): Events {
    const { hooks } = this.#parts;
    const mine =
      <Values extends unknown[]>(run: (...values: Values) => void) =>
      (...values: Values) => {
        if (channel === this.#channel) run(...values);
      };
    return {
      connected: mine(() => this.#connected()),
      fail: mine(fail),
      lost: mine(() => this.lose()),
      latency: mine((milliseconds) => hooks.latency(milliseconds)),
      clipboard: mine((text) => hooks.clipboard(text)),
      bell: mine(() => hooks.bell()),
      changed: () => hooks.changed(),
      title: mine((text) => hooks.title(text)),
    };
  }

  #connected(): void {
    if (this.#since) return;
    this.#cancelAttempt();
    this.#since = this.#clock.now();
    const again = this.#lost !== null;
    this.#lost = null;
    const { hooks } = this.#parts;
    hooks.message(null);
    hooks.state("connected");
    hooks.connected(again);
  }

  /** The socket has ended. */
  async #hangUp(channel: Channel, event: CloseEvent, fault: string): Promise<void> {
    if (channel !== this.#channel) return;
    this.#cancelAttempt();
    const { code } = event;
    const opened = this.#since > 0;
    const quiet = channel.silence >= QUIET_MS;
    let reason = fault || event.reason;
    let seconds = 0;
    if (code === 1006 && !opened && !fault) ({ reason, seconds } = await this.#parts.refusal());
    if (channel !== this.#channel) return;
    this.#channel = null;
    this.#closed({ code, reason, opened, quiet }, seconds);
  }

  /** seconds: proxxy's wish, before another attempt. */
  #closed(close: Close, seconds: number): void {
    const { code, reason, opened } = close;
    if (opened && this.#clock.now() - this.#since >= STEADY_MS) this.#attempts = 0;
    if (this.#live && passing(close) && (opened || this.#lost)) {
      this.#pause({ code, reason }, seconds);
      return;
    }
    if (refused(close)) this.#live = false;
    this.#unused = !opened && busy(close);
    const words = ending(close, this.#live);
    this.#end(this.#lost && !words.includes(LOST) ? [LOST, ...words] : words, close, seconds);
  }

  #end(words: string[], close: Pick<Close, "code" | "reason">, seconds = 0): void {
    this.#lost = null;
    const { code, reason } = close;
    const { hooks } = this.#parts;
    hooks.state("ended");
    if (this.#unused) this.#wait(words, close, this.#clock.now() + seconds * 1000, -1);
    else this.#showEnd(words, close, 0);
    hooks.closed({ code, reason, live: this.#live || this.#unused });
  }

  /** The user may connect again when the time has come. */
  #wait(words: string[], close: Pick<Close, "code" | "reason">, until: number, shown: number): void {
    const seconds = Math.max(0, Math.ceil((until - this.#clock.now()) / 1000));
    if (seconds !== shown) this.#showEnd(words, close, seconds);
    if (seconds > 0) this.#cancelWait = this.#clock.after(COUNT_MS, () => this.#wait(words, close, until, seconds));
  }

  #showEnd(words: string[], { code, reason }: Pick<Close, "code" | "reason">, seconds: number): void {
    const { hooks, offers } = this.#parts;
    const sentence: Words[] = words.map((word) => ({ word }));
    if (seconds > 0) sentence.push({ word: "end.again_in", values: { seconds } });
    hooks.message({
      sentence,
      choices: [...(this.#live || this.#unused ? (["again"] as const) : []), ...offers()],
      ...(seconds > 0 ? { disabled: ["again"] } : {}),
      details: details(code, reason),
    });
  }

  #pause(lost: Pick<Close, "code" | "reason">, seconds: number): void {
    // Consoles that were lost together must not all come back at once.
    const least = Math.min(PAUSE_MAX_MS, 1000 * 2 ** this.#attempts++) * (0.5 + this.#random() / 2);
    const pause = Math.max(least, seconds * 1000);
    this.#lost = lost;
    const { hooks } = this.#parts;
    hooks.state("reconnecting");
    this.#count(this.#clock.now() + pause, 0);
    hooks.reconnecting(lost.code, lost.reason, Math.round(pause));
  }

  #count(until: number, shown: number): void {
    const seconds = Math.ceil((until - this.#clock.now()) / 1000);
    if (seconds <= 0) {
      this.#connect();
      return;
    }
    if (seconds !== shown) this.#showLost(seconds);
    this.#cancelPause = this.#clock.after(COUNT_MS, () => this.#count(until, seconds));
  }

  /** seconds: null while it connects. */
  #showLost(seconds: number | null): void {
    const words: Words =
      seconds === null
        ? { word: "lost.reconnecting" }
        : { word: "lost.reconnecting_in", values: { seconds } };
    this.#parts.hooks.message({
      sentence: [words],
      choices: ["now", "stop"],
      disabled: seconds === null ? ["now"] : [],
      details: details(this.#lost!.code, this.#lost!.reason),
    });
  }
}

function details(code: number, reason: string): string {
  return [code, reason].filter(Boolean).join(" ");
}

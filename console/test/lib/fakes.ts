// SPDX-License-Identifier: Apache-2.0
// What tests use in place of a browser's WebSocket and clock.
import type { Clock } from "../../src/session.js";

export class FakeSocket extends EventTarget {
  readyState = 0;
  binaryType = "blob";
  protocol = "binary";
  bufferedAmount = 0;
  sent: unknown[] = [];
  closed: unknown[][] = [];
  onmessage: ((event: MessageEvent) => void) | null = null;
  onclose: ((event: CloseEvent) => void) | null = null;

  constructor(
    readonly url: URL | string = "ws://test/ws",
    readonly protocols: string[] = [],
  ) {
    super();
    this.addEventListener("message", (event) => this.onmessage?.(event as MessageEvent));
    this.addEventListener("close", (event) => this.onclose?.(event as CloseEvent));
  }

  send(data: unknown): void {
    this.sent.push(data);
  }

  close(...values: unknown[]): void {
    this.closed.push(values.filter((value) => value !== undefined));
    this.readyState = 2;
  }

  // --- what the network does ---

  open(): void {
    this.readyState = 1;
    this.dispatchEvent(new Event("open"));
  }

  receive(...bytes: number[]): void {
    this.dispatchEvent(Object.assign(new Event("message"), { data: new Uint8Array(bytes).buffer }));
  }

  end(code: number, reason = ""): void {
    this.readyState = 3;
    this.dispatchEvent(Object.assign(new Event("close"), { code, reason, wasClean: code !== 1006 }));
  }

  get socket(): WebSocket {
    return this as unknown as WebSocket;
  }
}

export class FakeClock implements Clock {
  #now = 1_000_000;
  #timers: { at: number; run: () => void }[] = [];

  now = (): number => this.#now;

  after = (milliseconds: number, run: () => void): (() => void) => {
    const timer = { at: this.#now + milliseconds, run };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  };

  /** Lets the time pass, and what is due happen at its time. */
  pass(milliseconds: number): void {
    const until = this.#now + milliseconds;
    for (;;) {
      const [next] = this.#timers.filter(({ at }) => at <= until).sort((a, b) => a.at - b.at);
      if (!next) break;
      this.#now = Math.max(this.#now, next.at);
      this.#timers = this.#timers.filter((other) => other !== next);
      next.run();
    }
    this.#now = until;
  }
}

/** Lets promises that are due go on. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 10; i++) await Promise.resolve();
}

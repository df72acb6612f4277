// SPDX-License-Identifier: Apache-2.0
// Types a text into a guest, key by key, no faster than the guest takes the keys.
//
// QEMU passes one key event to the guest each 10 ms (key-delay-ms of -vnc; ui/vnc.c, ui/kbd-state.c). The
// others wait in a queue of 1024 items (queue_limit in ui/input.c). An event takes three of them: itself, its
// "sync" and its pause. So about 341 events can wait, and QEMU drops what comes then, without a word; if that is
// the release of Shift, Shift stays down in the guest. Behind the queue, a PS/2 keyboard holds 16 bytes
// (PS2_QUEUE_SIZE in hw/input/ps2.c) and a USB keyboard 16 events (QUEUE_LENGTH in include/hw/input/hid.h): a
// guest that is busy for long loses keys there.

import { characters, strokes, type Stroke } from "./layouts.js";

/** From one key event to the next. QEMU's 10 ms are of a machine that has time; on a busy one its pauses get longer. */
const EVENT_MS = 15;

/** So many events may follow at once when a timer came late, as in a tab in the background: once a second there. */
const MOST_LATE_EVENTS = 64;

/** Events between two questions whether they have arrived. Before a question, the answer to the last one is waited for.
 *  So at most twice as many are on their way, and QEMU has room for them if the network delivers all at once. */
const EVENTS_PER_ANSWER = 64;

const SHIFT = { keysym: 0xffe1, code: "ShiftLeft" };
const CAPS_LOCK = { keysym: 0xffe5, code: "CapsLock" };
const ALT_GR = { keysym: 0xfe03, code: "AltRight" };

export type Send = (keysym: number, code: string, down: boolean) => void;

export interface TypingOptions {
  /** Stops the typing, also when the connection has ended. */
  signal?: AbortSignal;
  /** The characters typed so far, of all. */
  progress?(done: number, all: number): void;
  /** Resolves when the guest's host has everything that was sent before; not called again until then. Without it, a
   *  network that stalls and then delivers all at once can make QEMU drop keys. */
  arrived?(): Promise<void>;
  /** Caps Lock is on in the guest. It is switched off for the text, and on again at the end. */
  capsLock?: boolean;
  /** Timers and clock, of a test. */
  wait?(milliseconds: number): Promise<void>;
  now?(): number;
}

interface Key {
  keysym: number;
  code: string;
}

const sleep = (milliseconds: number): Promise<void> => new Promise((done) => setTimeout(done, milliseconds));

/** Waits for the promise, but not longer than until the signal. */
function unlessAborted(promise: Promise<void>, signal?: AbortSignal): Promise<void> {
  if (!signal) return promise;
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}

/** A keyboard whose keys are changed at the right times. */
class Keyboard {
  #down: Key[] = [];
  #due: number; // when the next event may be sent
  #sent = 0;
  #answer: Promise<void> = Promise.resolve();
  #now: () => number;
  #wait: (milliseconds: number) => Promise<void>;

  constructor(
    private readonly send: Send,
    private readonly options: TypingOptions,
  ) {
    this.#now = options.now ?? (() => performance.now());
    this.#wait = options.wait ?? sleep;
    this.#due = this.#now();
  }

  async set(key: Key, down: boolean): Promise<void> {
    if (this.#down.includes(key) === down) return;
    await this.#turn();
    this.#down = this.#down.filter((other) => other !== key);
    if (down) this.#down.push(key);
    this.send(key.keysym, key.code, down);
  }

  /** Modifiers stay down until a key needs them up. */
  async press({ keysym, code, shift, altGr }: Stroke): Promise<void> {
    const key = { keysym, code };
    // Releases come first: Alt and Shift together change the layout of some guests.
    if (!shift) await this.set(SHIFT, false);
    if (!altGr) await this.set(ALT_GR, false);
    if (shift) await this.set(SHIFT, true);
    if (altGr) await this.set(ALT_GR, true);
    await this.set(key, true);
    await this.set(key, false);
  }

  /** Releases what is down, at once. */
  release(): void {
    for (const { keysym, code } of this.#down.reverse()) this.send(keysym, code, false);
    this.#down = [];
  }

  async #turn(): Promise<void> {
    const { signal, arrived } = this.options;
    if (arrived && this.#sent++ % EVENTS_PER_ANSWER === 0) {
      await unlessAborted(this.#answer, signal);
      this.#answer = arrived();
      this.#answer.catch(() => {}); // it is waited for later
    }
    for (let early; (early = this.#due - this.#now()) > 0; ) await unlessAborted(this.#wait(early), signal);
    signal?.throwIfAborted();
    this.#due = Math.max(this.#due, this.#now() - (MOST_LATE_EVENTS - 1) * EVENT_MS) + EVENT_MS;
  }
}

/** Types the text; leaves out what the layout cannot type (see untypable()). Releases every key that it pressed, also
 *  when the signal stops it; then it rejects with the signal's reason. */
export async function typeText(text: string, layout: string, send: Send, options: TypingOptions = {}): Promise<void> {
  const all = characters(text);
  const keyboard = new Keyboard(send, options);
  let switched = false; // Caps Lock, off
  try {
    if (options.capsLock) {
      await keyboard.set(CAPS_LOCK, true);
      switched = true;
      await keyboard.set(CAPS_LOCK, false);
    }
    for (const [index, character] of all.entries()) {
      for (const stroke of strokes(character, layout) ?? []) await keyboard.press(stroke);
      options.progress?.(index + 1, all.length);
    }
    await keyboard.set(ALT_GR, false);
    await keyboard.set(SHIFT, false);
  } finally {
    keyboard.release();
    if (switched) for (const down of [true, false]) send(CAPS_LOCK.keysym, CAPS_LOCK.code, down);
  }
}

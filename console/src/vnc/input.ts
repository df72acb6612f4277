// SPDX-License-Identifier: Apache-2.0
// The keys of one connection: those of the keyboard, which noVNC takes from its canvas, those of the bar and those
// that are typed. One after another, and none stays down.

import type RFB from "@novnc/novnc";
import type { Key, Typing } from "../guest.js";
import { typeText } from "../typing/typist.js";
import type { Answers } from "./answers.js";
import { type Stroke, stroke, strokes } from "./keys.js";

const WAITING = 128; // key events while a text is typed: they follow it
const FEW = 16; // characters that need no answer to know that they have arrived

const stopped = () => new DOMException("The typing was stopped", "AbortError");

/** A copy of a key event, for noVNC. It has Caps Lock and Num Lock, which noVNC compares with the guest's. */
function copy(event: KeyboardEvent): KeyboardEvent {
  const { type, key, code, location, repeat, ctrlKey, shiftKey, altKey, metaKey, keyCode } = event;
  const modifiers = {
    modifierCapsLock: event.getModifierState("CapsLock"),
    modifierNumLock: event.getModifierState("NumLock"),
  };
  const init = { key, code, location, repeat, ctrlKey, shiftKey, altKey, metaKey, keyCode, ...modifiers };
  return new KeyboardEvent(type, { ...init, cancelable: true });
}

export class Input {
  #rfb: RFB;
  #canvas: HTMLCanvasElement;
  #answers: Answers;
  #end = new AbortController();
  #down = new Map<string, Key>(); // by code: what noVNC got of the keyboard
  #held = new Map<Key, Stroke>();
  #turn: Promise<unknown> = Promise.resolve();
  #turns = 0; // that have not ended
  #typing = false;
  #typed: Promise<unknown> = Promise.resolve(); // settles when the typist has let go
  #stop: AbortController | null = null; // of what is being typed
  #waiting: KeyboardEvent[] = [];
  #own = false; // the event is dispatched here

  /** pane: an element around the canvas. */
  constructor(rfb: RFB, canvas: HTMLCanvasElement, pane: HTMLElement, answers: Answers) {
    this.#rfb = rfb;
    this.#canvas = canvas;
    this.#answers = answers;
    const { signal } = this.#end;
    for (const type of ["keydown", "keyup"] as const)
      pane.addEventListener(type, (event) => this.#key(event), { capture: true, signal });
    canvas.addEventListener("blur", () => this.release(), { signal });
    window.addEventListener("blur", () => this.release(), { signal });
  }

  press(keys: Key[]): void {
    this.#inTurn(() => this.#press(keys)).catch(() => {}); // the connection's end is told elsewhere
  }

  hold(modifier: Key, down: boolean): void {
    this.#inTurn(() => {
      const key = stroke(modifier);
      if (!key || this.#held.has(modifier) === down) return;
      if (down) this.#held.set(modifier, key);
      else this.#held.delete(modifier);
      this.#send(key, down);
    }).catch(() => {});
  }

  /** Types a text, after what was to be typed before. */
  type(text: string, typing: Typing = {}): Promise<void> {
    return this.#inTurn(() => {
      const done = this.#typeNow(text, typing);
      this.#typed = done.catch(() => {});
      return done;
    });
  }

  /** Types a few characters of the screen keyboard: with a modifier that is held, they are keys. */
  write(text: string, layout: string): void {
    if (this.#held.size) for (const character of text) this.press([character === "\n" ? "Enter" : character]);
    else if (text) this.type(text, { layout }).catch(() => {});
  }

  /** Releases the keys of the keyboard: their own release may go elsewhere. */
  release(): void {
    for (const [code, key] of this.#down) this.#dispatch(new KeyboardEvent("keyup", { code, key, cancelable: true }));
    this.#down.clear();
  }

  /** Stops the typing, and releases all that is down: the typist's own keys by the promise's end, in this task. */
  stop(): Promise<unknown> {
    this.#stop?.abort(stopped());
    this.release();
    this.#sendHeld(false);
    this.#held.clear();
    return this.#typed;
  }

  end(): void {
    void this.stop();
    this.#end.abort();
  }

  #key(event: KeyboardEvent): void {
    if (this.#own) return;
    if (this.#typing) {
      event.stopPropagation();
      event.preventDefault();
      if (this.#waiting.length < WAITING) this.#waiting.push(copy(event));
      return;
    }
    if (event.type === "keydown") this.#down.set(event.code, event.key);
    else this.#down.delete(event.code);
  }

  #dispatch(event: KeyboardEvent): void {
    this.#own = true;
    this.#canvas.dispatchEvent(event);
    this.#own = false;
  }

  /** The keys that were pressed while a text was typed. */
  #follow(): void {
    const waiting = this.#waiting.splice(0);
    for (const event of waiting) {
      if (event.type === "keydown") this.#down.set(event.code, event.key);
      else this.#down.delete(event.code);
      this.#dispatch(event);
    }
    if (waiting.length === WAITING) this.release(); // their release may be missing
  }

  async #typeNow(text: string, typing: Typing): Promise<void> {
    const stop = new AbortController();
    this.#stop = stop;
    const { signal } = typing;
    if (signal?.aborted) throw stopped();
    signal?.addEventListener("abort", () => stop.abort(stopped()), { signal: stop.signal });
    this.release();
    this.#sendHeld(false);
    this.#typing = true;
    try {
      await this.#type(text, typing, stop.signal);
    } catch (error) {
      this.#waiting = []; // they were meant to follow the whole text
      throw error;
    } finally {
      this.#typing = false;
      stop.abort();
      this.#sendHeld(true);
      this.#follow();
    }
  }

  async #type(text: string, { layout = "us", progress }: Typing, signal: AbortSignal): Promise<void> {
    const send = (keysym: number, code: string, down: boolean) => this.#send({ keysym, code }, down);
    const arrived = text.length > FEW ? () => this.#answers.ask() : undefined;
    await typeText(text, layout, send, { signal, progress, arrived, capsLock: this.#rfb._remoteCapsLock === true });
    signal.throwIfAborted();
  }

  #sendHeld(down: boolean): void {
    for (const key of this.#held.values()) this.#send(key, down);
  }

  #press(keys: Key[]): void {
    const shifted = this.#held.has("Shift") && !keys.includes("Shift");
    const pressed = strokes(shifted ? ["Shift", ...keys] : keys).slice(shifted ? 1 : 0);
    for (const key of pressed) this.#send(key, true);
    for (const key of pressed.reverse()) this.#send(key, false);
  }

  #send({ keysym, code }: Stroke, down: boolean): void {
    this.#rfb.sendKey(keysym, code, down);
  }

  /** Runs it at once if nothing is being typed. */
  #inTurn<T>(job: () => T | Promise<T>): Promise<T> {
    const run = async () => {
      if (this.#end.signal.aborted) throw stopped();
      return job();
    };
    const done = this.#turns++ ? this.#turn.then(run) : run();
    this.#turn = done.catch(() => {}).finally(() => this.#turns--);
    return done;
  }
}

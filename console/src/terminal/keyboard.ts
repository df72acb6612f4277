// SPDX-License-Identifier: Apache-2.0
// Keys that xterm.js does not know: those with a modifier that is held by the row of extra keys, and the usual keys for
// the clipboard.

import type { Terminal } from "@xterm/xterm";

import type { Key } from "../guest.js";
import { isModifier, modified, sequence } from "./keys.js";
import { isMac } from "./links.js";

/** How long after its key event a phone's keyboard gives the character. */
const LATE_CHARACTER_MS = 100;
/** The code of a key that an input method, or a phone's keyboard, keeps to itself. */
const UNTOLD = 229;

export interface KeyboardEvents {
  send(text: string): void;
  copy(): void;
}

export class Keyboard {
  #terminal: Terminal;
  #events: KeyboardEvents;
  #held = new Set<Key>();
  #releasing = new Set<Key>(); // with the character that is still to come
  #untold = -Infinity; // when there was a key whose character is still to come

  constructor(terminal: Terminal, events: KeyboardEvents) {
    this.#terminal = terminal;
    this.#events = events;
    terminal.attachCustomKeyEventHandler((event) => this.#key(event));
  }

  hold(modifier: Key, down: boolean): void {
    if (!isModifier(modifier)) return;
    this.#releasing.delete(modifier);
    if (down) this.#held.add(modifier);
    else if (performance.now() - this.#untold > LATE_CHARACTER_MS) this.#held.delete(modifier);
    else this.#releasing.add(modifier);
    if (this.#releasing.size > 0) setTimeout(() => this.#release(), LATE_CHARACTER_MS);
  }

  get held(): ReadonlySet<Key> {
    return this.#held;
  }

  /** What xterm.js sends for a key, with the modifiers. A phone's keyboard tells of no key, only of its character. */
  typed(text: string): string {
    this.#untold = -Infinity;
    if (this.#held.size === 0 || [...text].length !== 1) return text;
    const sent = modified(text, this.#held);
    this.#release();
    return sent;
  }

  #release(): void {
    this.#releasing.forEach((modifier) => this.#held.delete(modifier));
    this.#releasing.clear();
  }

  /** Returns whether xterm.js shall handle the event. */
  #key(event: KeyboardEvent): boolean {
    const clipboard = clipboardKey(event);
    if (clipboard === "paste") return false; // the browser's own paste needs no permission
    if (clipboard === "copy") {
      event.preventDefault();
      if (event.type === "keydown" && this.#terminal.hasSelection()) this.#events.copy();
      return false;
    }
    if (event.keyCode === UNTOLD) this.#untold = performance.now();
    const told = event.type === "keydown" && event.keyCode !== UNTOLD && !isModifier(event.key);
    if (!told || this.#held.size === 0) return true;
    const pressed: Key[] = [];
    const third = event.getModifierState("AltGraph"); // which Windows tells of as Ctrl and Alt
    if (event.ctrlKey && !third) pressed.push("Control");
    if (event.altKey && !third) pressed.push("Alt");
    if (event.shiftKey && event.key.length > 1) pressed.push("Shift"); // a character has it already
    const application = this.#terminal.modes.applicationCursorKeysMode;
    const text = sequence([...this.#held, ...pressed, event.key], application);
    if (!text) return true;
    event.preventDefault();
    this.#events.send(text);
    return false;
  }
}

function clipboardKey(event: KeyboardEvent, mac = isMac()): "copy" | "paste" | null {
  const held = mac ? event.metaKey && !event.ctrlKey : event.ctrlKey && event.shiftKey;
  if (!held || event.altKey) return null;
  const key = event.key.toLowerCase();
  if (key === "c") return "copy";
  return key === "v" ? "paste" : null;
}

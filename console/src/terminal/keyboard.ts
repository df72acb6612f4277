// SPDX-License-Identifier: Apache-2.0
// Keys that xterm.js does not know: those with a modifier that is held by the row of extra keys, and the usual keys for
// the clipboard.

import type { Terminal } from "@xterm/xterm";

import type { Key } from "../guest.js";
import { isModifier, modified, sequence } from "./keys.js";
import { isMac } from "./links.js";

export interface KeyboardEvents {
  send(text: string): void;
  copy(): void;
  released(modifier: Key): void;
}

export class Keyboard {
  #terminal: Terminal;
  #events: KeyboardEvents;
  #held = new Set<Key>();

  constructor(terminal: Terminal, events: KeyboardEvents) {
    this.#terminal = terminal;
    this.#events = events;
    terminal.attachCustomKeyEventHandler((event) => this.#key(event));
  }

  hold(modifier: Key, down: boolean): void {
    if (down && isModifier(modifier)) this.#held.add(modifier);
    else this.#held.delete(modifier);
  }

  /** The modifiers that are held; they are up then. */
  take(): Set<Key> {
    const held = this.#held;
    this.#held = new Set();
    held.forEach((modifier) => this.#events.released(modifier));
    return held;
  }

  /** What xterm.js sends for a key, with the modifiers. A phone's keyboard tells of no key, only of its character. */
  typed(text: string): string {
    return this.#held.size > 0 && [...text].length === 1 ? modified(text, this.take()) : text;
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
    if (event.type !== "keydown" || this.#held.size === 0 || event.isComposing || isModifier(event.key)) return true;
    const pressed: Key[] = [];
    const third = event.getModifierState("AltGraph"); // which Windows tells of as Ctrl and Alt
    if (event.ctrlKey && !third) pressed.push("Control");
    if (event.altKey && !third) pressed.push("Alt");
    if (event.shiftKey && event.key.length > 1) pressed.push("Shift"); // a character has it already
    const application = this.#terminal.modes.applicationCursorKeysMode;
    const text = sequence([...this.#held, ...pressed, event.key], application);
    if (!text) return true;
    this.take();
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

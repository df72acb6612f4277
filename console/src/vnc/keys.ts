// SPDX-License-Identifier: Apache-2.0
// Keys by their names in the browser (KeyboardEvent.key): the X11 keysym that RFB sends, and the place on the keyboard
// (KeyboardEvent.code) for servers that want the scan code.

import keysyms from "@novnc/novnc/core/input/keysymdef.js";
import type { Key } from "../guest.js";

export interface Stroke {
  keysym: number;
  code: string;
}

const NAMED: Record<string, [number, string?]> = {
  Backspace: [0xff08],
  Tab: [0xff09],
  Enter: [0xff0d],
  Escape: [0xff1b],
  Delete: [0xffff],
  Insert: [0xff63],
  Home: [0xff50],
  End: [0xff57],
  PageUp: [0xff55],
  PageDown: [0xff56],
  ArrowLeft: [0xff51],
  ArrowUp: [0xff52],
  ArrowRight: [0xff53],
  ArrowDown: [0xff54],
  Shift: [0xffe1, "ShiftLeft"],
  Control: [0xffe3, "ControlLeft"],
  Alt: [0xffe9, "AltLeft"],
  AltGraph: [0xfe03, "AltRight"],
  Meta: [0xffeb, "MetaLeft"],
  ContextMenu: [0xff67],
  CapsLock: [0xffe5],
  NumLock: [0xff7f],
  ScrollLock: [0xff14],
  Pause: [0xff13],
  PrintScreen: [0xff61],
  " ": [0x20, "Space"],
};

/** On a US keyboard, without and with Shift. */
const PLACES: Record<string, string> = {
  "`~": "Backquote",
  "1!": "Digit1",
  "2@": "Digit2",
  "3#": "Digit3",
  "4$": "Digit4",
  "5%": "Digit5",
  "6^": "Digit6",
  "7&": "Digit7",
  "8*": "Digit8",
  "9(": "Digit9",
  "0)": "Digit0",
  "-_": "Minus",
  "=+": "Equal",
  "[{": "BracketLeft",
  "]}": "BracketRight",
  "\\|": "Backslash",
  ";:": "Semicolon",
  "'\"": "Quote",
  ",<": "Comma",
  ".>": "Period",
  "/?": "Slash",
};

function place(character: string): string {
  if (/^[a-z]$/i.test(character)) return `Key${character.toUpperCase()}`;
  return Object.entries(PLACES).find(([characters]) => characters.includes(character))?.[1] ?? "Unidentified";
}

/** Returns null for a name that is no key's. */
export function stroke(key: Key): Stroke | null {
  const named = Object.hasOwn(NAMED, key) && NAMED[key];
  if (named) return { keysym: named[0], code: named[1] ?? key };
  const f = /^F([1-9]|1[0-2])$/.exec(key);
  if (f) return { keysym: 0xffbd + Number(f[1]), code: key };
  if ([...key].length !== 1) return null;
  return { keysym: keysyms.lookup(key.codePointAt(0)!), code: place(key) };
}

/** The keys of a combination. A server that goes by the keysym would take Shift back for a small letter. */
export function strokes(keys: Key[]): Stroke[] {
  const shifted = keys.includes("Shift");
  return keys.flatMap((key) => stroke(shifted && /^[a-z]$/.test(key) ? key.toUpperCase() : key) ?? []);
}

export function isModifier(key: Key): boolean {
  return /^(Shift|Control|Alt|AltGraph|Meta|CapsLock|NumLock|ScrollLock|Fn|FnLock|Hyper|Super|Symbol)$/.test(key);
}

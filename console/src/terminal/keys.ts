// SPDX-License-Identifier: Apache-2.0
// What a terminal sends for a key: the sequences of xterm (ctlseqs, "PC-Style Function Keys").

import type { Key } from "../guest.js";

const ESCAPE = "\x1b";
const MODIFIERS: Record<Key, number> = { Shift: 1, Alt: 2, Control: 4, Meta: 8 };
const SIMPLE: Record<Key, string> = { Enter: "\r", Tab: "\t", Backspace: "\x7f", Escape: ESCAPE, Space: " " };
/** With a modifier ESC [ 1 ; MODIFIER LETTER, else ESC [ LETTER, or ESC O LETTER in the application's mode. */
const CURSOR: Record<Key, string> = {
  ...{ ArrowUp: "A", ArrowDown: "B", ArrowRight: "C", ArrowLeft: "D", End: "F", Home: "H" },
};
const FUNCTION: Record<Key, string> = { F1: "P", F2: "Q", F3: "R", F4: "S" };
/** ESC [ NUMBER ~, or ESC [ NUMBER ; MODIFIER ~. */
const NUMBERED: Record<Key, number> = {
  ...{ Insert: 2, Delete: 3, PageUp: 5, PageDown: 6 },
  ...{ F5: 15, F6: 17, F7: 18, F8: 19, F9: 20, F10: 21, F11: 23, F12: 24 },
};
/** Control with the digits and signs that have no control character of their own, as on a VT220. */
const CONTROL: Record<string, string> = {
  ...{ " ": "\0", "2": "\0", "3": "\x1b", "4": "\x1c", "5": "\x1d", "6": "\x1e", "7": "\x1f", "8": "\x7f" },
  ...{ "/": "\x1f", "?": "\x7f" },
};

export function isModifier(key: Key): boolean {
  return key in MODIFIERS;
}

/** The sequence for these keys, which are pressed in this order; keys that a terminal does not have add nothing.
 *  application: the guest asked for the cursor keys' other sequences (DECCKM). */
export function sequence(keys: Iterable<Key>, application: boolean): string {
  const modifiers = new Set<Key>();
  let all = "";
  for (const key of keys) {
    if (isModifier(key)) modifiers.add(key);
    else all += one(key, modifiers, application);
  }
  return all;
}

/** A character as it is sent with these modifiers. */
export function modified(character: string, modifiers: ReadonlySet<Key>): string {
  let sent = modifiers.has("Shift") ? upper(character) : character;
  if (modifiers.has("Control")) sent = control(sent);
  return modifiers.has("Alt") || modifiers.has("Meta") ? ESCAPE + sent : sent;
}

function one(key: Key, modifiers: ReadonlySet<Key>, application: boolean): string {
  const parameter = 1 + [...modifiers].reduce((sum, modifier) => sum + MODIFIERS[modifier]!, 0);
  const cursor = CURSOR[key] ?? FUNCTION[key];
  if (cursor) {
    if (parameter > 1) return `${ESCAPE}[1;${parameter}${cursor}`;
    return `${ESCAPE}${application || key in FUNCTION ? "O" : "["}${cursor}`;
  }
  if (key in NUMBERED) return `${ESCAPE}[${NUMBERED[key]}${parameter > 1 ? `;${parameter}` : ""}~`;
  if (key === "Tab" && modifiers.has("Shift")) return `${ESCAPE}[Z`;
  if (key === "Backspace" && modifiers.has("Control")) return "\b";
  if (key in SIMPLE && key !== "Space") return alt(SIMPLE[key]!, modifiers);
  const character = SIMPLE[key] ?? key;
  return [...character].length === 1 ? modified(character, modifiers) : "";
}

function alt(text: string, modifiers: ReadonlySet<Key>): string {
  return modifiers.has("Alt") || modifiers.has("Meta") ? ESCAPE + text : text;
}

/** "ß" would become two characters. */
function upper(character: string): string {
  const large = character.toUpperCase();
  return [...large].length === 1 ? large : character;
}

function control(character: string): string {
  const code = character.toUpperCase().charCodeAt(0);
  if (code >= 0x40 && code < 0x60) return String.fromCharCode(code - 0x40);
  return CONTROL[character] ?? character;
}

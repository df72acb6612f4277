// SPDX-License-Identifier: Apache-2.0
// What the menus contain. A menu has sections, a section has entries.

import type { Key, Kind, Options, Quality, Scaling } from "../guest.js";
import type { Language } from "../i18n.js";
import type { IconName } from "./icons.js";

export interface Entry {
  id: string;
  text: string;
  name?: string; // for screen readers, where the text alone says too little
  hint?: string;
  icon?: IconName;
  /** A switch (check) or one of several (radio), which is on or off. */
  choice?: { type: "check" | "radio"; on: boolean };
  disabled?: boolean;
  run(): void;
}

export interface Section {
  heading?: string;
  /** Many short entries, side by side. */
  columns?: number;
  entries: Entry[];
}

/** A combination: what it sends, and the words of its keys. The last ones, "shown" many, are its text in the menu. */
interface Combination {
  id: string;
  keys: Key[];
  words: string[];
  shown?: number;
}

interface KeySection {
  heading: string;
  columns?: number;
  combinations: Combination[];
}

const FUNCTION_KEYS = Array.from({ length: 12 }, (_, index) => `F${index + 1}`);
const SYSRQ_LETTERS = [..."reisubocfhklmt"]; // of Linux: first those that restart it in good order
const CONTROL_LETTERS = [..."cdzabeklnrsuwx"]; // of shells: first those that stop a program

const VNC_KEYS: KeySection[] = [
  {
    heading: "keys.send",
    combinations: [
      { id: "ctrl-alt-del", keys: ["Control", "Alt", "Delete"], words: ["key.ctrl", "key.alt", "key.del"] },
      { id: "alt-tab", keys: ["Alt", "Tab"], words: ["key.alt", "key.tab"] },
      { id: "win", keys: ["Meta"], words: ["key.win"] },
      { id: "print-screen", keys: ["PrintScreen"], words: ["key.print"] },
      { id: "esc", keys: ["Escape"], words: ["key.esc"] },
    ],
  },
  {
    heading: "keys.consoles",
    columns: 6,
    combinations: FUNCTION_KEYS.map((key) => ({
      id: `ctrl-alt-${key.toLowerCase()}`,
      keys: ["Control", "Alt", key],
      words: ["key.ctrl", "key.alt", key],
      shown: 1,
    })),
  },
  {
    heading: "keys.sysrq",
    columns: 7,
    combinations: SYSRQ_LETTERS.map((letter) => ({
      id: `sysrq-${letter}`,
      keys: ["Alt", "PrintScreen", letter], // SysRq is the Print Screen key with Alt
      words: ["key.alt", "SysRq", letter.toUpperCase()],
      shown: 1,
    })),
  },
];

const TERMINAL_KEYS: KeySection[] = [
  {
    heading: "keys.control",
    columns: 7,
    combinations: CONTROL_LETTERS.map((letter) => ({
      id: `ctrl-${letter}`,
      keys: ["Control", letter],
      words: ["key.ctrl", letter.toUpperCase()],
      shown: 1,
    })),
  },
  {
    heading: "keys.send",
    columns: 4,
    combinations: [
      { id: "esc", keys: ["Escape"], words: ["key.esc"] },
      { id: "tab", keys: ["Tab"], words: ["key.tab"] },
      { id: "insert", keys: ["Insert"], words: ["key.insert"] },
      { id: "delete", keys: ["Delete"], words: ["key.del"] },
      { id: "home", keys: ["Home"], words: ["key.home"] },
      { id: "end", keys: ["End"], words: ["key.end"] },
      { id: "page-up", keys: ["PageUp"], words: ["key.page_up"] },
      { id: "page-down", keys: ["PageDown"], words: ["key.page_down"] },
    ],
  },
  {
    heading: "keys.function",
    columns: 6,
    combinations: FUNCTION_KEYS.map((key) => ({ id: key.toLowerCase(), keys: [key], words: [key] })),
  },
];

export function keysMenu(kind: Kind, language: Language, send: (keys: Key[]) => void): Section[] {
  const join = (words: string[]): string => words.map((word) => language.word(word)).join("+");
  return (kind === "vnc" ? VNC_KEYS : TERMINAL_KEYS).map(({ heading, columns, combinations }) => ({
    heading: language.word(heading),
    columns,
    entries: combinations.map(({ id, keys, words, shown }) => ({
      id,
      text: join(shown ? words.slice(-shown) : words),
      name: join(words),
      run: () => send(keys),
    })),
  }));
}

const SCALINGS: Scaling[] = ["fit", "actual", "remote"];

export function scalingMenu(options: Options, canResize: boolean, language: Language, set: (to: Scaling) => void) {
  const entries: Entry[] = SCALINGS.map((scaling) => ({
    id: scaling,
    text: language.word(`scaling.${scaling}`),
    hint: language.word(`scaling.${scaling}_hint`),
    choice: { type: "radio", on: options.scaling === scaling },
    disabled: scaling === "remote" && !canResize,
    run: () => set(scaling),
  }));
  return [{ entries }];
}

const QUALITIES: Quality[] = ["auto", "low", "medium", "high"];
const QUALITY_HINTS: Partial<Record<Quality, string>> = { auto: "quality.auto_hint", low: "quality.low_hint" };

export function qualityMenu(options: Options, language: Language, set: (to: Quality) => void): Section[] {
  const entries: Entry[] = QUALITIES.map((quality) => ({
    id: quality,
    text: language.word(`quality.${quality}`),
    hint: QUALITY_HINTS[quality] && language.word(QUALITY_HINTS[quality]),
    choice: { type: "radio", on: options.quality === quality },
    run: () => set(quality),
  }));
  return [{ entries }];
}

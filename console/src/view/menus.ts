// SPDX-License-Identifier: Apache-2.0
// What the menus contain. A menu has sections, a section has entries.

import type { Key, Kind, Options, Quality, Scaling } from "../guest.js";
import type { Language } from "../i18n.js";
import type { IconName } from "./icons.js";

export interface Entry {
  id: string;
  text: string;
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
  compact?: boolean;
  entries: Entry[];
}

interface KeyEntry {
  id: string;
  /** The keys' words, or their signs. */
  text: string[];
  keys: Key[];
}

const FUNCTION_KEYS = Array.from({ length: 12 }, (_, index) => `F${index + 1}`);
const SYSRQ_LETTERS = [..."bcefhiklmorstu"]; // those that Linux answers on a console
const CONTROL_LETTERS = [..."abcdeklnrsuwxz"];

/** Alt-SysRq is the Print Screen key with Alt. */
function sysrq(letter: string): KeyEntry {
  return { id: `sysrq-${letter}`, text: [letter.toUpperCase()], keys: ["Alt", "PrintScreen", letter] };
}

function vncKeys(): [string, boolean, KeyEntry[]][] {
  return [
    ["keys.send", false, [
      { id: "ctrl-alt-del", text: ["key.ctrl", "key.alt", "key.del"], keys: ["Control", "Alt", "Delete"] },
      { id: "alt-tab", text: ["key.alt", "key.tab"], keys: ["Alt", "Tab"] },
      { id: "win", text: ["key.win"], keys: ["Meta"] },
      { id: "print-screen", text: ["key.print"], keys: ["PrintScreen"] },
      { id: "esc", text: ["key.esc"], keys: ["Escape"] },
    ]],
    ["keys.consoles", true,
      FUNCTION_KEYS.map((key) => ({ id: `ctrl-alt-${key.toLowerCase()}`, text: [key], keys: ["Control", "Alt", key] }))],
    ["keys.sysrq", true, SYSRQ_LETTERS.map(sysrq)],
  ];
}

function terminalKeys(): [string, boolean, KeyEntry[]][] {
  return [
    ["keys.control", true, CONTROL_LETTERS.map((letter) =>
      ({ id: `ctrl-${letter}`, text: [letter.toUpperCase()], keys: ["Control", letter] }))],
    ["keys.send", true, [
      { id: "esc", text: ["key.esc"], keys: ["Escape"] },
      { id: "tab", text: ["key.tab"], keys: ["Tab"] },
      { id: "insert", text: ["key.insert"], keys: ["Insert"] },
      { id: "delete", text: ["key.del"], keys: ["Delete"] },
      { id: "home", text: ["key.home"], keys: ["Home"] },
      { id: "end", text: ["key.end"], keys: ["End"] },
      { id: "page-up", text: ["key.page_up"], keys: ["PageUp"] },
      { id: "page-down", text: ["key.page_down"], keys: ["PageDown"] },
    ]],
    ["keys.function", true, FUNCTION_KEYS.map((key) => ({ id: key.toLowerCase(), text: [key], keys: [key] }))],
  ];
}

export function keysMenu(kind: Kind, language: Language, send: (keys: Key[]) => void): Section[] {
  const sections = kind === "vnc" ? vncKeys() : terminalKeys();
  return sections.map(([heading, compact, entries]) => ({
    heading: language.word(heading),
    compact,
    entries: entries.map(({ id, text, keys }) => ({
      id,
      text: text.map((part) => language.word(part)).join("+"),
      run: () => send(keys),
    })),
  }));
}

export function scalingMenu(
  options: Options, canResize: boolean, language: Language, set: (scaling: Scaling) => void,
): Section[] {
  const scalings: Scaling[] = ["fit", "actual", "remote"];
  return [{
    entries: scalings.map((scaling) => ({
      id: scaling,
      text: language.word(`scaling.${scaling}`),
      hint: language.word(`scaling.${scaling}_hint`),
      choice: { type: "radio", on: options.scaling === scaling },
      disabled: scaling === "remote" && !canResize,
      run: () => set(scaling),
    })),
  }];
}

export function qualityMenu(options: Options, language: Language, set: (quality: Quality) => void): Section[] {
  const hints: Partial<Record<Quality, string>> = { auto: "quality.auto_hint", low: "quality.low_hint" };
  const qualities: Quality[] = ["auto", "low", "medium", "high"];
  return [{
    entries: qualities.map((quality) => ({
      id: quality,
      text: language.word(`quality.${quality}`),
      hint: hints[quality] && language.word(hints[quality]),
      choice: { type: "radio", on: options.quality === quality },
      run: () => set(quality),
    })),
  }];
}

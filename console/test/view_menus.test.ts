// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import de from "../languages/de.json";
import type { Key, Options } from "../src/guest.js";
import { ENGLISH, Language } from "../src/i18n.js";
import { keysMenu, qualityMenu, scalingMenu, type Entry, type Section } from "../src/view/menus.js";

const OPTIONS: Options = {
  scaling: "actual",
  quality: "low",
  viewOnly: false,
  fontSize: 15,
  screenReader: false,
  language: "en",
};

const entriesOf = (sections: Section[]): Entry[] => sections.flatMap(({ entries }) => entries);

function sent(kind: "vnc" | "term", id: string): Key[] {
  let keys: Key[] = [];
  const entries = entriesOf(keysMenu(kind, ENGLISH, (pressed) => (keys = pressed)));
  entries.find((entry) => entry.id === id)!.run();
  return keys;
}

test("a screen's menu of keys sends what it says", () => {
  assert.deepEqual(sent("vnc", "ctrl-alt-del"), ["Control", "Alt", "Delete"]);
  assert.deepEqual(sent("vnc", "ctrl-alt-f12"), ["Control", "Alt", "F12"]);
  assert.deepEqual(sent("vnc", "alt-tab"), ["Alt", "Tab"]);
  assert.deepEqual(sent("vnc", "win"), ["Meta"]);
  assert.deepEqual(sent("vnc", "print-screen"), ["PrintScreen"]);
  assert.deepEqual(sent("vnc", "sysrq-b"), ["Alt", "PrintScreen", "b"]);
  assert.deepEqual(sent("vnc", "esc"), ["Escape"]);
});

test("a terminal's menu of keys sends what it says", () => {
  assert.deepEqual(sent("term", "ctrl-c"), ["Control", "c"]);
  assert.deepEqual(sent("term", "page-up"), ["PageUp"]);
  assert.deepEqual(sent("term", "f5"), ["F5"]);
});

test("each key has its own name, in the language's words", () => {
  for (const kind of ["vnc", "term"] as const) {
    const entries = entriesOf(keysMenu(kind, ENGLISH, () => {}));
    assert.equal(new Set(entries.map(({ id }) => id)).size, entries.length);
    assert.equal(new Set(entries.map(({ name }) => name)).size, entries.length);
  }
  const german = entriesOf(keysMenu("vnc", new Language("de", de), () => {}));
  assert.equal(german.find(({ id }) => id === "ctrl-alt-del")!.text, "Strg+Alt+Entf");
  const second = german.find(({ id }) => id === "ctrl-alt-f2")!;
  assert.deepEqual([second.text, second.name], ["F2", "Strg+Alt+F2"]);
});

test("every section of keys fills its rows", () => {
  for (const kind of ["vnc", "term"] as const)
    for (const { columns, entries } of keysMenu(kind, ENGLISH, () => {}))
      if (columns) assert.equal(entries.length % columns, 0);
});

test("the scaling in use is marked, and one that the guest cannot do is disabled", () => {
  const marked = (sections: Section[]): string[] =>
    entriesOf(sections).filter(({ choice }) => choice?.on).map(({ id }) => id);
  let chosen = "";
  const sections = scalingMenu(OPTIONS, false, ENGLISH, (scaling) => (chosen = scaling));
  assert.deepEqual(marked(sections), ["actual"]);
  assert.deepEqual(entriesOf(sections).filter(({ disabled }) => disabled).map(({ id }) => id), ["remote"]);
  entriesOf(sections)[0].run();
  assert.equal(chosen, "fit");
  assert.deepEqual(marked(qualityMenu(OPTIONS, ENGLISH, () => {})), ["low"]);
});

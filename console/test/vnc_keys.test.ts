// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { isModifier, stroke, strokes } from "../src/vnc/keys.js";
import { change, combination, type KeyEvent } from "../src/vnc/keyboard.js";

test("keys have a keysym, and a place on the keyboard", () => {
  assert.deepEqual(stroke("Enter"), { keysym: 0xff0d, code: "Enter" });
  assert.deepEqual(stroke("Control"), { keysym: 0xffe3, code: "ControlLeft" });
  assert.deepEqual(stroke("F1"), { keysym: 0xffbe, code: "F1" });
  assert.deepEqual(stroke("F12"), { keysym: 0xffc9, code: "F12" });
  assert.deepEqual(stroke("a"), { keysym: 0x61, code: "KeyA" });
  assert.deepEqual(stroke("A"), { keysym: 0x41, code: "KeyA" });
  assert.deepEqual(stroke("?"), { keysym: 0x3f, code: "Slash" });
  assert.deepEqual(stroke("€"), { keysym: 0x20ac, code: "Unidentified" });
  assert.equal(stroke("NoSuchKey"), null);
  assert.equal(stroke("F13"), null);
  assert.equal(stroke("constructor"), null);
});

test("a letter with Shift is a capital", () => {
  assert.deepEqual(strokes(["Control", "Shift", "t"]).map(({ keysym }) => keysym), [0xffe3, 0xffe1, 0x54]);
  assert.deepEqual(strokes(["Alt", "NoSuchKey", "Tab"]).map(({ code }) => code), ["AltLeft", "Tab"]);
});

test("modifiers", () => {
  for (const key of ["Shift", "Control", "Alt", "AltGraph", "Meta"]) assert.ok(isModifier(key));
  for (const key of ["a", "Enter", "Shifty", "F1"]) assert.ok(!isModifier(key));
});

test("what a screen keyboard changed", () => {
  assert.deepEqual(change("___", "___a"), { deleted: 0, text: "a" });
  assert.deepEqual(change("___", "__"), { deleted: 1, text: "" });
  assert.deepEqual(change("__teh", "__the "), { deleted: 2, text: "he " }, "a word is corrected");
  assert.deepEqual(change("_😀", "_😁"), { deleted: 1, text: "😁" }, "halves that are the same");
  assert.deepEqual(change("_😀", "_"), { deleted: 1, text: "" });
});

const NONE = { keyCode: 0, isComposing: false, ctrlKey: false, altKey: false, shiftKey: false, metaKey: false };
const event = (key: string, more: Partial<KeyEvent> = {}): KeyEvent => ({
  key,
  ...NONE,
  getModifierState: () => false,
  ...more,
});

test("keys of a keyboard that is connected to a phone", () => {
  assert.deepEqual(combination(event("ArrowUp"), false), ["ArrowUp"]);
  assert.deepEqual(combination(event("ArrowUp", { shiftKey: true }), false), ["Shift", "ArrowUp"]);
  assert.deepEqual(combination(event("c", { ctrlKey: true }), false), ["Control", "c"]);
  assert.deepEqual(combination(event("f", { altKey: true }), false), ["Alt", "f"]);
});

test("what the field gets as a text is no key", () => {
  assert.equal(combination(event("a"), false), null);
  assert.equal(combination(event("A", { shiftKey: true }), false), null);
  assert.equal(combination(event("Unidentified", { keyCode: 229 }), false), null);
  assert.equal(combination(event("Enter", { isComposing: true }), false), null);
  assert.equal(combination(event("Dead"), false), null);
  assert.equal(combination(event("Shift", { shiftKey: true }), false), null);
  assert.equal(combination(event("@", { altKey: true }), true), null, "Alt on a Mac");
  const altGr = { ctrlKey: true, altKey: true, getModifierState: (key: string) => key === "AltGraph" };
  assert.equal(combination(event("@", altGr), false), null, "AltGr on Windows");
});

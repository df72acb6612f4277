// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";

import { modified, sequence } from "../src/terminal/keys.js";

const SEQUENCES: [keys: string[], sent: string][] = [
  [["a"], "a"],
  [["Enter"], "\r"],
  [["Tab"], "\t"],
  [["Shift", "Tab"], "\x1b[Z"],
  [["Escape"], "\x1b"],
  [["Backspace"], "\x7f"],
  [["Control", "Backspace"], "\b"],
  [["Alt", "Backspace"], "\x1b\x7f"],
  [["Space"], " "],
  [["ArrowUp"], "\x1b[A"],
  [["Control", "ArrowRight"], "\x1b[1;5C"],
  [["Shift", "ArrowLeft"], "\x1b[1;2D"],
  [["Home"], "\x1b[H"],
  [["End"], "\x1b[F"],
  [["Insert"], "\x1b[2~"],
  [["Delete"], "\x1b[3~"],
  [["Control", "Alt", "Delete"], "\x1b[3;7~"],
  [["PageUp"], "\x1b[5~"],
  [["PageDown"], "\x1b[6~"],
  [["F1"], "\x1bOP"],
  [["F4"], "\x1bOS"],
  [["Shift", "F1"], "\x1b[1;2P"],
  [["F5"], "\x1b[15~"],
  [["F12"], "\x1b[24~"],
  [["Alt", "F12"], "\x1b[24;3~"],
  [["Control", "c"], "\x03"],
  [["Control", "C"], "\x03"],
  [["Control", "["], "\x1b"],
  [["Control", "Space"], "\0"],
  [["Control", "_"], "\x1f"],
  [["Control", "?"], "\x7f"],
  [["Control", "é"], "é"],
  [["Alt", "x"], "\x1bx"],
  [["Control", "Alt", "x"], "\x1b\x18"],
  [["Shift", "a"], "A"],
  [["Shift", "ß"], "ß"],
  [["a", "b", "Enter"], "ab\r"],
  [["Control", "a", "d"], "\x01\x04"],
  [["PrintScreen"], ""],
  [["Control"], ""],
];

for (const [keys, sent] of SEQUENCES)
  test(`${keys.join("+")} is ${JSON.stringify(sent)}`, () => assert.equal(sequence(keys, false), sent));

test("a program may ask for the other kind of arrows", () => {
  assert.equal(sequence(["ArrowUp"], true), "\x1bOA");
  assert.equal(sequence(["Home"], true), "\x1bOH");
  assert.equal(sequence(["Control", "ArrowUp"], true), "\x1b[1;5A");
  assert.equal(sequence(["Delete"], true), "\x1b[3~");
});

test("a character with held modifiers", () => {
  assert.equal(modified("c", new Set(["Control"])), "\x03");
  assert.equal(modified("c", new Set(["Alt"])), "\x1bc");
  assert.equal(modified("c", new Set()), "c");
});

// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { LeaveKeys } from "../src/view/leave.js";
import { Sticky } from "../src/view/sticky.js";

function record(): { sticky: Sticky; calls: string[] } {
  const calls: string[] = [];
  return { sticky: new Sticky((modifier, down) => calls.push(`${modifier} ${down ? "down" : "up"}`)), calls };
}

test("a modifier that is pressed once holds for the next key", () => {
  const { sticky, calls } = record();
  sticky.press("Control");
  assert.equal(sticky.get("Control"), "once");
  sticky.used();
  assert.equal(sticky.get("Control"), "off");
  assert.deepEqual(calls, ["Control down", "Control up"]);
  sticky.used();
  assert.equal(calls.length, 2);
});

test("a modifier that is pressed twice holds until it is pressed again", () => {
  const { sticky, calls } = record();
  sticky.press("Alt");
  sticky.press("Alt");
  sticky.used();
  assert.equal(sticky.get("Alt"), "locked");
  assert.deepEqual(calls, ["Alt down"]);
  sticky.press("Alt");
  assert.equal(sticky.get("Alt"), "off");
  assert.equal(calls.at(-1), "Alt up");
});

test("modifiers are independent, and all of them can be released", () => {
  const { sticky, calls } = record();
  sticky.press("Control");
  sticky.press("Alt");
  sticky.press("Alt");
  sticky.reset();
  assert.deepEqual([sticky.get("Control"), sticky.get("Alt")], ["off", "off"]);
  assert.deepEqual(calls.slice(2), ["Control up", "Alt up"]);
});

function press(keys: LeaveKeys, ...codes: string[]): void {
  for (const code of codes) keys.keyDown(code);
}

test("Ctrl, Alt and Shift together leave the screen when the last of them is up", () => {
  const keys = new LeaveKeys();
  press(keys, "ControlLeft", "AltLeft", "ShiftRight");
  assert.equal(keys.keyUp("AltLeft"), false);
  assert.equal(keys.keyUp("ControlLeft"), false);
  assert.equal(keys.keyUp("ShiftRight"), true);
  assert.equal(keys.keyUp("ShiftRight"), false);
});

test("two of them, or another key between, do not leave the screen", () => {
  const keys = new LeaveKeys();
  press(keys, "ControlLeft", "AltLeft");
  assert.equal([keys.keyUp("ControlLeft"), keys.keyUp("AltLeft")].includes(true), false);
  press(keys, "ControlLeft", "AltLeft", "ShiftLeft", "KeyT");
  const ups = ["KeyT", "ControlLeft", "AltLeft", "ShiftLeft"].map((code) => keys.keyUp(code));
  assert.equal(ups.includes(true), false);
});

test("keys that were down when the screen lost the focus count no more", () => {
  const keys = new LeaveKeys();
  press(keys, "ControlLeft", "AltLeft", "ShiftLeft");
  keys.reset();
  assert.equal(keys.keyUp("ShiftLeft"), false);
});

// SPDX-License-Identifier: Apache-2.0
// What a guest prints that is more than text: copies, links, widths, colours.
import assert from "node:assert/strict";
import { test } from "node:test";

import { copiedByGuest, pastable } from "../src/terminal/copy.js";
import { opens, safeAddress } from "../src/terminal/links.js";
import { paletteColour, rgb } from "../src/terminal/screenshot.js";
import { unicode11, Widths } from "../src/terminal/widths.js";

test("a guest copies a text", () => {
  assert.equal(copiedByGuest("c;aMOp"), "hé");
  assert.equal(copiedByGuest("p;aGk="), "hi");
  assert.equal(copiedByGuest(";aGk="), "hi");
});

test("a guest neither reads the clipboard nor sends anything but text", () => {
  for (const data of ["c;?", "c;", "c", "", "c;!", "c;a", "c;/w==", `c;${"A".repeat(5_000_000)}`])
    assert.equal(copiedByGuest(data), null, data.slice(0, 10));
});

test("nothing that is pasted ends the paste", () => {
  assert.equal(pastable("a\x1b[201~b\x9b201~\0\x03\x7f"), "a[201~b201~");
  assert.equal(pastable("a\tb\r\nc é😀\u200d"), "a\tb\r\nc é😀\u200d");
});

test("only addresses of the web are opened", () => {
  assert.equal(safeAddress("https://example.com/a?b"), "https://example.com/a?b");
  assert.equal(safeAddress("HTTP://example.com"), "http://example.com/");
  for (const text of ["javascript:alert(1)", " javascript:1", "data:text/html,x", "file:///etc/passwd", "//a", "x", ""])
    assert.equal(safeAddress(text), null, text);
});

test("a link takes Ctrl, or Cmd on a Mac, or a finger", () => {
  const plain = { ctrlKey: false, metaKey: false };
  assert.equal(opens(plain, "mouse", false), false);
  assert.equal(opens({ ...plain, ctrlKey: true }, "mouse", false), true);
  assert.equal(opens({ ...plain, ctrlKey: true }, "mouse", true), false);
  assert.equal(opens({ ...plain, metaKey: true }, "mouse", true), true);
  assert.equal(opens(plain, "touch", false), true);
});

const WIDTHS: [width: 0 | 1 | 2, characters: string][] = [
  [0, "\u0301\u0e34\u200b\u200d\ufe0f\ufeff\u05b8"],
  [1, "aéñ─█→①…“\u00ad❤☺ｱβя\u{1f1e9}"],
  [2, "中文한あＡ😀🥲🫠👍✅⏳🀄\u{1f3fd}\u{20000}"],
];

test("widths are those of the C library", () => {
  const widths = new Widths(unicode11());
  for (const [width, characters] of WIDTHS)
    for (const character of characters) assert.equal(widths.wcwidth(character.codePointAt(0)!), width, character);
});

test("the 256 colours of a picture", () => {
  const theme = { red: "#a00", brightWhite: "#fff" };
  assert.equal(paletteColour(1, theme), "#a00");
  assert.equal(paletteColour(15, theme), "#fff");
  assert.equal(paletteColour(16, theme), "rgb(0, 0, 0)");
  assert.equal(paletteColour(208, theme), "rgb(255, 135, 0)");
  assert.equal(paletteColour(231, theme), "rgb(255, 255, 255)");
  assert.equal(paletteColour(232, theme), "rgb(8, 8, 8)");
  assert.equal(paletteColour(255, theme), "rgb(238, 238, 238)");
  assert.equal(rgb(0x00ff01), "#00ff01");
});

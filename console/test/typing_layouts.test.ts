// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { LAYOUTS, strokes, untypable } from "../src/typing/layouts.js";

const ASCII = Array.from({ length: 95 }, (_, i) => String.fromCharCode(32 + i));

test("the layouts have an id and a name of their own, and the first is that of the US", () => {
  assert.equal(LAYOUTS[0]!.id, "us");
  const ids = "us uk de ch fr be es latam it pt br sv no dk fi nl pl tr jp".split(" ");
  assert.deepEqual(LAYOUTS.map(({ id }) => id), ids);
  assert.equal(new Set(LAYOUTS.map(({ name }) => name)).size, ids.length);
});

for (const { id } of LAYOUTS) {
  test(`${id}: each character of ASCII can be typed`, () => {
    assert.deepEqual(untypable(ASCII.join(""), id), []);
  });
}

const WRITTEN: Record<string, string> = {
  us: "",
  uk: "£€¬",
  de: "äöüÄÖÜßéèàâê€²³µ§°",
  ch: "äöüéèàçÉÀêñ£€§°",
  fr: "éèàùçâêîôûëïüÿ€£µ§²°",
  be: "éèàùçâêîôûëïü€£µ§²³",
  es: "ñÑáéíóúÁÉÍÓÚüÜ¿¡ºªçÇ€¬",
  latam: "ñÑáéíóúÁÉÍÓÚüÜ¿¡¬°",
  it: "àèéìòùç€£§°",
  pt: "ãõÃÕáéíóúâêôàçÇ€£§«»ºª",
  br: "ãõÃÕáéíóúâêôàçÇ£§ºª¹²³",
  sv: "åäöÅÄÖéüñ€£µ§½",
  no: "æøåÆØÅéüñ€£µ§",
  dk: "æøåÆØÅéüñ€£µ§½",
  fi: "åäöÅÄÖéüñ€£µ§½",
  nl: "éèêëïöüñ€§±°",
  pl: "ąćęłńóśźżĄĆĘŁŃÓŚŹŻ€",
  tr: "ğüşıöçĞÜŞİÖÇ€₺é",
  jp: "",
};

for (const [id, text] of Object.entries(WRITTEN)) {
  test(`${id}: its own letters can be typed`, () => assert.deepEqual(untypable(text, id), []));
}

test("what cannot be typed is listed once each, in order; an end of line and a tab can", () => {
  assert.deepEqual(untypable("ñ€\r\n\tañ\u0007☃é", "us"), ["ñ", "€", "\u0007", "☃", "é"]);
  assert.deepEqual(untypable("☃é", "fr"), ["☃"]);
});

test("a letter and its accent are the letter with the accent; an accent alone is none", () => {
  assert.deepEqual(untypable("e\u0301", "fr"), []);
  assert.deepEqual(untypable("\u0302", "de"), ["\u0302"]);
});

test("a key that works alone is chosen before one with a modifier, and before a dead key", () => {
  assert.deepEqual(strokes("é", "fr"), [{ code: "Digit2", keysym: 0xe9, shift: false, altGr: false }]);
  assert.deepEqual(strokes("^", "us"), [{ code: "Digit6", keysym: 0x5e, shift: true, altGr: false }]);
  assert.deepEqual(strokes("^", "de"), [
    { code: "Backquote", keysym: 0xfe52, shift: false, altGr: false },
    { code: "Space", keysym: 0x20, shift: false, altGr: false },
  ]);
  assert.deepEqual(strokes("ñ", "pt"), [
    { code: "Backslash", keysym: 0xfe53, shift: false, altGr: false },
    { code: "KeyN", keysym: 0x6e, shift: false, altGr: false },
  ]);
});

test("a keysym is the character's own, and an old one where there is one", () => {
  const keysyms = [..."aA@é€ł₺"].map((character) => {
    const layout = LAYOUTS.find(({ id }) => strokes(character, id)?.length === 1)!.id;
    return strokes(character, layout)![0]!.keysym;
  });
  assert.deepEqual(keysyms, [0x61, 0x41, 0x40, 0xe9, 0x20ac, 0x1b3, 0x10020ba]);
});

test("a name that is no layout is an error, also one of every object", () => {
  for (const name of ["xx", "", "constructor"]) assert.throws(() => strokes("a", name), RangeError);
});

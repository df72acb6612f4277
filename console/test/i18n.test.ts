// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import ar from "../languages/ar.json";
import de from "../languages/de.json";
import en from "../languages/en.json";
import es from "../languages/es.json";
import fr from "../languages/fr.json";
import it from "../languages/it.json";
import ja from "../languages/ja.json";
import nl from "../languages/nl.json";
import pl from "../languages/pl.json";
import pt from "../languages/pt.json";
import tr from "../languages/tr.json";
import zh from "../languages/zh.json";
import { choose, ENGLISH, Language, LANGUAGES, load, type Table } from "../src/i18n.js";

const TABLES: Record<string, Table> = { ar, de, es, fr, it, ja, nl, pl, pt, tr, zh };
const ENGLISH_TABLE: Table = en;

const places = (text: string): string[] => [...text.matchAll(/\{\w+\}/g)].map(([place]) => place).sort();
const other = (entry: Table[string]): string => (typeof entry === "string" ? entry : entry.other!);

test("each language that is offered has a file", () => {
  assert.deepEqual([...LANGUAGES].sort(), ["en", ...Object.keys(TABLES)].sort());
});

for (const [id, table] of Object.entries(TABLES)) {
  test(`${id} has the words of English, in their order, with the same places`, () => {
    assert.deepEqual(Object.keys(table), Object.keys(ENGLISH_TABLE));
    for (const [name, entry] of Object.entries(ENGLISH_TABLE)) {
      assert.deepEqual(places(other(table[name])), places(other(entry)), name);
      assert.equal(typeof table[name], typeof entry, name);
    }
  });

  test(`${id} has every plural form that its whole numbers need`, () => {
    const rules = new Intl.PluralRules(id);
    const needed = new Set(Array.from({ length: 200 }, (_, count) => rules.select(count)));
    for (const [name, entry] of Object.entries(table)) {
      if (typeof entry !== "string") for (const form of needed) assert.ok(entry[form], `${name}: ${form}`);
    }
  });

  test(`${id} has no empty word`, () => {
    for (const [name, entry] of Object.entries(table)) assert.ok(other(entry).trim(), name);
  });
}

test("the number chooses the plural form", () => {
  const polish = new Language("pl", pl);
  const say = (minutes: number): string => polish.word("notice.time_left", { minutes });
  assert.match(say(1), /1 minutę\./);
  assert.match(say(3), /3 minuty\./);
  assert.match(say(5), /5 minut\./);
  assert.equal(ENGLISH.word("notice.time_left", { minutes: 1 }), "This console ends in 1 minute.");
  assert.equal(ENGLISH.word("notice.time_left", { minutes: 2 }), "This console ends in 2 minutes.");
});

test("English takes the place of a word that a language lacks, and the name that of one that nobody has", () => {
  const lacking = new Language("de", { "choice.now": "Jetzt" });
  assert.equal(lacking.word("choice.now"), "Jetzt");
  assert.equal(lacking.word("choice.stop"), "Stop trying");
  assert.equal(lacking.word("F1"), "F1");
});

test("a value is put in as it is", () => {
  const text = ENGLISH.word("notice.untypable", { characters: "$& {characters}" });
  assert.equal(text, "This keyboard layout cannot type: $& {characters}");
});

test("the first preferred language that there is, is chosen", () => {
  assert.equal(choose(["de-CH", "fr"]), "de");
  assert.equal(choose(["xx", "pt-BR", "en"]), "pt");
  assert.equal(choose(["zh-Hant-TW"]), "zh");
  assert.equal(choose(["xx"]), "en");
  assert.equal(choose([]), "en");
  assert.equal(choose(["constructor", "__proto__"]), "en");
});

test("a language is loaded by its tag, with its direction", async () => {
  const arabic = await load("ar-EG");
  assert.equal(arabic.id, "ar");
  assert.equal(arabic.direction, "rtl");
  assert.equal((await load("de-AT")).word("dialog.cancel"), "Abbrechen");
  assert.equal(ENGLISH.direction, "ltr");
  assert.equal(await load("tlh"), ENGLISH);
});

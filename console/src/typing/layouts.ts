// SPDX-License-Identifier: Apache-2.0
// Which keys type a text. A guest gets key codes, and its own keyboard layout makes characters of them. Therefore each
// character has the key that types it in the guest's layout, beside the keysym, which is the character's own.

import be from "./layouts/be.json";
import br from "./layouts/br.json";
import ch from "./layouts/ch.json";
import de from "./layouts/de.json";
import dk from "./layouts/dk.json";
import es from "./layouts/es.json";
import fi from "./layouts/fi.json";
import fr from "./layouts/fr.json";
import it from "./layouts/it.json";
import jp from "./layouts/jp.json";
import latam from "./layouts/latam.json";
import nl from "./layouts/nl.json";
import no from "./layouts/no.json";
import pl from "./layouts/pl.json";
import pt from "./layouts/pt.json";
import sv from "./layouts/sv.json";
import tr from "./layouts/tr.json";
import uk from "./layouts/uk.json";
import us from "./layouts/us.json";

/** A layout's file. keys: for each KeyboardEvent.code what it types: alone, with Shift, with AltGr, with both. " " is
 *  nothing; a dead key is the combining character of its accent. */
interface Table {
  id: string;
  name: string;
  keys: Partial<Record<string, string>>;
}

/** One press of a key, with the modifiers that are down meanwhile. */
export interface Stroke {
  code: string; // KeyboardEvent.code
  keysym: number; // X's
  shift: boolean;
  altGr: boolean;
}

const TABLES: Table[] = [us, uk, de, ch, fr, be, es, latam, it, pt, br, sv, no, dk, fi, nl, pl, tr, jp];

/** The keyboard layouts, in the order of a menu. The first is that of a guest which nobody asked. */
export const LAYOUTS: { id: string; name: string }[] = TABLES.map(({ id, name }) => ({ id, name }));

const BLANKS: Record<string, Stroke> = {
  " ": { code: "Space", keysym: 0x20, shift: false, altGr: false },
  "\n": { code: "Enter", keysym: 0xff0d, shift: false, altGr: false },
  "\t": { code: "Tab", keysym: 0xff09, shift: false, altGr: false },
};

// What dead keys type in Linux, its console, X and Windows alike. Each has more, but not the same.
const VOWELS = "aeiouAEIOU";
const DEAD_KEYS: Record<string, { keysym: number; bases: string; alone: string }> = {
  "\u0300": { keysym: 0xfe50, bases: VOWELS, alone: "`" },
  "\u0301": { keysym: 0xfe51, bases: VOWELS + "yY", alone: "" },
  "\u0302": { keysym: 0xfe52, bases: VOWELS, alone: "^" },
  "\u0303": { keysym: 0xfe53, bases: "anoANO", alone: "~" },
  "\u0308": { keysym: 0xfe57, bases: VOWELS + "y", alone: "" },
};

// Keysyms beyond Latin-1 that are older than Unicode's. QEMU with a keymap of its own knows only these.
const OLD_KEYSYMS: Record<string, number> = {
  ą: 0x1b1,
  Ą: 0x1a1,
  ć: 0x1e6,
  Ć: 0x1c6,
  ę: 0x1ea,
  Ę: 0x1ca,
  ł: 0x1b3,
  Ł: 0x1a3,
  ń: 0x1f1,
  Ń: 0x1d1,
  ś: 0x1b6,
  Ś: 0x1a6,
  ź: 0x1bc,
  Ź: 0x1ac,
  ż: 0x1bf,
  Ż: 0x1af,
  ş: 0x1ba,
  Ş: 0x1aa,
  ğ: 0x2bb,
  Ğ: 0x2ab,
  ı: 0x2b9,
  İ: 0x2a9,
  "€": 0x20ac,
};
const UNICODE_KEYSYMS = 0x1000000;

function keysymOf(character: string): number {
  const number = character.codePointAt(0)!;
  return number < 0x100 ? number : (OLD_KEYSYMS[character] ?? UNICODE_KEYSYMS + number);
}

/** Returns the strokes of each character. The fewest modifiers win, then the fewest strokes. */
function strokesOf(table: Table): Map<string, Stroke[]> {
  const found = new Map<string, Stroke[]>(Object.entries(BLANKS).map(([character, stroke]) => [character, [stroke]]));
  const dead = new Map<string, Stroke>();
  for (const level of [0, 1, 2, 3]) {
    for (const [code, text] of Object.entries(table.keys)) {
      const character = text![level];
      if (character === undefined || character === " ") continue;
      const keysym = DEAD_KEYS[character]?.keysym ?? keysymOf(character);
      const stroke = { code, keysym, shift: level % 2 === 1, altGr: level >= 2 };
      if (character in DEAD_KEYS) dead.set(character, dead.get(character) ?? stroke);
      else if (!found.has(character)) found.set(character, [stroke]);
    }
  }
  for (const [accent, stroke] of dead) {
    const { bases, alone } = DEAD_KEYS[accent]!;
    for (const base of bases) {
      const character = (base + accent).normalize("NFC");
      const letter = found.get(base);
      if (letter && !found.has(character)) found.set(character, [stroke, ...letter]);
    }
    if (alone && !found.has(alone)) found.set(alone, [stroke, BLANKS[" "]!]);
  }
  return found;
}

const cache = new Map<string, Map<string, Stroke[]>>();

function allStrokes(layout: string): Map<string, Stroke[]> {
  const table = TABLES.find(({ id }) => id === layout);
  if (!table) throw new RangeError(`no keyboard layout is called ${JSON.stringify(layout)}`);
  const known = cache.get(layout) ?? strokesOf(table);
  cache.set(layout, known);
  return known;
}

/** Returns the text's characters as they are typed: an end of line is "\n", a letter and its accent are one. */
export function characters(text: string): string[] {
  return [...text.replace(/\r\n?/g, "\n").normalize("NFC")];
}

/** Returns how this layout (an id of LAYOUTS) types a character; undefined if it cannot. */
export function strokes(character: string, layout: string): Stroke[] | undefined {
  return allStrokes(layout).get(character);
}

/** Returns the characters that this layout cannot type, each once, in their order. */
export function untypable(text: string, layout: string): string[] {
  return [...new Set(characters(text))].filter((character) => !strokes(character, layout));
}

// SPDX-License-Identifier: Apache-2.0
// The words that users read: languages/XX.json. English is part of the bundle; another language is loaded when it is
// chosen, and English takes the place of what it lacks.

import english from "../languages/en.json";

/** A word, or one for each plural category of the language. The first place of "other" is what is counted. */
type Entry = string | Partial<Record<Intl.LDMLPluralRule, string>>;
export type Table = Record<string, Entry>;
export type Values = Record<string, string | number>;

// Each import is written out: bundlers of panels find them so.
const LOADERS: Record<string, () => Promise<{ default: Table }>> = {
  ar: () => import("../languages/ar.json"),
  de: () => import("../languages/de.json"),
  es: () => import("../languages/es.json"),
  fr: () => import("../languages/fr.json"),
  it: () => import("../languages/it.json"),
  ja: () => import("../languages/ja.json"),
  nl: () => import("../languages/nl.json"),
  pl: () => import("../languages/pl.json"),
  pt: () => import("../languages/pt.json"),
  tr: () => import("../languages/tr.json"),
  zh: () => import("../languages/zh.json"),
};
const RIGHT_TO_LEFT = ["ar"];
const PLACE = /\{(\w+)\}/g;

export class Language {
  readonly direction: "ltr" | "rtl";
  #table: Table;
  #plural: Intl.PluralRules;

  constructor(
    readonly id: string,
    table: Table,
  ) {
    this.direction = RIGHT_TO_LEFT.includes(id) ? "rtl" : "ltr";
    this.#table = table;
    this.#plural = new Intl.PluralRules(id);
  }

  /** The word of this name, with the values in its places. A name that no language has is returned itself. */
  word(name: string, values: Values = {}): string {
    const entry = this.#table[name] ?? (english as Table)[name] ?? name;
    const text = typeof entry === "string" ? entry : this.#choosePlural(entry, values);
    return text.replace(PLACE, (place: string, key: string) => String(values[key] ?? place));
  }

  #choosePlural(forms: Exclude<Entry, string>, values: Values): string {
    const other = forms.other ?? "";
    const [counted = ""] = [...other.matchAll(PLACE)].map(([, key]) => key);
    return forms[this.#plural.select(Number(values[counted]))] ?? other;
  }
}

export const ENGLISH = new Language("en", english);

/** The languages that there are. */
export const LANGUAGES: readonly string[] = ["en", ...Object.keys(LOADERS)];

/** The first of the preferred languages (BCP 47, such as navigator.languages) that there is, else English. */
export function choose(preferred: readonly string[]): string {
  const short = preferred.map((tag) => tag.toLowerCase().split("-", 1)[0]);
  return short.find((tag) => LANGUAGES.includes(tag)) ?? "en";
}

/** Loads a language. Without it, or without the network, it is English. */
export async function load(language: string): Promise<Language> {
  const id = choose([language]);
  const loader = LOADERS[id];
  if (!loader) return ENGLISH;
  try {
    return new Language(id, (await loader()).default);
  } catch {
    return ENGLISH;
  }
}

// SPDX-License-Identifier: Apache-2.0
// The address of a console's page: what it is told in the fragment, which browsers send to no server.
import { isLine, isText, ORIGIN_MAX } from "./claims.js";
import { InvalidOption } from "./errors.js";
import { isOrigin } from "./host.js";
import type { Given } from "./options.js";

export const PAGE_OPTIONS: readonly string[] = ["title", "again", "panel", "lang", "layout", "viewOnly", "bar"];
const LINE_MAX = 2048; // bytes of a title or an address
const LANGUAGE = /^[a-z]{2,8}(?:-[a-z0-9]{1,8})*$/i;
const LAYOUT = /^[\w-]{1,32}$/;

/** Throws unless url is the folder of the console pages. */
export function checkPage(url: unknown): asserts url is string {
  const wrong = new InvalidOption("page", "is not an http or https URL that ends with a slash");
  if (!isLine(url, LINE_MAX) || !/^https?:\/\/[^/?#@\s][^?#@\s]*\/$/.test(url)) throw wrong;
  try {
    new URL(url);
  } catch {
    throw wrong;
  }
}

function checkPageOptions({ title, again, panel, lang, layout, viewOnly, bar }: Given) {
  const check = (option: string, value: unknown, right: (value: unknown) => boolean, why: string) => {
    if (value !== undefined && !right(value)) throw new InvalidOption(option, why);
  };
  const isOne = (value: unknown) => isLine(value, ORIGIN_MAX) && isOrigin(value);
  const areOrigins = (value: unknown) => Array.isArray(value) && value.every(isOne);
  const matches = (pattern: RegExp) => (value: unknown) => isText(value) && pattern.test(value);
  check("title", title, (value) => value === "" || isLine(value, LINE_MAX), "is not one line of text");
  const isPath = (value: unknown) => isLine(value, LINE_MAX) && /^\/(?![/\\])/.test(value);
  check("again", again, isPath, "is not a path, like /console-link/100");
  check("panel", panel, areOrigins, "is not a list of origins, like https://panel.example.com");
  check("lang", lang, matches(LANGUAGE), "is not a language, like de or pt-BR");
  check("layout", layout, matches(LAYOUT), "is not the name of a keyboard layout");
  check("viewOnly", viewOnly, (value) => typeof value === "boolean", "is not true or false");
  check("bar", bar, (value) => value === "none", "is not none");
}

/** Returns the fragment's parameters behind the payload, or throws InvalidOption. */
export function pageParameters(options: Given): string {
  checkPageOptions(options);
  const { title, sessionMax, again, panel = [], lang, layout, viewOnly, bar } = options;
  const pairs: [string, unknown][] = [
    ["title", title],
    ["session_max", sessionMax],
    ["again", again],
    ...(panel as string[]).map((origin): [string, unknown] => ["panel", origin]),
    ["lang", lang],
    ["layout", layout],
    ["view_only", viewOnly ? 1 : undefined],
    ["bar", bar],
  ];
  const set = pairs.filter(([, value]) => value !== undefined && value !== "");
  return set.map(([name, value]) => `&${name}=${encodeURIComponent(String(value))}`).join("");
}

// SPDX-License-Identifier: Apache-2.0
// The contrast of the view's default colours, as WCAG 2.2 computes it.
import assert from "node:assert/strict";
import { test } from "node:test";
import style from "../src/view/style.css";

type Theme = "light" | "dark";

const DEFAULT = /--proxxy-([\w-]+),\s*light-dark\((#[0-9a-f]{3,6}),\s*(#[0-9a-f]{3,6})\)/g;

/** 1.4.3: text. 1.4.11: what has to be seen to use something. */
const TEXT = 4.5;
const SHAPE = 3;
const PAIRS: [string, string, number][] = [
  ["text", "bar", TEXT],
  ["text", "card", TEXT],
  ["muted", "bar", TEXT],
  ["muted", "card", TEXT],
  ["on-accent", "accent", TEXT],
  ["accent", "bar", TEXT],
  ["accent", "card", TEXT],
  ["fair", "bar", TEXT],
  ["fair", "card", TEXT],
  ["poor", "bar", TEXT],
  ["poor", "card", TEXT],
  ["on-screen", "screen", TEXT],
  ["bar", "text", TEXT], // a tooltip
  ["edge", "bar", SHAPE],
  ["edge", "card", SHAPE],
  ["good", "bar", SHAPE],
];

function readColours(theme: Theme): Map<string, string> {
  const found = [...style.matchAll(DEFAULT)];
  return new Map(found.map(([, name, light, dark]) => [name, theme === "light" ? light : dark]));
}

function parse(colour: string): number[] {
  const digits = colour.length === 4 ? [...colour.slice(1)].map((digit) => digit + digit).join("") : colour.slice(1);
  return [0, 2, 4].map((at) => parseInt(digits.slice(at, at + 2), 16));
}

function luminance(channels: number[]): number {
  const [red, green, blue] = channels.map((channel) => {
    const part = channel / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function contrast(one: number[], other: number[]): number {
  const [darker, lighter] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (lighter + 0.05) / (darker + 0.05);
}

const mix = (over: number[], under: number[], share: number): number[] =>
  over.map((channel, index) => channel * share + under[index] * (1 - share));

test("black on white has a contrast of 21", () => {
  assert.equal(contrast(parse("#000"), parse("#ffffff")), 21);
});

for (const theme of ["light", "dark"] as const) {
  const colours = readColours(theme);
  const colour = (name: string): number[] => parse(colours.get(name)!);

  for (const [front, back, least] of PAIRS) {
    test(`${theme}: ${front} on ${back} has a contrast of ${least} or more`, () => {
      assert.ok(colours.has(front) && colours.has(back));
      const found = contrast(colour(front), colour(back));
      assert.ok(found >= least, found.toFixed(2));
    });
  }

  test(`${theme}: text is readable on a control that is pressed or under the pointer`, () => {
    for (const ground of ["bar", "card"]) {
      const tint = mix(colour("accent"), colour(ground), 0.14);
      const hover = mix(colour("text"), colour(ground), 0.08);
      assert.ok(contrast(colour("accent"), tint) >= TEXT, `${ground}: ${contrast(colour("accent"), tint).toFixed(2)}`);
      assert.ok(contrast(colour("muted"), hover) >= TEXT, `${ground}: ${contrast(colour("muted"), hover).toFixed(2)}`);
      assert.ok(contrast(colour("text"), hover) >= TEXT);
    }
  });
}

// SPDX-License-Identifier: Apache-2.0
// For each keyboard layout: those characters of the standard input that it can type, and the keys that type them.
import { readFileSync } from "node:fs";
import { LAYOUTS, untypable } from "../../console/src/typing/layouts.js";
import { typeText } from "../../console/src/typing/typist.js";

const candidates = readFileSync(0, "utf8");
const found: Record<string, { text: string; events: [number, string, boolean][] }> = {};

for (const { id } of LAYOUTS) {
  const never = new Set(untypable(candidates, id));
  const text = [...candidates].filter((character) => !never.has(character)).join("");
  const events: [number, string, boolean][] = [];
  await typeText(text, id, (...event) => events.push(event), { wait: async () => {}, now: () => events.length * 1e3 });
  found[id] = { text, events };
}
process.stdout.write(JSON.stringify(found));

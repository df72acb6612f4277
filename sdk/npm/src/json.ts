// SPDX-License-Identifier: Apache-2.0
// Parses a payload's text as strictly as proxxy does.
import { isText, type Claims } from "./claims.js";
import { InvalidOption } from "./errors.js";

const TOKEN = /"(?:[^"\\]|\\.)*"|[{}[\]:,]/gs; // strings, and the characters between values

/** Whether an object of a valid JSON text has a member twice. */
function hasMemberTwice(json: string): boolean {
  const open: Set<string>[] = []; // the members of each object that is not closed, and an empty set for each array
  let last = "";
  for (const [token] of json.matchAll(TOKEN)) {
    if (token === "{" || token === "[") open.push(new Set());
    else if (token === "}" || token === "]") open.pop();
    else if (token === ":") {
      const name = JSON.parse(last) as string;
      const members = open.at(-1)!;
      if (members.has(name)) return true;
      members.add(name);
    }
    last = token;
  }
  return false;
}

function hasOnlyText(value: unknown): boolean {
  if (typeof value === "string") return isText(value);
  if (typeof value !== "object" || value === null) return true;
  return Object.entries(value).every(([name, member]) => isText(name) && hasOnlyText(member));
}

export function parseClaims(json: string): Claims {
  let claims: unknown;
  try {
    claims = JSON.parse(json);
  } catch {
    claims = undefined;
  }
  const isObject = typeof claims === "object" && claims !== null && !Array.isArray(claims);
  if (!isObject || hasMemberTwice(json) || !hasOnlyText(claims))
    throw new InvalidOption("payload", "is not a JSON object");
  return claims as Claims;
}

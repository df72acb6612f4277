// SPDX-License-Identifier: Apache-2.0
// The vectors and cases that all languages share.
import { readFileSync } from "node:fs";

export interface Vector {
  name: string;
  format: "jwe" | "cbc";
  key: string;
  nonce: string;
  header: string;
  claims: Record<string, unknown>;
  plaintext: string | null;
  payload: string;
  why: string;
}

export interface Case {
  name: string;
  options: never; // of link(); some are wrong
  option: string;
  page: string;
  claims: Record<string, unknown>;
  fragment: [string, string][];
  lifetime: number;
}

function read(name: string) {
  return JSON.parse(readFileSync(new URL(`../../../${name}`, import.meta.url), "utf8"));
}

export const { vectors, refused } = read("vectors.json") as { vectors: Vector[]; refused: Vector[] };
export const cases = read("cases.json") as {
  links: Case[];
  invalid: Case[];
  keys: { good: { text: string; kid?: string; header: string | null }[]; bad: { text: string; kid?: string }[] };
  pages: { good: string[]; bad: string[] };
};
export const KEY = Buffer.from(Array.from({ length: 32 }, (_, i) => i)).toString("hex"); // of the cases
export const PAGE = "https://panel.example.com/console/";

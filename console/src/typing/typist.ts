// SPDX-License-Identifier: Apache-2.0
// Stands in for the typist of the typing part.
import { stroke } from "../vnc/keys.js";

export async function typeText(
  text: string,
  _layout: string,
  send: (keysym: number, code: string, down: boolean) => void,
  { signal, progress }: { signal?: AbortSignal; progress?: (done: number, all: number) => void } = {},
): Promise<void> {
  const shift = stroke("Shift")!;
  const characters = [...text];
  for (const [done, character] of characters.entries()) {
    if (signal?.aborted) throw new DOMException("", "AbortError");
    const key = stroke(character === "\n" ? "Enter" : character)!;
    const shifted = /[A-Z~!@#$%^&*()_+{}|:"<>?]/.test(character);
    if (shifted) send(shift.keysym, shift.code, true);
    send(key.keysym, key.code, true);
    send(key.keysym, key.code, false);
    if (shifted) send(shift.keysym, shift.code, false);
    progress?.(done + 1, characters.length);
    await new Promise((next) => setTimeout(next, 40));
  }
}

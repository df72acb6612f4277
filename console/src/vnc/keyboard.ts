// SPDX-License-Identifier: Apache-2.0
// The screen keyboard of a phone. It only comes with a text field, and says what changed there, not which key it was.
// Keys of a keyboard that is connected to the phone arrive in the same field, as keys.

import type { Key } from "../guest.js";
import { isModifier } from "./keys.js";

const FILLED = "_".repeat(64); // something to delete
const FEW = 8;
const MANY = 1024;

export interface Change {
  deleted: number;
  text: string;
}

/** What was typed to get from one text to the other. */
export function change(before: string, now: string): Change {
  let same = 0;
  while (same < now.length && same < before.length && now[same] === before[same]) same++;
  if (same && /[\ud800-\udbff]/.test(before[same - 1]!)) same--; // no half of a character
  return { deleted: [...before.slice(same)].length, text: now.slice(same) };
}

export type KeyEvent = Pick<KeyboardEvent, "key" | "keyCode" | "isComposing" | "ctrlKey" | "altKey" | "metaKey"> &
  Pick<KeyboardEvent, "shiftKey" | "getModifierState">;

/** The keys that are down, in order, if this is no text: text comes as a change of the field. */
export function combination(event: KeyEvent, apple: boolean): Key[] | null {
  const { key } = event;
  const composed = event.isComposing || event.keyCode === 229 || event.getModifierState("AltGraph");
  if (composed || isModifier(key) || ["Unidentified", "Process", "Dead"].includes(key)) return null;
  // On a Mac, Alt makes other characters.
  const command = event.ctrlKey || event.metaKey || (event.altKey && !apple);
  if ([...key].length === 1 && !command) return null;
  const down: Key[] = [];
  if (event.ctrlKey) down.push("Control");
  if (event.altKey) down.push("Alt");
  if (event.shiftKey) down.push("Shift");
  if (event.metaKey) down.push("Meta");
  return [...down, key];
}

export class ScreenKeyboard {
  readonly #field = document.createElement("textarea");
  #before = "";

  /** typed: characters came; pressed: keys that make no text; shown: it came, or went. */
  constructor(
    screen: HTMLElement,
    typed: (change: Change) => void,
    pressed: (keys: Key[]) => void,
    shown: (shown: boolean) => void,
  ) {
    const field = this.#field;
    Object.assign(field.style, {
      position: "absolute",
      left: "0",
      bottom: "0",
      width: "1px",
      height: "1px",
      padding: "0",
      border: "0",
      opacity: "0",
      resize: "none",
      fontSize: "16px", // iOS would zoom the page for a smaller one
      pointerEvents: "none",
    });
    field.autocomplete = "off";
    field.spellcheck = false;
    field.tabIndex = -1;
    for (const name of ["autocapitalize", "autocorrect"]) field.setAttribute(name, "off");
    field.setAttribute("aria-hidden", "true");
    field.addEventListener("input", () => {
      const what = change(this.#before, field.value);
      this.#before = field.value;
      typed(what);
      if (field.value.length < FEW || field.value.length > MANY) this.#fill();
    });
    field.addEventListener("keydown", (event) => {
      const keys = combination(event, /Mac|iPhone|iPad/.test(navigator.platform));
      if (!keys) return;
      event.preventDefault();
      pressed(keys);
    });
    field.addEventListener("focus", () => {
      this.#fill();
      field.ariaLabel = screen.ariaLabel;
      shown(true);
    });
    field.addEventListener("blur", () => shown(false));
    screen.append(field);
  }

  get shown(): boolean {
    return this.#field.matches(":focus");
  }

  show(): void {
    this.#field.focus({ preventScroll: true });
  }

  hide(): void {
    this.#field.blur();
  }

  end(): void {
    this.#field.remove();
  }

  #fill(): void {
    this.#field.value = this.#before = FILLED;
    this.#field.setSelectionRange(FILLED.length, FILLED.length);
  }
}

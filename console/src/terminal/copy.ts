// SPDX-License-Identifier: Apache-2.0
// Text for a clipboard and from it: what the user copies and pastes, and what the guest copies with OSC 52.

/** A guest's text is shown and kept: this is enough for any that a person copies. */
const MAX_BASE64 = 4 * 1024 * 1024;

/** The text that an OSC 52 of the guest copies, else null: it asks for ours ("?"), which no guest gets, or is wrong.
 *  data: "SELECTION;BASE64". */
export function copiedByGuest(data: string): string | null {
  const at = data.indexOf(";");
  const base64 = data.slice(at + 1);
  if (at < 0 || !base64 || base64.length > MAX_BASE64 || !/^[A-Za-z0-9+/]+={0,2}$/.test(base64)) return null;
  try {
    const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return null; // no base64 of UTF-8
  }
}

/** The text without control characters: the page that it was copied from could have hidden one that ends the paste, so
 *  that the shell runs what follows. */
export function pastable(text: string): string {
  return text.replace(/(?![\t\n\r])\p{Cc}/gu, "");
}

/** Puts a text into the clipboard, after a key or click of the user. */
export function copy(text: string): void {
  let copied = false;
  const answer = (event: ClipboardEvent): void => {
    event.clipboardData?.setData("text/plain", text);
    event.preventDefault();
    event.stopImmediatePropagation(); // xterm.js answers it too
    copied = true;
  };
  // This needs neither https nor, in a frame, a permission. Some browsers tell of no copy if no field has a selection.
  document.addEventListener("copy", answer, { capture: true });
  document.execCommand("copy");
  document.removeEventListener("copy", answer, { capture: true });
  if (!copied) navigator.clipboard?.writeText(text).catch(() => {}); // the browser's menu copies too
}

// SPDX-License-Identifier: Apache-2.0
// Links in a terminal's text and of OSC 8. A click selects text and focuses, so opening a link takes Ctrl or Cmd, as in
// other terminals; a finger has neither. What a guest prints is not trusted: only http and https are opened.

const MAC = /Mac|iPhone|iPad/.test(globalThis.navigator?.platform ?? "");

/** The address that may be opened, else null. */
export function safeAddress(text: string): string | null {
  const url = URL.canParse(text) ? new URL(text) : null;
  return url && (url.protocol === "http:" || url.protocol === "https:") ? url.href : null;
}

export function isMac(): boolean {
  return MAC;
}

export interface Click {
  ctrlKey: boolean;
  metaKey: boolean;
}

/** pointer: what the click was made with (PointerEvent.pointerType). */
export function opens(click: Click, pointer: string, mac = MAC): boolean {
  return pointer === "touch" || (mac ? click.metaKey : click.ctrlKey);
}

/** Opens links that are clicked, and shows the true address of the one under the mouse as the element's title. */
export class Links {
  #element: HTMLElement;
  #pointer = "";

  constructor(element: HTMLElement) {
    this.#element = element;
    element.addEventListener("pointerdown", (event) => (this.#pointer = event.pointerType), { capture: true });
  }

  readonly activate = (event: MouseEvent, text: string): void => {
    const address = safeAddress(text);
    if (address && opens(event, this.#pointer)) window.open(address, "_blank", "noopener,noreferrer");
  };

  readonly hover = (_: MouseEvent, text: string): void => {
    this.#element.title = safeAddress(text) ?? "";
  };

  readonly leave = (): void => {
    this.#element.removeAttribute("title");
  };
}

// SPDX-License-Identifier: Apache-2.0
// A menu below a button of the bar: role=menu, arrow keys, letters, Escape.

import type { Context } from "./context.js";
import { make } from "./dom.js";
import { makeIcon } from "./icons.js";
import type { Entry, Section } from "./menus.js";

const MARGIN = 8; // pixels between a menu and the view's edges

type Item = HTMLButtonElement;

export class Menu {
  #context: Context;
  #element: HTMLElement | null = null;
  #opener: HTMLElement | null = null;
  #backToOpener = false;

  constructor(context: Context) {
    this.#context = context;
  }

  get isOpen(): boolean {
    return this.#element !== null;
  }

  /** Opens below the opener, or closes if it was open there. */
  toggle(opener: HTMLElement, name: string, sections: Section[]): void {
    const wasHere = this.#opener === opener;
    if (this.isOpen) this.close("back");
    if (!wasHere) this.open(opener, name, sections);
  }

  open(opener: HTMLElement, name: string, sections: Section[]): void {
    this.#backToOpener = this.#context.root.activeElement === opener;
    this.#opener = opener;
    this.#element = make("div", { class: "menu card", role: "menu", "aria-label": name, "data-menu": opener.id });
    for (const section of sections) this.#element.append(this.#makeSection(section));
    this.#element.addEventListener("keydown", this.#onKey);
    this.#element.addEventListener("focusout", this.#onFocusOut);
    document.addEventListener("pointerdown", this.#onPointer, true);
    opener.setAttribute("aria-expanded", "true");
    this.#context.view.append(this.#element);
    this.#place(opener);
    const items = this.#items();
    (items.find((item) => item.getAttribute("aria-checked") === "true") ?? items[0])?.focus();
  }

  /** back: focus goes where it was; leave: it stays where it is now. */
  close(how: "back" | "leave"): void {
    const element = this.#element;
    if (!element) return;
    const opener = this.#opener;
    this.#element = this.#opener = null; // before the focus leaves it
    document.removeEventListener("pointerdown", this.#onPointer, true);
    opener?.setAttribute("aria-expanded", "false");
    element.remove();
    if (how === "leave") return;
    if (this.#backToOpener) opener?.focus();
    else this.#context.controls.focus();
  }

  #makeSection({ heading, columns, entries }: Section): HTMLElement {
    const attributes: Record<string, string> = { class: columns ? "section compact" : "section", role: "group" };
    if (heading) attributes["aria-label"] = heading;
    const section = make("div", attributes);
    if (heading) section.append(make("div", { class: "heading", "aria-hidden": "true" }, heading));
    const list = make("div", { class: "entries", role: "presentation" });
    if (columns) list.style.gridTemplateColumns = `repeat(${columns}, 1fr)`;
    list.append(...entries.map((entry) => this.#makeEntry(entry)));
    section.append(list);
    return section;
  }

  #makeEntry(entry: Entry): Item {
    const { id, text, name, hint, icon, choice, disabled } = entry;
    const role = choice ? `menuitem${choice.type === "radio" ? "radio" : "checkbox"}` : "menuitem";
    const item = make("button", { type: "button", class: "entry", role, tabindex: "-1", "data-entry": id });
    if (choice) item.setAttribute("aria-checked", String(choice.on));
    const mark = makeIcon(icon && !choice?.on ? icon : "check");
    if (choice && !choice.on && !icon) mark.classList.add("blank"); // a place for the check
    if (choice || icon) item.append(mark);
    const words = make("span", { class: "words" }, make("span", {}, text));
    if (hint) words.append(make("span", { class: "hint" }, hint));
    item.append(words);
    if (name) item.setAttribute("aria-label", name);
    if (disabled) item.setAttribute("aria-disabled", "true");
    item.addEventListener("click", () => {
      if (!disabled) this.#choose(entry);
    });
    item.addEventListener("pointermove", () => item.focus({ preventScroll: true }));
    return item;
  }

  #choose(entry: Entry): void {
    this.close("leave");
    this.#context.controls.focus(); // a dialog or another menu that it opens takes it from there
    entry.run();
  }

  #items(): Item[] {
    return [...(this.#element?.querySelectorAll<Item>(".entry") ?? [])];
  }

  #onPointer = (event: PointerEvent): void => {
    const path = event.composedPath();
    if (path.includes(this.#element!) || path.includes(this.#opener!)) return;
    this.close("leave");
    if (path.includes(this.#context.root)) this.#context.controls.focus();
  };

  #onFocusOut = (event: FocusEvent): void => {
    const next = event.relatedTarget as Node | null;
    if (next && !this.#element?.contains(next) && next !== this.#opener) this.close("leave");
  };

  #onKey = (event: KeyboardEvent): void => {
    const current = this.#context.root.activeElement as Item;
    const target = this.#move(event.key, current);
    if (event.key === "Escape" || event.key === "Tab") this.close("back");
    else if (target) target.focus();
    else if (!event.key.startsWith("Arrow") && !this.#find(event, current)) return;
    event.preventDefault();
    event.stopPropagation();
  };

  #move(key: string, current: Item): Item | undefined {
    const items = this.#items();
    const at = items.indexOf(current);
    const forward = this.#context.language.direction === "rtl" ? "ArrowLeft" : "ArrowRight";
    switch (key) {
      case "Home":
        return items[0];
      case "End":
        return items.at(-1);
      case "ArrowDown":
        return nearestBelow(items, current, 1) ?? items[0];
      case "ArrowUp":
        return nearestBelow(items, current, -1) ?? items.at(-1);
      case "ArrowLeft":
      case "ArrowRight":
        if (!current?.closest(".compact")) return undefined;
        return items[(at + (key === forward ? 1 : -1) + items.length) % items.length];
      default:
        return undefined;
    }
  }

  /** The next item that begins with this letter takes the focus. */
  #find({ key, ctrlKey, altKey, metaKey }: KeyboardEvent, current: Item): boolean {
    if (key.length !== 1 || key === " " || ctrlKey || altKey || metaKey) return false;
    const items = this.#items();
    const at = items.indexOf(current);
    const later = [...items.slice(at + 1), ...items.slice(0, at + 1)];
    const found = later.find((item) => item.textContent?.toLowerCase().startsWith(key.toLowerCase()));
    found?.focus();
    return Boolean(found);
  }

  #place(opener: HTMLElement): void {
    const menu = this.#element!;
    const view = this.#context.view.getBoundingClientRect();
    const from = opener.getBoundingClientRect();
    const bar = opener.closest(".bar")?.getBoundingClientRect() ?? from;
    const top = bar.bottom - view.top + 4;
    const wish = this.#context.language.direction === "rtl" ? from.right - menu.offsetWidth : from.left;
    const left = Math.max(MARGIN, Math.min(wish - view.left, view.width - menu.offsetWidth - MARGIN));
    menu.style.left = `${left}px`;
    menu.style.top = `${top}px`;
    menu.style.maxHeight = `${Math.max(120, view.height - top - MARGIN)}px`;
  }
}

/** The item in the next row (direction 1) or the one before (-1), which is nearest to the current one. */
function nearestBelow(items: Item[], current: Item | null, direction: 1 | -1): Item | undefined {
  if (!current) return undefined;
  const here = current.getBoundingClientRect();
  const distance = (item: Item): number => {
    const there = item.getBoundingClientRect();
    const rows = direction * (there.top - here.top);
    return rows < 2 ? Infinity : rows * 1000 + Math.abs(there.left + there.width / 2 - here.left - here.width / 2);
  };
  const [best] = items.map((item) => ({ item, far: distance(item) })).sort((a, b) => a.far - b.far);
  return best && best.far < Infinity ? best.item : undefined;
}

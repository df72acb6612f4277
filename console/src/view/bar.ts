// SPDX-License-Identifier: Apache-2.0
// The bar: logo, label, state and latency, and the controls as a toolbar. What does not fit goes into "More".

import { isEnabled, itemsOf, leavingOrder, type Item, type ItemId, type Possible, type Status } from "./items.js";
import type { Context, Part } from "./context.js";
import { make, makeButton, setFlag, setText } from "./dom.js";
import { makeIcon, type IconName } from "./icons.js";
import type { Section } from "./menus.js";
import { Tooltip } from "./tooltip.js";

export interface BarActions {
  /** The button of an item was pressed; from is where a menu of it opens. */
  press(id: ItemId, from: HTMLElement): void;
  pressed(id: ItemId): boolean;
  openMenu(from: HTMLElement, name: string, sections: Section[]): void;
  fold(): void;
  /** Leaves the bar for the guest. */
  leave(): void;
}

const OFTEN = 70; // the least Item.keep of those that have a label as long as there is room for some
const WORDS_IN_FULL_SCREEN: Partial<Record<ItemId, [string, IconName]>> = {
  fullScreen: ["bar.leave_full_screen", "leaveFullScreen"],
};

export class Bar implements Part {
  readonly element: HTMLElement;
  #context: Context;
  #actions: BarActions;
  #items: Item[];
  #buttons = new Map<ItemId, HTMLButtonElement>();
  #tools = make("div", { class: "tools", role: "toolbar", "aria-describedby": "help-text" });
  #logo = make("img", { class: "logo", alt: "", hidden: "" });
  #label = make("div", { class: "label", dir: "auto" });
  #state = make("span", { class: "state-text", role: "status" });
  #latency = make("span", { class: "latency", hidden: "" });
  #more: HTMLButtonElement;
  #fold: HTMLButtonElement;
  #tooltip: Tooltip;
  #milliseconds: number | null = null;
  #status: Status | null = null;
  #observer = new ResizeObserver(() => this.#fit());

  constructor(context: Context, possible: Possible, actions: BarActions) {
    this.#context = context;
    this.#actions = actions;
    this.#items = itemsOf(context.kind, possible);
    this.#more = this.#makeTool("more", "more", () => this.#openMore());
    this.#more.setAttribute("aria-haspopup", "menu");
    this.#fold = this.#makeTool("fold", "fold", () => actions.fold());
    this.#fillTools();
    const state = make("div", { class: "state" }, make("span", { class: "dot" }), this.#state, this.#latency);
    const who = make("div", { class: "who" }, this.#logo, make("div", { class: "title" }, this.#label, state));
    this.element = make("div", { class: "bar" }, who, this.#tools);
    this.#tooltip = new Tooltip(context, this.#tools);
    this.#tools.addEventListener("keydown", this.#onKey);
    this.#tools.addEventListener("focusin", (event) => this.#rove(event.target as HTMLElement));
    this.#logo.addEventListener("load", () => this.#fitLogo());
    this.#observer.observe(this.element);
  }

  end(): void {
    this.#observer.disconnect();
    this.#tooltip.hide();
  }

  setLogo(url: string): void {
    this.#logo.hidden = !url;
    if (url) this.#logo.src = url;
    else this.#logo.removeAttribute("src");
  }

  setLatency(milliseconds: number | null): void {
    this.#milliseconds = milliseconds;
    this.#latency.hidden = milliseconds === null;
    if (milliseconds === null) return;
    const rounded = Math.round(milliseconds);
    setText(this.#latency, this.#context.language.word("latency.value", { milliseconds: rounded }));
    this.#latency.dataset.speed = speedOf(rounded);
    this.#latency.title = this.#context.language.word("latency.hint");
  }

  translate(): void {
    const { language } = this.#context;
    this.#tools.setAttribute("aria-label", language.word("bar.name"));
    for (const item of this.#items) this.#name(this.#buttons.get(item.id)!, language.word(this.#wordOf(item)));
    this.#name(this.#more, language.word("bar.more"));
    this.#name(this.#fold, language.word("bar.fold"));
    setText(this.#label, this.#context.label);
    setText(this.#state, language.word(`state.${this.#context.state}`));
    this.setLatency(this.#milliseconds);
    this.#fit();
  }

  update(status: Status): void {
    this.#status = status;
    for (const item of this.#items) {
      const button = this.#buttons.get(item.id)!;
      setFlag(button, "aria-disabled", !isEnabled(item.id, status));
      if (item.type === "toggle") setFlag(button, "aria-pressed", this.#actions.pressed(item.id));
    }
    this.translate();
  }

  /** The focus goes to the button that had it last. */
  focus(): void {
    this.#stops().find((button) => button.tabIndex === 0)?.focus();
  }

  button(id: ItemId): HTMLElement {
    const button = this.#buttons.get(id);
    return button && !button.hidden ? button : this.#more;
  }

  #fillTools(): void {
    const groups = new Map<number, HTMLElement>();
    for (const item of this.#items) {
      const group = groups.get(item.group) ?? make("div", { class: "group", role: "presentation" });
      groups.set(item.group, group);
      const button = this.#makeTool(item.id, item.icon, () => this.#actions.press(item.id, button));
      button.classList.toggle("often", item.keep >= OFTEN);
      button.classList.toggle("bare", item.id === "help");
      if (item.type === "menu") button.setAttribute("aria-haspopup", "menu");
      if (item.type === "menu") button.setAttribute("aria-expanded", "false");
      this.#buttons.set(item.id, button);
      group.append(button);
    }
    for (const button of [this.#more, this.#fold]) button.classList.add("bare");
    const rest = make("div", { class: "group", role: "presentation" }, this.#more, this.#fold);
    this.#tools.append(...groups.values(), rest);
    this.#stops()[0].tabIndex = 0;
  }

  #makeTool(id: string, icon: IconName, press: () => void): HTMLButtonElement {
    const attributes = { class: "tool", id: `tool-${id}`, "data-item": id, tabindex: "-1" };
    return makeButton(attributes, press, makeIcon(icon), make("span", { class: "text" }));
  }

  #name(button: HTMLButtonElement, name: string): void {
    setText(button.querySelector(".text")!, name);
  }

  #wordOf(item: Item): string {
    const other = document.fullscreenElement ? WORDS_IN_FULL_SCREEN[item.id] : undefined;
    const icon = other?.[1] ?? item.icon;
    const button = this.#buttons.get(item.id)!;
    if (button.dataset.icon !== icon) button.querySelector(".icon")!.replaceWith(makeIcon(icon));
    button.dataset.icon = icon;
    return other?.[0] ?? item.word;
  }

  /** Labels as far as they fit, else icons; then the items leave one by one. */
  #fit(): void {
    if (!this.element.clientWidth) return;
    const tooWide = (): boolean => this.element.scrollWidth > this.element.clientWidth;
    const groups = [...this.#tools.children] as HTMLElement[];
    for (const shown of [...groups, ...this.#buttons.values()]) shown.hidden = false;
    this.#more.hidden = true;
    for (const labels of ["all", "some", "none"]) {
      this.#tools.dataset.labels = labels;
      if (!tooWide()) break;
    }
    const leaving = leavingOrder(this.#items);
    while (tooWide() && leaving.length) {
      this.#more.hidden = false;
      this.#buttons.get(leaving.shift()!)!.hidden = true;
    }
    for (const group of groups) group.hidden = ![...group.children].some((child) => !(child as HTMLElement).hidden);
    const stops = this.#stops();
    if (!stops.some((button) => button.tabIndex === 0)) this.#rove(stops[0]);
  }

  /** A wide logo has no place in a narrow bar. */
  #fitLogo(): void {
    const { naturalWidth, naturalHeight } = this.#logo;
    this.#logo.classList.toggle("square", naturalWidth <= 1.4 * naturalHeight);
    this.#fit();
  }

  #openMore(): void {
    const { language } = this.#context;
    const hidden = this.#items.filter(({ id }) => this.#buttons.get(id)!.hidden);
    const entries = hidden.map((item) => ({
      id: item.id,
      text: language.word(this.#wordOf(item)),
      icon: (this.#buttons.get(item.id)!.dataset.icon as IconName) ?? item.icon,
      choice: item.type === "toggle" ? { type: "check" as const, on: this.#actions.pressed(item.id) } : undefined,
      disabled: !this.#status || !isEnabled(item.id, this.#status),
      run: () => this.#actions.press(item.id, this.#more),
    }));
    this.#actions.openMenu(this.#more, language.word("bar.more"), [{ entries }]);
  }

  #stops(): HTMLButtonElement[] {
    return [...this.#tools.querySelectorAll<HTMLButtonElement>(".tool")].filter((button) => !button.hidden);
  }

  /** The toolbar is one stop of the Tab key. */
  #rove(target: HTMLElement): void {
    for (const button of this.#tools.querySelectorAll<HTMLButtonElement>(".tool")) {
      button.tabIndex = button === target ? 0 : -1;
    }
  }

  #onKey = (event: KeyboardEvent): void => {
    const stops = this.#stops();
    const at = stops.indexOf(this.#context.root.activeElement as HTMLButtonElement);
    const step = this.#context.language.direction === "rtl" ? -1 : 1;
    const button = stops[at];
    const targets: Record<string, HTMLElement | undefined> = {
      ArrowRight: stops[(at + step + stops.length) % stops.length],
      ArrowLeft: stops[(at - step + stops.length) % stops.length],
      Home: stops[0],
      End: stops.at(-1),
    };
    if (targets[event.key]) targets[event.key]!.focus();
    else if (event.key === "ArrowDown" && button?.getAttribute("aria-haspopup")) button.click();
    else if (event.key === "Escape" && !this.#tooltip.hide()) this.#actions.leave();
    else if (event.key !== "Escape") return;
    event.preventDefault();
    event.stopPropagation();
  };
}

/** How an answer feels: typing is pleasant up to a tenth of a second. */
function speedOf(milliseconds: number): "good" | "fair" | "poor" {
  if (milliseconds < 100) return "good";
  return milliseconds < 300 ? "fair" : "poor";
}

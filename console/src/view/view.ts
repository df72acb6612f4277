// SPDX-License-Identifier: Apache-2.0
// All that is seen around a guest's screen, inside the element's shadow root.

import type { Kind } from "../guest.js";
import { choose, ENGLISH, load } from "../i18n.js";
import type { Controls, Message, Notice, State, ViewLike } from "../view.js";
import barStyle from "./bar.css";
import { Bar } from "./bar.js";
import cards from "./cards.css";
import { ClipboardPanel } from "./clipboard.js";
import type { Context, Part } from "./context.js";
import { make, makeButton } from "./dom.js";
import { ExtraKeys } from "./extra.js";
import { HelpDialog } from "./help.js";
import { makeIcon } from "./icons.js";
import type { ItemId, Status } from "./items.js";
import { LeaveKeys } from "./leave.js";
import { Menu } from "./menu.js";
import { keysMenu, qualityMenu, scalingMenu } from "./menus.js";
import { MessageBox } from "./message.js";
import { Notices } from "./notices.js";
import { SearchField } from "./search.js";
import style from "./style.css";
import touch from "./touch.css";
import { TypeDialog } from "./type.js";

const COPIED_MS = 2000;
const WORDS_MS = 1000; // without the words of another language, before English is shown
const FONT_MIN = 8; // pixels
const FONT_MAX = 40;

export class View implements ViewLike {
  readonly screen = make("div", { class: "screen", role: "group", "aria-describedby": "help-text" });
  #context: Context;
  #view = make("div", { class: "view" });
  #help = make("p", { class: "unseen", id: "help-text" });
  #handle: HTMLButtonElement;
  #bar: Bar;
  #menu: Menu;
  #message: MessageBox;
  #notices: Notices;
  #clipboard: ClipboardPanel;
  #type: TypeDialog;
  #helpDialog: HelpDialog;
  #search: SearchField;
  #extra: ExtraKeys;
  #leave = new LeaveKeys();
  #keyboardShown = false;
  #label = "";
  #language = 0; // counts calls of setLanguage(): the last one counts
  #worded = 0; // ends the time without words; 0 is before it

  constructor(root: ShadowRoot, kind: Kind, controls: Controls) {
    const state: State = "connecting";
    const context: Context = { view: this.#view, root, kind, controls, language: ENGLISH, state, label: "" };
    this.#context = context;
    this.#menu = new Menu(context);
    this.#message = new MessageBox(context);
    this.#notices = new Notices(context);
    this.#clipboard = new ClipboardPanel(context, {
      copied: () => this.notify({ words: { word: "notice.copied" } }, COPIED_MS),
      closed: () => this.update(),
    });
    this.#type = new TypeDialog(context);
    const fingers = isTouch();
    this.#helpDialog = new HelpDialog(context, fingers);
    this.#search = new SearchField(context, () => this.update());
    this.#extra = new ExtraKeys(context);
    this.#handle = makeButton({ class: "handle" }, () => this.#fold(false), makeIcon("unfold"));
    this.#bar = new Bar(context, { touch: fingers, fullScreen: document.fullscreenEnabled }, {
      press: (id, from) => this.#press(id, from),
      pressed: (id) => this.#isPressed(id),
      openMenu: (from, name, sections) => this.#menu.toggle(from, name, sections),
      fold: () => this.#fold(true),
      leave: () => controls.focus(),
    });
    this.#build(root);
    this.#listen();
    this.#write();
  }

  setState(state: State): void {
    this.#context.state = state;
    if (state === "ended") {
      this.#menu.close("leave");
      this.#search.close();
      for (const { element } of [this.#type, this.#clipboard]) if (element.open) element.close();
    }
    this.#write();
  }

  setLabel(text: string): void {
    this.#label = text;
    this.#write();
  }

  setMessage(message: Message | null): void {
    this.#message.set(message);
  }

  notify(notice: Notice, milliseconds?: number): () => void {
    return this.#notices.add(notice, milliseconds);
  }

  setLatency(milliseconds: number | null): void {
    this.#bar.setLatency(milliseconds);
  }

  setClipboard(text: string): void {
    this.#clipboard.setText(text);
  }

  setLayout(layout: string): void {
    this.#type.setLayout(layout);
  }

  update(): void {
    const { controls, state } = this.#context;
    const status: Status = { state, options: controls.options(), can: (action) => controls.can(action) };
    this.#bar.update(status);
    this.#clipboard.update(status);
    this.#type.update(status);
    this.#extra.update(status);
  }

  async setLanguage(language: string): Promise<void> {
    const call = ++this.#language;
    this.#waitForWords(choose([language]));
    const loaded = await load(language);
    if (call !== this.#language) return;
    this.#context.language = loaded;
    this.#write();
    this.#view.classList.remove("wordless");
  }

  /** For the first language only: what has the focus must not be hidden. */
  #waitForWords(language: string): void {
    if (this.#worded || language === ENGLISH.id) return;
    this.#view.classList.add("wordless");
    this.#worded = window.setTimeout(() => this.#view.classList.remove("wordless"), WORDS_MS);
  }

  setBar(bar: "full" | "none"): void {
    this.#view.dataset.bar = bar;
  }

  setLogo(url: string): void {
    this.#bar.setLogo(url);
  }

  setTheme(theme: "auto" | "light" | "dark"): void {
    this.#view.dataset.theme = theme;
  }

  end(): void {
    document.removeEventListener("fullscreenchange", this.#onFullScreen);
    this.#menu.close("leave");
    this.#notices.end();
    this.#bar.end();
    this.#view.remove();
  }

  #build(root: ShadowRoot): void {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync([style, barStyle, cards, touch].join("\n"));
    root.adoptedStyleSheets = [...root.adoptedStyleSheets, sheet];
    const over = [this.#message.element, this.#notices.element, this.#search.element, this.#clipboard.element];
    const stage = make("div", { class: "stage" }, this.screen, ...over, this.#handle);
    this.#view.append(this.#bar.element, stage, this.#extra.element);
    this.#view.append(this.#type.element, this.#helpDialog.element, this.#help);
    this.#view.dataset.kind = this.#context.kind;
    this.setBar("full");
    this.setTheme("auto");
    root.append(this.#view);
  }

  #listen(): void {
    document.addEventListener("fullscreenchange", this.#onFullScreen);
    const { screen } = this;
    // Before the guest, which may stop the event; what follows waits until the guest has had it.
    screen.addEventListener("keydown", ({ key, code }) => {
      this.#leave.keyDown(code);
      setTimeout(() => this.#extra.typed(key));
    }, true);
    screen.addEventListener("keyup", ({ code }) => {
      if (this.#leave.keyUp(code)) setTimeout(() => this.focusBar());
    }, true);
    screen.addEventListener("input", () => setTimeout(() => this.#extra.typed("")), true);
    screen.addEventListener("focusin", ({ target }) => this.#showKeyboard(target instanceof HTMLTextAreaElement));
    screen.addEventListener("focusout", () => {
      this.#leave.reset();
      this.#showKeyboard(false);
    });
  }

  /** The way out of the screen. A bar that is folded away comes back; without one, Tab goes on from the screen. */
  focusBar(): void {
    this.#view.classList.remove("folded");
    if (this.#view.dataset.bar === "none") (this.#context.root.activeElement as HTMLElement | null)?.blur();
    else this.#bar.focus();
  }

  #onFullScreen = (): void => this.update();

  #write(): void {
    const { language, state, kind } = this.#context;
    this.#view.dir = language.direction;
    this.#view.lang = language.id;
    this.#view.dataset.state = state;
    const label = this.#label || language.word(`name.${kind}`);
    this.#context.label = label;
    this.#nameScreen(language.word("screen.name", { label }));
    this.#help.textContent = language.word("screen.help");
    this.#handle.setAttribute("aria-label", language.word("bar.unfold"));
    const parts: Part[] = [
      this.#message, this.#notices, this.#clipboard, this.#type, this.#helpDialog, this.#search, this.#extra,
    ];
    for (const part of parts) part.translate();
    this.update();
  }

  /** A canvas that has the focus has no name of its own, and its keys are the guest's, not a screen reader's. */
  #nameScreen(name: string): void {
    this.screen.setAttribute("aria-label", name);
    for (const canvas of this.screen.querySelectorAll("canvas[tabindex]")) {
      const attributes = { "role": "application", "aria-label": name, "aria-describedby": "help-text" };
      for (const [attribute, value] of Object.entries(attributes)) canvas.setAttribute(attribute, value);
    }
  }

  #fold(folded: boolean): void {
    this.#view.classList.toggle("folded", folded);
    this.#context.controls.focus();
  }

  #showKeyboard(shown: boolean): void {
    this.#keyboardShown = shown;
    this.#view.classList.toggle("typing", shown);
    this.update();
  }

  #isPressed(id: ItemId): boolean {
    const options = this.#context.controls.options();
    switch (id) {
      case "keyboard":
        return this.#keyboardShown;
      case "viewOnly":
        return options.viewOnly;
      case "screenReader":
        return options.screenReader;
      case "clipboard":
        return this.#clipboard.isOpen;
      case "search":
        return this.#search.isOpen;
      default:
        return false;
    }
  }

  #press(id: ItemId, from: HTMLElement): void {
    const { controls } = this.#context;
    const options = controls.options();
    const dialogs: Partial<Record<ItemId, () => void>> = {
      keys: () => this.#openMenu(id, from),
      scaling: () => this.#openMenu(id, from),
      quality: () => this.#openMenu(id, from),
      type: () => this.#type.open(),
      clipboard: () => this.#toggleClipboard(),
      search: () => this.#toggleSearch(),
      help: () => this.#helpDialog.open(),
    };
    const actions: Partial<Record<ItemId, () => void>> = {
      keyboard: () => controls.keyboard(!this.#keyboardShown),
      viewOnly: () => controls.set({ viewOnly: !options.viewOnly }),
      smaller: () => controls.set({ fontSize: Math.max(FONT_MIN, options.fontSize - 1) }),
      larger: () => controls.set({ fontSize: Math.min(FONT_MAX, options.fontSize + 1) }),
      screenReader: () => controls.set({ screenReader: !options.screenReader }),
      screenshot: () => controls.screenshot(),
      fullScreen: () => controls.fullScreen(),
    };
    if (dialogs[id]) {
      dialogs[id]();
      return;
    }
    actions[id]?.();
    this.update();
    if (id !== "keyboard") controls.focus();
  }

  #openMenu(id: ItemId, from: HTMLElement): void {
    const { controls, language, kind } = this.#context;
    const options = controls.options();
    const sections = {
      keys: () => keysMenu(kind, language, (keys) => controls.sendKeys(keys)),
      scaling: () => scalingMenu(options, controls.can("remote-size"), language, (scaling) => this.#set({ scaling })),
      quality: () => qualityMenu(options, language, (quality) => this.#set({ quality })),
    }[id as "keys" | "scaling" | "quality"]();
    this.#menu.toggle(from, language.word(`bar.${id}`), sections);
  }

  #set(options: Parameters<Controls["set"]>[0]): void {
    this.#context.controls.set(options);
    this.update();
    this.#context.controls.focus();
  }

  #toggleClipboard(): void {
    this.#clipboard.toggle();
    this.update();
  }

  #toggleSearch(): void {
    if (this.#search.isOpen) this.#search.close();
    else this.#search.open();
    this.update();
  }
}

/** Whether the main pointer is a finger: then there is a screen keyboard, and no hover. */
function isTouch(): boolean {
  return matchMedia("(pointer: coarse)").matches;
}

// SPDX-License-Identifier: Apache-2.0
// A guest's screen, by noVNC's RFB: one for each connection.

import RFB from "@novnc/novnc";
import type { Channel } from "../channel.js";
import type { Action, Credentials, Events, Guest, Key, MakeGuest, Options, Typing } from "../guest.js";
import { Answers } from "./answers.js";
import { showCursor } from "./cursor.js";
import { Input } from "./input.js";
import { ScreenKeyboard } from "./keyboard.js";
import { Liveness, TICK } from "./liveness.js";
import { Picture } from "./picture.js";
import { afterSecond, type AutoQuality, LEVELS, Meter, START } from "./quality.js";
import { Touch } from "./touch.js";
import { Wire } from "./wire.js";

const ACTIVITY = ["keydown", "pointerdown", "pointermove", "wheel", "touchstart", "input"];

/** One connection. */
interface Session {
  rfb: RFB;
  wire: Wire;
  events: Events;
  input: Input;
  answers: Answers;
  liveness: Liveness;
  meter: Meter;
  connected: boolean;
  over: boolean; // told to the element, or replaced
  resizes: boolean;
  lastReceived: number;
  removeCursor: () => void;
  timers: ReturnType<typeof setInterval>[];
}

class VncGuest implements Guest {
  readonly kind = "vnc";
  #screen: HTMLElement;
  #credentials: Credentials;
  #options: Partial<Options> = {};
  #picture: Picture;
  #keyboard: ScreenKeyboard;
  #copied = ""; // by the guest, last
  #session: Session | null = null;
  #auto: AutoQuality = START;
  #layout = "us";
  #shield = document.createElement("div");
  #end = new AbortController();

  constructor(screen: HTMLElement, credentials: Credentials) {
    this.#screen = screen;
    this.#credentials = credentials;
    this.#picture = new Picture(screen);
    this.#keyboard = new ScreenKeyboard(
      screen,
      ({ deleted, text }) => {
        for (let i = 0; i < deleted; i++) this.#input?.press(["Backspace"]);
        this.#input?.write(text, this.#layout);
      },
      (keys) => this.#input?.press(keys),
      // A tap on the screen must not put the keyboard away.
      (shown) => void (this.#session && (this.#session.rfb.focusOnClick = !shown)),
    );
    new Touch(this.#picture, () => this.can("keys"));
    Object.assign(this.#shield.style, { position: "absolute", inset: "0", cursor: "progress" });
    this.#listen();
  }

  open(channel: Channel, events: Events): void {
    this.#drop();
    if (channel.readyState > WebSocket.OPEN) return; // the element knows
    const wire = new Wire(channel, () => this.#closedByNoVnc(session));
    const { password } = this.#credentials;
    const credentials = password === undefined ? {} : { password };
    const rfb = new RFB(this.#picture.target, wire, { shared: true, credentials });
    this.#picture.use(rfb);
    const canvas = this.#picture.canvas!;
    canvas.tabIndex = 0;
    const answers = new Answers(wire);
    const now = performance.now();
    const session: Session = {
      rfb,
      wire,
      events,
      input: new Input(rfb, canvas, this.#picture.pane, answers),
      answers,
      liveness: new Liveness(now),
      meter: new Meter(now),
      connected: false,
      over: false,
      resizes: false,
      lastReceived: now,
      removeCursor: showCursor(rfb, this.#screen),
      timers: [],
    };
    this.#session = session;
    rfb.focusOnClick = !this.#keyboard.shown;
    this.#apply();
    this.#follow(session);
    wire.start((data) => this.#received(session, data));
  }

  set(options: Partial<Options>): void {
    const input = options.viewOnly ? this.#input : null;
    Object.assign(this.#options, options);
    if (options.layout) this.#layout = options.layout;
    if (options.scaling) this.#picture.scaling = options.scaling;
    // First keys go up, then noVNC takes no more; all before the next event.
    if (input) void input.stop().then(() => this.#apply());
    else this.#apply();
    if (options.viewOnly !== undefined) this.#session?.events.changed();
  }

  can(action: Action): boolean {
    const connected = this.#connected !== null;
    const uses = connected && !this.#options.viewOnly;
    switch (action) {
      case "keys":
      case "type":
      case "paste":
        return uses;
      case "copy":
        return this.#copied !== "";
      case "remote-size":
        return uses && this.#session!.resizes;
      case "quality":
        return connected;
      case "screenshot":
        return this.#picture.canvas !== null;
      case "search":
        return false;
    }
  }

  focus(): void {
    if (!this.#keyboard.shown) this.#picture.canvas?.focus({ preventScroll: true });
  }

  sendKeys(keys: Key[]): void {
    this.#input?.press(keys);
  }

  hold(modifier: Key, down: boolean): void {
    this.#input?.hold(modifier, down);
  }

  async type(text: string, typing: Typing = {}): Promise<void> {
    const session = this.#connected;
    if (!session || !this.can("type")) throw new DOMException("No guest takes keys", "AbortError");
    this.#layout = typing.layout ?? this.#layout;
    this.#screen.append(this.#shield);
    try {
      await session.input.type(text, { ...typing, layout: this.#layout });
    } finally {
      this.#shield.remove();
    }
  }

  paste(text: string): void {
    if (this.can("paste")) this.#session!.rfb.clipboardPasteFrom(text);
  }

  selection(): string {
    return this.#copied;
  }

  text(): string {
    return "";
  }

  keyboard(show: boolean): void {
    if (show) this.#keyboard.show();
    else this.#keyboard.hide();
  }

  search(): boolean {
    return false;
  }

  screenshot(): Promise<Blob> {
    return new Promise((resolve, reject) => {
      const take = (blob: Blob | null) => (blob ? resolve(blob) : reject(new Error("There is no picture")));
      const canvas = this.#picture.canvas;
      if (canvas) canvas.toBlob(take, "image/png");
      else take(null);
    });
  }

  end(): void {
    this.#end.abort();
    this.#drop();
    this.#keyboard.end();
    this.#picture.end();
    this.#shield.remove();
  }

  get #connected(): Session | null {
    return this.#session?.connected && !this.#session.over ? this.#session : null;
  }

  /** Of the connection that takes keys. */
  get #input(): Input | null {
    return this.can("keys") ? this.#session!.input : null;
  }

  #listen(): void {
    const { signal } = this.#end;
    const options = { capture: true, passive: true, signal };
    const active = () => this.#session?.liveness.active(performance.now());
    for (const type of ACTIVITY) this.#screen.addEventListener(type, active, options);
    const seen = () => document.visibilityState === "visible" && active();
    document.addEventListener("visibilitychange", seen, { signal });
    // Beside the picture.
    this.#picture.pane.addEventListener("mousedown", (event) => {
      if (event.target !== this.#picture.pane && event.target !== this.#picture.target) return;
      event.preventDefault();
      this.focus();
    });
    this.#shield.addEventListener("mousedown", (event) => event.preventDefault());
  }

  #apply(): void {
    const rfb = this.#session?.rfb;
    if (!rfb) return;
    const quality = this.#options.quality ?? "auto";
    const level = LEVELS[quality === "auto" ? this.#auto.level : quality];
    rfb.qualityLevel = level.quality;
    rfb.compressionLevel = level.compression;
    rfb.viewOnly = this.#options.viewOnly ?? false;
  }

  /** What noVNC tells. */
  #follow(session: Session): void {
    const { rfb, events } = session;
    const tell = (what: () => void) => () => void (session.over || what());
    rfb.addEventListener("connect", tell(() => this.#connect(session)));
    // noVNC would wait for another password, for ever.
    rfb.addEventListener("credentialsrequired", tell(() => this.#fail(session, "VNC: a password is needed")));
    rfb.addEventListener("securityfailure", tell(() => this.#fail(session, "VNC: the password was refused")));
    rfb.addEventListener("disconnect", () => this.#leave(session, false));
    rfb.addEventListener("bell", tell(() => events.bell()));
    rfb.addEventListener("desktopname", ({ detail }) => session.over || events.title(detail.name));
    rfb.addEventListener("clipboard", ({ detail }) => {
      if (session.over) return;
      this.#copied = detail.text;
      events.clipboard(detail.text);
      events.changed();
    });
  }

  #connect(session: Session): void {
    session.connected = true;
    session.liveness.active(performance.now());
    session.timers = [
      setInterval(() => this.#tick(session), TICK),
      setInterval(() => this.#second(session), 1000),
    ];
    this.#picture.connected();
    session.events.connected();
    session.events.changed();
  }

  #received(session: Session, data: ArrayBuffer): void {
    const now = (session.lastReceived = performance.now());
    session.meter.add(now, data.byteLength);
    if (session.over) return;
    session.answers.received(data, session.resizes);
    this.#picture.update();
    if (session.resizes !== session.rfb._supportsSetDesktopSize) {
      session.resizes = session.rfb._supportsSetDesktopSize;
      session.events.changed();
    }
  }

  #tick(session: Session): void {
    const now = performance.now();
    const verdict = session.liveness.tick(now, session.lastReceived);
    if (verdict === "ask") void session.answers.ask();
    if (verdict === "measure") void session.answers.ask().then(() => this.#measured(session, performance.now() - now));
    if (verdict !== "lost") return;
    this.#leave(session);
    session.events.lost();
  }

  #measured(session: Session, latency: number): void {
    session.liveness.latency = latency;
    if (!session.over) session.events.latency(latency);
  }

  #second(session: Session): void {
    const second = session.meter.take(performance.now(), session.liveness.latency);
    const before = this.#auto.level;
    this.#auto = afterSecond(this.#auto, second);
    if (this.#auto.level !== before) this.#apply();
  }

  #fail(session: Session, reason: string): void {
    this.#leave(session);
    session.events.fail(reason);
  }

  /** noVNC closes the channel when it does not understand what it gets. */
  #closedByNoVnc(session: Session): void {
    if (!session.over) this.#fail(session, "VNC: unexpected data");
  }

  /** The connection is of no use any more; its picture stays until there is another. */
  #leave(session: Session, disconnect = true): void {
    if (session.over) return;
    session.input.end();
    session.over = true;
    session.wire.cut();
    session.timers.forEach(clearInterval);
    session.removeCursor();
    this.#picture.keep();
    if (disconnect) session.rfb.disconnect();
    session.events.changed();
  }

  /** The element has closed the channel, or wants no more of it. */
  #drop(): void {
    const session = this.#session;
    if (!session) return;
    this.#session = null;
    this.#leave(session);
    const { channel } = session.wire;
    if (channel.readyState <= WebSocket.OPEN) channel.close();
  }
}

export const makeVnc: MakeGuest = (screen, credentials) => new VncGuest(screen, credentials);

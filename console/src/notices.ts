// SPDX-License-Identifier: Apache-2.0
// Lines that appear over the screen by themselves: the session's time is nearly over, nothing has passed for so long
// that Proxmox will end the console, the device is offline.
import type { Channel } from "./channel.js";
import type { Clock } from "./session.js";
import type { Notice, Words } from "./view.js";

const LEFT_MIN = [5, 1];
const LEFT_SHOWN_MS = 30_000;
const QUIET_MS = 14 * 60_000; // a minute before Proxmox ends it
const LOOK_MS = 5_000;

type Notify = (notice: Notice, milliseconds?: number) => () => void;

export class Notices {
  #notify: Notify;
  #clock: Clock;
  #cancel: (() => void)[] = [];
  #cancelLook: () => void = () => {};
  #shown = new Map<string, () => void>();

  constructor(notify: Notify, clock: Clock) {
    this.#notify = notify;
    this.#clock = clock;
  }

  /** A connection began. sessionMax: seconds until proxxy ends it, 0 if unknown. */
  connected(channel: Channel, sessionMax: number): void {
    this.ended();
    for (const minutes of LEFT_MIN) {
      const wait = sessionMax * 1000 - minutes * 60_000;
      if (wait <= 0) continue;
      this.#cancel.push(this.#clock.after(wait, () => this.#timeLeft(minutes)));
    }
    this.#look(channel);
  }

  /** There is no connection any more. */
  ended(): void {
    for (const cancel of this.#cancel.splice(0)) cancel();
    this.#cancelLook();
    this.#set("quiet", null);
    this.#set("time", null);
  }

  offline(is: boolean): void {
    this.#set("offline", is ? { word: "notice.offline" } : null);
  }

  #timeLeft(minutes: number): void {
    this.#set("time", null);
    this.#set("time", { word: "notice.time_left", values: { minutes } }, LEFT_SHOWN_MS);
  }

  #look(channel: Channel): void {
    this.#set("quiet", channel.silence >= QUIET_MS ? { word: "notice.quiet" } : null);
    this.#cancelLook = this.#clock.after(LOOK_MS, () => this.#look(channel));
  }

  #set(name: string, words: Words | null, milliseconds?: number): void {
    const remove = this.#shown.get(name);
    if (Boolean(remove) === Boolean(words)) return;
    if (words) {
      this.#shown.set(name, this.#notify({ words }, milliseconds));
      return;
    }
    this.#shown.delete(name);
    remove?.();
  }
}

// SPDX-License-Identifier: Apache-2.0
// Two fingers on a touch screen: a pinch zooms our view of the picture, and a drag moves what is seen of it. noVNC has
// the other gestures: a tap is a click, a drag is one with the button held, a long press or a tap of two fingers is a
// right click, and a drag of two turns the wheel where there is nothing to move.

import type { Picture } from "./picture.js";
import { type Fingers, fingers, type Point } from "./zoom.js";

const SLOP = 12; // pixels, before a touch is no tap any more
const TOUCHES = ["touchstart", "touchmove", "touchend", "touchcancel"] as const;
const GESTURES = ["gesturestart", "gesturemove", "gestureend"]; // of noVNC

export class Touch {
  #picture: Picture;
  #mayUse: () => boolean;
  #now: Fingers | null = null;
  /** When a finger came or went. */
  #start: Fingers | null = null;
  /** While the gesture is ours: the point of the picture between the fingers, and the scale at the start. */
  #held: { point: Point; scale: number } | null = null;
  #noVnc = false; // has the gesture

  /** mayUse: whether the guest takes input. If not, one finger moves the picture too. */
  constructor(picture: Picture, mayUse: () => boolean) {
    this.#picture = picture;
    this.#mayUse = mayUse;
    const { pane } = picture;
    for (const type of TOUCHES)
      pane.addEventListener(type, (event) => this.#touch(event), { capture: true, passive: false });
    for (const type of GESTURES) pane.addEventListener(type, (event) => this.#gesture(event), { capture: true });
  }

  #touch(event: TouchEvent): void {
    this.#now = fingers([...event.touches].map(({ clientX: x, clientY: y }) => ({ x, y })));
    if (event.type !== "touchmove") {
      this.#start = this.#now;
      if (this.#held && this.#now) this.#hold();
      // noVNC may take the fingers' end for a tap; it gets it after this listener.
      if (!this.#now) setTimeout(() => (this.#held = null));
      return;
    }
    if (!this.#held && !this.#noVnc && this.#isOurs()) this.#hold();
    if (!this.#held) return;
    event.stopPropagation();
    event.preventDefault();
    this.#move();
  }

  #gesture(event: Event): void {
    const detail = (event as CustomEvent<{ type?: string } | undefined>).detail;
    if (!detail?.type) return; // Safari has events of the same names
    if (event.type === "gesturestart" && detail.type === "pinch") this.#hold();
    if (this.#held) event.stopPropagation();
    else this.#noVnc = event.type !== "gestureend";
  }

  #isOurs(): boolean {
    if (!this.#start || !this.#now) return false;
    const spread = Math.abs(this.#now.distance - this.#start.distance);
    const moved = Math.hypot(this.#now.x - this.#start.x, this.#now.y - this.#start.y);
    if (Math.max(spread, moved) < SLOP) return false;
    if (this.#now.count === 2) return spread > moved || this.#picture.scrolls;
    return this.#now.count === 1 && !this.#mayUse() && this.#picture.scrolls;
  }

  #hold(): void {
    if (!this.#now || !this.#picture.canvas) return;
    this.#start = this.#now;
    this.#held = { point: this.#picture.at(this.#now), scale: this.#picture.scale };
  }

  #move(): void {
    if (!this.#now || !this.#start || !this.#held) return;
    const { point, scale } = this.#held;
    this.#picture.zoom((scale * this.#now.distance) / this.#start.distance, point, this.#now);
  }
}

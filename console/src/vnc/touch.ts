// SPDX-License-Identifier: Apache-2.0
// Two fingers on a touch screen: a pinch zooms our view of the picture, and a drag moves what is seen of it. noVNC
// tells the gestures apart; here those are taken that concern the view. It keeps the others: a tap is a click, a drag
// is one with the button held, a long press or a tap of two fingers is a right click, and a drag of two turns the
// wheel where there is nothing to move.

import type { Picture } from "./picture.js";
import { fingers, type Point } from "./zoom.js";

type Gesture = CustomEvent<{ type: string }>;

export class Touch {
  #picture: Picture;
  #mayUse: () => boolean;
  #touches: Point[] = [];
  /** Of the gesture that is ours, at its start: the point of the picture between the fingers. */
  #held: { point: Point; distance: number; scale: number } | null = null;

  /** mayUse: whether the guest takes input. If not, one finger moves the picture too. */
  constructor(picture: Picture, mayUse: () => boolean) {
    this.#picture = picture;
    this.#mayUse = mayUse;
    const { pane } = picture;
    for (const type of ["touchstart", "touchmove"] as const)
      pane.addEventListener(type, (event) => this.#touch(event), { capture: true, passive: true });
    for (const type of ["gesturestart", "gesturemove", "gestureend"])
      pane.addEventListener(type, (event) => this.#gesture(event as Gesture), { capture: true });
  }

  #touch(event: TouchEvent): void {
    this.#touches = [...event.touches].map(({ clientX: x, clientY: y }) => ({ x, y }));
    if (this.#held && event.type === "touchmove") this.#move();
  }

  #gesture(event: Gesture): void {
    // Safari has events of the same names for its own gestures.
    const type = (event.detail as { type?: string } | null)?.type;
    if (event.type === "gesturestart" && type && this.#isOurs(type)) this.#start();
    if (!this.#held) return;
    event.stopPropagation();
    if (event.type === "gestureend") this.#held = null;
  }

  #isOurs(type: string): boolean {
    if (type === "pinch") return true;
    return this.#picture.scrolls && (type === "twodrag" || (type === "drag" && !this.#mayUse()));
  }

  #start(): void {
    const at = this.#fingers();
    if (!at || !this.#picture.canvas) return;
    this.#held = { point: this.#picture.at(at), distance: at.distance, scale: this.#picture.scale };
  }

  #move(): void {
    const at = this.#fingers();
    if (!at || !this.#held) return;
    const { point, distance, scale } = this.#held;
    this.#picture.zoom((scale * at.distance) / distance, point, at);
  }

  #fingers(): (Point & { distance: number }) | null {
    const [one, other] = this.#touches;
    return one ? fingers(one, other ?? one) : null;
  }
}

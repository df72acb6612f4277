// SPDX-License-Identifier: Apache-2.0
// Where noVNC shows the guest's picture, and how large. noVNC always fits the picture into the element that it gets:
// a zoom makes that element larger than the one around it, which scrolls. So noVNC knows the right place of each click.

import type RFB from "@novnc/novnc";
import type { Scaling } from "../guest.js";
import { baseScale, type Point, type Size, zoomed } from "./zoom.js";

const NEW_PICTURE_MS = 3000; // at the latest, the earlier one goes

function box(style: Partial<CSSStyleDeclaration>): HTMLElement {
  const element = document.createElement("div");
  Object.assign(element.style, style);
  return element;
}

/** Whether all of it was drawn: noVNC's canvas is transparent before. */
function drawn(canvas: HTMLCanvasElement): boolean {
  const side = 8; // of a small copy, because the browser is slow with the canvas that it has read from
  const small = new OffscreenCanvas(side, side).getContext("2d", { willReadFrequently: true })!;
  if (!canvas.width || !canvas.height) return false;
  small.drawImage(canvas, 0, 0, side, side);
  return small.getImageData(0, 0, side, side).data.every((value, i) => i % 4 !== 3 || value === 255);
}

export class Picture {
  /** Scrolls. */
  readonly pane = box({
    position: "absolute",
    inset: "0",
    display: "grid",
    placeContent: "safe center",
    overscrollBehavior: "none",
    touchAction: "none",
  });
  /** noVNC's. */
  readonly target = box({ position: "relative", isolation: "isolate" });

  /** noVNC's, of this connection, else of the last one. */
  canvas: HTMLCanvasElement | null = null;

  #rfb: RFB | null = null;
  #earlier: HTMLElement | null = null; // has the last connection's canvas
  #scaling: Scaling = "fit";
  #zoom: number | null = null;
  #size: Size = { width: 0, height: 0 };
  #observer = new ResizeObserver(() => this.layOut());

  constructor(screen: HTMLElement) {
    if (getComputedStyle(screen).position === "static") screen.style.position = "relative";
    this.pane.append(this.target);
    screen.append(this.pane);
    this.#observer.observe(this.pane);
    this.layOut();
  }

  /** Another connection's noVNC is in the target now. */
  use(rfb: RFB): void {
    this.#rfb = rfb;
    const screen = this.target.lastElementChild as HTMLElement;
    this.canvas = screen.querySelector("canvas");
    screen.style.overflow = "hidden";
    rfb.background = "transparent"; // the earlier picture is below
    this.layOut();
  }

  /** The connection is over: what noVNC showed stays, below the next connection's picture. */
  keep(): void {
    this.#rfb = null;
    const canvas = this.canvas;
    if (canvas && drawn(canvas)) {
      this.#earlier?.remove();
      this.#earlier = box({ position: "absolute", inset: "0", zIndex: "-1", pointerEvents: "none" });
      Object.assign(canvas.style, { display: "block", width: "100%", height: "100%", objectFit: "contain" });
      this.#earlier.append(canvas);
      this.target.prepend(this.#earlier);
    }
    this.canvas = this.#earlier?.querySelector("canvas") ?? null;
  }

  /** The connection is made: the earlier picture goes once the new one covers it. */
  connected(): void {
    const earlier = this.#earlier;
    const until = performance.now() + NEW_PICTURE_MS;
    const look = () => {
      if (!earlier || earlier !== this.#earlier || !this.#rfb) return;
      if (!drawn(this.canvas!) && performance.now() < until) {
        setTimeout(look, 50);
        return;
      }
      earlier.remove();
      this.#earlier = null;
    };
    look();
  }

  /** A message was handled: the guest may have changed its screen's size. */
  update(): void {
    const { width, height } = this.canvas ?? this.#size;
    if (!width || (width === this.#size.width && height === this.#size.height)) return;
    this.#size = { width, height };
    this.#zoom = null;
    this.layOut();
  }

  set scaling(scaling: Scaling) {
    this.#scaling = scaling;
    this.#zoom = null;
    this.layOut();
  }

  get scale(): number {
    return this.#zoom ?? this.#base();
  }

  /** Larger than what is seen of it. */
  get scrolls(): boolean {
    const { pane } = this;
    return pane.scrollWidth > pane.clientWidth || pane.scrollHeight > pane.clientHeight;
  }

  /** The point of the picture (in the guest's pixels) at a place of the window. */
  at({ x, y }: Point): Point {
    const canvas = this.canvas!.getBoundingClientRect();
    return { x: (x - canvas.left) / this.scale, y: (y - canvas.top) / this.scale };
  }

  /** Shows the picture in this scale, with its point at that place of the window, as far as possible. */
  zoom(scale: number, point: Point, place: Point): void {
    this.#zoom = zoomed(scale, this.#base());
    this.layOut();
    const canvas = this.canvas!.getBoundingClientRect();
    this.pane.scrollBy(canvas.left + point.x * this.scale - place.x, canvas.top + point.y * this.scale - place.y);
  }

  scrollBy(x: number, y: number): void {
    this.pane.scrollBy(x, y);
  }

  layOut(): void {
    const { width, height } = this.#size;
    const exact = width > 0 && (this.#zoom !== null || this.#scaling === "actual");
    this.pane.style.overflow = exact ? "auto" : "hidden"; // rounded sizes are no reason to scroll
    this.target.style.width = exact ? `${width * this.scale}px` : `${this.pane.clientWidth}px`;
    this.target.style.height = exact ? `${height * this.scale}px` : `${this.pane.clientHeight}px`;
    if (!this.#rfb) return;
    // A zoom is not the window's size.
    const resize = this.#scaling === "remote" && this.#zoom === null;
    if (this.#rfb.resizeSession !== resize) this.#rfb.resizeSession = resize;
    this.#rfb.scaleViewport = true; // lets noVNC measure the element now
  }

  end(): void {
    this.#observer.disconnect();
    this.pane.remove();
  }

  #base(): number {
    const screen = { width: this.pane.clientWidth, height: this.pane.clientHeight };
    return baseScale(this.#scaling, screen, this.#size);
  }
}

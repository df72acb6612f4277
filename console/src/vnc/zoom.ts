// SPDX-License-Identifier: Apache-2.0
// How large the picture is shown. Scales are CSS pixels for one pixel of the guest.

import type { Scaling } from "../guest.js";

export interface Size {
  width: number;
  height: number;
}

export interface Point {
  x: number;
  y: number;
}

const LARGEST = 8; // CSS pixels
const SNAP = 1.08; // as near to the scale without a zoom: no zoom

/** The scale without a zoom of the user's. */
export function baseScale(scaling: Scaling, screen: Size, picture: Size): number {
  if (scaling === "actual" || !picture.width || !picture.height) return 1;
  return Math.min(screen.width / picture.width, screen.height / picture.height);
}

/** The scale after a pinch, or null if it is the one without a zoom. */
export function zoomed(scale: number, base: number): number | null {
  const limited = Math.min(Math.max(scale, base), Math.max(LARGEST, base));
  return limited < base * SNAP ? null : limited;
}

/** Two fingers: the middle between them, and their distance. */
export function fingers(one: Point, other: Point): Point & { distance: number } {
  return {
    x: (one.x + other.x) / 2,
    y: (one.y + other.y) / 2,
    distance: Math.max(1, Math.hypot(one.x - other.x, one.y - other.y)),
  };
}

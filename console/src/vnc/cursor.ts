// SPDX-License-Identifier: Apache-2.0
// On a touch screen noVNC draws the guest's pointer itself, on a canvas at the end of the document. That would be in
// the wrong place in full screen, and never be shown in a shadow tree, because document.elementFromPoint() answers
// with the tree's host. So the canvas moves into our screen.

import type RFB from "@novnc/novnc";

/** Returns what removes it. screen: a positioned element around noVNC's. */
export function showCursor(rfb: RFB, screen: HTMLElement): () => void {
  const cursor = rfb._cursor;
  const canvas = cursor._canvas;
  if (!canvas.parentNode) return () => {}; // the browser's own pointer is used
  canvas.style.position = "absolute";
  screen.append(canvas);
  cursor._updatePosition = () => {
    const { left, top } = screen.getBoundingClientRect();
    canvas.style.left = `${cursor._position.x - left}px`;
    canvas.style.top = `${cursor._position.y - top}px`;
  };
  const update = cursor._updateVisibility.bind(cursor);
  cursor._updateVisibility = (target) => {
    const root = screen.getRootNode();
    if (!(root instanceof ShadowRoot) || target !== root.host) return update(target);
    const { x, y } = cursor._position;
    update(root.elementFromPoint(x + cursor._hotSpot.x, y + cursor._hotSpot.y));
  };
  return () => canvas.remove();
}

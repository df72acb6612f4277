// SPDX-License-Identifier: Apache-2.0
// On a touch screen noVNC draws the guest's pointer itself, on a canvas at the end of the document. In a shadow tree
// it would never show it, because document.elementFromPoint() answers with the tree's host; and not in full screen.

import type RFB from "@novnc/novnc";

/** Returns what removes it. */
export function showCursor(rfb: RFB, pane: HTMLElement): () => void {
  const cursor = rfb._cursor;
  const canvas = cursor._canvas;
  if (!canvas.parentNode) return () => {}; // the browser's own pointer is used
  pane.append(canvas);
  const update = cursor._updateVisibility.bind(cursor);
  cursor._updateVisibility = (target) => {
    const root = cursor._target?.getRootNode();
    if (!(root instanceof ShadowRoot) || target !== root.host) return update(target);
    const { x, y } = cursor._position;
    update(root.elementFromPoint(x + cursor._hotSpot.x, y + cursor._hotSpot.y));
  };
  return () => canvas.remove();
}

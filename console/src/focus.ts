// SPDX-License-Identifier: Apache-2.0
// Whether the console may take the focus by itself. While somebody types in the panel around it, it must not.

/** Whether the focus is nowhere, in this element, or in something that has just been hidden. */
function free({ activeElement, body }: Document, own: Element | null): boolean {
  return !activeElement || activeElement === body || activeElement === own || !activeElement.checkVisibility();
}

/** Whether a field or a button of the console's own has the focus. */
function inUse(host: Element, screen: Element): boolean {
  const active = host.shadowRoot?.activeElement;
  return Boolean(active && !screen.contains(active) && active.checkVisibility());
}

/** Whether nothing else has the focus. When that is unsure, it is false: a click takes the focus. */
export function focusIsFree(host: Element, screen: Element): boolean {
  const page = host.ownerDocument;
  if (!free(page, host) || inUse(host, screen)) return false;
  let inner: Window = page.defaultView!;
  if (inner.parent === inner || page.hasFocus()) return true;
  try {
    for (; inner.parent !== inner; inner = inner.parent)
      if (!free(inner.parent.document, inner.frameElement)) return false;
    return true;
  } catch {
    return false; // a parent of another origin
  }
}

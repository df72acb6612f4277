// SPDX-License-Identifier: Apache-2.0
// Makes elements. Text from outside only ever becomes a text node.

type Child = Node | string;

export function make<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  attributes: Record<string, string> = {},
  ...children: Child[]
): HTMLElementTagNameMap[Tag] {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/** A button that leaves the focus where it is when it is pressed with a pointer. */
export function makeButton(attributes: Record<string, string>, press: () => void, ...children: Child[]) {
  const button = make("button", { type: "button", ...attributes }, ...children);
  button.addEventListener("mousedown", (event) => event.preventDefault());
  button.addEventListener("click", () => {
    if (button.getAttribute("aria-disabled") !== "true") press();
  });
  return button;
}

/** Changes the text only if it differs: screen readers say what changes. */
export function setText(target: Element, text: string): void {
  const node = target.firstChild;
  if (target.textContent === text) return;
  if (node instanceof Text && target.childNodes.length === 1) node.nodeValue = text;
  else target.textContent = text;
}

export function setFlag(target: Element, name: string, on: boolean): void {
  if (target.getAttribute(name) !== String(on)) target.setAttribute(name, String(on));
}

/** The element that has the focus, inside shadow roots too. */
export function focused(root: ShadowRoot): Element | null {
  return root.activeElement;
}

/** Whether nothing outside of this root has the focus, so that it may be taken. */
export function mayTakeFocus(root: ShadowRoot): boolean {
  if (!document.hasFocus()) return false;
  const active = document.activeElement;
  if (!active || active === document.body || active === root.host) return true;
  // The host may be inside another shadow root: then the document's active element is a host around it.
  const outer = root.host.getRootNode();
  return outer instanceof ShadowRoot && (outer.activeElement === null || outer.activeElement === root.host);
}

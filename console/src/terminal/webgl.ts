// SPDX-License-Identifier: Apache-2.0
// Draws the terminal with WebGL where the browser has a graphics card for it; else, and after the card was lost,
// xterm.js draws with HTML.

import type { WebglAddon } from "@xterm/addon-webgl";
import type { Terminal } from "@xterm/xterm";

export class Graphics {
  #terminal: Terminal;
  #addon: WebglAddon | null = null;
  #wanted = true;

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
    void this.#load();
  }

  use(on: boolean): void {
    this.#wanted = on;
    if (on) void this.#load();
    else this.#drop();
  }

  async #load(): Promise<void> {
    if (this.#addon || !hasGraphicsCard()) return;
    const { WebglAddon } = await import("@xterm/addon-webgl");
    if (this.#addon || !this.#wanted || !this.#terminal.element?.isConnected) return;
    const addon = new WebglAddon();
    addon.onContextLoss(() => this.#drop());
    try {
      this.#terminal.loadAddon(addon);
      this.#addon = addon;
    } catch {
      addon.dispose(); // the browser has no context to spare
    }
  }

  #drop(): void {
    this.#addon?.dispose();
    this.#addon = null;
  }
}

/** WebGL that the processor computes is slower than HTML, and browsers do not always say so by themselves. */
function hasGraphicsCard(): boolean {
  const context = document.createElement("canvas").getContext("webgl2", { failIfMajorPerformanceCaveat: true });
  if (!context) return false;
  const info = context.getExtension("WEBGL_debug_renderer_info");
  const renderer = String(context.getParameter(info ? info.UNMASKED_RENDERER_WEBGL : context.RENDERER));
  context.getExtension("WEBGL_lose_context")?.loseContext();
  return !/swiftshader|llvmpipe|softpipe|software|basic render/i.test(renderer);
}

// SPDX-License-Identifier: Apache-2.0
// The channel as noVNC gets it. noVNC takes an open channel, but it must not have a message before its constructor
// is done; and what noVNC closes by itself is told as a failure.

import type { Channel } from "../channel.js";

/** Asks for one pixel, whether it has changed or not: FramebufferUpdateRequest, RFC 6143, 7.5.3. */
const ONE_PIXEL = Uint8Array.of(3, 0, 0, 0, 0, 0, 0, 1, 0, 1);

export class Wire {
  binaryType: BinaryType = "arraybuffer";
  onopen: ((event: Event) => void) | null = null;
  onerror: ((event: Event) => void) | null = null;
  onclose: ((event: CloseEvent) => void) | null = null;
  onmessage: ((event: MessageEvent) => void) | null = null;

  readonly channel: Channel;
  #closing: () => void;
  #cut = false;

  /** closing: noVNC wants to close. */
  constructor(channel: Channel, closing: () => void) {
    this.channel = channel;
    this.#closing = closing;
    channel.onopen = (event) => this.onopen?.(event);
    channel.onerror = (event) => this.onerror?.(event);
    channel.onclose = (event) => this.onclose?.(event);
  }

  /** Passes the messages from now on. received: called after each one. */
  start(received: (data: ArrayBuffer) => void): void {
    this.channel.onmessage = (event) => {
      if (this.#cut) return;
      this.onmessage?.(event);
      received(event.data as ArrayBuffer);
    };
  }

  /** Neither sends nor passes anything any more. */
  cut(): void {
    this.#cut = true;
  }

  /** noVNC keeps no half of a message between two turns of the event loop, so that this is between two messages.
   *  Only after RFB's handshake. */
  askForPixel(): void {
    this.send(ONE_PIXEL);
  }

  get readyState(): number {
    return this.channel.readyState;
  }

  get protocol(): string {
    return this.channel.protocol;
  }

  send(data: Uint8Array): void {
    if (!this.#cut) this.channel.send(data);
  }

  close(): void {
    this.#closing();
  }
}

// SPDX-License-Identifier: Apache-2.0
// The WebSocket to proxxy. It may have been opened before this file was loaded (early.ts): its messages are held until
// a guest takes them. It has what noVNC expects of a channel (send, close, binaryType, onopen, onmessage, onerror,
// onclose, protocol, readyState), and tells how much passes.

/** The subprotocol that carries a payload: in no log of a proxy, as the query would be. */
export const PAYLOAD_PROTOCOL = "proxxy.payload.";

export class Channel {
  binaryType: BinaryType = "arraybuffer";
  onopen: ((event: Event) => void) | null = null;
  onerror: ((event: Event) => void) | null = null;
  onclose: ((event: CloseEvent) => void) | null = null;
  /** When data was last received and last sent, in milliseconds of performance.now(). */
  lastReceived = performance.now();
  lastSent = performance.now();
  bytesReceived = 0;

  #socket: WebSocket;
  #onmessage: ((event: MessageEvent) => void) | null = null;
  #held: MessageEvent[];

  /** held: the messages of a socket that was opened earlier; whoever held them must hold no more. */
  constructor(socket: WebSocket, held: MessageEvent[] = []) {
    this.#socket = socket;
    this.#held = held;
    socket.binaryType = "arraybuffer";
    socket.addEventListener("open", (event) => this.onopen?.(event));
    socket.addEventListener("error", (event) => this.onerror?.(event));
    socket.addEventListener("message", (event) => {
      this.lastReceived = performance.now();
      this.bytesReceived += (event.data as ArrayBuffer).byteLength;
      if (this.#onmessage) this.#onmessage(event);
      else this.#held.push(event);
    });
    socket.addEventListener("close", (event) => this.onclose?.(event));
  }

  /** The messages that were held are passed at once, in order. */
  get onmessage(): ((event: MessageEvent) => void) | null {
    return this.#onmessage;
  }

  set onmessage(handler: ((event: MessageEvent) => void) | null) {
    this.#onmessage = handler;
    while (this.#onmessage && this.#held.length) this.#onmessage(this.#held.shift()!);
  }

  get readyState(): number {
    return this.#socket.readyState;
  }

  get protocol(): string {
    return this.#socket.protocol;
  }

  get bufferedAmount(): number {
    return this.#socket.bufferedAmount;
  }

  send(data: string | ArrayBufferLike | ArrayBufferView | Blob): void {
    this.lastSent = performance.now();
    this.#socket.send(data as ArrayBufferView<ArrayBuffer>);
  }

  close(code?: number, reason?: string): void {
    this.#socket.close(code, reason);
  }
}

// SPDX-License-Identifier: Apache-2.0
// The WebSocket to proxxy. It may have been opened before this file was loaded (early.ts): its messages are held until
// a guest takes them. It has what noVNC expects of a channel (send, close, binaryType, onopen, onmessage, onerror,
// onclose, protocol, readyState), and tells how much passes.

/** The subprotocol that carries a payload: in no log of a proxy, as the query would be. */
export const PAYLOAD_PROTOCOL = "proxxy.payload.";

const OPEN = 1; // WebSocket.OPEN
const CLOSED = 3;

export class Channel {
  binaryType: BinaryType = "arraybuffer";
  /** Not called if the socket was open already; readyState tells. */
  onopen: ((event: Event) => void) | null = null;
  onerror: ((event: Event) => void) | null = null;
  onclose: ((event: CloseEvent) => void) | null = null;
  /** When data was last received and sent, in milliseconds of Date.now(), which goes on while a computer sleeps. */
  lastReceived: number;
  lastSent: number;
  bytesReceived = 0;

  #socket: WebSocket;
  #now: () => number;
  #onmessage: ((event: MessageEvent) => void) | null = null;
  #held: MessageEvent[];
  #dropped = false;

  /** held: the messages of a socket that was opened earlier; whoever held them must hold no more. */
  constructor(socket: WebSocket, held: MessageEvent[] = [], now = () => Date.now()) {
    this.#socket = socket;
    this.#held = held;
    this.#now = now;
    this.lastReceived = this.lastSent = now();
    socket.binaryType = "arraybuffer";
    socket.addEventListener("open", (event) => this.#dropped || this.onopen?.(event));
    socket.addEventListener("error", (event) => this.#dropped || this.onerror?.(event));
    socket.addEventListener("message", (event) => this.#dropped || this.#receive(event));
    socket.addEventListener("close", (event) => this.#dropped || this.onclose?.(event));
  }

  #receive(event: MessageEvent): void {
    this.lastReceived = this.#now();
    this.bytesReceived += (event.data as ArrayBuffer).byteLength;
    if (this.#onmessage) this.#onmessage(event);
    else this.#held.push(event);
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
    return this.#dropped ? CLOSED : this.#socket.readyState;
  }

  get url(): string {
    return this.#socket.url;
  }

  get protocol(): string {
    return this.#socket.protocol;
  }

  get bufferedAmount(): number {
    return this.#socket.bufferedAmount;
  }

  /** For how many milliseconds nothing passed. */
  get silence(): number {
    return this.#now() - Math.max(this.lastReceived, this.lastSent);
  }

  /** Behind a Close nothing is sent: the browser would only warn of it. */
  send(data: string | ArrayBufferLike | ArrayBufferView | Blob): void {
    if (this.readyState > OPEN) return;
    this.lastSent = this.#now();
    this.#socket.send(data as ArrayBufferView<ArrayBuffer>);
  }

  close(code?: number, reason?: string): void {
    this.#socket.close(code, reason);
  }

  /** Ends it at once for the guest. On a dead network, the socket's own end comes late. */
  drop(code?: number): void {
    if (this.#dropped || this.#socket.readyState === CLOSED) return;
    this.#dropped = true;
    this.#held = [];
    this.#socket.close(code);
    const event = Object.assign(new Event("close"), { code: 1006, reason: "", wasClean: false });
    this.onclose?.(event as CloseEvent);
  }
}

// SPDX-License-Identifier: Apache-2.0
// The protocol of Proxmox's termproxy (pve-xtermjs, termproxy/src/main.rs) on one connection. The client speaks first,
// "user:ticket\n", and the answer is "OK"; if proxxy has logged in, all that comes is the terminal's. Then the client
// sends "0:LENGTH:TEXT" for input, "1:COLUMNS:ROWS:" for the window's size and "2" to keep the connection alive.

const GREETING = "OK";
const encoder = new TextEncoder();

export interface Receiver {
  /** The guest answers: its first byte, or termproxy's greeting, came. */
  answers(): void;
  output(text: string): void;
  /** Anything but the greeting came. */
  refused(): void;
}

export class Termproxy {
  #login: string;
  #transmit: (data: Uint8Array) => void;
  #receiver: Receiver;
  #decoder = new TextDecoder(); // a character may be cut between two messages
  #greeting = "";
  #size = "";
  #loggedIn = false;
  #answers = false;

  /** login: the first line, or "" if proxxy logs in. transmit sends one message. */
  constructor(login: string, transmit: (data: Uint8Array) => void, receiver: Receiver) {
    this.#login = login;
    this.#transmit = transmit;
    this.#receiver = receiver;
  }

  /** Whether input is sent: what is typed before the guest answers, or after the end, must not arrive later. */
  get answering(): boolean {
    return this.#answers;
  }

  /** Call it when the connection is open. */
  start(): void {
    if (this.#login) this.#send(this.#login);
    else this.#logIn();
  }

  receive(data: ArrayBuffer): void {
    let text = this.#decoder.decode(data, { stream: true });
    if (!this.#loggedIn) {
      this.#greeting += text;
      if (this.#greeting.length < GREETING.length) return;
      if (!this.#greeting.startsWith(GREETING)) {
        this.#receiver.refused();
        return;
      }
      this.#logIn();
      text = this.#greeting.slice(GREETING.length);
    }
    if (!this.#answers) {
      this.#answers = true;
      this.#receiver.answers();
    }
    if (text) this.#receiver.output(text);
  }

  /** Returns the number of bytes; 0 if nothing was sent. One message, because termproxy loses a cut header. */
  input(text: string): number {
    if (!this.#answers || !text) return 0;
    const { length } = encoder.encode(text);
    this.#send(`0:${length}:${text}`);
    return length;
  }

  /** The size is sent as soon as there is a login. */
  resize(columns: number, rows: number): void {
    this.#size = `1:${columns}:${rows}:`;
    if (this.#loggedIn) this.#send(this.#size);
  }

  keepAlive(): void {
    if (this.#loggedIn) this.#send("2");
  }

  /** The connection ended: nothing is sent any more. */
  end(): void {
    this.#loggedIn = this.#answers = false;
  }

  #logIn(): void {
    this.#loggedIn = true;
    if (this.#size) this.#send(this.#size);
  }

  #send(text: string): void {
    this.#transmit(encoder.encode(text));
  }
}

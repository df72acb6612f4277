// SPDX-License-Identifier: Apache-2.0
// Types the text of its standard input into QEMU's VNC server, as the console does it in a browser:
// into_qemu SOCKET LAYOUT keysyms|scancodes [EVENTS]
// EVENTS: the connection's user presses Cancel after so many. Prints how many events it sent, and the milliseconds.
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { typeText } from "../../console/src/typing/typist.js";
import XT from "../../console/node_modules/@novnc/novnc/core/input/xtscancodes.js";

const [path, layout, how, cancelAfter] = process.argv.slice(2);
const EXTENDED_KEY_EVENT = -258; // QEMU's pseudo-encoding

const socket = connect(path!);
let held = Buffer.alloc(0);
let more = (): void => {};
socket.on("data", (data) => {
  held = Buffer.concat([held, data]);
  more();
});
socket.on("error", (error) => {
  throw error;
});

async function take(length: number): Promise<Buffer> {
  while (held.length < length) await new Promise<void>((done) => (more = done));
  const taken = held.subarray(0, length);
  held = held.subarray(length);
  return taken;
}

function message(length: number, fill: (bytes: Buffer) => void): void {
  const bytes = Buffer.alloc(length);
  fill(bytes);
  socket.write(bytes);
}

async function login(): Promise<void> {
  await take(12);
  socket.write("RFB 003.008\n");
  await take((await take(1))[0]!); // security types
  socket.write(Buffer.from([1])); // none
  await take(4);
  socket.write(Buffer.from([1])); // ClientInit: shared
  await take((await take(24)).readUInt32BE(20)); // the name
  const encodings = how === "scancodes" ? [0, EXTENDED_KEY_EVENT] : [0];
  message(4 + 4 * encodings.length, (bytes) => {
    bytes[0] = 2;
    bytes.writeUInt16BE(encodings.length, 2);
    encodings.forEach((encoding, index) => bytes.writeInt32BE(encoding, 4 + 4 * index));
  });
}

let extended = false;
const asked: (() => void)[] = [];

async function readUpdates(): Promise<never> {
  for (;;) {
    const [kind] = await take(1);
    if (kind !== 0) throw new Error(`message ${kind}`);
    let picture = false;
    for (let left = (await take(3)).readUInt16BE(1); left > 0; left--) {
      const rectangle = await take(12);
      if (rectangle.readInt32BE(8) === EXTENDED_KEY_EVENT) extended = true;
      else await take(4 * rectangle.readUInt16BE(4) * rectangle.readUInt16BE(6));
      picture ||= rectangle.readInt32BE(8) === 0;
    }
    if (picture) asked.shift()?.();
  }
}

/** One pixel; QEMU answers it after the keys that came before. */
function arrived(): Promise<void> {
  message(10, (bytes) => {
    bytes[0] = 3;
    bytes.writeUInt32BE(0x00010001, 6);
  });
  return new Promise((done) => asked.push(done));
}

let sent = 0;
const cancel = new AbortController();

function send(keysym: number, code: string, down: boolean): void {
  const xt: number = XT[code];
  if (extended && xt) {
    message(12, (bytes) => {
      bytes[0] = 255;
      bytes.writeUInt16BE(Number(down), 2);
      bytes.writeUInt32BE(keysym, 4);
      bytes.writeUInt32BE(xt >> 8 === 0xe0 ? (xt & 0xff) | 0x80 : xt, 8);
    });
  } else {
    message(8, (bytes) => {
      bytes[0] = 4;
      bytes[1] = Number(down);
      bytes.writeUInt32BE(keysym, 4);
    });
  }
  if (++sent === Number(cancelAfter)) cancel.abort();
}

await login();
void readUpdates();
await arrived();
if (extended !== (how === "scancodes")) throw new Error(`extended key events: ${extended}`);
const start = performance.now();
try {
  await typeText(readFileSync(0, "utf8"), layout!, send, { signal: cancel.signal, arrived });
} catch (error) {
  if (!cancel.signal.aborted) throw error;
}
await arrived();
console.log(JSON.stringify({ events: sent, milliseconds: performance.now() - start }));
process.exit(0);

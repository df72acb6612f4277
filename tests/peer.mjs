// SPDX-License-Identifier: Apache-2.0
// A client of the npm package ws against an echoing console: node peer.mjs URL BYTES [PROTOCOL...]
// Prints what it saw as one line of JSON.
import { randomBytes } from "node:crypto";
import WebSocket from "/usr/share/nodejs/ws/wrapper.mjs"; // where Debian and Ubuntu keep it

const [url, size, ...protocols] = process.argv.slice(2);
const sent = randomBytes(Number(size));
const seen = { protocol: null, pong: null, echoed: false, code: null, reason: null };
const chunks = [];
let received = 0;

const socket = new WebSocket(url, ["binary", "base64", ...protocols]);
socket.on("open", () => {
  seen.protocol = socket.protocol;
  socket.ping("are you there");
  // One message in three fragments.
  const third = Math.floor(sent.length / 3);
  socket.send(sent.subarray(0, third), { fin: false });
  socket.send(sent.subarray(third, 2 * third), { fin: false });
  socket.send(sent.subarray(2 * third), { fin: true });
});
socket.on("pong", (data) => (seen.pong = data.toString()));
socket.on("message", (data) => {
  chunks.push(data);
  received += data.length;
  if (received >= sent.length) {
    seen.echoed = Buffer.concat(chunks).equals(sent);
    socket.send("quit");
  }
});
socket.on("close", (code, reason) => console.log(JSON.stringify({ ...seen, code, reason: reason.toString() })));

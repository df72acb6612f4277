// SPDX-License-Identifier: Apache-2.0
// The page for a guest's terminal: xterm.js, and the protocol of Proxmox's termproxy.
/* global Terminal, FitAddon */
import { askForText, load, run } from "./console.js";

await load("./xterm/xterm.js", "./xterm/addon-fit.js");

const element = (id) => document.getElementById(id);
const KEEP_ALIVE_MS = 30_000;
const encoder = new TextEncoder();

let send = () => {}; // a text to the guest
let terminal = null;
let control = false; // the next key is with Ctrl

run("Terminal", (parameters) => {
  // Without a ticket, proxxy logs in: then all that comes is the terminal's.
  const login = parameters.has("ticket") ? `${parameters.get("user")}:${parameters.get("ticket")}\n` : "";
  const screen = new Terminal({ cursorBlink: true, scrollback: 5000, fontFamily: "monospace", fontSize: 15 });
  const fit = new FitAddon.FitAddon();
  screen.loadAddon(fit);
  screen.open(element("screen"));
  terminal = window.terminal = screen; // for whoever extends the page, too
  let transmit = () => {};
  let loggedIn = false;
  let answers = false; // what is typed before must not arrive later
  let keepAlive;

  const size = () => loggedIn && transmit(`1:${screen.cols}:${screen.rows}:`);
  send = (text) => answers && transmit(`0:${encoder.encode(text).length}:${text}`);

  screen.onResize(size);
  screen.onData((text) => {
    const letter = control && text.length === 1 ? text.toUpperCase().charCodeAt(0) : 0;
    send(letter >= 0x40 && letter < 0x60 ? String.fromCharCode(letter - 0x40) : text);
    setControl(false);
  });
  const observer = new ResizeObserver(() => fit.fit());
  observer.observe(element("screen"));
  fit.fit();

  return {
    open(socket, { connected, fail }) {
      const decoder = new TextDecoder(); // a character may be cut between two messages
      let greeting = "";
      transmit = (text) => socket.readyState === WebSocket.OPEN && socket.send(encoder.encode(text));

      function logIn() {
        loggedIn = true;
        size();
        keepAlive = setInterval(() => transmit("2"), KEEP_ALIVE_MS);
      }
      socket.addEventListener("open", () => (login ? transmit(login) : logIn()));
      socket.addEventListener("message", ({ data }) => {
        let text = decoder.decode(data, { stream: true });
        if (!loggedIn) {
          greeting += text;
          if (greeting.length < 2) return;
          if (!greeting.startsWith("OK")) {
            fail("Proxmox: 401 termproxy did not take the ticket");
            return;
          }
          logIn();
          text = greeting.slice(2);
        }
        if (!answers) {
          answers = true;
          connected();
          // Behind what an earlier connection left; a program on the whole screen draws itself anew.
          if (screen.buffer.normal.cursorX > 0 && screen.buffer.active.type === "normal") screen.write("\r\n");
        }
        screen.write(text);
      });
      socket.addEventListener("close", () => {
        loggedIn = answers = false;
        clearInterval(keepAlive);
      });
    },
    focus: () => screen.focus(),
    end() {
      clearInterval(keepAlive);
      observer.disconnect();
      screen.dispose();
      element("screen").replaceChildren();
    },
  };
});

function setControl(on) {
  control = on;
  element("ctrl").setAttribute("aria-pressed", on);
}

element("ctrl").addEventListener("click", () => {
  setControl(!control);
  terminal?.focus();
});
for (const button of document.querySelectorAll("[data-key]"))
  button.addEventListener("click", () => {
    // Arrows are of two kinds, and programs on the whole screen ask for the other one.
    const { key } = button.dataset;
    send(terminal?.modes.applicationCursorKeysMode ? key.replace("[", "O") : key);
    setControl(false);
    terminal?.focus();
  });

askForText((text) => {
  terminal?.paste(text);
  terminal?.focus();
});

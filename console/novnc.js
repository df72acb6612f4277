// SPDX-License-Identifier: Apache-2.0
// The page for a guest's screen, by noVNC's RFB.
import { askForText, load, run } from "./console.js";

const [{ default: RFB }, { default: keysyms }] = await load("./novnc/core/rfb.js", "./novnc/core/input/keysymdef.js");

const element = (id) => document.getElementById(id);
const BACKSPACE = 0xff08;
const TAB = 0xff09;
const ENTER = 0xff0d;
const SHIFT = 0xffe1;
const SHIFTED = /[A-Z~!@#$%^&*()_+{}|:"<>?]/; // on a US keyboard: QEMU wants the key that makes the character
const TYPE_MS = 20; // a key: a PS/2 keyboard's buffer is small

let rfb = null; // while it is connected

function press(keysym, shifted) {
  if (shifted) rfb?.sendKey(SHIFT, "ShiftLeft", true);
  rfb?.sendKey(keysym, null);
  if (shifted) rfb?.sendKey(SHIFT, "ShiftLeft", false);
}

function typeCharacter(character) {
  if (character === "\n") press(ENTER);
  else if (character === "\t") press(TAB);
  else press(keysyms.lookup(character.codePointAt(0)), SHIFTED.test(character));
}

async function typeText(text) {
  const into = rfb;
  for (const character of text.replaceAll("\r\n", "\n")) {
    if (rfb !== into) return; // the console it was meant for is gone
    typeCharacter(character);
    await new Promise((done) => setTimeout(done, TYPE_MS));
  }
}

run("Console", (parameters) => {
  const password = parameters.get("password");
  const credentials = password === null ? {} : { password };
  let mine = null;
  let picture = null; // of the last connection, until the next one has its own

  return {
    open(socket, { connected, fail }) {
      const next = new RFB(element("screen"), socket, { credentials });
      mine = next;
      next.scaleViewport = true;
      next.addEventListener("connect", () => {
        rfb = next;
        next.resizeSession = element("fit").getAttribute("aria-pressed") === "true";
        next.focusOnClick = document.activeElement !== keys;
        picture?.remove();
        picture = element("screen").lastElementChild;
        connected();
      });
      next.addEventListener("disconnect", () => {
        if (rfb === next) rfb = null;
        if (picture && !rfb) element("screen").prepend(picture);
      });
      // noVNC would wait for another password, for ever.
      next.addEventListener("credentialsrequired", () => fail("VNC: a password is needed"));
      next.addEventListener("securityfailure", () => fail("VNC: the password was refused"));
    },
    focus: () => mine.focus(),
    end() {
      picture = null;
      mine.disconnect();
      element("screen").replaceChildren();
    },
  };
});

element("ctrl-alt-del").addEventListener("click", () => {
  rfb?.sendCtrlAltDel();
  rfb?.focus();
});

element("fit").addEventListener("click", ({ currentTarget: button }) => {
  const on = button.getAttribute("aria-pressed") !== "true";
  button.setAttribute("aria-pressed", on);
  if (rfb) rfb.resizeSession = on;
});

askForText((text, how) => {
  if (how === "clipboard") rfb?.clipboardPasteFrom(text);
  else typeText(text);
  rfb?.focus();
});

// The on-screen keyboard of a phone only comes with a text field, and says what changed there, not which key it was.
const keys = element("keys");
const FILLED = "_".repeat(64); // something to delete
let before = "";

function refill() {
  keys.value = before = FILLED;
  keys.setSelectionRange(keys.value.length, keys.value.length);
}

keys.addEventListener("input", () => {
  const now = keys.value;
  let same = 0;
  while (same < now.length && same < before.length && now[same] === before[same]) same++;
  for (let i = same; i < before.length; i++) press(BACKSPACE);
  for (const character of now.slice(same)) typeCharacter(character);
  before = now;
  if (now.length < 8 || now.length > 1024) refill();
});
keys.addEventListener("focus", () => {
  refill();
  setKeyboard(true);
});
keys.addEventListener("blur", () => setKeyboard(false));

function setKeyboard(on) {
  element("keyboard").setAttribute("aria-pressed", on);
  if (rfb) rfb.focusOnClick = !on; // a tap on the screen must not put the keyboard away
}

// The button must not take the focus. The keyboard comes at a click: to iOS, a pointer that is down asks for nothing.
element("keyboard").addEventListener("mousedown", (event) => event.preventDefault());
element("keyboard").addEventListener("click", () => {
  if (document.activeElement === keys) keys.blur();
  else keys.focus();
});

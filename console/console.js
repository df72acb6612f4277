// SPDX-License-Identifier: Apache-2.0
// What both pages share: the link's parameters, the WebSocket to proxxy, what is said when it ends, and reconnecting.

const element = (id) => document.getElementById(id);

// Sentences for the page's user, by proxxy's Close reason or its HTTP answer. They say what the user
// can do; the panel's developer gets the details.
const SENTENCES = [
  [/the guest's node is off/, "The machine's host is switched off, or cannot be reached."],
  [/before it sent anything/, "The machine is switched off or just starting."],
  [/^Console closed/, "The console was closed."],
  [/idle too long/, "The console was closed, because nobody used it for a while."],
  [/maximum length/, "The time for this console is over."],
  [/ended by the operator/, "This console was ended by the operator."],
  [/exp is .* ahead/, "This link is valid for too long, or a clock is wrong. Please tell the panel's support."],
  [
    /^Invalid payload: |no such node|of the other type|is a template/,
    "The panel made a wrong link. Please tell the panel's support.",
  ],
  [
    /has expired|ticket may be used|invalid PVE(VNC)? ticket|not take the ticket/,
    "This link is too old. Please open the console from your panel again.",
  ],
  [
    /used already/,
    "This link was used already. It opens a console once. Please open the console from your panel again.",
  ],
  [/was withdrawn/, "This link is no longer valid. Please open the console from your panel again."],
  [/not valid yet/, "This link is not valid yet, or a clock is wrong."],
  [/Invalid payload|Missing payload|too large/, "This link is not complete, or was not made for this console."],
  [/Origin not allowed/, "This link was made for another page."],
  [/Client address/, "This link was made for another computer or network."],
  [/password/, "The console refused the password. Please open the console from your panel again."],
  [/refused the terminal's login/, "The console refused the login. Please open the console from your panel again."],
  [/no such guest/, "This machine does not exist, or it was moved. Please open the console from your panel again."],
  [/guest is locked/, "The machine is locked by a task, such as a backup. Please try again later."],
  [/no serial port/, "This machine has no serial port, which a terminal needs. Please open its screen instead."],
  [
    /: 401|: 403|permission denied|address is not allowed/,
    "The panel is not allowed to open this console. Please tell the panel's support.",
  ],
  [/cannot connect|cannot be resolved|no answer in time|does not answer/, "The machine's host cannot be reached."],
  [/TLS failed|not trusted|no WebSocket answer/, "The machine's host cannot be reached."],
  [/connection lost|answer a Ping|do the VNC handshake/, "The connection was lost."],
  [/did not do the login/, "The console does not begin as it should. Please tell the panel's support."],
  [/^Proxmox|^Internal server error/, "The console cannot be opened at the moment."],
  [/for the WebSocket of a console/, "The connection was cut, or a proxy or firewall blocks consoles."],
];
const NOT_BEGUN = "The console closed before it began. Please check that the machine is running, and open it again.";
const QUIET =
  "The console was closed. Proxmox closes a VM's console after 15 minutes without activity. Please open it again.";
const INCOMPLETE = "The console cannot be shown: a part of this page is missing.";
const LOST = "The connection was lost.";
const UNREACHABLE = "The console cannot be reached at the moment.";
const NO_LINK = "Please open the console from your panel again.";

// How a connection ends that is worth another one, if proxxy, a proxy or the browser says no more than that it ended:
// 1006 no Close, 1001 a proxy's restart, 1011 to 1014 a server's or a gateway's trouble.
const LOST_CODES = [1001, 1006, 1011, 1012, 1013, 1014];
const LOST_REASONS =
  /^$|connection lost|answer a Ping|cannot (connect|be resolved)|no answer in time|does not answer|for the WebSocket/;
const PAUSE_MAX_MS = 30_000; // before another attempt; the first pause is a second, and each one is twice the last
const ATTEMPT_MS = 30_000; // for an attempt: PROXXY_CONNECT_TIMEOUT, and time for the network
const STEADY_MS = 30_000; // how long a connection lasts before the pauses are short again
const REFUSAL_MS = 10_000;
const QUIET_MS = 15 * 60_000 - 10_000; // Proxmox's limit, minus a tolerance between its clock and ours

const KEPT_MAX = 16; // other links in the tab's storage: of its other frames, and of pages that were left
const KEPT = "proxxy-link-";

// What came in the fragment. It is secret: from here on neither address, history nor referrer has it. That is done
// before noVNC or xterm.js is asked for, which may take its time, or fail.
let link = "";
let kept = history.state?.kept; // the link's name in the tab's storage, which a page's frames share

/** Whether the payload is all that the console needs. Then it may open more than one, until it expires. */
function lives(parameters) {
  return parameters.has("payload") && !["password", "user", "ticket"].some((name) => parameters.has(name));
}

/** Keeps the link for a reload. Where the browser allows no storage, a reload asks for another link. */
function keep() {
  try {
    const others = Object.keys(sessionStorage).filter((name) => name.startsWith(KEPT));
    for (const name of others.sort().slice(0, -KEPT_MAX)) sessionStorage.removeItem(name);
    kept = `${KEPT}${Date.now()}-${Math.random()}`;
    sessionStorage.setItem(kept, link);
    history.replaceState({ kept }, "");
  } catch {
    kept = undefined;
  }
}

function recall() {
  try {
    return sessionStorage.getItem(kept) ?? "";
  } catch {
    return "";
  }
}

function forget() {
  try {
    sessionStorage.removeItem(kept);
  } catch {
    // then it was never kept
  }
  kept = undefined;
}

function takeLink() {
  if (!location.hash) {
    link ||= recall();
    return;
  }
  forget();
  link = location.hash.slice(1);
  history.replaceState(null, "", location.pathname + location.search);
  if (lives(new URLSearchParams(link))) keep();
}
takeLink();

/** Returns a function that returns for how long the socket has neither sent nor received. */
function watchQuiet(socket) {
  let last = Date.now();
  const happened = () => (last = Date.now());
  const send = socket.send.bind(socket);
  socket.addEventListener("message", happened);
  socket.send = (data) => {
    happened();
    send(data);
  };
  return () => Date.now() - last;
}

function address(payload, scheme) {
  const url = new URL(document.querySelector('meta[name="proxxy-websocket"]').content, location.href);
  url.protocol = url.protocol.replace(/^(http|ws)/, scheme);
  url.search = `?payload=${encodeURIComponent(payload)}`;
  return url;
}

/**
 * Returns why there was no WebSocket. proxxy reports errors of a link that it can open in a Close. For
 * all other errors, and those of a proxy in between, this sends the request again without an upgrade,
 * which does not use the link up.
 */
async function refusal(payload) {
  try {
    const signal = AbortSignal.timeout(REFUSAL_MS);
    const options = { signal, cache: "no-store", credentials: "omit", referrerPolicy: "no-referrer" };
    const answer = await fetch(address(payload, "http"), options);
    const { error = "", issues = [] } = await answer.json();
    return [error, ...issues.map(({ message }) => message)].filter(Boolean).join(": ");
  } catch {
    return ""; // another origin, or nobody there
  }
}

/** Tells the page that has this one in a frame, or opened it. No message has anything secret in it. */
function tell(message) {
  const panel = parent !== window ? parent : opener;
  panel?.postMessage(message, "*");
  return Boolean(panel);
}

/** Shows what the page does: "connecting", "connected", "reconnecting" or "ended". */
function showState(state, text = "") {
  element("status").textContent = text;
  document.documentElement.className = state;
}

/** Shows a sentence over the screen, with buttons: their ids and their words. */
function showMessage(sentence, buttons = {}, code = 0, reason = "") {
  element("sentence").textContent = sentence;
  element("reason").textContent = [code, reason].filter(Boolean).join(" ");
  element("details").hidden = !element("reason").textContent;
  for (const id of ["now", "stop", "again"]) {
    element(id).hidden = !buttons[id];
    element(id).textContent = buttons[id] ?? "";
  }
  if (!element("message").hidden) return;
  element("message").hidden = false;
  if (document.hasFocus()) element("box").focus(); // what is still being typed is for the guest, not for a button
}

/** Shows how the console ended. again: what the button says that opens it again with the same link. */
function showEnd(sentence, code, reason, again) {
  const panel = (parent !== window || opener) && "Open again";
  showState("ended");
  showMessage(sentence, { again: again || panel }, code, reason);
}

/** The modules at these addresses, beside this one. Without them nothing else of the page runs. */
export async function load(...addresses) {
  try {
    return await Promise.all(addresses.map((at) => import(at)));
  } catch (error) {
    showEnd(INCOMPLETE, 0, error.message);
    throw error;
  }
}

/** A link's console, from the first connection until it ends for good. */
class Console {
  #payload;
  #live;
  #guest;
  #socket = null; // null when it has ended
  #timer = 0; // of the pause before another connection
  #attempts = 0; // since the last connection that was steady
  #lost = null; // while it reconnects: the code and the reason with which the connection ended

  constructor(payload, live, guest) {
    this.#payload = payload;
    this.#live = live;
    this.#guest = guest;
    this.#connect();
  }

  #connect() {
    clearInterval(this.#timer);
    this.#timer = 0;
    if (this.#lost) this.#showLost("…");
    else showState("connecting", "Connecting…");

    const socket = new WebSocket(address(this.#payload, "ws"), ["binary"]);
    this.#socket = socket;
    socket.binaryType = "arraybuffer";
    const quiet = watchQuiet(socket);
    const giveUp = () => {
      if (socket !== this.#socket) return;
      this.#socket = null; // the end of this one may take long
      socket.close();
      this.#closed(1006, "", false, false);
    };
    const limit = this.#lost ? setTimeout(giveUp, ATTEMPT_MS) : 0;
    let since = 0; // when the guest answered
    let fault = ""; // what the page itself found wrong
    this.#guest.open(socket, {
      connected: () => {
        clearTimeout(limit);
        since = Date.now();
        this.#connected();
      },
      fail(reason) {
        fault = reason;
        socket.close(4000);
      },
    });
    socket.addEventListener("close", async ({ code, reason }) => {
      clearTimeout(limit);
      if (socket !== this.#socket) return;
      const wasQuiet = quiet() >= QUIET_MS;
      if (code === 1006 && !since) reason = await refusal(this.#payload);
      if (socket !== this.#socket) return;
      if (since && Date.now() - since >= STEADY_MS) this.#attempts = 0;
      this.#closed(code, fault || reason, Boolean(since), wasQuiet);
    });
  }

  #connected() {
    const again = this.#lost;
    this.#lost = null;
    element("message").hidden = true;
    showState("connected", "Connected");
    tell({ type: "proxxy:connected" });
    // After a pause the user may be typing in the panel around this page.
    if (!again || document.hasFocus()) this.#guest.focus();
  }

  #closed(code, reason, opened, wasQuiet) {
    const passing = LOST_CODES.includes(code) && LOST_REASONS.test(reason);
    if (this.#live && passing && (opened || this.#lost)) {
      this.#pause(code, reason);
      return;
    }
    const [, said] = SENTENCES.find(([pattern]) => pattern.test(reason)) ?? [];
    // A refusal is for good.
    if (code === 1008 || (code === 1006 && !passing) || said?.endsWith(NO_LINK)) this.#live = false;
    if (!this.#live) forget();
    const ended = code === 1000 && (opened ? wasQuiet && QUIET : !this.#live && NOT_BEGUN);
    const sentence = ended || said || (opened ? LOST : UNREACHABLE);
    this.#end(this.#lost ? `${LOST} ${sentence}` : sentence, code, reason, opened ? "Open again" : "Try again");
  }

  #end(sentence, code, reason, again) {
    this.#lost = null;
    this.#socket = null;
    showEnd(sentence, code, reason, this.#live && again);
    tell({ type: "proxxy:closed", code, reason });
  }

  #pause(code, reason) {
    // Consoles that were lost together must not all come back at once.
    const pause = Math.min(PAUSE_MAX_MS, 1000 * 2 ** this.#attempts++) * (0.5 + Math.random() / 2);
    const until = Date.now() + pause;
    const count = () => {
      const seconds = Math.ceil((until - Date.now()) / 1000);
      if (seconds <= 0) this.#connect();
      else this.#showLost(` in ${seconds} s…`);
    };
    this.#lost = [code, reason];
    this.#timer = setInterval(count, 200);
    showState("reconnecting");
    count();
    tell({ type: "proxxy:reconnecting", code, reason, milliseconds: Math.round(pause) });
  }

  #showLost(when) {
    showMessage(`${LOST} Reconnecting${when}`, { now: "Try now", stop: "Stop" }, ...this.#lost);
    element("now").setAttribute("aria-disabled", !this.#timer); // it keeps the focus
  }

  /** Ends the pause. */
  now() {
    if (this.#timer) this.#connect();
  }

  /** Reconnects no more, until open() is called. */
  stop() {
    clearInterval(this.#timer);
    this.#timer = 0;
    this.#socket?.close();
    this.#end(LOST, ...this.#lost, "Open again");
  }

  /** Opens the console again. Returns false if its link cannot. */
  open() {
    if (!this.#live) return false;
    element("message").hidden = true;
    this.#attempts = 0;
    this.#connect();
    return true;
  }

  /** Ends all of it: the page is left, or another link has come. */
  end() {
    clearInterval(this.#timer);
    const socket = this.#socket;
    this.#socket = null;
    socket?.close(1000);
    this.#guest.end();
  }
}

/**
 * Runs the page. For each link, at once and whenever the panel puts another one into the address, begin(parameters)
 * returns what the page has for a guest: open(socket, {connected, fail}) uses a new connection, calls connected() when
 * the guest answers, and fail(reason) to give up; focus() takes the keys; end() removes it.
 */
export function run(name, begin) {
  let current = null;

  function start() {
    takeLink();
    const parameters = new URLSearchParams(link);
    link = "";
    current?.end();
    current = null;
    element("message").hidden = true;
    element("title").textContent = document.title = parameters.get("title") || name;
    const payload = parameters.get("payload");
    if (payload) current = new Console(payload, lives(parameters), begin(parameters));
    else showEnd(NO_LINK);
  }

  // A page that was left must not keep its console in the browser's cache of pages.
  addEventListener("pagehide", () => {
    current?.end();
    current = null;
  });
  addEventListener("pageshow", (event) => event.persisted && start());
  addEventListener("hashchange", start);
  addEventListener("online", () => current?.now());
  document.addEventListener("visibilitychange", () => document.hidden || current?.now());
  element("now").addEventListener("click", () => current?.now());
  element("stop").addEventListener("click", () => current?.stop());
  element("again").addEventListener("click", () => current?.open() || tell({ type: "proxxy:again" }));

  const fullScreen = element("full-screen");
  fullScreen.hidden = !document.fullscreenEnabled;
  fullScreen.addEventListener("click", () =>
    document.fullscreenElement ? document.exitFullscreen() : document.documentElement.requestFullscreen(),
  );
  // iOS lays its keyboard over the page, which would keep its height, and the line that is typed below it.
  visualViewport?.addEventListener("resize", () => {
    const zoomed = visualViewport.scale > 1.01;
    document.body.style.height = zoomed ? "" : `${visualViewport.height}px`;
  });
  start();
}

/** Asks for a text; use(text, how) gets it, how being the button's value. */
export function askForText(use) {
  const dialog = element("paste-dialog");
  element("paste").addEventListener("click", async () => {
    element("text").value = "";
    dialog.returnValue = "cancel";
    dialog.showModal();
    try {
      const text = await navigator.clipboard.readText();
      if (dialog.open && !element("text").value) element("text").value = text;
    } catch {
      // not allowed, or not there: then it is pasted by hand
    }
  });
  dialog.addEventListener("close", () => {
    const text = element("text").value;
    element("text").value = ""; // it may be a password
    if (dialog.returnValue !== "cancel" && text) use(text, dialog.returnValue);
  });
}

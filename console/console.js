// SPDX-License-Identifier: Apache-2.0
// What both pages share: the link's parameters, the WebSocket to proxxy, and what is said when it ends.

const element = (id) => document.getElementById(id);

// Sentences for the page's user, by proxxy's Close reason or its HTTP answer. They say what the user
// can do; the panel's developer gets the details.
const SENTENCES = [
  [/^Console closed/, "The console was closed."],
  [/idle too long/, "The console was closed, because nobody used it for a while."],
  [/maximum length/, "The time for this console is over."],
  [/ended by the operator/, "This console was ended by the operator."],
  [/has expired|no answer in time|: 401/, "This link is too old. A console must be opened within a few seconds."],
  [/used already/, "This link was used already. Each one opens a console once."],
  [/not valid yet/, "This link is not valid yet, or a clock is wrong."],
  [/exp is .* ahead/, "This link is valid for too long, or a clock is wrong. Please tell the panel's support."],
  [/^Invalid payload: /, "The panel made a wrong link. Please tell the panel's support."],
  [/Invalid payload|Missing payload|too large/, "This link is not complete, or was not made for this console."],
  [/Origin not allowed/, "This link was made for another page."],
  [/Client address/, "This link was made for another computer or network."],
  [/password/, "The console refused this link's password."],
  [/: 403|address is not allowed/, "This console may not be opened."],
  [
    /cannot connect|cannot be resolved|TLS failed|not trusted|no WebSocket answer/,
    "The machine's host cannot be reached.",
  ],
  [/connection lost|answer a Ping/, "The connection was lost."],
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

const REFUSAL_MS = 10_000;
const QUIET_MS = 15 * 60_000 - 10_000; // Proxmox's limit, minus a tolerance between its clock and ours

// What came in the fragment. It is secret: from here on neither address, history nor referrer has it. That is done
// before noVNC or xterm.js is asked for, which may take its time, or fail.
let link = "";

function takeLink() {
  if (!location.hash) return;
  link = location.hash.slice(1);
  history.replaceState(null, "", location.pathname + location.search);
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

function address(payload) {
  const url = new URL(document.querySelector('meta[name="proxxy-websocket"]').content, location.href);
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
    const url = address(payload);
    url.protocol = url.protocol.replace(/^ws/, "http");
    const signal = AbortSignal.timeout(REFUSAL_MS);
    const answer = await fetch(url, { signal, cache: "no-store", credentials: "omit", referrerPolicy: "no-referrer" });
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

function showStatus(text, connected = false) {
  element("status").textContent = text;
  element("status").classList.toggle("connected", connected);
  document.documentElement.classList.toggle("connected", connected);
}

function showEnd(sentence, code, reason) {
  showStatus("");
  element("sentence").textContent = sentence;
  element("reason").textContent = [code, reason].filter(Boolean).join(" ");
  element("details").hidden = !element("reason").textContent;
  element("again").hidden = parent === window && !opener;
  element("message").hidden = false;
  if (document.hasFocus()) element("box").focus(); // what is still being typed is for the guest, not for a button
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

/**
 * Runs the page: for each link, at once and whenever the panel puts another one into the address, calls
 * open(parameters, socket, {connected, fail}), which calls connected() when the guest answers, fail(reason) to give up,
 * and returns a function that ends what it began. There is one WebSocket for a link, and
 * none is ever opened again: a ticket is good for one connection.
 */
export function run(name, open) {
  let end = () => {};

  function start() {
    takeLink();
    const parameters = new URLSearchParams(link);
    link = "";
    const payload = parameters.get("payload");
    end();
    end = () => {};
    element("message").hidden = true;
    element("title").textContent = document.title = parameters.get("title") || name;
    if (!payload) {
      showEnd(NO_LINK);
      return;
    }
    showStatus("Connecting…");

    const url = address(payload);
    url.protocol = url.protocol.replace(/^http/, "ws");
    const socket = new WebSocket(url, ["binary"]);
    socket.binaryType = "arraybuffer";
    const quiet = watchQuiet(socket);
    let opened = false;
    let current = true; // until another link comes
    let fault = ""; // what the page itself found wrong
    const finish = open(parameters, socket, {
      connected() {
        opened = true;
        showStatus("Connected", true);
        tell({ type: "proxxy:connected" });
      },
      fail(reason) {
        fault = reason;
        socket.close(4000);
      },
    });
    socket.addEventListener("close", async ({ code, reason }) => {
      if (!current) return;
      const wasQuiet = quiet() >= QUIET_MS;
      if (code === 1006 && !opened) reason = await refusal(payload);
      reason = fault || reason;
      if (!current) return;
      const [, said] = SENTENCES.find(([pattern]) => pattern.test(reason)) ?? [];
      const ended = code === 1000 && (opened ? wasQuiet && QUIET : NOT_BEGUN);
      const sentence = ended || said;
      showEnd(sentence ?? (opened ? LOST : UNREACHABLE), code, reason);
      tell({ type: "proxxy:closed", code, reason });
    });
    end = () => {
      current = false;
      socket.close(1000);
      finish();
    };
  }

  // A page that was left must not keep its console in the browser's cache of pages.
  addEventListener("pagehide", () => end());
  addEventListener("pageshow", (event) => event.persisted && showEnd(NO_LINK));
  addEventListener("hashchange", start);
  element("again").addEventListener("click", () => tell({ type: "proxxy:again" }));

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

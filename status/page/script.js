// SPDX-License-Identifier: Apache-2.0
// The page for operators: loads api/sessions again and again, shows it as a table, and ends a session when asked to.
// It asks below its own address, so that it works below any path. Text from sessions is only ever a text node.
"use strict";
{
  const REFRESH_MS = 5000; // between two requests
  const REFRESH_MAX_MS = 60000;
  const REST = 20; // a request that took long is followed by a rest that is this many times longer
  const TIMEOUT_MS = 30000;
  const SAID_MS = 6000;
  const TYPES = { qemu: "VM", lxc: "CT" };
  // Not relative to the page's address: with a name and password in it, fetch() would refuse.
  const BASE = location.origin + location.pathname.replace(/[^/]*$/, "");
  const byId = (id) => document.getElementById(id);

  // --- words --------------------------------------------------------------------------------

  function guestOf({ type, vmid, status }) {
    return type === undefined ? status || "No console yet" : `${TYPES[type] ?? type} ${vmid}`;
  }
  const forClient = ({ client }) => (client ? ` for ${client}` : "");
  const two = (number) => String(number).padStart(2, "0");

  function durationOf(seconds) {
    const [days, hours, minutes] = [86400, 3600, 60].map((unit) => Math.floor(seconds / unit));
    if (days) return `${days} d ${hours % 24} h`;
    if (hours) return `${hours} h ${two(minutes % 60)} min`;
    return minutes ? `${minutes} min ${two(seconds % 60)} s` : `${seconds} s`;
  }

  // To make one takes longer than to use it a thousand times.
  const ofToday = new Intl.DateTimeFormat([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });
  const ofAnyDay = new Intl.DateTimeFormat([], { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
  const whole = new Intl.DateTimeFormat([], { dateStyle: "full", timeStyle: "long" });

  function timeOf(date) {
    const midnight = new Date().setHours(0, 0, 0, 0);
    return (date.getTime() >= midnight ? ofToday : ofAnyDay).format(date);
  }

  const counted = (number) => (number === 1 ? "1 session" : `${number.toLocaleString()} sessions`);

  // --- the list -----------------------------------------------------------------------------

  // Each column: the value to sort by, and the text; the heading sorts by it.
  const COLUMNS = [
    { name: "guest", label: "Guest", value: (s) => s.vmid ?? Infinity, text: guestOf },
    { name: "place", label: "Node", value: (s) => s.place ?? "", text: (s) => s.place },
    { name: "client", label: "Client", value: (s) => s.client ?? "", text: (s) => s.client },
    { name: "sub", label: "User", value: (s) => s.sub ?? "", text: (s) => s.sub, about: "sub of the link" },
    { name: "jti", label: "Link", value: (s) => s.jti ?? "", text: (s) => s.jti, about: "jti of the link" },
    { name: "kid", label: "Key", value: (s) => s.kid ?? "", text: (s) => s.kid, about: "kid of the link" },
    { name: "since", label: "Since", value: (s) => s.since, text: (s) => timeOf(new Date(s.since * 1000)) },
    { name: "duration", label: "Duration", value: (s) => -s.since, text: (s) => durationOf(ageOf(s)) },
  ];
  const order = { column: COLUMNS[6], descending: true };
  const compareText = new Intl.Collator(undefined, { numeric: true }).compare;

  let sessions = []; // as they were listed last
  const rows = new Map(); // by unit: { session, row, cells, button, searched }
  const ending = new Set(); // units that were told to end
  let ahead = 0; // milliseconds that the server's clock is ahead of ours
  let asked; // the session that the question is about

  const ageOf = (session) => Math.max(0, Math.floor((Date.now() + ahead) / 1000) - session.since);

  function compare(a, b) {
    const [x, y] = [a, b].map(order.column.value);
    const result = typeof x === "string" ? compareText(x, y) : x === y ? 0 : x < y ? -1 : 1;
    return (order.descending ? -result : result) || compareText(a.unit, b.unit);
  }

  function make(name, options = {}, ...inside) {
    const element = document.createElement(name);
    for (const [attribute, value] of Object.entries(options)) element.setAttribute(attribute, value);
    element.append(...inside);
    return element;
  }

  function makeRow(session) {
    const cells = COLUMNS.map((column) => {
      const text = make(column.name === "since" ? "time" : "bdi");
      const cell = make("td", { class: column.name, role: "cell", "data-label": column.label }, text);
      return { column, text, cell };
    });
    const button = make("button", { type: "button" });
    const row = make("tr", { role: "row" }, ...cells.map(({ cell }) => cell));
    row.append(make("td", { class: "action", role: "cell" }, button));
    const made = { session, row, cells, button, searched: "" };
    button.addEventListener("click", () => ask(made.session));
    return made;
  }

  function setText(node, text) {
    if (node.textContent !== text) node.textContent = text;
  }

  function fillRow(made) {
    const { session, cells, button } = made;
    for (const { column, text, cell } of cells) {
      const value = column.text(session) ?? "";
      setText(text, value);
      cell.classList.toggle("none", value === "");
      if (["place", "sub", "jti", "kid"].includes(column.name)) text.title = value;
    }
    cells[0].cell.classList.toggle("other", session.type === undefined);
    const began = new Date(session.since * 1000);
    const since = cells.find(({ column }) => column.name === "since").text;
    const dateTime = began.toISOString();
    if (since.dateTime !== dateTime) Object.assign(since, { dateTime, title: whole.format(began) });
    setText(button, ending.has(session.unit) ? "Ending …" : "End");
    button.disabled = ending.has(session.unit);
    button.setAttribute("aria-label", `End the session of ${guestOf(session)}${forClient(session)}`);
    const { status, unit, place, client, sub, jti, kid } = session;
    made.searched = [guestOf(session), status, unit, place, client, sub, jti, kid].join("\n").toLowerCase();
  }

  /** Shows the rows that the filter lets through, in their order. A row that stays in its place keeps the focus. */
  function show() {
    const words = byId("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
    const isFound = ({ unit }) => words.every((word) => rows.get(unit).searched.includes(word));
    const found = sessions.filter(isFound).sort(compare);
    const body = byId("rows");
    const wanted = new Set(found.map(({ unit }) => rows.get(unit).row));
    const focused = document.activeElement?.closest("tr");
    for (const row of [...body.children]) if (!wanted.has(row)) row.remove();
    let next = body.firstElementChild;
    for (const { unit } of found) {
      const { row } = rows.get(unit);
      if (row === next) next = next.nextElementSibling;
      else body.insertBefore(row, next);
    }
    if (focused && !focused.isConnected) byId("filter").focus();
    byId("table").hidden = found.length === 0;
    byId("empty").hidden = found.length > 0;
    byId("clear").hidden = sessions.length === 0;
    setText(byId("nothing"), sessions.length ? "No session has these words." : "No console is open.");
    setText(byId("count"), words.length ? `${found.length} of ${counted(sessions.length)}` : counted(sessions.length));
  }

  function take(list) {
    sessions = list;
    const units = new Set(list.map(({ unit }) => unit));
    for (const unit of rows.keys()) if (!units.has(unit)) rows.delete(unit);
    for (const unit of ending) if (!units.has(unit)) ending.delete(unit);
    for (const session of list) {
      const made = rows.get(session.unit) ?? makeRow(session);
      made.session = session;
      rows.set(session.unit, made);
      fillRow(made);
    }
    show();
  }

  function tick() {
    for (const { session, row, cells } of rows.values())
      if (row.isConnected) setText(cells[COLUMNS.length - 1].text, durationOf(ageOf(session)));
    const ago = Math.floor((Date.now() - loaded) / 1000);
    if (loaded) setText(byId("updated"), ago < 1 ? "Updated just now" : `Updated ${durationOf(ago)} ago`);
  }

  // --- requests -----------------------------------------------------------------------------

  let timer; // of the next request
  let loading = false;
  let loaded = 0; // when the list was loaded last

  /** Returns the answer's JSON. Throws an Error with the server's words, or ours. */
  async function request(path, options) {
    const stop = AbortSignal.timeout(TIMEOUT_MS);
    const asking = fetch(BASE + path, { cache: "no-store", redirect: "manual", signal: stop, ...options });
    const answer = await asking.catch((error) => {
      throw new Error(error.name === "TimeoutError" ? "The server does not answer" : "The server cannot be reached");
    });
    const isLoggedOut = answer.status === 401 || answer.type === "opaqueredirect";
    if (isLoggedOut) throw new Error("You are not logged in. Reload the page");
    const json = await answer.json().catch(() => undefined);
    if (!answer.ok) throw new Error(json?.error ?? `The server answered ${answer.status}`);
    if (json === undefined) throw new Error("The server's answer is not JSON. Reload the page");
    const date = Date.parse(answer.headers.get("Date"));
    if (date) ahead = Math.abs(date - Date.now()) < 2000 ? 0 : date - Date.now();
    return json;
  }

  async function load() {
    if (loading) return;
    clearTimeout(timer);
    loading = true;
    const began = Date.now();
    try {
      const list = await request("api/sessions");
      if (!Array.isArray(list)) throw new Error("The server's answer is no list");
      loaded = Date.now();
      take(list);
      byId("problem").hidden = true;
    } catch (error) {
      setText(byId("problem"), `The list cannot be loaded: ${error.message}. It is tried again every few seconds.`);
      byId("problem").hidden = false;
    }
    loading = false;
    byId("table").classList.toggle("old", !byId("problem").hidden);
    tick();
    const wait = Math.max(REFRESH_MS, REST * (Date.now() - began));
    if (!document.hidden) timer = setTimeout(load, Math.min(wait, REFRESH_MAX_MS));
  }

  // --- ending one ---------------------------------------------------------------------------

  function ask(session) {
    asked = session;
    const facts = [
      ["Guest", session.place ? `${guestOf(session)} on ${session.place}` : guestOf(session)],
      ["Client", session.client],
      ["User", session.sub],
      ["Open for", durationOf(ageOf(session))],
    ];
    const known = facts.filter(([, value]) => value);
    byId("ask-what").replaceChildren(
      ...known.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, make("bdi", {}, value))]),
    );
    byId("ask-problem").hidden = true;
    byId("ask-end").disabled = false;
    byId("ask").showModal();
  }

  let silence; // the timer that hides what was said

  function say(words) {
    setText(byId("said"), words);
    byId("said").hidden = false;
    clearTimeout(silence);
    silence = setTimeout(() => (byId("said").hidden = true), SAID_MS);
  }

  async function end() {
    const session = asked;
    byId("ask-end").disabled = true;
    try {
      await request(`api/sessions/${encodeURIComponent(session.unit)}/end`, {
        method: "POST",
        headers: { "Proxxy-Action": "end" },
      });
    } catch (error) {
      setText(byId("ask-problem"), `${error.message}.`);
      byId("ask-problem").hidden = false;
      byId("ask-end").disabled = false;
      return;
    }
    ending.add(session.unit);
    if (rows.has(session.unit)) fillRow(rows.get(session.unit));
    byId("ask").close();
    say(`${guestOf(session)} was ended${forClient(session)}`);
    setTimeout(load, 500);
  }

  // --- controls -----------------------------------------------------------------------------

  function sortBy(column, descending) {
    Object.assign(order, { column, descending });
    COLUMNS.forEach(({ name }, index) => {
      const sorted = name === column.name ? (descending ? "descending" : "ascending") : "none";
      byId("head").children[index].setAttribute("aria-sort", sorted);
    });
    byId("order").value = `${column.name} ${descending}`;
    show();
  }

  for (const column of COLUMNS) {
    const button = make("button", { type: "button" }, column.label);
    if (column.about) button.title = column.about;
    button.addEventListener("click", () => sortBy(column, order.column === column && !order.descending));
    byId("head").append(make("th", { class: column.name, role: "columnheader", scope: "col" }, button));
  }
  byId("head").append(make("td", { class: "action", role: "cell" }));
  for (const [name, descending, words] of [
    ["since", true, "Newest first"],
    ["since", false, "Oldest first"],
    ["guest", false, "Guest"],
    ["place", false, "Node"],
    ["client", false, "Client"],
    ["sub", false, "User"],
  ])
    byId("order").append(make("option", { value: `${name} ${descending}` }, words));
  byId("order").addEventListener("change", () => {
    const [name, descending] = byId("order").value.split(" ");
    sortBy(
      COLUMNS.find((column) => column.name === name),
      descending === "true",
    );
  });
  byId("filter").addEventListener("input", show);
  byId("clear").addEventListener("click", () => {
    byId("filter").value = "";
    byId("filter").focus();
    show();
  });
  byId("refresh").addEventListener("click", load);
  byId("ask-cancel").addEventListener("click", () => byId("ask").close());
  byId("ask-end").addEventListener("click", end);
  document.addEventListener("visibilitychange", () => (document.hidden ? clearTimeout(timer) : load()));
  setInterval(tick, 1000);
  sortBy(order.column, order.descending);
  byId("empty").hidden = true;
  byId("count").textContent = "";
  load();
}

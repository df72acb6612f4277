// SPDX-License-Identifier: Apache-2.0
// What a payload must have so that proxxy accepts it: proxxy-payload(7). Throws InvalidOption with the claim's name.
import { InvalidOption } from "./errors.js";
import { isName, isNetwork, isOrigin, parseHost } from "./host.js";

export type Claims = Record<string, unknown>;

const DATE_MAX = 253402300799; // the end of the year 9999
const CA_MAX = 8192; // bytes
export const ORIGIN_MAX = 267; // bytes
const SESSION_MAX = 31536000; // seconds
const FINGERPRINT = /^(?:[0-9a-f]{64}|(?:[0-9a-f]{2}:){31}[0-9a-f]{2})$/i;
export const VMID_MAX = 999999999;
export const PORT_MAX = 65535;

function fail(claim: string, why: string): never {
  throw new InvalidOption(claim, why);
}

/** Whether it is a string that UTF-8 can express, and without NUL, which proxxy's JSON does not have. */
export function isText(value: unknown): value is string {
  if (typeof value !== "string" || value.includes("\0")) return false;
  try {
    encodeURIComponent(value); // throws on half of a surrogate pair
    return true;
  } catch {
    return false;
  }
}

/** Whether it is a string of 1 to max bytes without control characters. */
export function isLine(value: unknown, max: number): value is string {
  // eslint-disable-next-line no-control-regex
  return isText(value) && value !== "" && Buffer.byteLength(value) <= max && !/[\x00-\x1f\x7f]/.test(value);
}

export function isInteger(value: unknown, min: number, max: number): value is number {
  return Number.isInteger(value) && (value as number) >= min && (value as number) <= max;
}

function checkLine(claims: Claims, claim: string, max: number) {
  if (claim in claims && !isLine(claims[claim], max))
    fail(claim, `is not a string of 1 to ${max} bytes without control characters`);
}

function checkGuest(claims: Claims, late: boolean) {
  const { vmid, type, host, cluster, node } = claims;
  if (!isInteger(vmid, 1, VMID_MAX)) fail("vmid", `is not an integer from 1 to ${VMID_MAX}`);
  if (type !== "qemu" && type !== "lxc") fail("type", "is not qemu or lxc");
  if (late && "cluster" in claims) {
    if ("host" in claims) fail("host", "and cluster cannot be combined");
    if (!isText(cluster) || !/^[\w-][\w.-]{0,31}$/.test(cluster)) fail("cluster", "is not the name of a cluster file");
  } else if (!("host" in claims)) {
    if (late) fail("cluster", "or host is missing");
    fail("host", "is missing, which a console ticket needs");
  } else if (!isLine(host, 300) || !parseHost(host)) {
    fail("host", "is not a host name or address, with or without a port");
  }
  if (!late && !("node" in claims)) fail("node", "is missing, which a console ticket needs");
  if ("node" in claims && !(isText(node) && isName(node))) fail("node", "is not a host name");
}

function checkIdentity(claims: Claims, late: boolean) {
  const { ticket } = claims;
  checkLine(claims, "ticket", 4096);
  if (late) checkLine(claims, "csrf", 256);
  if (ticket === undefined) {
    if (!late) fail("ticket", "is missing, which a console ticket needs");
    for (const claim of ["ca", "fingerprint"])
      if (claim in claims) fail(claim, "needs a ticket in the payload: proxxy's own token goes only where proxxy says");
    return;
  }
  const isToken = (ticket as string).startsWith("PVEAPIToken=");
  if (!isToken && !/^(?:PVE:|pve%3a)/i.test(ticket as string))
    fail("ticket", "is neither PVEAPIToken=USER@REALM!NAME=SECRET nor a user's ticket, which begins with PVE:");
  if (late && !isToken && !("csrf" in claims))
    fail("csrf", "is missing: a user's ticket needs its CSRFPreventionToken");
}

function checkConsole(claims: Claims, late: boolean) {
  const { protocol, vncticket, port, user, password } = claims;
  if (late) {
    if ("protocol" in claims && protocol !== "vnc" && protocol !== "term") fail("protocol", "is not vnc or term");
    return;
  }
  if (!isLine(vncticket, 512)) fail("vncticket", "is not a string of 1 to 512 bytes without control characters");
  const number = typeof port === "string" && /^\d{1,5}$/.test(port) ? Number(port) : port;
  if (!isInteger(number, 1, PORT_MAX)) fail("port", `is not a number from 1 to ${PORT_MAX}`);
  if (protocol === "term") {
    if ("user" in claims && (!isLine(user, 160) || user.includes(":")))
      fail("user", "is not USER@REALM or USER@REALM!NAME");
  } else if (password !== undefined && password !== null && !isLine(password, Infinity)) {
    fail("password", "is not a string without control characters");
  }
}

function checkLimits(claims: Claims) {
  const { exp, nbf, origin, client, fingerprint, session_max, ca } = claims;
  const isDate = (value: unknown) => typeof value === "number" && value >= 1 && value <= DATE_MAX;
  if (!isDate(exp)) fail("exp", "is missing or not in seconds since 1970");
  if ("nbf" in claims && !isDate(nbf)) fail("nbf", "is not in seconds since 1970");
  if (typeof claims.sub === "string" && !isText(claims.sub)) fail("sub", "is not text that JSON can express");
  checkLine(claims, "jti", 256);
  if ("origin" in claims && (!isLine(origin, ORIGIN_MAX) || !isOrigin(origin)))
    fail("origin", "is not an origin, like https://panel.example.com");
  if ("client" in claims && (!isLine(client, 49) || !isNetwork(client)))
    fail("client", "is not an IP address or network");
  if ("fingerprint" in claims && !(isText(fingerprint) && FINGERPRINT.test(fingerprint)))
    fail("fingerprint", "is not a SHA-256 fingerprint, 64 hex digits");
  if ("session_max" in claims && !isInteger(session_max, 1, SESSION_MAX))
    fail("session_max", `is not a number of seconds from 1 to ${SESSION_MAX}`);
  if ("ca" in claims && !(isText(ca) && Buffer.byteLength(ca) <= CA_MAX && ca.includes("-----BEGIN CERTIFICATE-----")))
    fail("ca", `is not a PEM certificate of at most ${CA_MAX} bytes`);
}

/** Throws InvalidOption unless proxxy accepts the claims as far as their format goes. */
export function checkClaims(claims: Claims): void {
  const late = !("vncticket" in claims) && !("port" in claims); // proxxy requests the console
  checkGuest(claims, late);
  checkConsole(claims, late);
  checkIdentity(claims, late);
  checkLimits(claims);
}

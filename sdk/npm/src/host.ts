// SPDX-License-Identifier: Apache-2.0
// Host names, addresses, networks and origins, as proxxy accepts them.
import { isIPv4, isIPv6 as isIPv6WithZone } from "node:net";

const NAME_MAX = 253; // characters of a host name (RFC 1035)
const LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/i;

export type Host = { name: string; port?: number; isIPv6: boolean };

function isIPv6(text: string) {
  return !text.includes("%") && isIPv6WithZone(text);
}

export function isName(text: string) {
  return text.length <= NAME_MAX && text.split(".").every((label) => LABEL.test(label));
}

/** Whether a name's last label is a number: some resolvers read it as an address. */
function looksLikeIPv4(name: string) {
  return /^(?:\d+|0x.*)$/i.test(name.slice(name.lastIndexOf(".") + 1));
}

function parsePort(text: string) {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  return port >= 1 && port <= 65535 ? port : undefined;
}

/**
 * Parses "name", "name:port", "address", "address:port" of IPv4, and "address", "[address]" or "[address]:port" of
 * IPv6. Returns undefined for any other text.
 */
export function parseHost(text: string): Host | undefined {
  const bracketed = /^\[([^\]]*)\](?::(.*))?$/s.exec(text);
  if (bracketed || text.split(":").length > 2) {
    const [name = "", port] = bracketed ? bracketed.slice(1) : [text];
    if (!isIPv6(name) || (port !== undefined && !parsePort(port))) return undefined;
    return { name, port: port ? parsePort(port) : undefined, isIPv6: true };
  }
  const [full = "", port] = text.split(":");
  const name = full.replace(/(?<=.)\.$/, "");
  if (port !== undefined && !parsePort(port)) return undefined;
  if (!isIPv4(name) && (!isName(name) || looksLikeIPv4(name))) return undefined;
  return { name, port: port ? parsePort(port) : undefined, isIPv6: false };
}

/** Returns "host:port" as in a URL. */
export function authority({ name, port, isIPv6: bracketed }: Host, fallback: number) {
  return `${bracketed ? `[${name}]` : name}:${port ?? fallback}`;
}

/** Returns the address's bits as a string of 0 and 1. */
function bits(address: string) {
  const binary = (value: number, width: number) => value.toString(2).padStart(width, "0");
  if (isIPv4(address)) return address.split(".").map((part) => binary(Number(part), 8)).join("");
  const hex = address.replace(/[\d.]+$/, (end) => {
    if (!end.includes(".")) return end;
    const [a = 0, b = 0, c = 0, d = 0] = end.split(".").map(Number);
    return `${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`;
  });
  const [left = [], right = []] = hex.split("::").map((half) => half.split(":").filter(Boolean));
  const zeros = Array<string>(8 - left.length - right.length).fill("0");
  return [...left, ...zeros, ...right].map((part) => binary(parseInt(part, 16), 16)).join("");
}

/** Whether it is an address, or a network without a bit set behind its prefix. */
export function isNetwork(text: string) {
  const [, address = "", length] = /^([^/]*)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  if (!isIPv4(address) && !isIPv6(address)) return false;
  const all = bits(address);
  return length === undefined || (Number(length) <= all.length && !all.slice(Number(length)).includes("1"));
}

/** Whether it is one origin, such as https://panel.example.com. */
export function isOrigin(text: string) {
  const [, host = ""] = /^[a-z][a-z0-9+.-]*:\/\/(\[[^\]]*\]|[^:]*)(?::\d{1,5})?$/i.exec(text) ?? [];
  if (host.startsWith("[")) return isIPv6(host.slice(1, -1));
  return isIPv4(host) || (isName(host) && !looksLikeIPv4(host));
}

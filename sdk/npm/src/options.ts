// SPDX-License-Identifier: Apache-2.0
// The options of a link, and the claims that they become.
import { randomUUID, X509Certificate } from "node:crypto";
import { checkClaims, isInteger, isText, VMID_MAX, type Claims } from "./claims.js";
import { InvalidOption } from "./errors.js";

export type GuestType = "qemu" | "lxc";
export type Protocol = "vnc" | "term";

export interface GuestOptions {
  /** The guest's number. */
  vmid: number;
  /** qemu: a VM; lxc: a container. */
  type: GuestType;
  /** vnc, the default: the screen. term: a terminal, of a VM on its serial port. */
  protocol?: Protocol;
}

/** Until when, from where and how often a link can be used. */
export interface LimitOptions {
  /** Seconds until the link expires. Default: 300, which is also the most that proxxy's own default allows. */
  expiresIn?: number;
  /** The time before which the link is not valid, in seconds since 1970. */
  notBefore?: number;
  /** Who opens the console, for proxxy's log. */
  sub?: string | number;
  /** true: the link opens one console only. A string that no other link has does the same. */
  jti?: true | string;
  /** The only origin whose pages may use the link, such as https://panel.example.com. */
  origin?: string;
  /** The only address or network from which the link may be used. */
  client?: string;
  /** How long the console may last, in seconds. */
  sessionMax?: number;
}

/** What the console's page is told. It is not encrypted. */
export interface PageOptions {
  /** The page's title, such as the guest's name. */
  title?: string;
  /** A path of the page's origin that leads to another link, for when this one no longer works. */
  again?: string;
  /** Origins whose windows may send messages to the page, besides its own. */
  panel?: readonly string[];
  /** The page's language, such as de or pt-BR. Default: the browser's. */
  lang?: string;
  /** The guest's keyboard layout, for text that the page types. */
  layout?: string;
  /** The page begins with View only. The user can switch it off: it is no permission. */
  viewOnly?: boolean;
  /** none: the page has no bar. */
  bar?: "none";
}

interface PlaceOptions {
  /** The name of the guest's node. Without it, proxxy asks Proxmox. */
  node?: string;
  /** With whose identity proxxy asks Proxmox, if not with its own token: PVEAPIToken=… or a user's ticket, PVE:… */
  ticket?: string;
  /** The CSRFPreventionToken that belongs to a user's ticket. */
  csrf?: string;
  /** The CA of Proxmox's certificate, in PEM. Only with ticket. */
  ca?: string;
  /** The SHA-256 fingerprint of Proxmox's certificate. Only with ticket. */
  fingerprint?: string;
  /** What Proxmox answered if the backend has requested the console: ticket (as vncticket), port, … */
  vncticket?: string;
  port?: number | string;
  /** … and, so that proxxy logs in to the console, the VNC password, or the user of a terminal. */
  password?: string;
  user?: string;
}

/** cluster is the name of a cluster file of proxxy; host is a machine with Proxmox's API. */
type WhereOptions = { cluster: string; host?: undefined } | { host: string; cluster?: undefined };

export type PayloadOptions = GuestOptions & LimitOptions & PlaceOptions & WhereOptions;
export type LinkOptions = PayloadOptions & PageOptions;

export type Given = Record<string, unknown>;

const LIFETIME = 300; // seconds, proxxy's PROXXY_PAYLOAD_LIFETIME
const LIFETIME_MAX = 86400; // seconds, the largest that this setting may be
const VMID_MIN = 100; // Proxmox's

/** Options that are claims of the same name and the same value. */
const SAME = [
  ...["vmid", "type", "cluster", "host", "node", "protocol", "ticket", "csrf", "ca", "fingerprint", "vncticket"],
  ...["port", "password", "user", "sub", "origin", "client"],
];
const CLAIM_OF: Record<string, string> = { expiresIn: "exp", notBefore: "nbf", sessionMax: "session_max" };
export const PAYLOAD_OPTIONS: readonly string[] = [...SAME, "jti", ...Object.keys(CLAIM_OF)];

/** Returns the options that are set; throws for those that do not exist. */
export function given(options: object, known: readonly string[]): Given {
  const set = Object.entries(options).filter(([, value]) => value !== undefined && value !== null);
  for (const [name] of set) if (!known.includes(name)) throw new InvalidOption(name, "is not an option");
  return Object.fromEntries(set);
}

function isCertificate(pem: unknown) {
  try {
    return Boolean(isText(pem) && new X509Certificate(pem));
  } catch {
    return false;
  }
}

function checkOptions({ vmid, protocol, expiresIn, notBefore, sub, jti, ca, vncticket, port, ...options }: Given) {
  if (!isInteger(vmid, VMID_MIN, VMID_MAX))
    throw new InvalidOption("vmid", `is not an integer from ${VMID_MIN} to ${VMID_MAX}`);
  if (protocol !== undefined && protocol !== "vnc" && protocol !== "term")
    throw new InvalidOption("protocol", "is not vnc or term");
  if (expiresIn !== undefined && !isInteger(expiresIn, 1, LIFETIME_MAX))
    throw new InvalidOption("expiresIn", `is not a number of seconds from 1 to ${LIFETIME_MAX}`);
  if (notBefore !== undefined && !Number.isInteger(notBefore))
    throw new InvalidOption("notBefore", "is not in seconds since 1970");
  if (sub !== undefined && !isText(sub) && !Number.isSafeInteger(sub))
    throw new InvalidOption("sub", "is neither text nor an integer");
  if (ca !== undefined && !isCertificate(ca)) throw new InvalidOption("ca", "is not a certificate in PEM");
  if (jti === false) throw new InvalidOption("jti", "is neither true nor a string");
  if (vncticket !== undefined || port !== undefined) {
    if (options.cluster !== undefined) throw new InvalidOption("host", "is needed in place of cluster");
    return;
  }
  for (const name of ["password", "user"])
    if (options[name] !== undefined) throw new InvalidOption(name, "belongs to a console ticket, which is missing");
}

/** Returns the claims of the options, or throws InvalidOption. */
export function claimsOf(options: Given): Claims {
  checkOptions(options);
  const now = Math.floor(Date.now() / 1000);
  const claims: Claims = {};
  for (const name of SAME) if (name in options) claims[name] = options[name];
  claims.iat = now;
  claims.exp = now + ((options.expiresIn as number | undefined) ?? LIFETIME);
  if ("notBefore" in options) claims.nbf = options.notBefore;
  if ("jti" in options) claims.jti = options.jti === true ? randomUUID() : options.jti;
  if ("sessionMax" in options) claims.session_max = options.sessionMax;
  try {
    checkClaims(claims);
  } catch (error) {
    if (!(error instanceof InvalidOption)) throw error;
    const [name] = Object.entries(CLAIM_OF).find(([, claim]) => claim === error.option) ?? [error.option];
    throw new InvalidOption(name, error.why);
  }
  return claims;
}

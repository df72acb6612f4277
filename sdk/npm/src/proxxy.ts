// SPDX-License-Identifier: Apache-2.0
// Makes links that open a guest's console.
import { checkClaims, isLine, type Claims } from "./claims.js";
import { InvalidOption, ProxmoxError } from "./errors.js";
import { parseClaims } from "./json.js";
import { seal, unseal } from "./jwe.js";
import { Key } from "./key.js";
import { claimsOf, given, PAYLOAD_OPTIONS, type Given } from "./options.js";
import type { GuestOptions, GuestType, LimitOptions, LinkOptions, PageOptions, PayloadOptions } from "./options.js";
import { checkPage, PAGE_OPTIONS, pageParameters } from "./page.js";
import { requestConsole, type Proxmox } from "./proxmox.js";

/** One of key and keyFile is needed. */
export interface Settings {
  /** The key that is shared with proxxy: a Key, or the text of the key file. */
  key?: Key | string;
  /** The path of the key file. */
  keyFile?: string;
  /** The name of the key that seals, if the file has several and it is not the first. */
  kid?: string;
  /** The URL of the console pages, with a slash at its end: https://panel.example.com/console/ */
  page: string;
}

/** An API token, USER@REALM!NAME=SECRET, or a user's ticket, with the privilege VM.Console on the guest. */
type IdentityOptions =
  | { token: string; ticket?: undefined; csrf?: undefined }
  | { ticket: string; /** The ticket's CSRFPreventionToken. */ csrf: string; token?: undefined };

/** Proxmox's API, and how it is trusted. Without ca and fingerprint: by the CAs that Node knows. */
export type ProxmoxOptions = IdentityOptions & {
  /** A name or an address, with :port unless that is 8006; [address]:port for IPv6. */
  host: string;
  /** The CA of Proxmox's certificate, in PEM. */
  ca?: string;
  /** The SHA-256 fingerprint of Proxmox's certificate. */
  fingerprint?: string;
};

export type ConsoleOptions = GuestOptions & LimitOptions & PageOptions & { node: string; proxmox: ProxmoxOptions };

const TOKEN = /^[^\s!=:]+@[^\s!=:]+![^\s!=:]+=[\x21-\x7e]+$/;
const TOKEN_MAX = 4000; // bytes
const TICKET = /^PVE(?::|%3a)[\x21-\x7e]+$/i;
const TICKET_MAX = 4096; // bytes
const CSRF_MAX = 256; // bytes
const VISIBLE = /^[\x21-\x7e]+$/;
const PAYLOAD_MAX = 15 * 1024; // bytes: proxxy accepts requests of 16 KiB
const CONSOLE_SECONDS = 60; // Proxmox waits for 10 s, and its ticket lives for 40 s
const CONSOLE_OPTIONS = [
  ...["proxmox", "node", "vmid", "type", "protocol", "expiresIn", "notBefore", "sub", "jti", "origin", "client"],
  ...["sessionMax", ...PAGE_OPTIONS],
];

export class Proxxy {
  readonly #key: Key;
  readonly #page: string;

  constructor(settings: Settings) {
    const { key, keyFile, kid, page } = given(settings, ["key", "keyFile", "kid", "page"]) as Partial<Settings>;
    if ((key === undefined) === (keyFile === undefined)) throw new InvalidOption("key", "or keyFile is needed");
    checkPage(page);
    if (key instanceof Key) this.#key = key;
    else this.#key = key === undefined ? Key.fromFile(keyFile!, kid) : Key.fromText(String(key), kid);
    this.#page = page;
  }

  /** Returns the address of a page that opens the console. Before, check that the user may open it. */
  async link(options: LinkOptions): Promise<string> {
    const all = given(options, [...PAYLOAD_OPTIONS, ...PAGE_OPTIONS]);
    const parameters = pageParameters(all);
    return this.#address(all, await this.#seal(claimsOf(all)), parameters);
  }

  /** Returns only the payload, for a page of the panel's own. Before, check that the user may open the console. */
  async payload(options: PayloadOptions): Promise<string> {
    return this.#seal(claimsOf(given(options, PAYLOAD_OPTIONS)));
  }

  /**
   * Decrypts a payload and returns its claims, for tests. Throws InvalidOption if proxxy would refuse the payload,
   * whatever the time and the clusters that it knows.
   */
  async open(payload: string): Promise<Claims> {
    if (!isLine(payload, Infinity)) throw new InvalidOption("payload", "is not a JWE");
    const claims = parseClaims(await unseal(payload, this.#key));
    try {
      checkClaims(claims);
    } catch (error) {
      if (error instanceof InvalidOption) throw new InvalidOption("payload", `is refused: ${error.message}`);
      throw error;
    }
    return claims;
  }

  /**
   * Requests the console from Proxmox, for a proxxy that has no token of its own, and returns the address of a page.
   * It must be opened within 10 seconds, and opens one console. Throws ProxmoxError.
   */
  async openConsole(options: ConsoleOptions): Promise<string> {
    const { proxmox, ...all } = given(options, CONSOLE_OPTIONS);
    const parameters = pageParameters(all);
    const checked = readProxmox(proxmox);
    const { host, identity, ca, fingerprint } = checked;
    const trust: Given = { ...(ca !== undefined && { ca }), ...(fingerprint !== undefined && { fingerprint }) };
    const own = { expiresIn: CONSOLE_SECONDS, jti: true, ...all, ...trust, host, ticket: identity };
    const { protocol, node, vmid, type } = claimsOf({ ...own, vncticket: "checked before Proxmox is asked", port: 1 });

    const guest = { node: node as string, type: type as GuestType, vmid: vmid as number };
    const isTerminal = protocol === "term";
    const grant = await requestConsole(checked, { ...guest, protocol: isTerminal ? "term" : "vnc" });
    // With these, proxxy logs in to the console, and the browser needs neither.
    const login = isTerminal ? { user: grant.user } : { password: grant.password ?? grant.ticket };
    let claims;
    try {
      claims = claimsOf({ ...own, vncticket: grant.ticket, port: grant.port, ...login });
    } catch (error) {
      throw new ProxmoxError(200, "other", `Proxmox: the answer cannot be used: ${(error as Error).message}`);
    }
    return this.#address(all, await this.#seal(claims), parameters);
  }

  async #seal(claims: Claims) {
    const payload = await seal(JSON.stringify(claims), this.#key);
    if (payload.length > PAYLOAD_MAX)
      throw new InvalidOption("payload", `is longer than ${PAYLOAD_MAX} bytes: ca, ticket or sub is too long`);
    return payload;
  }

  #address({ protocol }: Given, payload: string, parameters: string) {
    return `${this.#page}${protocol === "term" ? "xterm" : "novnc"}.html#payload=${payload}${parameters}`;
  }
}

/** Checks what a payload's claims do not: the rest is checked with these. */
function readProxmox(proxmox: unknown): Proxmox {
  if (typeof proxmox !== "object" || proxmox === null) throw new InvalidOption("proxmox", "is missing");
  const all = given(proxmox, ["host", "token", "ticket", "csrf", "ca", "fingerprint"]);
  const { token, ticket, csrf, ...others } = all;
  if (!("host" in all)) throw new InvalidOption("host", "is missing");
  if (ticket === undefined) {
    if (!isLine(token, TOKEN_MAX) || !TOKEN.test(token))
      throw new InvalidOption("token", "is not an API token, USER@REALM!NAME=SECRET");
    if (csrf !== undefined) throw new InvalidOption("csrf", "belongs to a user's ticket, which is missing");
    return { ...others, identity: `PVEAPIToken=${token}` } as Proxmox;
  }
  if (token !== undefined) throw new InvalidOption("token", "and ticket cannot be combined");
  if (!isLine(ticket, TICKET_MAX) || !TICKET.test(ticket))
    throw new InvalidOption("ticket", "is not a user's ticket, which begins with PVE:");
  if (!isLine(csrf, CSRF_MAX) || !VISIBLE.test(csrf))
    throw new InvalidOption("csrf", "is missing: a user's ticket needs its CSRFPreventionToken");
  return { ...others, identity: ticket, csrf } as Proxmox;
}

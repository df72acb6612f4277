// SPDX-License-Identifier: Apache-2.0
// The errors that this package throws. No message has a secret in it, nor the value of an option.

export class ProxxyError extends Error {
  override name = "ProxxyError";
}

/** An option, or a payload given to open(), that proxxy would refuse. The message begins with the option's name. */
export class InvalidOption extends ProxxyError {
  override name = "InvalidOption";

  constructor(
    readonly option: string,
    readonly why: string,
  ) {
    super(`${option} ${why}`);
  }
}

/** The key cannot be read, or is not in the format of proxxy's key file. */
export class KeyFileError extends ProxxyError {
  override name = "KeyFileError";
}

/**
 * Why Proxmox opened no console. unreachable: there was no answer, or its certificate is not trusted. refused: the
 * token is wrong, or lacks the privilege VM.Console. noGuest: the guest is not on this node.
 */
export type ProxmoxReason = "unreachable" | "refused" | "noGuest" | "other";

/** Proxmox opened no console. */
export class ProxmoxError extends ProxxyError {
  override name = "ProxmoxError";

  /** status is that of Proxmox's answer, or 0 without one. */
  constructor(
    readonly status: number,
    readonly reason: ProxmoxReason,
    message: string,
  ) {
    super(message);
  }
}

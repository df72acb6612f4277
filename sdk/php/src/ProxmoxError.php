<?php
// SPDX-License-Identifier: Apache-2.0
declare(strict_types=1);

namespace Proxxy;

/** Why Proxmox opened no console. */
final class ProxmoxError extends \RuntimeException implements ProxxyError
{
    public const UNREACHABLE = 'unreachable'; // there was no answer, or its certificate is not trusted
    public const REFUSED = 'refused'; // the token is wrong, or lacks the privilege VM.Console
    public const NO_GUEST = 'noGuest'; // the guest is not on this node
    public const OTHER = 'other';

    /**
     * @param int $status the status of Proxmox's answer, or 0 if there was no answer
     * @param string $reason one of the constants
     */
    public function __construct(public readonly int $status, public readonly string $reason, string $message)
    {
        parent::__construct("Proxmox: $message", $status);
    }
}

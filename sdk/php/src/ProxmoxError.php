<?php
// SPDX-License-Identifier: Apache-2.0
declare(strict_types=1);

namespace Proxxy;

/** Proxmox refused to open a console, or it was not reached. */
final class ProxmoxError extends \RuntimeException implements ProxxyError
{
    /** @param int $status the status of Proxmox's answer, or 0 if there was no answer */
    public function __construct(public readonly int $status, string $message)
    {
        parent::__construct("Proxmox: $message", $status);
    }
}

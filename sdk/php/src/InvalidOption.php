<?php
// SPDX-License-Identifier: Apache-2.0
declare(strict_types=1);

namespace Proxxy;

/** An option that proxxy or the console's page would refuse, or a payload given to open(). */
final class InvalidOption extends \InvalidArgumentException implements ProxxyError
{
    /** @param string $option the option's name, such as "vmid" */
    public function __construct(public readonly string $option, string $message)
    {
        parent::__construct($message);
    }
}

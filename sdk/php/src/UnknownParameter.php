<?php
// SPDX-License-Identifier: Apache-2.0
declare(strict_types=1);

namespace Proxxy;

/** Proxmox does not know a parameter that the request can do without. Does not leave this library. */
final class UnknownParameter extends \RuntimeException
{
}

<?php
// SPDX-License-Identifier: Apache-2.0
declare(strict_types=1);

namespace Proxxy;

/** Every exception of this library. No message contains a key, a token, a ticket or a password. */
interface ProxxyError extends \Throwable
{
}

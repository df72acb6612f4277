<?php
// SPDX-License-Identifier: Apache-2.0
declare(strict_types=1);

namespace Proxxy;

/** The key file cannot be read, or its text (or the option key) is not what proxxy's key file may contain. */
final class KeyFileError extends \RuntimeException implements ProxxyError
{
}

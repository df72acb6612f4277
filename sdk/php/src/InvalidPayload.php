<?php
// SPDX-License-Identifier: Apache-2.0
declare(strict_types=1);

namespace Proxxy;

/** A payload that the keys do not open, or whose text proxxy would refuse. */
final class InvalidPayload extends \UnexpectedValueException implements ProxxyError
{
}

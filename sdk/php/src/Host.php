<?php
// SPDX-License-Identifier: Apache-2.0
declare(strict_types=1);

namespace Proxxy;

/** Hosts, networks and origins, as proxxy reads them. */
final class Host
{
    private const LABEL = '[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?';
    private const NAME_MAX = 253;
    private const NETWORK_MAX = 49;
    private const ORIGIN_MAX = 267; // "https://", a name, ":65535"

    /**
     * Splits "NAME", "NAME:PORT", "IPV4:PORT", "IPV6", "[IPV6]" or "[IPV6]:PORT". Of an IPv6 address without brackets,
     * no part is a port. Returns the host without brackets and the port, or null if it is none of these.
     *
     * @return array{string, ?int}|null
     */
    public static function split(string $text): ?array
    {
        $port = null;
        if (preg_match('/^\[([^\]]*)\](?::(.*))?$/Ds', $text, $found)) {
            [$host, $port, $ipv6] = [$found[1], $found[2] ?? null, true];
        } elseif (substr_count($text, ':') >= 2) {
            [$host, $ipv6] = [$text, true];
        } else {
            [$host, $port] = [...explode(':', $text), null];
            $ipv6 = false;
        }
        if ($port !== null && !self::isPort($port)) {
            return null;
        }
        if (!$ipv6 && strlen($host) > 1 && str_ends_with($host, '.')) {
            $host = substr($host, 0, -1);
        }
        $valid = $ipv6 ? self::isAddress($host, 6) : self::isAddress($host, 4)
            || (self::isName($host) && !preg_match('/(?:^|\.)(?:[0-9]+|0x[^.]*)$/Di', $host));
        return $valid ? [$host, $port === null ? null : (int) $port] : null;
    }

    public static function isHost(string $text): bool
    {
        return self::split($text) !== null;
    }

    /** "HOST:PORT" for a URL. */
    public static function authority(string $text, int $defaultPort): string
    {
        [$host, $port] = self::split($text) ?? throw new \LogicException('not a host');
        return (str_contains($host, ':') ? "[$host]" : $host) . ':' . ($port ?? $defaultPort);
    }

    public static function isName(string $text): bool
    {
        return strlen($text) <= self::NAME_MAX
            && preg_match('/^' . self::LABEL . '(?:\.' . self::LABEL . ')*$/D', $text) === 1;
    }

    public static function isPort(string $text): bool
    {
        return preg_match('/^[0-9]{1,5}$/D', $text) === 1 && (int) $text >= 1 && (int) $text <= 65535;
    }

    /** True for an address, or a network without bits after its prefix, such as 192.0.2.0/24. */
    public static function isNetwork(string $text): bool
    {
        [$address, $bits] = [...explode('/', $text, 2), null];
        $ipv6 = str_contains($address, ':');
        if (strlen($text) > self::NETWORK_MAX || !self::isAddress($address, $ipv6 ? 6 : 4)) {
            return false;
        }
        if ($bits === null) {
            return true;
        }
        if (!preg_match('/^[0-9]{1,3}$/D', $bits) || (int) $bits > ($ipv6 ? 128 : 32)) {
            return false;
        }
        $binary = '';
        foreach (str_split((string) inet_pton($address)) as $byte) {
            $binary .= sprintf('%08b', ord($byte));
        }
        return !str_contains(substr($binary, (int) $bits), '1');
    }

    /** True for SCHEME://HOST or SCHEME://HOST:PORT. */
    public static function isOrigin(string $text): bool
    {
        if (strlen($text) > self::ORIGIN_MAX
            || !preg_match('~^[a-z][a-z0-9+.-]*://(\[[^\]]+\]|[^:/\[\]]+)(?::[0-9]{1,5})?$~Di', $text, $found)) {
            return false;
        }
        return self::isHost($found[1]) && !str_ends_with($found[1], '.');
    }

    private static function isAddress(string $text, int $version): bool
    {
        $flag = $version === 6 ? FILTER_FLAG_IPV6 : FILTER_FLAG_IPV4;
        return filter_var($text, FILTER_VALIDATE_IP, $flag) !== false;
    }
}

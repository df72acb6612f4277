<?php
// SPDX-License-Identifier: Apache-2.0
declare(strict_types=1);

namespace Proxxy;

/** Checks the claims of a payload by proxxy's own rules, and in its words (proxxy-payload(7), lib/payload.c). */
final class Claims
{
    private const VMID_MAX = 999999999;
    private const TICKET_MAX = 4096; // bytes, as the next ones
    private const VNCTICKET_MAX = 512;
    private const CSRF_MAX = 256;
    private const USER_MAX = 160;
    private const JTI_MAX = 256;
    private const CA_MAX = 8192;
    private const SESSION_MAX = 31536000; // seconds
    private const DATE_MAX = 253402300799; // the end of the year 9999

    /**
     * Throws InvalidOption if proxxy would refuse these claims whatever its configuration is.
     *
     * @param array<string|int, mixed> $claims
     */
    public static function check(array $claims): void
    {
        $fault = self::guestFault($claims) ?? self::loginFault($claims) ?? self::limitFault($claims)
            ?? self::identityFault($claims);
        if ($fault !== null) {
            throw new InvalidOption(...$fault);
        }
    }

    /** True if the payload has no console ticket: proxxy then asks Proxmox for one. */
    public static function isLate(array $claims): bool
    {
        return !array_key_exists('vncticket', $claims) && !array_key_exists('port', $claims);
    }

    public static function isCa(mixed $value): bool
    {
        return is_string($value) && strlen($value) <= self::CA_MAX
            && str_contains($value, '-----BEGIN CERTIFICATE-----') && !str_contains($value, "\0");
    }

    /** True for a CA that can be read. */
    public static function hasCertificate(string $text): bool
    {
        return self::isCa($text) && @openssl_x509_read($text) !== false;
    }

    public static function isFingerprint(string $text): bool
    {
        return preg_match('/^(?:[0-9a-f]{64}|(?:[0-9a-f]{2}:){31}[0-9a-f]{2})$/Di', $text) === 1;
    }

    /** @return ?array{string, string} the claim, and what is wrong with it */
    private static function guestFault(array $claims): ?array
    {
        $late = self::isLate($claims);
        $has = static fn (string $name): bool => array_key_exists($name, $claims);
        $cluster = $claims['cluster'] ?? null;
        $node = $claims['node'] ?? null;
        return match (true) {
            !self::isInteger($claims['vmid'] ?? null, self::VMID_MAX)
                => ['vmid', 'vmid is not an integer from 1 to 999999999'],
            !in_array($claims['type'] ?? null, ['qemu', 'lxc'], true) => ['type', 'type is not qemu or lxc'],
            $late && $has('cluster') && $has('host') => ['host', 'host and cluster cannot be combined'],
            $late && $has('cluster') && !(is_string($cluster) && Keys::isName($cluster) && $cluster[0] !== '.')
                => ['cluster', 'cluster is not the name of a cluster file'],
            $late && !$has('cluster') && !$has('host') => ['cluster', 'host or cluster is missing'],
            !($late && $has('cluster')) && !(is_string($claims['host'] ?? null) && Host::isHost($claims['host']))
                => ['host', 'host is not a host name or address, with or without a port'],
            !($late && !$has('node')) && !(is_string($node) && Host::isName($node))
                => ['node', 'node is not a host name'],
            default => null,
        };
    }

    /** @return ?array{string, string} */
    private static function loginFault(array $claims): ?array
    {
        $late = self::isLate($claims);
        $has = static fn (string $name): bool => array_key_exists($name, $claims);
        $terminal = ($claims['protocol'] ?? null) === 'term';
        $port = $claims['port'] ?? null;
        $user = $claims['user'] ?? null;
        $password = $claims['password'] ?? null;
        return match (true) {
            !($late && !$has('ticket')) && !self::isText($claims['ticket'] ?? null, self::TICKET_MAX)
                => ['ticket', 'ticket is not a string of 1 to 4096 bytes without control characters'],
            $late && $has('csrf') && !self::isText($claims['csrf'], self::CSRF_MAX)
                => ['csrf', 'csrf is not a string of 1 to 256 bytes without control characters'],
            $late && $has('protocol') && !in_array($claims['protocol'], ['vnc', 'term'], true)
                => ['protocol', 'protocol is not vnc or term'],
            $late => null,
            !self::isText($claims['vncticket'] ?? null, self::VNCTICKET_MAX)
                => ['vncticket', 'vncticket is not a string of 1 to 512 bytes without control characters'],
            is_string($port) ? !Host::isPort($port) : !self::isInteger($port, 65535)
                => ['port', 'port is not a number from 1 to 65535'],
            $terminal && $has('user') && (!self::isText($user, self::USER_MAX) || str_contains($user, ':'))
                => ['user', 'user is not USER@REALM or USER@REALM!NAME'],
            !$terminal && $password !== null && !self::isText($password, PHP_INT_MAX)
                => ['password', 'password is not a string without control characters'],
            default => null,
        };
    }

    /** @return ?array{string, string} */
    private static function limitFault(array $claims): ?array
    {
        $has = static fn (string $name): bool => array_key_exists($name, $claims);
        $is = static fn (string $name, callable $check): bool => !$has($name)
            || (is_string($claims[$name]) && $check($claims[$name]));
        return match (true) {
            !self::isDate($claims['exp'] ?? null) => ['exp', 'exp is missing or not in seconds since 1970'],
            $has('nbf') && !self::isDate($claims['nbf']) => ['nbf', 'nbf is not in seconds since 1970'],
            $has('jti') && !self::isText($claims['jti'], self::JTI_MAX)
                => ['jti', 'jti is not a string of 1 to 256 bytes without control characters'],
            !$is('origin', Host::isOrigin(...))
                => ['origin', 'origin is not an origin, like https://panel.example.com'],
            !$is('client', Host::isNetwork(...)) => ['client', 'client is not an IP address or network'],
            !$is('fingerprint', self::isFingerprint(...))
                => ['fingerprint', 'fingerprint is not a SHA-256 fingerprint, 64 hex digits'],
            $has('session_max') && !self::isInteger($claims['session_max'], self::SESSION_MAX)
                => ['session_max', 'session_max is not a number of seconds from 1 to 31536000'],
            $has('ca') && !self::isCa($claims['ca'])
                => ['ca', 'ca is not a PEM certificate of at most 8192 bytes'],
            default => null,
        };
    }

    /** @return ?array{string, string} */
    private static function identityFault(array $claims): ?array
    {
        $ticket = $claims['ticket'] ?? '';
        $late = self::isLate($claims);
        if ($late && $ticket === '') {
            $pin = array_key_exists('ca', $claims) ? 'ca' : 'fingerprint';
            return array_key_exists($pin, $claims) ? [$pin, 'ca and fingerprint need a ticket in the payload'] : null;
        }
        $token = str_starts_with($ticket, 'PVEAPIToken=');
        if (!$token && !preg_match('/^PVE(?::|%3A)/', $ticket)) {
            return ['ticket', match (true) {
                preg_match('/^(?:PVEAuthCookie=|Authorization:|Cookie:)/i', $ticket) === 1
                    => "ticket has a header or cookie name before it: a user's ticket begins with PVE:, a token with "
                    . 'PVEAPIToken=',
                str_contains($ticket, 'PVEVNC:') => 'ticket is a VNC ticket, which belongs in vncticket',
                preg_match('/^[^!]*@[^!]*!.*=/s', $ticket) === 1
                    => 'ticket is an API token without PVEAPIToken= before it',
                default => "ticket is neither PVEAPIToken=USER@REALM!NAME=SECRET nor a user's ticket, which begins "
                    . 'with PVE:',
            }];
        }
        return $late && !$token && ($claims['csrf'] ?? '') === ''
            ? ['csrf', "csrf is missing: a user's ticket needs the CSRFPreventionToken of its making"] : null;
    }

    private static function isInteger(mixed $value, int $max): bool
    {
        return (is_int($value) || (is_float($value) && $value === floor($value))) && $value >= 1 && $value <= $max;
    }

    /** A date may have a fraction, as in RFC 7519. */
    private static function isDate(mixed $value): bool
    {
        return (is_int($value) || is_float($value)) && $value >= 1 && $value <= self::DATE_MAX;
    }

    /** A string of 1 to $max bytes of UTF-8 without control characters. */
    private static function isText(mixed $value, int $max): bool
    {
        return is_string($value) && strlen($value) <= $max && preg_match('/^[^\x00-\x1f\x7f]+$/Du', $value) === 1;
    }
}

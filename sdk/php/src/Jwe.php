<?php
// SPDX-License-Identifier: Apache-2.0
declare(strict_types=1);

namespace Proxxy;

/** JWE in compact serialization with "dir" and "A256GCM" (RFC 7516, RFC 7518), by PHP's own openssl. */
final class Jwe
{
    private const CIPHER = 'aes-256-gcm';
    private const HEADER_MAX = 1024; // bytes
    private const NONCE_BYTES = 12;
    private const TAG_BYTES = 16;

    public static function seal(string $text, Keys $keys): string
    {
        ['kid' => $kid, 'key' => $key] = $keys->sealing();
        $header = ['alg' => 'dir', 'enc' => 'A256GCM'] + ($kid === null ? [] : ['kid' => $kid]);
        return self::compact(json_encode($header, JSON_THROW_ON_ERROR), $text, $key, random_bytes(self::NONCE_BYTES));
    }

    /** Never use a nonce twice with one key: only tests may choose it. */
    public static function compact(
        string $header,
        #[\SensitiveParameter] string $text,
        #[\SensitiveParameter] string $key,
        string $nonce,
    ): string {
        $protected = self::encode($header);
        $sealed = openssl_encrypt($text, self::CIPHER, $key, OPENSSL_RAW_DATA, $nonce, $tag, $protected);
        if ($sealed === false) {
            throw new \RuntimeException('OpenSSL has no AES-256-GCM');
        }
        return implode('.', [$protected, '', self::encode($nonce), self::encode($sealed), self::encode($tag)]);
    }

    /** Returns the text of a payload. */
    public static function open(string $payload, Keys $keys): string
    {
        $parts = explode('.', $payload);
        if (count($parts) !== 5) {
            throw new InvalidOption('payload', 'payload does not have five parts with dots between them');
        }
        [$protected, $encryptedKey] = $parts;
        $kid = self::kid($protected);
        [$nonce, $sealed, $tag] = array_map(self::decode(...), array_slice($parts, 2));
        // OpenSSL also accepts a shorter tag.
        if ($encryptedKey !== '' || strlen($nonce ?? '') !== self::NONCE_BYTES
            || strlen($tag ?? '') !== self::TAG_BYTES) {
            throw new InvalidOption('payload', 'payload may be cut off: it needs an empty encrypted key, a nonce of '
                . '12 and a tag of 16 bytes, in base64url');
        }
        if ($sealed === null || $sealed === '') {
            throw new InvalidOption('payload', 'the ciphertext of payload is not base64url');
        }
        $usable = $keys->opening($kid);
        foreach ($usable as $key) {
            $text = openssl_decrypt($sealed, self::CIPHER, $key, OPENSSL_RAW_DATA, $nonce, $tag, $protected);
            if ($text !== false) {
                return $text;
            }
        }
        throw new InvalidOption('payload', $usable === [] ? 'payload has a kid that is not the name of a key here'
            : 'payload was not made with our key, or changed on its way');
    }

    /** Checks a protected header. Returns its kid. */
    private static function kid(string $protected): ?string
    {
        $text = self::decode($protected);
        $header = $text === null || strlen($text) > self::HEADER_MAX ? null : StrictJson::object($text);
        $fault = match (true) {
            $header === null => 'header is not JSON in base64url',
            ($header['alg'] ?? null) !== 'dir' => 'alg is not dir',
            ($header['enc'] ?? null) !== 'A256GCM' => 'enc is not A256GCM',
            array_key_exists('zip', $header), array_key_exists('crit', $header)
                => 'header requires an extension, zip or crit',
            array_key_exists('kid', $header) && !(is_string($header['kid'])
                && preg_match('/^[^\x00-\x1f\x7f]{1,32}$/D', $header['kid']))
                => 'kid is not the name of a key here',
            default => null,
        };
        return $fault === null ? $header['kid'] ?? null
            : throw new InvalidOption('payload', "payload is refused: its $fault");
    }

    private static function encode(string $bytes): string
    {
        return rtrim(strtr(base64_encode($bytes), '+/', '-_'), '=');
    }

    /** Returns null unless the text is exactly what encode() makes. */
    private static function decode(string $text): ?string
    {
        $bytes = base64_decode(strtr($text, '-_', '+/'));
        return self::encode($bytes) === $text ? $bytes : null;
    }
}

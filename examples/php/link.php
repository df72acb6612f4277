<?php
// SPDX-License-Identifier: Apache-2.0
// Example of the backend's part, with PHP's own openssl: it makes a link that opens a guest's console until it expires.
// It does not talk to Proxmox: proxxy asks Proxmox each time the link is opened. Copy consoleLink(), seal() and jwe().
// As a command: php link.php VMID qemu|lxc USER
declare(strict_types=1);

/**
 * Returns a link for the user. Before, check that this user may open the guest's console. Then, in a page:
 * header('Location: ' . consoleLink(…)).
 */
function consoleLink(int $vmid, string $type, string $user, string $cluster, #[\SensitiveParameter] string $keys,
    string $page): string
{
    $now = time();
    $claims = ['vmid' => $vmid, 'type' => $type, 'cluster' => $cluster, 'sub' => $user, 'iat' => $now,
        'exp' => $now + 300];
    // Optional: jti, a unique text, if the link shall open one console only; origin, the panel's, so that only its
    // pages can use the link. A terminal: protocol "term", and xterm.html. host may replace cluster.
    return "{$page}novnc.html#payload=" . seal($claims, $keys);
}

/**
 * Seals with the first of $keys, which are "HEX" or "NAME:HEX", separated by commas. Without SensitiveParameter, PHP
 * writes arguments, including secrets, to the trace of an uncaught exception.
 */
function seal(array $claims, #[\SensitiveParameter] string $keys): string
{
    if (!preg_match('/^(?:([\w.-]+):)?([0-9a-f]{64})(?:,|$)/i', trim($keys), $found)) {
        throw new RuntimeException('the key is not 64 hex digits');
    }
    $header = ['alg' => 'dir', 'enc' => 'A256GCM'] + ($found[1] !== '' ? ['kid' => $found[1]] : []);
    return jwe(json_encode($header), json_encode($claims, JSON_THROW_ON_ERROR), hex2bin($found[2]), random_bytes(12));
}

/** JWE compact serialization (RFC 7516). Never use a nonce twice with one key. */
function jwe(string $header, string $text, #[\SensitiveParameter] string $key, string $nonce): string
{
    $base64url = fn (string $bytes): string => rtrim(strtr(base64_encode($bytes), '+/', '-_'), '=');
    $protected = $base64url($header);
    $sealed = openssl_encrypt($text, 'aes-256-gcm', $key, OPENSSL_RAW_DATA, $nonce, $tag, $protected);
    return implode('.', [$protected, '', $base64url($nonce), $base64url($sealed), $base64url($tag)]);
}

if (get_included_files()[0] === __FILE__) {
    try {
        [, $vmid, $type, $user] = $argv;
        $keys = file_get_contents(getenv('PROXXY_KEY_FILE'));
        echo consoleLink((int) $vmid, $type, $user, getenv('PROXXY_CLUSTER'), $keys, getenv('PROXXY_PAGE')), "\n";
    } catch (Exception $error) {
        fwrite(STDERR, $error->getMessage() . "\n");
        exit(1);
    }
}

<?php
// SPDX-License-Identifier: Apache-2.0
// Example of the backend's part, with PHP's own curl and openssl: it asks Proxmox for a guest's console, seals the
// answer, and hands the URL to noVNC. Copy openConsole(), seal() and jwe(). As a command: php console.php
// [check ../vectors.json]
declare(strict_types=1);

// Without the attribute, PHP writes arguments, including secrets, to the trace of an uncaught exception.
function openConsole(string $host, string $node, string $type, int $vmid, #[\SensitiveParameter] string $token,
    #[\SensitiveParameter] string $keys, string $websocket, ?string $caFile = null): array
{
    $address = preg_match('/:\d+$/D', $host) ? $host : "$host:8006";
    $guest = rawurlencode($node) . '/' . rawurlencode($type) . "/$vmid";
    $curl = curl_init("https://$address/api2/json/nodes/$guest/vncproxy");
    $status = '';
    curl_setopt_array($curl, [
        CURLOPT_RETURNTRANSFER => true,
        CURLOPT_TIMEOUT => 30,
        CURLOPT_HTTPHEADER => ["Authorization: PVEAPIToken=$token"],
        // A container's vncproxy has no generate-password: the ticket is its password. Since 9.2
        // Proxmox always sends a VM's password, and plans to remove the parameter.
        CURLOPT_POSTFIELDS => $type === 'qemu' ? 'websocket=1&generate-password=1' : 'websocket=1',
        CURLOPT_HEADERFUNCTION => function ($curl, string $line) use (&$status): int { // for the reason phrase
            $status = preg_match('~^HTTP/\S+ (.*)~', $line, $found) ? trim($found[1]) : $status;
            return strlen($line);
        },
    ] + ($caFile ? [CURLOPT_CAINFO => $caFile] : []));
    $body = curl_exec($curl);
    if (curl_getinfo($curl, CURLINFO_RESPONSE_CODE) === 400 && str_contains((string) $body, '"generate-password"')) {
        curl_setopt($curl, CURLOPT_POSTFIELDS, 'websocket=1');
        $body = curl_exec($curl);
    }
    if ($body === false || curl_getinfo($curl, CURLINFO_RESPONSE_CODE) !== 200) {
        throw new RuntimeException('Proxmox: ' . (curl_error($curl) ?: $status));
    }
    $answer = json_decode($body, true, 8, JSON_THROW_ON_ERROR)['data'];
    $claims = ['vmid' => $vmid, 'type' => $type, 'host' => $host, 'node' => $node, 'ticket' => "PVEAPIToken=$token",
        'vncticket' => $answer['ticket'], 'port' => $answer['port'],
        'exp' => time() + 60, 'jti' => bin2hex(random_bytes(16))];
    // The CA that proxxy must trust, too. Do not use the answer's "cert": it is never an ACME certificate's CA.
    if ($caFile) {
        $claims['ca'] = file_get_contents($caFile);
    }
    return ['websocket' => "$websocket?payload=" . seal($claims, $keys),
        'password' => $answer['password'] ?? $answer['ticket']];
}

/** Seals with the first of $keys, which are "HEX" or "NAME:HEX", separated by commas. */
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

function unseal(string $payload, string $key): mixed
{
    [$protected, , $nonce, $sealed, $tag] = explode('.', $payload);
    [$nonce, $sealed, $tag] = array_map(fn ($part) => base64_decode(strtr($part, '-_', '+/')), [$nonce, $sealed, $tag]);
    // PHP also accepts a truncated tag: the caller must check its length.
    if (strlen($tag) !== 16) {
        return null;
    }
    $text = openssl_decrypt($sealed, 'aes-256-gcm', $key, OPENSSL_RAW_DATA, $nonce, $tag, $protected);
    return $text === false ? null : json_decode($text, true);
}

function check(string $file): string
{
    $vectors = array_filter(json_decode(file_get_contents($file), true)['vectors'], fn ($v) => $v['format'] === 'jwe');
    foreach ($vectors as $v) {
        $key = hex2bin($v['key']);
        $kid = json_decode($v['header'], true)['kid'] ?? null;
        $ours = seal($v['claims'], $kid ? "$kid:{$v['key']}" : $v['key']);
        $exact = jwe($v['header'], $v['plaintext'], $key, hex2bin($v['nonce']));
        $opened = [unseal($v['payload'], $key), unseal($ours, $key)];
        if ($opened !== [$v['claims'], $v['claims']] || $exact !== $v['payload']) {
            throw new RuntimeException("{$v['name']}: differs");
        }
    }
    return $vectors ? count($vectors) . ' vectors' : throw new RuntimeException('no vectors');
}

function main(array $argv, array $env): string
{
    if (($argv[1] ?? '') === 'check') {
        return check($argv[2]);
    }
    $token = trim(file_get_contents($env['PROXMOX_TOKEN_FILE']));
    $keys = trim(file_get_contents($env['PROXXY_KEY_FILE']));
    return json_encode(openConsole($env['PROXMOX_HOST'], $env['PROXMOX_NODE'], $env['PROXMOX_TYPE'] ?? 'qemu',
        (int) $env['PROXMOX_VMID'], $token, $keys, $env['PROXXY_WEBSOCKET'], $env['PROXMOX_CA_FILE'] ?? null));
}

try {
    echo main($argv, getenv()), "\n";
} catch (Exception $error) {
    fwrite(STDERR, $error->getMessage() . "\n");
    exit(1);
}

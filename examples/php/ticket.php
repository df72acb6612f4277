<?php
// SPDX-License-Identifier: Apache-2.0
// Example of the backend's part if proxxy shall have no token of its own, with PHP's own curl and openssl: it asks
// Proxmox for a guest's console, seals the answer, and makes a link for noVNC. The link must be opened within 10
// seconds. Copy openConsole(), and seal() and jwe() of link.php. As a command: php ticket.php NODE VMID qemu|lxc
declare(strict_types=1);
require __DIR__ . '/link.php';

function openConsole(string $host, string $node, string $type, int $vmid, #[\SensitiveParameter] string $token,
    #[\SensitiveParameter] string $keys, string $page, ?string $caFile = null): string
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
        // With the password, proxxy logs in to the console, and the browser needs none.
        'password' => $answer['password'] ?? $answer['ticket'],
        'exp' => time() + 60, 'jti' => bin2hex(random_bytes(16))];
    // The CA that proxxy must trust, too. Do not use the answer's "cert": it is never an ACME certificate's CA.
    if ($caFile) {
        $claims['ca'] = file_get_contents($caFile);
    }
    return "{$page}novnc.html#payload=" . seal($claims, $keys);
}

try {
    [, $node, $vmid, $type] = $argv;
    $token = trim(file_get_contents(getenv('PROXMOX_TOKEN_FILE')));
    $keys = file_get_contents(getenv('PROXXY_KEY_FILE'));
    echo openConsole(getenv('PROXMOX_HOST'), $node, $type, (int) $vmid, $token, $keys, getenv('PROXXY_PAGE'),
        getenv('PROXMOX_CA_FILE') ?: null), "\n";
} catch (Exception $error) {
    fwrite(STDERR, $error->getMessage() . "\n");
    exit(1);
}

<?php
// SPDX-License-Identifier: Apache-2.0
declare(strict_types=1);

namespace Proxxy;

/** Asks Proxmox's API for a guest's console, with PHP's own curl. */
final class Api
{
    private const PORT = 8006;
    private const ANSWER_MAX = 1 << 20; // bytes
    private const REASON_MAX = 200; // bytes of Proxmox's words

    private readonly string $authority;

    public function __construct(private readonly Proxmox $proxmox)
    {
        if (!extension_loaded('curl')) {
            throw new \RuntimeException("openConsole() needs PHP's extension curl");
        }
        $this->authority = Host::authority($proxmox->host, self::PORT);
    }

    /**
     * Returns the options for a Console that Proxmox's answer has.
     *
     * @return array<string, string|int>
     */
    public function open(Console $console): array
    {
        $terminal = $console->protocol === 'term';
        $path = sprintf('nodes/%s/%s/%d/%s', rawurlencode((string) $console->node), $console->type, $console->vmid,
            $terminal ? 'termproxy' : 'vncproxy');
        // A container's vncproxy has no generate-password: the ticket is its password.
        $vnc = $console->type === 'lxc' ? 'websocket=1' : 'websocket=1&generate-password=1';
        [$status, $reason, $body] = $this->post($path, $terminal ? '' : $vnc);
        if ($status === 400 && str_contains($vnc, 'generate-password') && str_contains($body, '"generate-password"')) {
            // Since 9.2, Proxmox always sends a VM's password, and plans to remove the parameter.
            [$status, $reason, $body] = $this->post($path, 'websocket=1');
        }
        if ($status !== 200) {
            throw new ProxmoxError($status, match (true) {
                $status === 401 || $status === 403 => ProxmoxError::REFUSED,
                $status === 500 && preg_match('/^Configuration file .* does not exist/', $reason) === 1
                    => ProxmoxError::NO_GUEST,
                default => ProxmoxError::OTHER,
            }, $this->words("$status $reason"));
        }
        $answer = json_decode($body, true, 16)['data'] ?? [];
        $ticket = $answer['ticket'] ?? null;
        $port = $answer['port'] ?? null;
        // With the password or the user, proxxy logs in to the console, and the browser needs neither.
        $login = $terminal ? ['user', $answer['user'] ?? null] : ['password', $answer['password'] ?? $ticket];
        if (!is_string($ticket) || !(is_string($port) || is_int($port)) || !is_string($login[1])) {
            throw new ProxmoxError(200, ProxmoxError::OTHER, 'the answer has no console ticket');
        }
        return ['vncticket' => $ticket, 'port' => $port, $login[0] => $login[1]];
    }

    /** @return array{int, string, string} the answer's status, its reason, and its body */
    private function post(string $path, string $form): array
    {
        $reason = $body = '';
        $curl = curl_init("https://$this->authority/api2/json/$path");
        curl_setopt_array($curl, [
            CURLOPT_TIMEOUT => $this->proxmox->timeout,
            CURLOPT_PROTOCOLS => CURLPROTO_HTTPS,
            CURLOPT_HTTPHEADER => $this->headers(),
            CURLOPT_POSTFIELDS => $form,
            CURLOPT_HEADERFUNCTION => static function ($curl, string $line) use (&$reason): int {
                $reason = preg_match('~^HTTP/\S+ \d+ ?(.*)~', $line, $found) ? trim($found[1]) : $reason;
                return strlen($line);
            },
            CURLOPT_WRITEFUNCTION => static function ($curl, string $part) use (&$body): int {
                $body .= $part;
                return strlen($body) > self::ANSWER_MAX ? 0 : strlen($part);
            },
        ]);
        $file = $this->trustCa($curl);
        $this->trustFingerprint($curl);
        if (curl_exec($curl) === false) {
            throw $this->unreachable(curl_error($curl));
        }
        return [curl_getinfo($curl, CURLINFO_RESPONSE_CODE), $reason, $body];
    }

    /** @return list<string> */
    private function headers(): array
    {
        $identity = $this->proxmox->identity();
        return $this->proxmox->token !== null ? ["Authorization: $identity"]
            : ["Authorization: PVEAuthCookie=$identity", "CSRFPreventionToken: {$this->proxmox->csrf}"];
    }

    /**
     * Lets curl trust only the CA of the options. PHP 8.1 can pass a CA to curl only as a file.
     *
     * @return resource|null the file, which exists as long as this value
     */
    private function trustCa(\CurlHandle $curl)
    {
        if ($this->proxmox->ca === null) {
            return null;
        }
        $file = tmpfile();
        if ($file === false || fwrite($file, $this->proxmox->ca) === false || !fflush($file)) {
            throw new \RuntimeException('no temporary file for the CA');
        }
        // The path of a folder without certificates: otherwise curl also trusts the system's CAs.
        curl_setopt_array($curl, [CURLOPT_CAINFO => stream_get_meta_data($file)['uri'], CURLOPT_CAPATH => '/dev/null']);
        return $file;
    }

    /**
     * Lets curl trust only the certificate with the fingerprint of the options, whoever signed it. curl compares only
     * public keys: so this gets the certificate by a connection of its own, which compares the fingerprint.
     */
    private function trustFingerprint(\CurlHandle $curl): void
    {
        if ($this->proxmox->fingerprint === null) {
            return;
        }
        $context = stream_context_create(['ssl' => ['verify_peer' => false, 'verify_peer_name' => false,
            'capture_peer_cert' => true]]);
        $connection = @stream_socket_client("ssl://$this->authority", $code, $words, $this->proxmox->timeout,
            STREAM_CLIENT_CONNECT, $context);
        if ($connection === false) {
            throw $this->unreachable($words === '' ? 'no TLS connection' : $words);
        }
        $certificate = stream_context_get_params($connection)['options']['ssl']['peer_certificate'];
        $expected = strtolower(str_replace(':', '', $this->proxmox->fingerprint));
        if (!hash_equals($expected, (string) openssl_x509_fingerprint($certificate, 'sha256'))) {
            throw $this->unreachable('its certificate has another fingerprint');
        }
        $pem = openssl_pkey_get_details(openssl_pkey_get_public($certificate))['key'];
        $key = base64_decode((string) preg_replace('/-----[^-]+-----|\s/', '', $pem));
        curl_setopt_array($curl, [
            CURLOPT_SSL_VERIFYPEER => false,
            CURLOPT_SSL_VERIFYHOST => 0,
            CURLOPT_PINNEDPUBLICKEY => 'sha256//' . base64_encode(hash('sha256', $key, true)),
        ]);
    }

    private function unreachable(string $why): ProxmoxError
    {
        return new ProxmoxError(0, ProxmoxError::UNREACHABLE, $this->words("$this->authority: $why"));
    }

    /** Makes words for one line of a log. A server may repeat what it was sent. */
    private function words(string $text): string
    {
        $secret = explode('=', (string) $this->proxmox->token, 2)[1] ?? '';
        $secrets = array_filter([$secret, (string) $this->proxmox->ticket, (string) $this->proxmox->csrf]);
        $text = str_replace($secrets, '...', $text);
        return substr((string) preg_replace('/[^\x20-\x7e]/', '?', $text), 0, self::REASON_MAX);
    }
}

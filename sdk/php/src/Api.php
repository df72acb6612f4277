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

    public function __construct(private readonly Proxmox $proxmox)
    {
        if (!extension_loaded('curl')) {
            throw new \RuntimeException('openConsole() needs PHP\'s extension curl');
        }
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
        $answer = $terminal ? $this->post($path, '') : $this->askForVnc($path, $console->type);
        $ticket = $answer['ticket'] ?? null;
        $port = $answer['port'] ?? null;
        // With the password or the user, proxxy logs in to the console, and the browser needs neither.
        $login = $terminal ? ['user', $answer['user'] ?? null] : ['password', $answer['password'] ?? $ticket];
        if (!is_string($ticket) || !(is_string($port) || is_int($port)) || !is_string($login[1])) {
            throw new ProxmoxError(200, 'the answer has no console ticket');
        }
        return ['vncticket' => $ticket, 'port' => $port, $login[0] => $login[1]];
    }

    /** @return array<string, mixed> */
    private function askForVnc(string $path, string $type): array
    {
        if ($type === 'lxc') { // a container's vncproxy has no generate-password: the ticket is its password
            return $this->post($path, 'websocket=1');
        }
        try {
            return $this->post($path, 'websocket=1&generate-password=1', '"generate-password"');
        } catch (UnknownParameter) {
            // Since 9.2, Proxmox always sends a VM's password, and plans to remove the parameter.
            return $this->post($path, 'websocket=1');
        }
    }

    /**
     * Returns the member data of the answer. Throws UnknownParameter if the answer is 400 and names $optional.
     *
     * @return array<string, mixed>
     */
    private function post(string $path, string $form, string $optional = ''): array
    {
        $reason = $body = '';
        $curl = curl_init('https://' . Host::authority($this->proxmox->host, self::PORT) . "/api2/json/$path");
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
        $file = $this->trust($curl);
        $done = curl_exec($curl);
        $status = $done ? curl_getinfo($curl, CURLINFO_RESPONSE_CODE) : 0;
        if ($status === 400 && $optional !== '' && str_contains($body, $optional)) {
            throw new UnknownParameter();
        }
        if ($status !== 200) {
            throw new ProxmoxError($status, $done ? self::words("$status $reason") : curl_error($curl));
        }
        $data = json_decode($body, true, 16)['data'] ?? null;
        return is_array($data) ? $data : throw new ProxmoxError(200, 'the answer is not JSON with data');
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
    private function trust(\CurlHandle $curl)
    {
        if ($this->proxmox->ca === null) {
            return null;
        }
        $file = tmpfile();
        if ($file === false || fwrite($file, $this->proxmox->ca) === false || !fflush($file)) {
            throw new \RuntimeException('no temporary file for the CA');
        }
        curl_setopt_array($curl, [CURLOPT_CAINFO => stream_get_meta_data($file)['uri'], CURLOPT_CAPATH => '/dev/null']);
        return $file;
    }

    private static function words(string $text): string
    {
        return substr((string) preg_replace('/[^\x20-\x7e]/', '?', $text), 0, self::REASON_MAX);
    }
}

<?php
// SPDX-License-Identifier: Apache-2.0
declare(strict_types=1);

namespace Proxxy;

/** The Proxmox that openConsole() asks: either with an API token, or with a user's ticket and its csrf. */
final class Proxmox
{
    /**
     * @param string $host the API of the node: a name or an address, with a port unless it is 8006
     * @param ?string $token an API token, "USER@REALM!NAME=SECRET"
     * @param ?string $ca PEM of the CA of Proxmox's certificate; the system's CAs by default
     * @param ?string $fingerprint in place of ca: SHA-256 of Proxmox's certificate
     * @param ?string $ticket in place of token: a user's ticket, "PVE:…"
     * @param ?string $csrf the CSRFPreventionToken of that ticket
     * @param int $timeout seconds for a request
     */
    public function __construct(
        public readonly string $host,
        #[\SensitiveParameter] public readonly ?string $token = null,
        public readonly ?string $ca = null,
        public readonly ?string $fingerprint = null,
        #[\SensitiveParameter] public readonly ?string $ticket = null,
        #[\SensitiveParameter] public readonly ?string $csrf = null,
        public readonly int $timeout = 30,
    ) {
        if (($token === null) === ($ticket === null)) {
            throw new InvalidOption('token', 'proxmox needs a token, or a ticket and its csrf');
        }
        if ($token !== null && !preg_match('/^[^@!=\s]+@[^@!=\s]+![^@!=\s]+=[\x21-\x7e]+$/D', $token)) {
            throw new InvalidOption('token', 'token is not USER@REALM!NAME=SECRET');
        }
        if ($ticket !== null && !preg_match('/^PVE(?::|%3A)[\x21-\x7e]+$/D', $ticket)) {
            throw new InvalidOption('ticket', 'ticket is not a user\'s ticket, which begins with PVE:');
        }
        if ($ticket !== null && !preg_match('/^[\x21-\x7e]{1,256}$/D', $csrf ?? '')) {
            throw new InvalidOption('csrf', "csrf is missing: a user's ticket needs its CSRFPreventionToken");
        }
        if (!Host::isHost($host)) {
            throw new InvalidOption('host', 'host is not a host name or address, with or without a port');
        }
        if ($ca !== null && !Claims::hasCertificate($ca)) {
            throw new InvalidOption('ca', 'ca is not a PEM certificate of at most 8192 bytes');
        }
        if ($fingerprint !== null && ($ca !== null || !Claims::isFingerprint($fingerprint))) {
            throw new InvalidOption('fingerprint', $ca === null
                ? 'fingerprint is not a SHA-256 fingerprint, 64 hex digits' : 'fingerprint and ca cannot be combined');
        }
        if ($timeout < 1) {
            throw new InvalidOption('timeout', 'timeout is not a number of seconds');
        }
    }

    /** The identity as a payload's ticket. */
    public function identity(): string
    {
        return $this->token !== null ? "PVEAPIToken=$this->token" : (string) $this->ticket;
    }

    /** @return array<string, mixed> what var_dump() shows */
    public function __debugInfo(): array
    {
        return ['host' => $this->host];
    }
}

<?php
// SPDX-License-Identifier: Apache-2.0
declare(strict_types=1);

namespace Proxxy;

/**
 * Which console a link opens, for whom, until when, and how its page shows it. proxxy-payload(7) describes the claims.
 * Secrets are members of an object so that PHP does not write them into the trace of an exception.
 */
final class Console
{
    /**
     * @param int $vmid the guest's number
     * @param string $type "qemu" (a VM) or "lxc" (a container)
     * @param ?string $cluster the name of proxxy's cluster file, without .conf
     * @param ?string $host in place of cluster: a node's name or address, with a port unless it is proxxy's default
     * @param ?string $node the node that has the guest; without it, proxxy asks Proxmox
     * @param ?string $protocol "vnc" (the default) or "term"
     * @param ?int $expiresIn seconds until the link expires; 300 by default, 60 for openConsole()
     * @param ?int $notBefore the Unix time before which the link is not valid
     * @param string|int|null $sub who opens the console, for proxxy's log
     * @param string|bool|null $jti true: the link opens one console only; or the text to use
     * @param ?string $origin the only origin whose pages may use the link
     * @param ?string $client the only address or network from which it may be used
     * @param ?int $sessionMax seconds that the console may last; the page says when they are nearly over
     * @param ?string $ticket "PVEAPIToken=USER@REALM!NAME=SECRET", or a user's ticket, "PVE:…"
     * @param ?string $csrf the CSRFPreventionToken of a user's ticket
     * @param ?string $fingerprint SHA-256 of the certificate that Proxmox must have; needs ticket
     * @param ?string $ca PEM of the CA that must have signed Proxmox's certificate; needs ticket
     * @param ?string $vncticket member ticket of Proxmox's answer; openConsole() sets it and the next three
     * @param string|int|null $port member port of Proxmox's answer
     * @param ?string $password the VNC password of the console
     * @param ?string $user member user of Proxmox's answer, for a terminal
     * @param ?string $title the guest's name on the page
     * @param ?string $again a path of the page's origin that leads to a new link
     * @param list<string> $panel origins, besides the page's own, whose messages the page accepts
     * @param ?string $lang the page's language, such as "de"; the browser's by default
     * @param ?string $layout the guest's keyboard layout for typed text, such as "de"
     * @param bool $viewOnly the page sends no input
     * @param ?string $bar "none": the page has no bar
     */
    public function __construct(
        public readonly int $vmid,
        public readonly string $type,
        public readonly ?string $cluster = null,
        public readonly ?string $host = null,
        public readonly ?string $node = null,
        public readonly ?string $protocol = null,
        public readonly ?int $expiresIn = null,
        public readonly ?int $notBefore = null,
        public readonly string|int|null $sub = null,
        public readonly string|bool|null $jti = null,
        public readonly ?string $origin = null,
        public readonly ?string $client = null,
        public readonly ?int $sessionMax = null,
        #[\SensitiveParameter] public readonly ?string $ticket = null,
        #[\SensitiveParameter] public readonly ?string $csrf = null,
        public readonly ?string $fingerprint = null,
        public readonly ?string $ca = null,
        #[\SensitiveParameter] public readonly ?string $vncticket = null,
        public readonly string|int|null $port = null,
        #[\SensitiveParameter] public readonly ?string $password = null,
        public readonly ?string $user = null,
        public readonly ?string $title = null,
        public readonly ?string $again = null,
        public readonly array $panel = [],
        public readonly ?string $lang = null,
        public readonly ?string $layout = null,
        public readonly bool $viewOnly = false,
        public readonly ?string $bar = null,
    ) {
    }

    /**
     * Returns the claims, in the order of proxxy-payload(7)'s examples.
     *
     * @return array<string, string|int>
     */
    public function claims(int $now, int $expiresIn): array
    {
        $claims = ['vmid' => $this->vmid, 'type' => $this->type, 'cluster' => $this->cluster, 'host' => $this->host,
            'node' => $this->node, 'protocol' => $this->protocol === 'vnc' ? null : $this->protocol, 'iat' => $now,
            'nbf' => $this->notBefore, 'exp' => $now + $expiresIn, 'sub' => $this->sub, 'origin' => $this->origin,
            'client' => $this->client,
            'jti' => $this->jti === true ? bin2hex(random_bytes(16)) : ($this->jti === false ? null : $this->jti),
            'session_max' => $this->sessionMax, 'ticket' => $this->ticket, 'csrf' => $this->csrf,
            'fingerprint' => $this->fingerprint, 'ca' => $this->ca, 'vncticket' => $this->vncticket,
            'port' => $this->port, 'password' => $this->password, 'user' => $this->user];
        return array_filter($claims, static fn ($claim): bool => $claim !== null);
    }

    /** @return array<string, mixed> what var_dump() shows */
    public function __debugInfo(): array
    {
        $secret = array_fill_keys(['ticket', 'csrf', 'vncticket', 'password'], null);
        return array_filter(array_diff_key(get_object_vars($this), $secret), static fn ($value) => $value !== null);
    }
}

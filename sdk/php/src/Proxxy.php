<?php
// SPDX-License-Identifier: Apache-2.0
declare(strict_types=1);

namespace Proxxy;

/**
 * Makes links that open a guest's console. Before, check that the user may open this guest's console: proxxy opens
 * whatever a valid link names.
 */
final class Proxxy
{
    private const OPTIONS = ['nbf' => 'notBefore', 'session_max' => 'sessionMax']; // by their claims
    private const OF_PROXMOX = ['cluster', 'host', 'ticket', 'csrf', 'ca', 'fingerprint', 'vncticket', 'port',
        'password', 'user'];
    private const VMID_MIN = 100; // Proxmox gives no smaller one
    private const EXPIRES_IN = 300; // seconds
    private const EXPIRES_IN_MAX = 86400; // the most that PROXXY_PAYLOAD_LIFETIME allows
    private const TICKET_EXPIRES_IN = 60; // Proxmox itself waits 10 seconds
    private const PAYLOAD_MAX = 15 * 1024; // characters; a request's head may have 16 KiB

    private readonly Keys $keys;

    /**
     * @param string $page the URL of the console pages, with a slash at its end
     * @param ?string $keyFile the file with the key that is shared with proxxy
     * @param ?string $key in place of keyFile: the text of such a file
     * @param ?string $kid the name of the key that seals; the first key by default
     */
    public function __construct(
        private readonly string $page,
        ?string $keyFile = null,
        #[\SensitiveParameter] ?string $key = null,
        ?string $kid = null,
    ) {
        if (!preg_match('~^(https?://[^/?#\s@\\\\]+)/(?:[\x21-\x7e]*/)?$~D', $page, $found)
            || !Host::isOrigin($found[1]) || strpbrk($page, '?#\\"<>') !== false) {
            throw new InvalidOption('page', 'page is not the URL of a folder, like https://panel.example.com/console/');
        }
        if (($keyFile === null) === ($key === null)) {
            throw new InvalidOption('key', 'either key or keyFile is needed');
        }
        $this->keys = $key === null ? Keys::ofFile((string) $keyFile, $kid) : Keys::ofText($key, 'key', $kid);
    }

    /** Returns a link to the console's page. */
    public function link(Console $console): string
    {
        return $this->address($console, $this->payload($console));
    }

    /** Returns only the payload of a link, a JWE. */
    public function payload(Console $console): string
    {
        $expiresIn = $console->expiresIn ?? self::EXPIRES_IN;
        if ($expiresIn < 1 || $expiresIn > self::EXPIRES_IN_MAX) {
            throw new InvalidOption('expiresIn', 'expiresIn is not a number of seconds from 1 to 86400');
        }
        $claims = $console->claims(time(), $expiresIn);
        try {
            Claims::check($claims);
            self::checkUse($claims);
        } catch (InvalidOption $fault) {
            throw new InvalidOption(self::OPTIONS[$fault->option] ?? $fault->option, $fault->getMessage());
        }
        try {
            $text = json_encode($claims, JSON_UNESCAPED_SLASHES | JSON_UNESCAPED_UNICODE | JSON_THROW_ON_ERROR);
        } catch (\JsonException) {
            throw new InvalidOption('sub', 'a claim is not UTF-8');
        }
        $payload = Jwe::seal($text, $this->keys);
        if (strlen($payload) > self::PAYLOAD_MAX) {
            $lengths = array_map(static fn (string|int $claim): int => strlen((string) $claim), $claims);
            $longest = (string) array_search(max($lengths), $lengths, true);
            throw new InvalidOption($longest, "$longest is too long: a link has room for about 11 KiB of claims");
        }
        return $payload;
    }

    /**
     * Returns the claims of a payload. Throws InvalidOption if the keys do not open it, or if proxxy would refuse its
     * text. Does not check times, and knows nothing of proxxy's cluster files. It is for tests.
     *
     * @return array<string|int, mixed>
     */
    public function open(string $payload): array
    {
        $claims = StrictJson::object(Jwe::open($payload, $this->keys));
        if ($claims === null) {
            throw new InvalidOption('payload', 'payload is not a JSON object, or a member is there twice');
        }
        try {
            Claims::check($claims);
        } catch (InvalidOption $fault) {
            throw new InvalidOption('payload', 'payload is refused: ' . $fault->getMessage());
        }
        return $claims;
    }

    /**
     * For a proxxy without a token of its own: asks Proxmox for the console, and returns a link with the answer. It
     * must be opened within 10 seconds, and opens one console. The console needs node, and has neither cluster nor
     * host.
     */
    public function openConsole(Proxmox $proxmox, Console $console): string
    {
        foreach (self::OF_PROXMOX as $option) {
            if ($console->$option !== null) {
                throw new InvalidOption($option, "$option comes from Proxmox: do not set it for openConsole()");
            }
        }
        $known = ['host' => $proxmox->host, 'ticket' => $proxmox->identity(), 'ca' => $proxmox->ca,
            'fingerprint' => $proxmox->fingerprint,
            'expiresIn' => $console->expiresIn ?? self::TICKET_EXPIRES_IN, 'jti' => $console->jti ?: true];
        $options = get_object_vars($console);
        // Checks all options before Proxmox is asked: a console that it opens takes one of its ports.
        $this->payload(new Console(...['vncticket' => 'none', 'port' => 1] + $known + $options));
        $this->fragment($console);
        $opened = new Console(...(new Api($proxmox))->open($console) + $known + $options);
        try {
            return $this->link($opened);
        } catch (InvalidOption $fault) {
            throw new ProxmoxError(200, ProxmoxError::OTHER, "unexpected answer: {$fault->getMessage()}");
        }
    }

    private function address(Console $console, string $payload): string
    {
        $page = $console->protocol === 'term' ? 'xterm.html' : 'novnc.html';
        return "$this->page$page#payload=$payload" . $this->fragment($console);
    }

    /** Returns the page's parameters, each with an ampersand before it. */
    private function fragment(Console $console): string
    {
        $checks = [
            'title' => [self::isText($console->title), 'title is not 1 to 256 bytes of UTF-8'],
            'again' => [preg_match('~^/(?![/\\\\])[\x21-\x5b\x5d-\x7e]*$~D', $console->again ?? '/') === 1,
                "again is not a path of the page's origin, like /console-link/100"],
            'panel' => [array_filter($console->panel, static fn ($origin): bool => !is_string($origin)
                || !preg_match('~^https?://~i', $origin) || !Host::isOrigin($origin)) === [],
                'panel is not a list of origins, like https://panel.example.com'],
            'lang' => [preg_match('/^[A-Za-z]{2,3}(?:-[A-Za-z0-9]{1,8})*$/D', $console->lang ?? 'en') === 1,
                'lang is not a language, like de or pt-BR'],
            'bar' => [in_array($console->bar, [null, 'none'], true), 'bar is not none'],
            'layout' => [preg_match('/^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$/D', $console->layout ?? 'us') === 1,
                'layout is not the name of a keyboard layout, like de'],
        ];
        foreach ($checks as $option => [$valid, $words]) {
            if (!$valid) {
                throw new InvalidOption($option, $words);
            }
        }
        $parameters = [['title', $console->title], ['session_max', $console->sessionMax], ['again', $console->again],
            ...array_map(static fn (string $origin): array => ['panel', $origin], array_values($console->panel)),
            ['lang', $console->lang], ['layout', $console->layout], ['view_only', $console->viewOnly ? 1 : null],
            ['bar', $console->bar]];
        $fragment = '';
        foreach ($parameters as [$name, $value]) {
            $fragment .= $value === null ? '' : "&$name=" . rawurlencode((string) $value);
        }
        return $fragment;
    }

    private static function isText(?string $text): bool
    {
        return $text === null || (strlen($text) <= 256 && preg_match('/^[^\x00-\x1f\x7f]+$/Du', $text) === 1);
    }

    /** Refuses what proxxy accepts and ignores, or can never let pass: a mistake of the backend. */
    private static function checkUse(array $claims): void
    {
        $late = Claims::isLate($claims);
        $terminal = ($claims['protocol'] ?? 'vnc') === 'term';
        $fault = match (true) {
            $claims['vmid'] < self::VMID_MIN => ['vmid', 'vmid is not an integer from 100 to 999999999'],
            !in_array($claims['protocol'] ?? 'vnc', ['vnc', 'term'], true)
                => ['protocol', 'protocol is not vnc or term'],
            str_contains((string) ($claims['sub'] ?? ''), "\0") => ['sub', 'sub has a NUL'],
            !$late && isset($claims['cluster'])
                => ['cluster', 'a payload with a console ticket needs host, not cluster'],
            !$late && isset($claims['csrf']) => ['csrf', 'a payload with a console ticket needs no csrf'],
            isset($claims['password']) && ($late || $terminal)
                => ['password', 'only a payload with a VNC ticket has a password'],
            isset($claims['user']) && ($late || !$terminal)
                => ['user', "only a payload with a terminal's ticket has a user"],
            isset($claims['csrf']) && !isset($claims['ticket']) => ['csrf', 'csrf needs a ticket'],
            isset($claims['ca']) && !Claims::hasCertificate($claims['ca'])
                => ['ca', 'ca holds no certificate that can be read'],
            isset($claims['nbf']) && $claims['nbf'] >= $claims['exp']
                => ['nbf', 'nbf, the time before which it is not valid, is not before its expiry'],
            default => null,
        };
        if ($fault !== null) {
            throw new InvalidOption(...$fault);
        }
    }
}

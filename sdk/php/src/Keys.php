<?php
// SPDX-License-Identifier: Apache-2.0
declare(strict_types=1);

namespace Proxxy;

/** The keys that the backend and proxxy share: "HEX" or "NAME:HEX", separated by commas. */
final class Keys
{
    private const MAX = 8;

    /**
     * @param non-empty-list<array{kid: ?string, key: string}> $keys
     * @param array{kid: ?string, key: string} $sealing
     */
    private function __construct(private readonly array $keys, private readonly array $sealing)
    {
    }

    public static function ofFile(string $file, ?string $kid = null): self
    {
        $text = is_file($file) ? @file_get_contents($file) : false;
        if ($text === false) {
            $why = is_file($file) ? 'this process may not read it' : 'there is no such file';
            throw new KeyFileError("$file: $why");
        }
        return self::ofText($text, $file, $kid);
    }

    /**
     * @param string $place what the error messages name
     * @param ?string $kid the name of the key that seals, or of a key without a name; the first key by default
     */
    public static function ofText(
        #[\SensitiveParameter] string $text,
        string $place = 'key',
        ?string $kid = null,
    ): self {
        $text = trim($text, " \t\r\n");
        $items = $text === '' ? [] : explode(',', preg_replace('/,$/D', '', $text));
        $keys = [];
        foreach ($items as $i => $item) {
            [$hex, $name] = [...array_reverse(explode(':', trim($item, " \t"), 2)), null];
            if ($name !== null && !self::isName($name)) {
                throw new KeyFileError(sprintf('%s: the name of key %d is not 1 to 32 letters, digits, "-", "_" or "."',
                    $place, $i + 1));
            }
            if (!preg_match('/^[0-9a-f]{64}$/Di', $hex)) {
                throw new KeyFileError(sprintf('%s: key %d is not 64 hex digits', $place, $i + 1));
            }
            $keys[] = ['kid' => $name, 'key' => (string) hex2bin($hex)];
        }
        if ($keys === [] || count($keys) > self::MAX) {
            throw new KeyFileError("$place: " . ($keys === [] ? 'there is no key' : 'more than 8 keys'));
        }
        return new self($keys, self::choose($keys, $kid) ?? throw new KeyFileError(
            "$place: no key has the name that kid has"));
    }

    /**
     * @param non-empty-list<array{kid: ?string, key: string}> $keys
     * @return ?array{kid: ?string, key: string}
     */
    private static function choose(array $keys, ?string $kid): ?array
    {
        if ($kid === null) {
            return $keys[0];
        }
        if (!self::isName($kid)) {
            return null;
        }
        $named = array_filter($keys, static fn (array $key): bool => $key['kid'] === $kid)
            ?: array_filter($keys, static fn (array $key): bool => $key['kid'] === null);
        return $named === [] ? null : ['kid' => $kid] + current($named);
    }

    public static function isName(string $text): bool
    {
        return preg_match('/^[A-Za-z0-9_.-]{1,32}$/D', $text) === 1;
    }

    /** @return array{kid: ?string, key: string} */
    public function sealing(): array
    {
        return $this->sealing;
    }

    /**
     * The keys to try for a payload: all without a kid, else those of this name and those without a name.
     *
     * @return list<string>
     */
    public function opening(?string $kid): array
    {
        $usable = array_filter($this->keys, static fn (array $key): bool => $kid === null || $key['kid'] === null
            || $key['kid'] === $kid);
        return array_column($usable, 'key');
    }

    /** @return array<string, int> what var_dump() shows */
    public function __debugInfo(): array
    {
        return ['keys' => count($this->keys)];
    }
}

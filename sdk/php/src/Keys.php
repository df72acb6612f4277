<?php
// SPDX-License-Identifier: Apache-2.0
declare(strict_types=1);

namespace Proxxy;

/** The keys that the backend and proxxy share: "HEX" or "NAME:HEX", separated by commas. The first one seals. */
final class Keys
{
    private const MAX = 8;

    /** @param non-empty-list<array{kid: ?string, key: string}> $keys */
    private function __construct(private readonly array $keys)
    {
    }

    public static function ofFile(string $file): self
    {
        $text = is_file($file) ? @file_get_contents($file) : false;
        if ($text === false) {
            $why = is_file($file) ? 'this process may not read it' : 'there is no such file';
            throw new KeyFileError("$file: $why");
        }
        return self::ofText($text, $file);
    }

    /** @param string $place what the error messages name */
    public static function ofText(#[\SensitiveParameter] string $text, string $place = 'key'): self
    {
        $text = trim($text, " \t\r\n");
        $items = $text === '' ? [] : explode(',', preg_replace('/,$/D', '', $text));
        $keys = [];
        foreach ($items as $i => $item) {
            [$hex, $kid] = [...array_reverse(explode(':', trim($item, " \t"), 2)), null];
            if ($kid !== null && !self::isName($kid)) {
                throw new KeyFileError(sprintf('%s: the name of key %d is not 1 to 32 letters, digits, "-", "_" or "."',
                    $place, $i + 1));
            }
            if (!preg_match('/^[0-9a-f]{64}$/Di', $hex)) {
                throw new KeyFileError(sprintf('%s: key %d is not 64 hex digits', $place, $i + 1));
            }
            $keys[] = ['kid' => $kid, 'key' => (string) hex2bin($hex)];
        }
        return match (true) {
            $keys === [] => throw new KeyFileError("$place: there is no key"),
            count($keys) > self::MAX => throw new KeyFileError("$place: more than " . self::MAX . ' keys'),
            default => new self($keys),
        };
    }

    public static function isName(string $text): bool
    {
        return preg_match('/^[A-Za-z0-9_.-]{1,32}$/D', $text) === 1;
    }

    /** @return array{kid: ?string, key: string} */
    public function sealing(): array
    {
        return $this->keys[0];
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

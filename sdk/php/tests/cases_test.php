<?php
// SPDX-License-Identifier: Apache-2.0
// What all languages make of the same options.
declare(strict_types=1);

use Proxxy\Console;
use Proxxy\InvalidOption;
use Proxxy\KeyFileError;
use Proxxy\Proxxy;
use Proxxy\ProxxyError;

$cases = shared('cases.json');
$proxxy = new Proxxy(PAGE, key: KEY);

/** @return array{string, string, list<array{string, string}>} the page, the payload and the other parameters */
function taken_apart(string $link): array
{
    [$page, $fragment] = explode('#payload=', $link, 2);
    $parameters = explode('&', $fragment);
    $pairs = array_map(static fn (string $pair): array => array_map(rawurldecode(...), explode('=', $pair, 2)),
        array_slice($parameters, 1));
    return [$page, $parameters[0], $pairs];
}

return [
    'makes the links' => static function () use ($cases, $proxxy): void {
        foreach ($cases['links'] as $case) {
            $began = time();
            [$page, $payload, $fragment] = taken_apart($proxxy->link(new Console(...$case['options'])));
            $claims = $proxxy->open($payload);
            same(true, $claims['iat'] >= $began && $claims['iat'] <= time(), $case['name']);
            same($case['lifetime'], $claims['exp'] - $claims['iat'], $case['name']);
            unset($claims['iat'], $claims['exp']);
            ksort($claims);
            ksort($case['claims']);
            same($case['claims'], $claims, $case['name']);
            same(PAGE . $case['page'], $page, $case['name']);
            same($case['fragment'], $fragment, $case['name']);
        }
    },
    'refuses wrong options' => static function () use ($cases, $proxxy): void {
        foreach ($cases['invalid'] as $case) {
            $console = static fn () => $proxxy->link(new Console(...$case['options']));
            $error = thrown(InvalidOption::class, $console, $case['name']);
            same($case['option'], $error->option, "{$case['name']}: {$error->getMessage()}");
            foreach (['6f1c5bd0', 'c2lnbmF0dXJl', KEY] as $secret) {
                same(false, str_contains((string) $error, $secret), $case['name']);
            }
        }
    },
    'reads keys' => static function () use ($cases): void {
        foreach ($cases['keys']['good'] as $case) {
            $proxxy = new Proxxy(PAGE, key: $case['text'], kid: $case['kid'] ?? null);
            $payload = $proxxy->payload(new Console(vmid: 100, type: 'qemu', cluster: 'pve'));
            $header = json_decode(base64_decode(explode('.', $payload)[0]), true);
            same(['alg' => 'dir', 'enc' => 'A256GCM'] + ($case['header'] ? ['kid' => $case['header']] : []), $header);
            same('pve', (new Proxxy(PAGE, key: KEY))->open($payload)['cluster']);
        }
        foreach ($cases['keys']['bad'] as $case) {
            $make = static fn () => new Proxxy(PAGE, key: $case['text'], kid: $case['kid'] ?? null);
            $error = thrown(ProxxyError::class, $make, $case['text']);
            same(false, strlen($case['text']) > 30 && str_contains((string) $error, $case['text']));
        }
    },
    'reads a key file' => static function (): void {
        $file = tempnam(sys_get_temp_dir(), 'key');
        file_put_contents($file, "2026-11:" . KEY . "\n");
        $payload = (new Proxxy(PAGE, $file))->payload(new Console(vmid: 100, type: 'qemu', cluster: 'pve'));
        same(100, (new Proxxy(PAGE, key: KEY))->open($payload)['vmid']);
        file_put_contents($file, substr(KEY, 1));
        $error = thrown(KeyFileError::class, static fn () => new Proxxy(PAGE, $file));
        same("$file: key 1 is not 64 hex digits", $error->getMessage());
        unlink($file);
        thrown(KeyFileError::class, static fn () => new Proxxy(PAGE, $file));
        thrown(KeyFileError::class, static fn () => new Proxxy(PAGE, sys_get_temp_dir()));
        thrown(InvalidOption::class, static fn () => new Proxxy(PAGE));
        thrown(InvalidOption::class, static fn () => new Proxxy(PAGE, $file, KEY));
    },
    'reads pages' => static function () use ($cases): void {
        foreach ($cases['pages']['good'] as $page) {
            $link = (new Proxxy($page, key: KEY))->link(new Console(vmid: 100, type: 'qemu', cluster: 'pve'));
            same(true, str_starts_with($link, "{$page}novnc.html#payload=ey"), $page);
        }
        foreach ($cases['pages']['bad'] as $page) {
            same('page', thrown(InvalidOption::class, static fn () => new Proxxy($page, key: KEY), $page)->option);
        }
    },
    'jti true is another each time' => static function () use ($proxxy): void {
        $jti = static fn (string|bool|null $jti): ?string => $proxxy->open($proxxy->payload(
            new Console(vmid: 100, type: 'qemu', cluster: 'pve', jti: $jti)))['jti'] ?? null;
        same(true, strlen($jti(true)) === 32 && $jti(true) !== $jti(true));
        same([null, null, 'a'], [$jti(null), $jti(false), $jti('a')]);
    },
    'refuses what cannot be a link' => static function () use ($proxxy): void {
        $refused = static function (mixed ...$more) use ($proxxy): string {
            $options = $more + ['vmid' => 100, 'type' => 'qemu', 'cluster' => 'pve'];
            return thrown(InvalidOption::class, static fn () => $proxxy->link(new Console(...$options)))->option;
        };
        same('notBefore', $refused(notBefore: time() + 301));
        same('csrf', $refused(csrf: 'x'));
        same('sub', $refused(sub: "\xFF"));
        same('sub', $refused(sub: str_repeat('x', 15000)));
        same('title', $refused(title: "\xFF"));
        same('panel', $refused(panel: ['ftp://a']));
    },
    'shows no secret' => static function (): void {
        $console = new Console(vmid: 100, type: 'qemu', host: 'pve1', ticket: 'PVEAPIToken=a@pve!b=SECRET');
        $proxxy = new Proxxy(PAGE, key: KEY);
        foreach ([print_r($console, true), print_r($proxxy, true)] as $text) {
            same(false, str_contains($text, 'SECRET') || str_contains($text, hex2bin(KEY)));
        }
    },
];

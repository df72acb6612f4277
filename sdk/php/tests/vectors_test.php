<?php
// SPDX-License-Identifier: Apache-2.0
// The payloads that all languages share.
declare(strict_types=1);

use Proxxy\InvalidOption;
use Proxxy\Jwe;
use Proxxy\Keys;
use Proxxy\Proxxy;

// Whether proxxy knows this cluster or this host, only proxxy can say.
const PROXXY_ONLY = ['cluster that proxxy does not know', 'host that no cluster file lists'];

['vectors' => $vectors, 'refused' => $refused] = shared('vectors.json');
$jwe = array_filter($vectors, static fn (array $vector): bool => $vector['format'] === 'jwe');

return [
    'opens and seals each vector' => static function () use ($jwe): void {
        same(true, count($jwe) >= 15);
        foreach ($jwe as $vector) {
            $kid = json_decode($vector['header'], true)['kid'] ?? null;
            $key = $kid === null ? $vector['key'] : "$kid:{$vector['key']}";
            same($vector['claims'], (new Proxxy(PAGE, key: $key))->open($vector['payload']), $vector['name']);
            $sealed = Jwe::compact($vector['header'], $vector['plaintext'], hex2bin($vector['key']),
                hex2bin($vector['nonce']));
            same($vector['payload'], $sealed, $vector['name']);
            $again = Jwe::seal($vector['plaintext'], Keys::ofText($key));
            same($vector['claims'], (new Proxxy(PAGE, key: $key))->open($again), $vector['name']);
        }
    },
    'refuses what proxxy refuses, and says the same' => static function () use ($refused): void {
        foreach ($refused as $vector) {
            $open = static fn () => (new Proxxy(PAGE, key: $vector['key']))->open($vector['payload']);
            if (in_array($vector['name'], PROXXY_ONLY, true)) {
                $open();
                continue;
            }
            $error = thrown(InvalidOption::class, $open, $vector['name']);
            if ($vector['format'] === 'jwe') {
                same(true, str_contains($error->getMessage(), $vector['why']), "{$vector['name']}: "
                    . $error->getMessage());
            }
        }
    },
    'refuses every changed character and a cut payload' => static function () use ($jwe): void {
        $vector = current($jwe);
        $proxxy = new Proxxy(PAGE, key: $vector['key']);
        for ($at = 0; $at < strlen($vector['payload']); $at++) {
            $changed = $vector['payload'];
            $changed[$at] = $changed[$at] === 'A' ? 'B' : 'A';
            thrown(InvalidOption::class, static fn () => $proxxy->open($changed), "character $at");
            thrown(InvalidOption::class, static fn () => $proxxy->open(substr($changed, 0, $at)), "cut at $at");
        }
    },
    'refuses text that only a lenient parser takes' => static function (): void {
        $key = str_repeat('00', 32);
        $good = '"vmid":100,"type":"qemu","cluster":"pve","exp":4102444800';
        $open = static fn (string $text) => (new Proxxy(PAGE, key: $key))->open(Jwe::seal($text, Keys::ofText($key)));
        same(100, $open("\xEF\xBB\xBF {{$good}}\n")['vmid'], 'byte order mark');
        same(100, $open("{{$good},\"x\":{\"a\":1,\"a\":2}}")['vmid'], 'a member twice, deeper');
        same(100.0, $open(str_replace('100', '1e2', "{{$good}}"))['vmid'], 'an integer, written as a float');
        foreach (["[{$good}]", '', '1', 'null', "{{$good}}x", "{{$good},}", "{{$good},\"\\u0076mid\":1}",
            "{{$good},\"sub\":\"\\u0000\"}", "{{$good},\"sub\":\"\xFF\"}", "{{$good},\"sub\":\"\\ud800\"}",
            "{{$good},\"x\":" . str_repeat('[', 8) . str_repeat(']', 8) . '}', "{{$good},\"jti\":null}",
            "{{$good},\"session_max\":1.5}", str_replace('100', '0', "{{$good}}")] as $text) {
            thrown(InvalidOption::class, static fn () => $open($text), $text);
        }
    },
    'refuses other headers' => static function (): void {
        $key = str_repeat('00', 32);
        $text = '{"vmid":100,"type":"qemu","cluster":"pve","exp":4102444800}';
        $open = static fn (string $header) => (new Proxxy(PAGE, key: "$key,a:$key"))->open(
            Jwe::compact($header, $text, hex2bin($key), str_repeat('n', 12)));
        same('pve', $open('{"alg":"dir","enc":"A256GCM","kid":"b"}')['cluster'], 'a key without a name opens it');
        foreach (['{"alg":"A256KW","enc":"A256GCM"}', '{"alg":"dir","enc":"A128GCM"}', '{"enc":"A256GCM"}',
            '{"alg":"dir","enc":"A256GCM","zip":"DEF"}', '{"alg":"dir","enc":"A256GCM","crit":[]}',
            '{"alg":"dir","enc":"A256GCM","kid":""}', '{"alg":"dir","enc":"A256GCM","kid":1}', '{}', '[]', 'x',
            '{"alg":"dir","alg":"dir","enc":"A256GCM"}'] as $header) {
            thrown(InvalidOption::class, static fn () => $open($header), $header);
        }
    },
];

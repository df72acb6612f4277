<?php
// SPDX-License-Identifier: Apache-2.0
// Checks seal() with the test vectors: php check.php ../../sdk/vectors.json
declare(strict_types=1);
require __DIR__ . '/link.php';

function unseal(string $payload, string $key): mixed
{
    [$protected, , $nonce, $sealed, $tag] = explode('.', $payload);
    [$nonce, $sealed, $tag] = array_map(fn ($part) => base64_decode(strtr($part, '-_', '+/')), [$nonce, $sealed, $tag]);
    // PHP also accepts a truncated tag: the caller must check its length.
    if (strlen($tag) !== 16) {
        return null;
    }
    $text = openssl_decrypt($sealed, 'aes-256-gcm', $key, OPENSSL_RAW_DATA, $nonce, $tag, $protected);
    return $text === false ? null : json_decode($text, true);
}

function check(string $file): string
{
    $vectors = array_filter(json_decode(file_get_contents($file), true)['vectors'], fn ($v) => $v['format'] === 'jwe');
    foreach ($vectors as $v) {
        $key = hex2bin($v['key']);
        $kid = json_decode($v['header'], true)['kid'] ?? null;
        $ours = seal($v['claims'], $kid ? "$kid:{$v['key']}" : $v['key']);
        $exact = jwe($v['header'], $v['plaintext'], $key, hex2bin($v['nonce']));
        $opened = [unseal($v['payload'], $key), unseal($ours, $key)];
        if ($opened !== [$v['claims'], $v['claims']] || $exact !== $v['payload']) {
            throw new RuntimeException("{$v['name']}: differs");
        }
    }
    return $vectors ? count($vectors) . ' vectors' : throw new RuntimeException('no vectors');
}

try {
    echo check($argv[1]), "\n";
} catch (Exception $error) {
    fwrite(STDERR, $error->getMessage() . "\n");
    exit(1);
}

<?php
// SPDX-License-Identifier: Apache-2.0
// Runs all tests of this library: php tests/run.php
declare(strict_types=1);

require __DIR__ . '/../autoload.php';

const PAGE = 'https://panel.example.com/console/';
const KEY = '000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f';

/** A test that does not hold. */
final class Failure extends Exception
{
}

function same(mixed $expected, mixed $actual, string $about = ''): void
{
    if ($expected !== $actual) {
        throw new Failure("$about: expected " . var_export($expected, true) . ', got ' . var_export($actual, true));
    }
}

/**
 * Calls $call, which must throw.
 *
 * @template T of Throwable
 * @param class-string<T> $class
 * @return T
 */
function thrown(string $class, callable $call, string $about = ''): Throwable
{
    try {
        $call();
    } catch (Throwable $error) {
        return $error instanceof $class ? $error : throw new Failure("$about: threw " . $error::class . ': '
            . $error->getMessage());
    }
    throw new Failure("$about: threw nothing");
}

/** @return array<string, mixed> a file that all languages share */
function shared(string $name): array
{
    return json_decode(file_get_contents(dirname(__DIR__, 2) . "/$name"), true, 16, JSON_THROW_ON_ERROR);
}

ini_set('error_log', '');
set_error_handler(static fn (int $level, string $words, string $file, int $line)
    => error_reporting() & $level ? throw new ErrorException($words, 0, $level, $file, $line) : false);
[$passed, $failed] = [0, 0];
foreach (glob(__DIR__ . '/*_test.php') as $file) {
    foreach (require $file as $name => $test) {
        try {
            $test();
            $passed++;
        } catch (Throwable $error) {
            $failed++;
            fprintf(STDERR, "%s: %s: %s: %s\n", basename($file), $name, $error::class, $error->getMessage());
        }
    }
}
echo "$passed passed, $failed failed\n";
exit($failed === 0 && $passed > 0 ? 0 : 1);

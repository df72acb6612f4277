<?php
// SPDX-License-Identifier: Apache-2.0
// Calls the PHP library for tests/test_sdk.py: tests/lib/sdk.py describes requests and answers.
declare(strict_types=1);

use Proxxy\Console;
use Proxxy\InvalidOption;
use Proxxy\KeyFileError;
use Proxxy\Proxmox;
use Proxxy\ProxmoxError;
use Proxxy\Proxxy;

require __DIR__ . '/../../sdk/php/autoload.php';

function result(array $settings, string $call, mixed $options): mixed
{
    $proxxy = new Proxxy(...$settings);
    if ($call === 'openConsole') {
        $proxmox = new Proxmox(...$options['proxmox']);
        unset($options['proxmox']);
        return $proxxy->openConsole($proxmox, new Console(...$options));
    }
    return $proxxy->$call($call === 'open' ? $options : new Console(...$options));
}

while (($line = fgets(STDIN)) !== false) {
    ['settings' => $settings, 'call' => $call, 'options' => $options] = json_decode($line, true, 16);
    try {
        $answer = ['result' => result($settings, $call, $options)];
    } catch (InvalidOption | KeyFileError | ProxmoxError $error) {
        $name = (new ReflectionClass($error))->getShortName();
        $answer = ['error' => ['name' => $name, 'message' => $error->getMessage()] + get_object_vars($error)];
    }
    echo json_encode($answer, JSON_THROW_ON_ERROR), "\n";
}

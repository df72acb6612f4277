<?php
// SPDX-License-Identifier: Apache-2.0
// Loads the classes of this folder for programs that do not use Composer: require '…/sdk/php/autoload.php'
declare(strict_types=1);

spl_autoload_register(static function (string $class): void {
    $file = __DIR__ . '/src/' . substr($class, strlen('Proxxy\\')) . '.php';
    if (str_starts_with($class, 'Proxxy\\') && is_file($file)) {
        require $file;
    }
});

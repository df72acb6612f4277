<?php
// SPDX-License-Identifier: Apache-2.0
// Example of a panel's backend: POST /console-link/TYPE/VMID answers {"link": …}, a link to the guest's console. It
// checks first that the customer may open it. GET / is a small panel, which shows the console in a frame. To try it,
// run php -S 127.0.0.1:8080 console.php
declare(strict_types=1);

use Proxxy\Console;
use Proxxy\InvalidOption;
use Proxxy\Proxxy;

$composer = __DIR__ . '/vendor/autoload.php';
require is_file($composer) ? $composer : __DIR__ . '/../../sdk/php/autoload.php';

/**
 * YOURS TO FILL IN. Returns the customer's name if the session of this request may open the guest's console, else null.
 * proxxy opens whatever a link names: this is the only check. Here, everybody may open the guests in GUESTS.
 */
function customerOf(string $guest): ?string
{
    return in_array($guest, explode(' ', (string) getenv('GUESTS')), true) ? 'alice' : null;
}

function pageOrigin(): string
{
    return preg_replace('~^(https?://[^/]*).*~s', '$1', (string) getenv('PROXXY_PAGE'));
}

/** @return array{int, array<string, string>} the status and the body of the answer */
function openConsole(string $type, int $vmid): array
{
    $customer = customerOf("$type/$vmid");
    if ($customer === null) {
        return [403, ['error' => 'You may not open this console.']];
    }
    $proxxy = new Proxxy(page: (string) getenv('PROXXY_PAGE'), keyFile: (string) getenv('PROXXY_KEY_FILE'));
    $link = $proxxy->link(new Console(vmid: $vmid, type: $type, cluster: (string) getenv('PROXXY_CLUSTER'),
        sub: $customer, origin: pageOrigin(), title: "$type $vmid"));
    return [200, ['link' => $link]];
}

if ($_SERVER['REQUEST_METHOD'] === 'GET' && $_SERVER['REQUEST_URI'] === '/') {
    header('Content-Type: text/html; charset=utf-8');
    showPanel(explode(' ', (string) getenv('GUESTS')));
    return;
}
try {
    [$status, $answer] = $_SERVER['REQUEST_METHOD'] === 'POST'
        && preg_match('~^/console-link/(qemu|lxc)/([0-9]{1,9})$~D', $_SERVER['REQUEST_URI'], $found)
        ? openConsole($found[1], (int) $found[2]) : [404, ['error' => 'There is no such page.']];
} catch (Throwable $error) {
    error_log($error->getMessage()); // no error of the library has a secret in it
    [$status, $answer] = $error instanceof InvalidOption ? [400, ['error' => $error->getMessage()]]
        : [500, ['error' => 'Please try again.']];
}
http_response_code($status);
header('Content-Type: application/json');
header('Cache-Control: no-store');
echo json_encode($answer, JSON_THROW_ON_ERROR);

/** @param list<string> $guests */
function showPanel(array $guests): void
{
    ?>
<!doctype html>
<meta charset="utf-8">
<title>Panel</title>
<p>
<?php foreach (array_map(htmlspecialchars(...), $guests) as $guest): ?>
<button value="<?= $guest ?>"><?= $guest ?></button>
<?php endforeach ?>
</p>
<p id="error" role="alert"></p>
<iframe title="Console" width="1024" height="768" allow="fullscreen; clipboard-read; clipboard-write"></iframe>
<script type="module">
  const frame = document.querySelector("iframe");
  let guest;

  async function open(chosen) {
    guest = chosen;
    const answer = await fetch("/console-link/" + guest, { method: "POST" });
    const { link, error = "" } = await answer.json();
    document.querySelector("#error").textContent = error;
    if (link) frame.src = link;
  }

  for (const button of document.querySelectorAll("button")) button.onclick = () => open(button.value);
  // The console needs another link: the last one has expired, or its user wants to open it again.
  addEventListener("message", ({ source, origin, data }) => {
    const isConsole = source === frame.contentWindow && origin === <?= json_encode(pageOrigin()) ?>;
    if (isConsole && data?.type === "proxxy:again") open(guest);
  });
</script>
    <?php
}

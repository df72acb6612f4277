<?php
// SPDX-License-Identifier: Apache-2.0
declare(strict_types=1);

namespace Proxxy;

/** Parses a JSON object as strictly as proxxy: no member twice, no NUL, at most 8 levels. */
final class StrictJson
{
    private const DEPTH = 8;
    private const BYTE_ORDER_MARK = "\xEF\xBB\xBF";

    /** @return array<string|int, mixed>|null null if the text is not such an object */
    public static function object(string $text): ?array
    {
        if (str_starts_with($text, self::BYTE_ORDER_MARK)) {
            $text = substr($text, strlen(self::BYTE_ORDER_MARK));
        }
        $object = str_starts_with(ltrim($text, " \t\r\n"), '{') ? json_decode($text, true, self::DEPTH) : null;
        return is_array($object) && self::namesDiffer($text) ? $object : null;
    }

    /** Looks at the tokens of valid JSON: at depth 1, a string before a colon is a member's name. */
    private static function namesDiffer(string $text): bool
    {
        preg_match_all('/"(?:[^"\\\\]++|\\\\.)*+"(\s*:)?|[{}\[\]]/s', $text, $tokens, PREG_SET_ORDER);
        $depth = 0;
        $names = [];
        foreach ($tokens as $token) {
            if (str_contains("{[", $token[0])) {
                $depth++;
            } elseif (str_contains("}]", $token[0])) {
                $depth--;
            } else {
                $string = json_decode(isset($token[1]) ? substr($token[0], 0, -strlen($token[1])) : $token[0]);
                if (str_contains($string, "\0") || (isset($token[1]) && $depth === 1 && isset($names["=$string"]))) {
                    return false;
                }
                if (isset($token[1]) && $depth === 1) {
                    $names["=$string"] = true;
                }
            }
        }
        return true;
    }
}

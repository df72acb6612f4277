#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Checks seal of link.sh and seal_cbc of ticket.sh with the test vectors: check.sh ../../sdk/vectors.json
set -eu
here=$(dirname "$0")
# shellcheck source=examples/shell/link.sh
. "$here/link.sh"
# shellcheck source=examples/shell/ticket.sh
. "$here/ticket.sh"

# of NAME: a member of $vector.
of() {
	printf %s "$vector" | jq -j ".$1"
}

# Prints the JSON of standard input with its members in order.
sorted() {
	jq -cS .
}

unseal() {
	key=$(of key | tr a-f A-F | basenc --base16 -d | basenc --base64url | tr -d '=\n')
	jose jwe dec -i - -k /dev/fd/3 -O - 3<<-END
		{"kty":"oct","k":"$key"}
	END
}

check_jwe() {
	kid=$(of header | jq -r '.kid // empty')
	ours=$(of plaintext | seal "${kid:+$kid:}$(of key)")
	[ "$(of payload | unseal | sorted)" = "$(of claims | sorted)" ] &&
		[ "$(printf %s "$ours" | unseal | sorted)" = "$(of claims | sorted)" ]
}

check_cbc() {
	text=$(of payload | cut -d: -f2 | tr a-f A-F | basenc --base16 -d |
		openssl enc -d -aes-256-cbc -K "$(of key)" -iv "$(of iv)")
	[ "$(printf %s "$text" | sorted)" = "$(of claims | sorted)" ] &&
		[ "$(of plaintext | seal_cbc "$(of key)" "$(of iv)")" = "$(of payload)" ]
}

jq -c '.vectors[]' "$1" | {
	checked=0
	while read -r vector; do
		"check_$(of format)" || fail "$(of name): differs"
		checked=$((checked + 1))
	done
	[ "$checked" -gt 0 ] || fail 'no vectors'
	echo "$checked vectors"
}

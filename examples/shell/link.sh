#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Example of the backend's part, with jq and jose: it makes a link that opens a guest's console until it expires. It
# does not talk to Proxmox: proxxy asks Proxmox each time the link is opened. As a command: link.sh VMID qemu|lxc USER
# Before, check that USER may open the guest's console.
#
# proxxy-url does the same with its own settings: proxxy-url --vmid VMID
set -eu

# seal KEYS: seals standard input with the first of the keys, which are "HEX" or "NAME:HEX", separated by commas. No
# process has the key as an argument, where every user of this machine could see it: printf is a builtin.
seal() {
	key=${1%%,*}
	case $key in *:*) kid=',"kid":"'${key%%:*}'"' ;; *) kid= ;; esac
	key=${key##*:}
	printf %s "$key" | grep -Eqx '[0-9A-Fa-f]{64}' || { echo 'the key is not 64 hex digits' >&2 && return 1; }
	key=$(printf %s "$key" | tr a-f A-F | basenc --base16 -d | basenc --base64url | tr -d '=\n')
	jose jwe enc -I - -k /dev/fd/3 -i '{"protected":{"alg":"dir","enc":"A256GCM"'"$kid"'}}' -c -o - 3<<-END
		{"kty":"oct","k":"$key"}
	END
}

# Optional: jti, a unique text, if the link shall open one console only; origin, the panel's, so that only its pages can
# use the link. A terminal: protocol "term", and xterm.html. host may replace cluster.
console_link() {
	payload=$(jq -cn --argjson vmid "$1" --arg type "$2" --arg sub "$3" --arg cluster "$PROXXY_CLUSTER" \
		'(now | floor) as $now | {$vmid, $type, $cluster, $sub, iat: $now, exp: ($now + 300)}' |
		seal "$(cat "$PROXXY_KEY_FILE")") || return 1
	printf '%snovnc.html#payload=%s\n' "$PROXXY_PAGE" "$payload"
}

case ${0##*/} in link.sh) console_link "$@" ;; esac

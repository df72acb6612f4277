#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Example of the backend's part if proxxy shall have no token of its own, with curl, jq, openssl and the original's
# payload, <iv hex>:<AES-256-CBC hex>: it asks Proxmox for a guest's console, seals the answer, and makes a link for
# noVNC. The link must be opened within 10 seconds. In this format, proxxy does not log in to the console: the link also
# has the password. As a command: ticket.sh NODE VMID qemu|lxc
#
# "openssl enc -K" shows the key to every user of this machine while it runs. If others log in, use "proxxy-url seal"
# instead, which reads the members from standard input. No process has the token as an argument: printf is a builtin.
set -eu

fail() {
	echo "$*" >&2
	exit 1
}

# seal_cbc KEY IV: writes standard input as a payload.
seal_cbc() {
	printf '%s:' "$2"
	openssl enc -aes-256-cbc -K "$1" -iv "$2" | od -An -v -tx1 | tr -d ' \n'
}

# Posts $form, and puts Proxmox's answer into $status and $answer.
ask() {
	# -q: no .curlrc may switch the verification off.
	answer=$(printf 'Authorization: PVEAPIToken=%s\n' "$(cat "$PROXMOX_TOKEN_FILE")" |
		curl -q -sS -i --suppress-connect-headers -m 30 ${PROXMOX_CA_FILE:+--cacert "$PROXMOX_CA_FILE"} -H @- \
			-d "$form" "https://$address/api2/json/nodes/$node/$type/$vmid/vncproxy" |
		tr -d '\r')
	[ -n "$answer" ] || exit 1 # curl has printed the reason
	status=$(printf '%s\n' "$answer" | sed -n '1s/^[^ ]* //p')
	answer=$(printf '%s\n' "$answer" | sed '1,/^$/d')
}

open_console() {
	node=$1 vmid=$2 type=$3
	keys=$(cat "$PROXXY_KEY_FILE")
	key=${keys%%,*} key=${key##*:} # seals with the first key, whatever its name
	printf %s "$key" | grep -Eqx '[0-9A-Fa-f]{64}' || fail 'the key is not 64 hex digits'

	case $PROXMOX_HOST in
	\[*]:*) address=$PROXMOX_HOST ;;
	\[*) address=$PROXMOX_HOST:8006 ;;
	*:*:*) address="[$PROXMOX_HOST]:8006" ;; # IPv6: no part of it is a port
	*:*) address=$PROXMOX_HOST ;;
	*) address=$PROXMOX_HOST:8006 ;;
	esac
	form=websocket=1
	[ "$type" = lxc ] || form="$form&generate-password=1" # a container's ticket is its password
	ask
	# Since 9.2 Proxmox always sends a VM's password, and plans to remove the parameter.
	case $status$answer in 400*\"generate-password\"*) form=websocket=1 && ask ;; esac
	[ "${status%% *}" = 200 ] || fail "Proxmox: $status"

	payload=$(printf %s "$answer" | jq -cj --argjson vmid "$vmid" --arg type "$type" --arg node "$node" \
		--rawfile token "$PROXMOX_TOKEN_FILE" '.data | {
		$vmid, $type, host: env.PROXMOX_HOST, $node, ticket: ("PVEAPIToken=" + ($token | rtrimstr("\n"))),
		vncticket: .ticket, port }' | seal_cbc "$key" "$(openssl rand -hex 16)")
	printf %s "$answer" | payload=$payload jq -r '.data |
		"\(env.PROXXY_PAGE)novnc.html#payload=\(env.payload | @uri)&password=\(.password // .ticket | @uri)"'
}

case ${0##*/} in ticket.sh) open_console "$@" ;; esac

#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# José, the C library's command: jose.sh seal|open KID, as jose.mjs.
set -eu
k=$(printf %s "$SIGNATURE_KEY" | xxd -r -p | base64 -w0 | tr '+/' '-_' | tr -d =)
jwk='{"kty":"oct","k":"'$k'"}'
umask 077
file=$(mktemp)
trap 'rm -f "$file"' EXIT
printf %s "$jwk" >"$file"
if [ "$1" = seal ]; then
	jose jwe enc -I - -k "$file" -c -o - -i '{"protected":{"alg":"dir","enc":"A256GCM","kid":"'"$2"'"}}'
else
	jose jwe dec -i - -k "$file" -O -
fi

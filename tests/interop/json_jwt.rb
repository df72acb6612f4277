# SPDX-License-Identifier: Apache-2.0
# Ruby's json-jwt: ruby json_jwt.rb seal|open KID, as jose.mjs.
require "json/jwt"

key = [ENV.fetch("SIGNATURE_KEY")].pack("H*")
input = $stdin.read.strip
if ARGV[0] == "seal"
  jwe = JSON::JWE.new(input)
  jwe.alg = :dir
  jwe.enc = :A256GCM
  jwe.kid = ARGV[1]
  puts jwe.encrypt!(key).to_s
else
  puts JSON::JWT.decode_compact_serialized(input, key).plain_text
end

// SPDX-License-Identifier: Apache-2.0

package proxxy

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"strings"
	"unicode/utf8"
)

// JWE in compact serialization with "dir" and "A256GCM" (RFC 7516, RFC 7518): AES-GCM with the header as additional
// data. A library for JOSE would be the only dependency.

const (
	headerMax = 1024 // bytes
	nonceLen  = 12   // bytes
	tagLen    = 16   // bytes
)

var base64url = base64.RawURLEncoding.Strict()

func gcm(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

func sealJWE(text []byte, k key) (string, error) {
	header, err := json.Marshal(struct {
		Alg string `json:"alg"`
		Enc string `json:"enc"`
		Kid string `json:"kid,omitempty"`
	}{"dir", "A256GCM", k.kid})
	if err != nil {
		return "", err
	}
	nonce := make([]byte, nonceLen)
	if _, err := rand.Read(nonce); err != nil {
		return "", err
	}
	return compactJWE(header, text, k.bytes, nonce)
}

// compactJWE must never have the same nonce twice with one key: only tests choose it.
func compactJWE(header, text, key, nonce []byte) (string, error) {
	aead, err := gcm(key)
	if err != nil {
		return "", err
	}
	protected := base64url.EncodeToString(header)
	sealed := aead.Seal(nil, nonce, text, []byte(protected))
	end := len(sealed) - tagLen
	return strings.Join([]string{protected, "", base64url.EncodeToString(nonce),
		base64url.EncodeToString(sealed[:end]), base64url.EncodeToString(sealed[end:])}, "."), nil
}

// openJWE returns the text of a payload.
func openJWE(payload string, k *keys) ([]byte, error) {
	parts := strings.Split(payload, ".")
	if len(parts) != 5 {
		return nil, wrongPayload("it does not have five parts with dots between them")
	}
	kid, err := readHeader(parts[0])
	if err != nil {
		return nil, err
	}
	nonce, _ := decodePart(parts[2])
	tag, _ := decodePart(parts[4])
	if parts[1] != "" || len(nonce) != nonceLen || len(tag) != tagLen {
		return nil, wrongPayload("it may be cut off: it needs an empty encrypted key, a nonce of 12 and " +
			"a tag of 16 bytes, in base64url")
	}
	sealed, ok := decodePart(parts[3])
	if !ok || len(sealed) == 0 {
		return nil, wrongPayload("its ciphertext is not base64url")
	}
	reason := "its kid is not the name of a key here"
	for _, one := range k.opening(kid) {
		aead, err := gcm(one.bytes)
		if err != nil {
			return nil, err
		}
		text, err := aead.Open(nil, nonce, append(sealed[:len(sealed):len(sealed)], tag...), []byte(parts[0]))
		if err == nil {
			return text, nil
		}
		reason = "not made with our key, or changed on its way"
	}
	return nil, wrongPayload(reason)
}

// decodePart does not ignore line feeds, as package base64 does.
func decodePart(text string) ([]byte, bool) {
	bytes, err := base64url.DecodeString(text)
	if err != nil || strings.ContainsAny(text, "\r\n") {
		return nil, false
	}
	return bytes, true
}

// readHeader checks a protected header, and returns its kid or "".
func readHeader(protected string) (string, error) {
	text, ok := decodePart(protected)
	header, isObject := parseObject(text)
	kid, _ := header["kid"].(string)
	_, hasZip := header["zip"]
	_, hasCrit := header["crit"]
	_, hasKid := header["kid"]
	reason := ""
	switch {
	case !ok || !isObject || len(text) > headerMax:
		reason = "its header is not JSON in base64url"
	case header["alg"] != "dir":
		reason = "its alg is not dir"
	case header["enc"] != "A256GCM":
		reason = "its enc is not A256GCM"
	case hasZip || hasCrit:
		reason = "its header requires an extension, zip or crit"
	case hasKid && (kid == "" || len(kid) > 32 || !isPlain(kid)):
		reason = "its kid is not the name of a key here"
	default:
		return kid, nil
	}
	return "", wrongPayload(reason)
}

// isPlain is true for UTF-8 without control characters.
func isPlain(text string) bool {
	return utf8.ValidString(text) && strings.IndexFunc(text, func(r rune) bool { return r < 0x20 || r == 0x7F }) < 0
}

// SPDX-License-Identifier: Apache-2.0

// Example of the backend's part: it makes a link that opens a guest's console until it expires. It does not talk to
// Proxmox: proxxy asks Proxmox each time the link is opened. Copy ConsoleLink, Seal, jwe, gcm and base64url. As a
// command: go run . VMID qemu|lxc USER
//
// It uses only the standard library: a JWE of "dir" and "A256GCM" is AES-GCM with the header as additional data, and a
// library for JOSE would be the only dependency.
package main

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"regexp"
	"strings"
	"time"
)

// ConsoleLink returns a link for the user. Before, check that this user may open the guest's console.
func ConsoleLink(vmid int, kind, user, cluster, keys, page string) (string, error) {
	now := time.Now().Unix()
	payload, err := Seal(map[string]any{"vmid": vmid, "type": kind, "cluster": cluster, "sub": user,
		"iat": now, "exp": now + 300}, keys)
	// Optional: jti, a unique text, if the link shall open one console only; origin, the panel's, so that only its
	// pages can use the link. A terminal: protocol "term", and xterm.html. host may replace cluster.
	return page + "novnc.html#payload=" + payload, err
}

// Seal uses the first of keys, which are "HEX" or "NAME:HEX", separated by commas.
func Seal(claims map[string]any, keys string) (string, error) {
	pattern := regexp.MustCompile(`(?i)^(?:([\w.-]+):)?([0-9a-f]{64})(?:,|$)`)
	found := pattern.FindStringSubmatch(strings.TrimSpace(keys))
	if found == nil {
		return "", errors.New("the key is not 64 hex digits")
	}
	key, _ := hex.DecodeString(found[2])
	header, _ := json.Marshal(struct {
		Alg string `json:"alg"`
		Enc string `json:"enc"`
		Kid string `json:"kid,omitempty"`
	}{"dir", "A256GCM", found[1]})
	nonce := make([]byte, 12)
	if _, err := rand.Read(nonce); err != nil {
		return "", err
	}
	text, err := json.Marshal(claims)
	return jwe(header, text, key, nonce), err
}

// jwe makes the compact serialization (RFC 7516). Never use a nonce twice with one key.
func jwe(header, text, key, nonce []byte) string {
	protected := base64url.EncodeToString(header)
	sealed := gcm(key).Seal(nil, nonce, text, []byte(protected))
	end := len(sealed) - 16 // the tag begins here
	return strings.Join([]string{protected, "", base64url.EncodeToString(nonce),
		base64url.EncodeToString(sealed[:end]), base64url.EncodeToString(sealed[end:])}, ".")
}

var base64url = base64.RawURLEncoding

func gcm(key []byte) cipher.AEAD {
	block, _ := aes.NewCipher(key) // 32 bytes: cannot fail
	aead, _ := cipher.NewGCM(block)
	return aead
}

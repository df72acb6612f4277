// SPDX-License-Identifier: Apache-2.0

package proxxy

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"strings"
)

const keysMax = 8

var (
	keyName = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,32}$`)
	keyHex  = regexp.MustCompile(`^[0-9A-Fa-f]{64}$`)
)

type key struct {
	kid   string // "" if it has no name
	bytes []byte
}

// keys are those that the backend and proxxy share: "HEX" or "NAME:HEX", separated by commas.
type keys struct {
	all     []key
	sealing key
}

func readKeys(file, kid string) (*keys, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		reason := err.Error()
		var where *fs.PathError
		if errors.As(err, &where) {
			reason = where.Err.Error()
		}
		return nil, &KeyFileError{File: file, Reason: reason, Err: err}
	}
	return parseKeys(string(text), file, kid)
}

// parseKeys chooses the key with the name kid for sealing, or a key without a name; without kid, the first key.
func parseKeys(text, file, kid string) (*keys, error) {
	text = strings.TrimSuffix(strings.Trim(text, " \t\r\n"), ",")
	var parsed keys
	if text == "" {
		return nil, &KeyFileError{File: file, Reason: "there is no key"}
	}
	for i, item := range strings.Split(text, ",") {
		item = strings.Trim(item, " \t")
		name, digits, named := strings.Cut(item, ":")
		if !named {
			name, digits = "", item
		}
		if named && !keyName.MatchString(name) {
			return nil, &KeyFileError{File: file, Reason: fmt.Sprintf(
				`the name of key %d is not 1 to 32 letters, digits, "-", "_" or "."`, i+1)}
		}
		if !keyHex.MatchString(digits) {
			return nil, &KeyFileError{File: file, Reason: fmt.Sprintf("key %d is not 64 hex digits", i+1)}
		}
		bytes, _ := hex.DecodeString(digits)
		parsed.all = append(parsed.all, key{name, bytes})
	}
	if len(parsed.all) > keysMax {
		return nil, &KeyFileError{File: file, Reason: fmt.Sprintf("more than %d keys", keysMax)}
	}
	if kid == "" { // the first key
		parsed.sealing = parsed.all[0]
		return &parsed, nil
	}
	for _, name := range []string{kid, ""} {
		for _, k := range parsed.all {
			if k.kid == name && keyName.MatchString(kid) {
				parsed.sealing = key{kid, k.bytes}
				return &parsed, nil
			}
		}
	}
	return nil, &KeyFileError{File: file, Reason: "no key has the name that Kid has"}
}

// opening returns the keys to try for a payload: all without a kid, else those of this name and those without a name.
func (k *keys) opening(kid string) (usable []key) {
	for _, one := range k.all {
		if kid == "" || one.kid == "" || one.kid == kid {
			usable = append(usable, one)
		}
	}
	return usable
}

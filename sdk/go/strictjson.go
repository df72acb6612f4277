// SPDX-License-Identifier: Apache-2.0

package proxxy

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"unicode/utf8"
)

const jsonDepth = 8 // nested objects and arrays

// parseObject parses a JSON object as strictly as proxxy: no member twice, no NUL, no half of a surrogate pair, at most
// 8 levels. An integer becomes an int64, another number a float64.
func parseObject(text []byte) (map[string]any, bool) {
	text = bytes.TrimPrefix(text, []byte("\xEF\xBB\xBF"))
	var object map[string]any
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	if !utf8.Valid(text) || decoder.Decode(&object) != nil || object == nil || !namesDiffer(text) {
		return nil, false
	}
	if _, err := decoder.Token(); err != io.EOF {
		return nil, false
	}
	for name, value := range object {
		object[name] = number(value)
	}
	return object, true
}

func number(value any) any {
	text, ok := value.(json.Number)
	if !ok {
		return value
	}
	if integer, err := text.Int64(); err == nil {
		return integer
	}
	float, _ := text.Float64() // too large: infinite
	return float
}

// namesDiffer looks at the tokens of valid JSON that begins with an object. It also finds what package json accepts or
// replaces.
func namesDiffer(text []byte) bool {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	names := map[string]bool{}
	depth, at, replaced := 0, 0, 0 // at: how many names and values of the outermost object were seen
	for {
		token, err := decoder.Token()
		if err != nil {
			escapes := bytes.Count(bytes.ToLower(text), []byte(`\ufffd`))
			written := bytes.Count(text, []byte("\uFFFD")) + escapes
			return err == io.EOF && replaced <= written
		}
		delim, isDelim := token.(json.Delim)
		if isDelim && (delim == '}' || delim == ']') {
			depth--
			continue
		}
		name, isString := token.(string)
		replaced += strings.Count(name, "\uFFFD")
		if isString && strings.Contains(name, "\x00") {
			return false
		}
		if depth == 1 {
			if at%2 == 0 && names[name] {
				return false
			}
			if at%2 == 0 {
				names[name] = true
			}
			at++
		}
		if isDelim {
			depth++
		}
		if depth > jsonDepth {
			return false
		}
	}
}

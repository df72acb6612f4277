// SPDX-License-Identifier: Apache-2.0

package proxxy

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

const (
	testPage = "https://panel.example.com/console/"
	testKey  = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
)

// vector is one of the payloads that all languages share.
type vector struct {
	Name, Format, Key, Nonce, Header, Why, Payload string
	Plaintext                                      string
}

// shared reads a file that all languages share.
func shared(t *testing.T, name string, into any) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", name))
	if err == nil {
		err = json.Unmarshal(text, into)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func vectors(t *testing.T) (good, refused []vector) {
	t.Helper()
	var all struct{ Vectors, Refused []vector }
	shared(t, "vectors.json", &all)
	for _, v := range all.Vectors {
		if v.Format == "jwe" {
			good = append(good, v)
		}
	}
	if len(good) < 15 || len(all.Refused) < 15 {
		t.Fatal("vectors are missing")
	}
	return good, all.Refused
}

func newProxxy(t *testing.T, key string) *Proxxy {
	t.Helper()
	made, err := New(Options{Page: testPage, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func (v *vector) keys(t *testing.T) string {
	t.Helper()
	var header struct{ Kid string }
	if err := json.Unmarshal([]byte(v.Header), &header); err != nil {
		t.Fatal(err)
	}
	return strings.TrimPrefix(header.Kid+":"+v.Key, ":")
}

func TestOpensAndSealsVectors(t *testing.T) {
	good, _ := vectors(t)
	for _, v := range good {
		expected, ok := parseObject([]byte(v.Plaintext))
		if !ok {
			t.Fatalf("%s: not an object", v.Name)
		}
		key, _ := hex.DecodeString(v.Key)
		nonce, _ := hex.DecodeString(v.Nonce)
		exact, err := compactJWE([]byte(v.Header), []byte(v.Plaintext), key, nonce)
		if err != nil || exact != v.Payload {
			t.Errorf("%s: sealed differently: %v", v.Name, err)
		}
		proxxy := newProxxy(t, v.keys(t))
		own, err := sealJWE([]byte(v.Plaintext), proxxy.keys.sealing)
		if err != nil {
			t.Fatal(err)
		}
		for _, payload := range []string{v.Payload, own} {
			claims, err := proxxy.Open(payload)
			if err != nil || !reflect.DeepEqual(claims, expected) {
				t.Errorf("%s: %v, %v", v.Name, claims, err)
			}
		}
	}
}

// Whether proxxy knows this cluster or this host, only proxxy can say.
var proxxyOnly = map[string]bool{"cluster that proxxy does not know": true, "host that no cluster file lists": true}

func TestRefusesWhatProxxyRefuses(t *testing.T) {
	_, refused := vectors(t)
	for _, v := range refused {
		_, err := newProxxy(t, v.Key).Open(v.Payload)
		var invalid *InvalidOptionError
		if proxxyOnly[v.Name] {
			if err != nil {
				t.Errorf("%s: %v", v.Name, err)
			}
		} else if !errors.As(err, &invalid) || (v.Format == "jwe" && !strings.Contains(invalid.Reason, v.Why)) {
			t.Errorf("%s: %v instead of %q", v.Name, err, v.Why)
		}
	}
}

func TestRefusesChangedAndCutPayloads(t *testing.T) {
	good, _ := vectors(t)
	proxxy := newProxxy(t, good[0].Key)
	for at := range good[0].Payload {
		changed := []byte(good[0].Payload)
		changed[at] ^= 1
		for _, payload := range []string{string(changed), string(changed[:at]),
			good[0].Payload[:at] + "\n" + good[0].Payload[at:]} {
			var invalid *InvalidOptionError
			if _, err := proxxy.Open(payload); !errors.As(err, &invalid) {
				t.Fatalf("%d: %q: %v", at, payload, err)
			}
		}
	}
}

func TestIsStrictAboutJSON(t *testing.T) {
	const good = `"vmid":100,"type":"qemu","cluster":"pve","exp":4102444800`
	proxxy := newProxxy(t, testKey)
	open := func(text string) error {
		payload, err := sealJWE([]byte(text), proxxy.keys.sealing)
		if err != nil {
			t.Fatal(err)
		}
		_, err = proxxy.Open(payload)
		return err
	}
	for _, text := range []string{"\xEF\xBB\xBF {" + good + "}\n", "{" + good + `,"x":{"a":1,"a":[2]},"y":"x"}`,
		"{" + strings.Replace(good, "100", "1e2", 1) + "}", "{" + good + `,"sub":"\ufffd\ud83d\ude00"}`,
		"{" + good + `,"x":` + strings.Repeat("[", 7) + strings.Repeat("]", 7) + "}"} {
		if err := open(text); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	for _, text := range []string{"[" + good + "]", "", "1", "null", "{" + good + "}x", "{" + good + ",}",
		"{" + good + `,"\u0076mid":1}`, "{" + good + `,"sub":"\u0000"}`, "{" + good + ",\"sub\":\"\xFF\"}",
		"{" + good + `,"sub":"\ud800"}`, "{" + good + `,"jti":null}`, "{" + good + `,"session_max":1.5}`,
		"{" + good + `,"x":` + strings.Repeat("[", 8) + strings.Repeat("]", 8) + "}",
		"{" + strings.Replace(good, "100", "0", 1) + "}",
		"{" + strings.Replace(good, "100", "1e400", 1) + "}"} {
		var invalid *InvalidOptionError
		if err := open(text); !errors.As(err, &invalid) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestIsStrictAboutHeaders(t *testing.T) {
	const text = `{"vmid":100,"type":"qemu","cluster":"pve","exp":4102444800}`
	proxxy := newProxxy(t, testKey+",a:"+testKey)
	open := func(header string) error {
		key, nonce := proxxy.keys.sealing.bytes, make([]byte, nonceLen)
		payload, err := compactJWE([]byte(header), []byte(text), key, nonce)
		if err != nil {
			t.Fatal(err)
		}
		_, err = proxxy.Open(payload)
		return err
	}
	if err := open(`{"alg":"dir","enc":"A256GCM","kid":"b"}`); err != nil {
		t.Errorf("a key without a name does not open it: %v", err)
	}
	for _, header := range []string{`{"alg":"A256KW","enc":"A256GCM"}`, `{"alg":"dir","enc":"A128GCM"}`, `{}`,
		`[]`, `x`, `{"enc":"A256GCM"}`, `{"alg":"dir","enc":"A256GCM","zip":"DEF"}`,
		`{"alg":"dir","enc":"A256GCM","crit":[]}`,
		`{"alg":"dir","enc":"A256GCM","kid":""}`, `{"alg":"dir","enc":"A256GCM","kid":1}`,
		`{"alg":"dir","alg":"dir","enc":"A256GCM"}`} {
		var invalid *InvalidOptionError
		if err := open(header); !errors.As(err, &invalid) {
			t.Errorf("%s: %v", header, err)
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

package proxxy

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// cases are what all languages make of the same options.
type cases struct {
	Links []struct {
		Name, Page string
		Options    map[string]any
		Lifetime   int64
		Claims     map[string]any
		Fragment   [][2]string
	}
	Invalid []struct {
		Name, Option string
		Options      map[string]any
	}
	Keys struct {
		Good, Bad []struct{ Text, Kid, Header string }
	}
	Pages struct{ Good, Bad []string }
}

// console makes a Console of the options. It is false if Go cannot write them: an empty field is an option that is not
// set.
func console(t *testing.T, options map[string]any) (made Console, ok bool) {
	t.Helper()
	for name, value := range options {
		field := reflect.ValueOf(&made).Elem().FieldByNameFunc(func(field string) bool {
			return strings.EqualFold(field, name)
		})
		text, number := fmt.Sprint(value), int64(0)
		if float, isNumber := value.(float64); isNumber {
			number = int64(float)
			text = fmt.Sprint(number)
		}
		if text == "" || text == "0" && name != "vmid" {
			return made, false
		}
		if field.Kind() == reflect.Interface {
			if _, isText := value.(string); !isText {
				value = number
			}
			field.Set(reflect.ValueOf(value))
			continue
		}
		switch field.Interface().(type) {
		case string:
			field.SetString(text)
		case int:
			field.SetInt(number)
		case bool:
			field.SetBool(value == true)
		case time.Duration:
			field.SetInt(number * int64(time.Second))
		case time.Time:
			field.Set(reflect.ValueOf(time.Unix(number, 0)))
		case []string:
			for _, one := range value.([]any) {
				made.Panel = append(made.Panel, one.(string))
			}
		default:
			t.Fatalf("no field for %s", name)
		}
	}
	return made, true
}

func TestMakesTheLinks(t *testing.T) {
	var all cases
	shared(t, "cases.json", &all)
	proxxy := newProxxy(t, testKey)
	for _, c := range all.Links {
		options, ok := console(t, c.Options)
		link, err := proxxy.Link(options)
		address, fragment, _ := strings.Cut(link, "#payload=")
		payload, rest, _ := strings.Cut(fragment, "&")
		claims, openErr := proxxy.Open(payload)
		if !ok || err != nil || openErr != nil || address != testPage+c.Page {
			t.Errorf("%s: %v %v %v %s", c.Name, ok, err, openErr, address)
			continue
		}
		iat, exp := claims["iat"].(int64), claims["exp"].(int64)
		if exp-iat != c.Lifetime || iat > time.Now().Unix() || iat < time.Now().Unix()-60 {
			t.Errorf("%s: iat %d, exp %d", c.Name, iat, exp)
		}
		delete(claims, "iat")
		delete(claims, "exp")
		if fmt.Sprint(claims) != fmt.Sprint(whole(c.Claims)) {
			t.Errorf("%s: %v instead of %v", c.Name, claims, c.Claims)
		}
		var parameters []string
		for _, pair := range c.Fragment {
			value := strings.ReplaceAll(url.QueryEscape(pair[1]), "+", "%20")
			parameters = append(parameters, pair[0]+"="+value)
		}
		if rest != strings.Join(parameters, "&") {
			t.Errorf("%s: %s", c.Name, rest)
		}
	}
}

// whole turns the numbers of package json into integers.
func whole(claims map[string]any) map[string]any {
	for name, value := range claims {
		if number, ok := value.(float64); ok {
			claims[name] = int64(number)
		}
	}
	return claims
}

func TestRefusesWrongOptions(t *testing.T) {
	var all cases
	shared(t, "cases.json", &all)
	proxxy := newProxxy(t, testKey)
	tried := 0
	for _, c := range all.Invalid {
		options, ok := console(t, c.Options)
		if !ok {
			continue
		}
		tried++
		_, err := proxxy.Link(options)
		var invalid *InvalidOptionError
		if !errors.As(err, &invalid) || !strings.EqualFold(invalid.Option, c.Option) {
			t.Errorf("%s: %v instead of %s", c.Name, err, c.Option)
		} else if _, exists := reflect.TypeOf(options).FieldByName(invalid.Option); !exists {
			t.Errorf("%s: no field %s", c.Name, invalid.Option)
		}
		for _, secret := range []string{"6f1c5bd0", "c2lnbmF0dXJl", testKey} {
			if strings.Contains(fmt.Sprintf("%v %+v %#v", err, err, err), secret) {
				t.Errorf("%s: a secret in %#v", c.Name, err)
			}
		}
	}
	if tried < 100 {
		t.Errorf("only %d of %d cases", tried, len(all.Invalid))
	}
}

func TestReadsKeys(t *testing.T) {
	var all cases
	shared(t, "cases.json", &all)
	for _, c := range all.Keys.Good {
		proxxy, err := New(Options{Page: testPage, Key: c.Text, Kid: c.Kid})
		if err != nil {
			t.Errorf("%q: %v", c.Text, err)
			continue
		}
		payload, err := proxxy.Payload(Console{VMID: 100, Type: "qemu", Cluster: "pve"})
		header, _ := base64url.DecodeString(strings.Split(payload, ".")[0])
		expected := `{"alg":"dir","enc":"A256GCM"}`
		if c.Header != "" {
			expected = strings.Replace(expected, "}", `,"kid":"`+c.Header+`"}`, 1)
		}
		_, openErr := newProxxy(t, testKey).Open(payload)
		if err != nil || openErr != nil || string(header) != expected {
			t.Errorf("%q: %v %v %s", c.Text, err, openErr, header)
		}
	}
	for _, c := range all.Keys.Bad {
		_, err := New(Options{Page: testPage, Key: c.Text, Kid: c.Kid})
		var badKey *KeyFileError
		var badOption *InvalidOptionError
		if !errors.As(err, &badKey) && !errors.As(err, &badOption) {
			t.Errorf("%q: %v", c.Text, err)
		}
		if len(c.Text) > 30 && strings.Contains(err.Error(), c.Text) {
			t.Errorf("a secret in %v", err)
		}
	}
}

func TestReadsKeyFiles(t *testing.T) {
	file := filepath.Join(t.TempDir(), "key")
	read := func() (*Proxxy, error) { return New(Options{Page: testPage, KeyFile: file}) }
	var wrong *KeyFileError
	if _, err := read(); !errors.As(err, &wrong) || !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if err := os.WriteFile(file, []byte("2026-11:"+testKey+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if proxxy, err := read(); err != nil || proxxy.keys.sealing.kid != "2026-11" {
		t.Error(err)
	}
	if err := os.WriteFile(file, []byte(testKey[1:]), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := read(); !errors.As(err, &wrong) || err.Error() != "proxxy: "+file+": key 1 is not 64 hex digits" {
		t.Error(err)
	}
	var invalid *InvalidOptionError
	if _, err := New(Options{Page: testPage, KeyFile: file, Key: testKey}); !errors.As(err, &invalid) {
		t.Error(err)
	}
}

func TestReadsPages(t *testing.T) {
	var all cases
	shared(t, "cases.json", &all)
	for _, page := range all.Pages.Good {
		proxxy, err := New(Options{Page: page, Key: testKey})
		if err != nil {
			t.Errorf("%s: %v", page, err)
			continue
		}
		link, err := proxxy.Link(Console{VMID: 100, Type: "qemu", Cluster: "pve"})
		if err != nil || !strings.HasPrefix(link, page+"novnc.html#payload=ey") {
			t.Errorf("%s: %s %v", page, link, err)
		}
	}
	for _, page := range all.Pages.Bad {
		var invalid *InvalidOptionError
		_, err := New(Options{Page: page, Key: testKey})
		if !errors.As(err, &invalid) || invalid.Option != "Page" {
			t.Errorf("%s: %v", page, err)
		}
	}
}

func TestOnceHasAnotherJTIEachTime(t *testing.T) {
	proxxy := newProxxy(t, testKey)
	seen := map[any]bool{}
	for _, console := range []Console{{Once: true}, {Once: true}, {JTI: "a"}, {JTI: "b", Once: true}, {}} {
		console.VMID, console.Type, console.Cluster = 100, "qemu", "pve"
		payload, err := proxxy.Payload(console)
		claims, openErr := proxxy.Open(payload)
		if err != nil || openErr != nil {
			t.Fatal(err, openErr)
		}
		seen[claims["jti"]] = true
	}
	if len(seen) != 5 || !seen["a"] || !seen["b"] || !seen[nil] {
		t.Error(seen)
	}
}

func TestRefusesWhatCannotBeALink(t *testing.T) {
	proxxy := newProxxy(t, testKey)
	for option, console := range map[string]Console{
		"NotBefore": {NotBefore: time.Now().Add(301 * time.Second)},
		"CSRF":      {CSRF: "x"},
		"Sub":       {Sub: "\xFF"},
		"Title":     {Title: "\xFF"},
		"Panel":     {Panel: []string{"ftp://a"}},
	} {
		console.VMID, console.Type, console.Cluster = 100, "qemu", "pve"
		var invalid *InvalidOptionError
		if _, err := proxxy.Link(console); !errors.As(err, &invalid) || invalid.Option != option {
			t.Errorf("%s: %v", option, err)
		}
	}
	var invalid *InvalidOptionError
	long := Console{VMID: 100, Type: "qemu", Cluster: "pve", Sub: strings.Repeat("x", 15000)}
	if _, err := proxxy.Link(long); !errors.As(err, &invalid) || invalid.Option != "Sub" {
		t.Error(err)
	}
}

func TestShowsNoSecret(t *testing.T) {
	console := Console{VMID: 100, Type: "qemu", Ticket: "PVEAPIToken=a@pve!b=SECRET"}
	proxmox := Proxmox{Host: "pve1", Token: "a@pve!b=SECRET"}
	proxxy := newProxxy(t, "5345435245545345435245545345435245545345435245545345435245540000") // SECRETSECRET…
	for _, value := range []any{console, &console, proxmox, &proxmox, proxxy, *proxxy} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
			text := fmt.Sprintf(verb, value)
			if strings.Contains(text, "SECRET") || strings.Contains(text, "83 69") {
				t.Errorf("%s: %s", verb, text)
			}
		}
	}
}

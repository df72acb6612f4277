// SPDX-License-Identifier: Apache-2.0

// Package proxxy makes links that open a guest's console. Before, check that the user may open this guest's console:
// proxxy opens whatever a valid link names. It uses only the standard library.
//
// Errors are of the types InvalidOptionError, KeyFileError and ProxmoxError, for errors.As. None contains a key,
// a token, a ticket or a password.
package proxxy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	defaultLifetime = 5 * time.Minute
	lifetimeMax     = 24 * time.Hour // the most that PROXXY_PAYLOAD_LIFETIME allows
	payloadMax      = 15 * 1024      // characters; a request's head may have 16 KiB
	vmidMin         = 100            // Proxmox gives no smaller one
	titleMax        = 256            // bytes
)

var (
	pagePattern   = regexp.MustCompile(`^(https?://[^/?#\s@\\]+)/(?:[\x21-\x7e]*/)?$`)
	webPattern    = regexp.MustCompile(`(?i)^https?://`)
	againPattern  = regexp.MustCompile(`^/(?:[\x21-\x2e\x30-\x5b\x5d-\x7e][\x21-\x5b\x5d-\x7e]*)?$`)
	langPattern   = regexp.MustCompile(`^[A-Za-z]{2,3}(?:-[A-Za-z0-9]{1,8})*$`)
	layoutPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$`)
)

// Options are the settings of the panel.
type Options struct {
	Page    string // the URL of the console pages, with a slash at its end
	KeyFile string // the file with the key that is shared with proxxy
	Key     string // in place of KeyFile: the text of such a file
	Kid     string // the name of the key that seals; the first key by default
}

// Proxxy makes links with one key and for one page. It may be used by several goroutines at the same time.
type Proxxy struct {
	page string
	keys *keys
}

// New reads the key.
func New(options Options) (*Proxxy, error) {
	found := pagePattern.FindStringSubmatch(options.Page)
	if found == nil || !isOrigin(found[1]) || strings.ContainsAny(options.Page, `?#\"<>`) {
		return nil, &InvalidOptionError{"Page",
			"page is not the URL of a folder, like https://panel.example.com/console/"}
	}
	if options.KeyFile != "" && options.Key != "" {
		return nil, &InvalidOptionError{"Key", "either key or key file is needed"}
	}
	read := func() (*keys, error) { return parseKeys(options.Key, "", options.Kid) }
	if options.KeyFile != "" {
		read = func() (*keys, error) { return readKeys(options.KeyFile, options.Kid) }
	}
	keys, err := read()
	if err != nil {
		return nil, err
	}
	return &Proxxy{options.Page, keys}, nil
}

// String contains no secret.
func (p Proxxy) String() string {
	return "proxxy at " + p.page
}

// GoString contains no secret.
func (p Proxxy) GoString() string {
	return p.String()
}

// Link returns a link to the console's page.
func (p *Proxxy) Link(console Console) (string, error) {
	payload, err := p.Payload(console)
	if err != nil {
		return "", err
	}
	fragment, err := console.fragment()
	if err != nil {
		return "", err
	}
	page := "novnc.html"
	if console.Protocol == "term" {
		page = "xterm.html"
	}
	return p.page + page + "#payload=" + payload + fragment, nil
}

// Payload returns only the payload of a link, a JWE.
func (p *Proxxy) Payload(console Console) (string, error) {
	lifetime := console.ExpiresIn
	if lifetime == 0 {
		lifetime = defaultLifetime
	}
	if lifetime < time.Second || lifetime > lifetimeMax {
		return "", &InvalidOptionError{"ExpiresIn", "expiresIn is not a time from 1 to 86400 seconds"}
	}
	made, err := console.claims(time.Now(), lifetime)
	if err != nil {
		return "", err
	}
	wrong := made.check()
	if wrong == nil {
		wrong = made.checkUse()
	}
	if wrong != nil {
		return "", &InvalidOptionError{optionNames[wrong.claim], wrong.reason}
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(made); err != nil {
		return "", err
	}
	payload, err := sealJWE(bytes.TrimSpace(text.Bytes()), p.keys.sealing)
	if err == nil && len(payload) > payloadMax {
		name := made.longest()
		reason := name + " is too long: a link has room for about 11 KiB of claims"
		return "", &InvalidOptionError{optionNames[name], reason}
	}
	return payload, err
}

// Open returns the claims of a payload; an integer is an int64. It fails if the keys do not open the payload, or if
// proxxy would refuse its text. It does not check times, and knows nothing of proxxy's cluster files. It is for tests.
func (p *Proxxy) Open(payload string) (map[string]any, error) {
	text, err := openJWE(payload, p.keys)
	if err != nil {
		return nil, err
	}
	object, ok := parseObject(text)
	if !ok {
		return nil, wrongPayload("not a JSON object, or a member is there twice")
	}
	if wrong := claims(object).check(); wrong != nil {
		return nil, wrongPayload(wrong.reason)
	}
	return object, nil
}

// optionNames are the fields of Console, by their claims.
var optionNames = map[string]string{"vmid": "VMID", "type": "Type", "cluster": "Cluster", "host": "Host",
	"node": "Node", "protocol": "Protocol", "exp": "ExpiresIn", "nbf": "NotBefore", "sub": "Sub", "jti": "JTI",
	"origin": "Origin", "client": "Client", "session_max": "SessionMax", "ticket": "Ticket", "csrf": "CSRF",
	"fingerprint": "Fingerprint", "ca": "CA", "vncticket": "VNCTicket", "port": "Port", "password": "Password",
	"user": "User"}

// checkUse finds what proxxy accepts and ignores, or can never let pass: a mistake of the backend. The claims are those
// of a Console, and check has accepted them.
func (c claims) checkUse() *fault {
	late, protocol := c.late(), c.text("protocol")
	nbf, _ := c["nbf"].(int64)
	_, isNumber := c["sub"].(int64)
	switch sub := c.text("sub"); {
	case c["vmid"].(int64) < vmidMin:
		return &fault{"vmid", "vmid is not an integer from 100 to 999999999"}
	case protocol != "" && protocol != "term":
		return &fault{"protocol", "protocol is not vnc or term"}
	case c.has("sub") && !isNumber && (sub == "" || !utf8.ValidString(sub) || strings.Contains(sub, "\x00")):
		return &fault{"sub", "sub is not an integer, or UTF-8 without NUL"}
	case !late && c.has("cluster"):
		return &fault{"cluster", "a payload with a console ticket needs host, not cluster"}
	case !late && c.has("csrf"):
		return &fault{"csrf", "a payload with a console ticket needs no csrf"}
	case c.has("csrf") && !c.has("ticket"):
		return &fault{"csrf", "csrf needs a ticket"}
	case c.has("password") && (late || protocol == "term"):
		return &fault{"password", "only a payload with a VNC ticket has a password"}
	case c.has("user") && (late || protocol != "term"):
		return &fault{"user", "only a payload with a terminal's ticket has a user"}
	case c.has("ca") && !hasCertificate(c.text("ca")):
		return &fault{"ca", "ca holds no certificate that can be read"}
	case nbf >= c["exp"].(int64):
		return &fault{"nbf", "nbf, the time before which it is not valid, is not before its expiry"}
	}
	return nil
}

func (c claims) longest() (longest string) {
	for name := range c {
		if len(c.text(name)) > len(c.text(longest)) {
			longest = name
		}
	}
	return longest
}

// fragment returns the page's parameters, each with an ampersand before it.
func (c *Console) fragment() (string, error) {
	for _, check := range []struct {
		option, value, reason string
		valid                 func(string) bool
	}{
		{"Title", c.Title, "title is not 1 to 256 bytes of UTF-8 without control characters",
			func(text string) bool { return len(text) <= titleMax && isPlain(text) }},
		{"Again", c.Again, "again is not a path of the page's origin, like /console-link/100",
			againPattern.MatchString},
		{"Bar", c.Bar, "bar is not none", func(text string) bool { return text == "none" }},
		{"Lang", c.Lang, "lang is not a language, like de or pt-BR", langPattern.MatchString},
		{"Layout", c.Layout, "layout is not the name of a keyboard layout, like de", layoutPattern.MatchString},
	} {
		if check.value != "" && !check.valid(check.value) {
			return "", &InvalidOptionError{check.option, check.reason}
		}
	}
	var fragment strings.Builder
	add := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&fragment, "&%s=%s", name, strings.ReplaceAll(url.QueryEscape(value), "+", "%20"))
		}
	}
	add("title", c.Title)
	if c.SessionMax != 0 {
		add("session_max", fmt.Sprint(int64(c.SessionMax/time.Second)))
	}
	add("again", c.Again)
	for _, origin := range c.Panel {
		if !isOrigin(origin) || !webPattern.MatchString(origin) {
			reason := "panel is not a list of origins, like https://panel.example.com"
			return "", &InvalidOptionError{"Panel", reason}
		}
		add("panel", origin)
	}
	add("lang", c.Lang)
	add("layout", c.Layout)
	if c.ViewOnly {
		add("view_only", "1")
	}
	add("bar", c.Bar)
	return fragment.String(), nil
}

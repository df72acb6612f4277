// SPDX-License-Identifier: Apache-2.0

package proxxy

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

const (
	testToken  = "panel@pve!proxxy=6f1c5bd0-3c8f-4a3e-9d51-7c0d6b0f4a11"
	testTicket = "a%&+#=/;:PVEVNC:65A1B2C3::\"q'\\u0041\\\\ <>?é😀Zw=="
)

// fakeProxmox answers each POST with status and body, and notes the requests.
type fakeProxmox struct {
	*httptest.Server
	status   int
	body     string
	requests []string
	headers  http.Header
}

func newFakeProxmox(t *testing.T, status int, body string) *fakeProxmox {
	t.Helper()
	fake := &fakeProxmox{status: status, body: body}
	fake.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		request := fmt.Sprint(r.Method, " ", r.URL.EscapedPath(), " ", r.PostForm.Encode())
		fake.requests = append(fake.requests, request)
		fake.headers = r.Header
		if strings.Contains(fake.body, "generate-password") && r.PostForm.Has("generate-password") {
			http.Error(w, fake.body, http.StatusBadRequest)
			return
		}
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(fake.status)
		_, _ = w.Write([]byte(fake.body))
	}))
	t.Cleanup(fake.Close)
	return fake
}

func (f *fakeProxmox) proxmox() Proxmox {
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: f.Certificate().Raw})
	return Proxmox{Host: f.Listener.Addr().String(), Token: testToken, CA: string(ca)}
}

// answerOf is Proxmox's answer, as JSON, with more members.
func answerOf(more string) string {
	return fmt.Sprintf(`{"data":{"ticket":%s,"port":"5901","user":"panel@pve!proxxy"%s}}`, quote(testTicket), more)
}

func quote(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text) + `"`
}

func TestOpenConsole(t *testing.T) {
	const forVM = "vncproxy generate-password=1&websocket=1"
	proxxy := newProxxy(t, testKey)
	for _, c := range []struct {
		kind, protocol, more, request, page, login, value string
	}{
		{"qemu", "", `,"password":"aVNCpass"`, forVM, "novnc", "password", "aVNCpass"},
		{"qemu", "vnc", "", forVM, "novnc", "password", testTicket},
		{"lxc", "vnc", "", "vncproxy websocket=1", "novnc", "password", testTicket},
		{"qemu", "term", "", "termproxy ", "xterm", "user", "panel@pve!proxxy"},
		{"lxc", "term", "", "termproxy ", "xterm", "user", "panel@pve!proxxy"},
	} {
		fake := newFakeProxmox(t, 200, answerOf(c.more))
		proxmox := fake.proxmox()
		link, err := proxxy.OpenConsole(context.Background(), proxmox,
			Console{VMID: 101, Type: c.kind, Node: "pve1", Protocol: c.protocol, Sub: "alice",
				Title: "web 1"})
		if err != nil {
			t.Errorf("%+v: %v", c, err)
			continue
		}
		expected := fmt.Sprintf("POST /api2/json/nodes/pve1/%s/101/%s", c.kind, c.request)
		if len(fake.requests) != 1 || fake.requests[0] != expected {
			t.Errorf("%v instead of %s", fake.requests, expected)
		}
		if fake.headers.Get("Authorization") != "PVEAPIToken="+testToken ||
			fake.headers.Get("CSRFPreventionToken") != "" {
			t.Errorf("%v", fake.headers)
		}
		address, fragment, _ := strings.Cut(link, "#payload=")
		payload, rest, _ := strings.Cut(fragment, "&")
		claims, err := proxxy.Open(payload)
		if err != nil || address != testPage+c.page+".html" || rest != "title=web%201" {
			t.Errorf("%s %s %v", address, rest, err)
			continue
		}
		left := claims["exp"].(int64) - time.Now().Unix()
		if left < 50 || left > 60 || len(claims["jti"].(string)) != 32 {
			t.Errorf("%d seconds, jti %v", left, claims["jti"])
		}
		for name, value := range map[string]any{"vmid": int64(101), "type": c.kind, "host": proxmox.Host,
			"node": "pve1", "ticket": "PVEAPIToken=" + testToken, "vncticket": testTicket,
			"port": "5901", "ca": proxmox.CA,
			"sub": "alice", c.login: c.value} {
			if claims[name] != value {
				t.Errorf("%s: %v instead of %v", name, claims[name], value)
			}
		}
	}
}

func TestOpenConsoleWithAUsersTicket(t *testing.T) {
	fake := newFakeProxmox(t, 200, answerOf(""))
	proxmox := fake.proxmox()
	proxmox.Token, proxmox.Ticket, proxmox.CSRF = "", "PVE:alice@pve:65A1B2C3::c2lnbmF0dXJl", "69F2C0DE:abc"
	proxxy := newProxxy(t, testKey)
	link, err := proxxy.OpenConsole(context.Background(), proxmox, Console{VMID: 101, Type: "lxc", Node: "pve1"})
	_, payload, _ := strings.Cut(link, "#payload=")
	claims, openErr := proxxy.Open(payload)
	if err != nil || openErr != nil || claims["ticket"] != proxmox.Ticket || claims["csrf"] != nil {
		t.Errorf("%v %v %v", err, openErr, claims)
	}
	if fake.headers.Get("Authorization") != "PVEAuthCookie="+proxmox.Ticket ||
		fake.headers.Get("CSRFPreventionToken") != proxmox.CSRF {
		t.Errorf("%v", fake.headers)
	}
}

func TestOpenConsoleAsksAgainWithoutGeneratePassword(t *testing.T) {
	fake := newFakeProxmox(t, 200, answerOf(`,"errors":{"generate-password":"x"}`))
	_, err := newProxxy(t, testKey).OpenConsole(context.Background(), fake.proxmox(),
		Console{VMID: 101, Type: "qemu", Node: "pve1"})
	if err != nil || len(fake.requests) != 2 || !strings.HasSuffix(fake.requests[1], "vncproxy websocket=1") {
		t.Errorf("%v: %v", err, fake.requests)
	}
}

func TestOpenConsoleTellsProxmoxsErrors(t *testing.T) {
	console := Console{VMID: 101, Type: "qemu", Node: "pve1"}
	for _, c := range []struct {
		status int
		body   string
	}{{401, ""}, {403, `{"data":null}`}, {500, ""}, {302, ""}, {200, "x"}, {200, `{"data":null}`},
		{200, `{"data":{"port":"5901"}}`}, {200, `{"data":{"ticket":"x"}}`},
		{200, `{"data":{"ticket":"x","port":0}}`},
		{200, `{"data":{"ticket":"a\nb","port":1}}`}} {
		fake := newFakeProxmox(t, c.status, c.body)
		_, err := newProxxy(t, testKey).OpenConsole(context.Background(), fake.proxmox(), console)
		var refused *ProxmoxError
		if !errors.As(err, &refused) || refused.Status != c.status || len(fake.requests) != 1 {
			t.Errorf("%d %s: %#v", c.status, c.body, err)
		} else if strings.Contains(err.Error(), "6f1c5bd0") {
			t.Errorf("a secret in %v", err)
		}
	}
	fake := newFakeProxmox(t, 200, answerOf(""))
	if refusedBy(t, 500, "Configuration file 'nodes/pve1/qemu-server/101.conf' does not exist") != NoGuest ||
		refusedBy(t, 403, "Permission check failed (/vms/101, VM.Console)") != Refused ||
		refusedBy(t, 401, "No ticket") != Refused || refusedBy(t, 500, "got no worker upid") != Other {
		t.Error("other reasons")
	}
	for name, change := range map[string]func(*Proxmox){
		"other certificate": func(p *Proxmox) { p.CA, p.Fingerprint = "", strings.Repeat("a1", 32) },
		"not trusted":       func(p *Proxmox) { p.CA = "" },
		"not reachable":     func(p *Proxmox) { p.Host = "127.0.0.1:1" },
		"other name":        func(p *Proxmox) { p.Host = strings.Replace(p.Host, "127.0.0.1", "localhost", 1) },
	} {
		proxmox := fake.proxmox()
		change(&proxmox)
		_, err := newProxxy(t, testKey).OpenConsole(context.Background(), proxmox, console)
		var refused *ProxmoxError
		if !errors.As(err, &refused) || refused.Status != 0 || refused.Reason != Unreachable ||
			refused.Unwrap() == nil || len(fake.requests) != 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := newProxxy(t, testKey).OpenConsole(ctx, fake.proxmox(), console)
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func refusedBy(t *testing.T, status int, words string) ProxmoxReason {
	t.Helper()
	var refused *ProxmoxError
	err := (&Proxmox{}).refusal(&http.Response{StatusCode: status, Status: fmt.Sprint(status, " ", words)})
	if !errors.As(err, &refused) || !strings.Contains(err.Error(), words) {
		t.Error(err)
	}
	return refused.Reason
}

func TestOpenConsoleWithAFingerprint(t *testing.T) {
	fake := newFakeProxmox(t, 200, answerOf(""))
	digest := sha256.Sum256(fake.Certificate().Raw)
	proxmox := fake.proxmox()
	proxmox.CA, proxmox.Fingerprint = "", strings.ToUpper(hex.EncodeToString(digest[:]))
	proxxy := newProxxy(t, testKey)
	link, err := proxxy.OpenConsole(context.Background(), proxmox, Console{VMID: 101, Type: "lxc", Node: "pve1"})
	_, payload, _ := strings.Cut(link, "#payload=")
	claims, openErr := proxxy.Open(payload)
	if err != nil || openErr != nil || claims["fingerprint"] != proxmox.Fingerprint || claims["ca"] != nil {
		t.Error(err, openErr, claims)
	}
}

func TestOpenConsoleChecksBeforeItAsks(t *testing.T) {
	fake := newFakeProxmox(t, 200, answerOf(""))
	good := Console{VMID: 101, Type: "qemu", Node: "pve1"}
	for option, change := range map[string]func(*Proxmox, *Console){
		"Node":    func(_ *Proxmox, c *Console) { c.Node = "" },
		"VMID":    func(_ *Proxmox, c *Console) { c.VMID = 0 },
		"Type":    func(_ *Proxmox, c *Console) { c.Type = "../x" },
		"Title":   func(_ *Proxmox, c *Console) { c.Title = "a\nb" },
		"Cluster": func(_ *Proxmox, c *Console) { c.Cluster = "pve" },
		"Token":   func(p *Proxmox, _ *Console) { p.Token = "a@pve!b=c\r\nX: y" },
		"Host":    func(p *Proxmox, _ *Console) { p.Host += "/x" },
		"CSRF":    func(p *Proxmox, _ *Console) { p.Token, p.Ticket = "", "PVE:x" },
		"CA":      func(p *Proxmox, _ *Console) { p.CA = "x" },

		"Fingerprint": func(p *Proxmox, _ *Console) { p.Fingerprint = strings.Repeat("a1", 32) },
	} {
		proxmox, console := fake.proxmox(), good
		change(&proxmox, &console)
		_, err := newProxxy(t, testKey).OpenConsole(context.Background(), proxmox, console)
		var invalid *InvalidOptionError
		if !errors.As(err, &invalid) || invalid.Option != option {
			t.Errorf("%s: %v", option, err)
		}
	}
	if len(fake.requests) != 0 {
		t.Error(fake.requests)
	}
}

func TestAuthority(t *testing.T) {
	for host, expected := range map[string]string{"pve1": "pve1:8006", "pve1.": "pve1:8006", "pve1:443": "pve1:443",
		"192.0.2.1": "192.0.2.1:8006", "2001:db8::1": "[2001:db8::1]:8006",
		"[2001:db8::1]": "[2001:db8::1]:8006", "2001:db8::8006": "[2001:db8::8006]:8006",
		"[2001:db8::1]:443": "[2001:db8::1]:443", "::1": "[::1]:8006"} {
		if got := authority(host, apiPort); got != expected {
			t.Errorf("%s: %s", host, got)
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

// Example of the backend's part: it asks Proxmox for a guest's console, seals the answer, and hands the URL to noVNC.
// Copy OpenConsole and seal with what they call. As a command: go run . [check ../vectors.json]
//
// It uses only the standard library: a JWE of "dir" and "A256GCM" is AES-GCM with the header as additional data, and a
// library for JOSE would be the only dependency.
package main

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/url"
	"os"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"
)

type Guest struct {
	Host, Node, Type string // host[:port], the node's name, qemu or lxc
	VMID             int
}

type Console struct {
	WebSocket string `json:"websocket"`
	Password  string `json:"password"`
}

// OpenConsole takes the token as USER@REALM!NAME=SECRET, and in PEM the CA of Proxmox's certificate if that is not
// one of the system's.
func OpenConsole(guest Guest, token, keys, proxxy string, ca []byte) (*Console, error) {
	form := "websocket=1"
	if guest.Type == "qemu" { // a container's vncproxy has no such parameter: the ticket is its password
		form += "&generate-password=1"
	}
	status, body, err := ask(guest, token, form, ca)
	if err == nil && status[:3] == "400" && strings.Contains(string(body), `"generate-password"`) {
		// Since 9.2 Proxmox always sends a VM's password, and plans to remove the parameter.
		status, body, err = ask(guest, token, "websocket=1", ca)
	}
	if err != nil {
		return nil, err
	}
	if status[:3] != "200" {
		return nil, errors.New("Proxmox: " + status)
	}
	var answer struct {
		Data struct {
			Ticket, Password string
			Port             any // a string, or a number
		}
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, err
	}
	claims := map[string]any{
		"vmid": guest.VMID, "type": guest.Type, "host": guest.Host, "node": guest.Node,
		"ticket": "PVEAPIToken=" + token, "vncticket": answer.Data.Ticket, "port": answer.Data.Port,
		"exp": time.Now().Unix() + 60, "jti": hex.EncodeToString(random(16)),
	}
	// The CA that proxxy must trust, too. Do not use the answer's "cert": it is never an ACME certificate's CA.
	if len(ca) > 0 {
		claims["ca"] = string(ca)
	}
	payload, err := seal(claims, keys)
	if answer.Data.Password == "" {
		answer.Data.Password = answer.Data.Ticket
	}
	return &Console{proxxy + "?payload=" + payload, answer.Data.Password}, err
}

// ask posts form to the guest's vncproxy. It returns the status with its reason, and the body.
func ask(guest Guest, token, form string, ca []byte) (string, []byte, error) {
	address := guest.Host
	if !regexp.MustCompile(`:\d+$`).MatchString(address) {
		address += ":8006"
	}
	request, err := http.NewRequest("POST", fmt.Sprintf("https://%s/api2/json/nodes/%s/%s/%d/vncproxy",
		address, url.PathEscape(guest.Node), url.PathEscape(guest.Type), guest.VMID), strings.NewReader(form))
	if err != nil {
		return "", nil, err
	}
	request.Header.Set("Authorization", "PVEAPIToken="+token)
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true}
	if len(ca) > 0 {
		transport.TLSClientConfig = &tls.Config{RootCAs: x509.NewCertPool()}
		transport.TLSClientConfig.RootCAs.AppendCertsFromPEM(ca)
	}
	response, err := (&http.Client{Transport: transport, Timeout: 30 * time.Second}).Do(request)
	if err != nil {
		return "", nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	return response.Status, body, err
}

// seal uses the first of keys, which are "HEX" or "NAME:HEX", separated by commas.
func seal(claims map[string]any, keys string) (string, error) {
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
	text, err := json.Marshal(claims)
	return jwe(header, text, key, random(12)), err
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
	block := must(aes.NewCipher(key)) // 32 bytes: cannot fail
	return must(cipher.NewGCM(block))
}

func random(n int) []byte {
	bytes := make([]byte, n)
	must(rand.Read(bytes)) // stops if there is no randomness
	return bytes
}

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}

func unseal(payload string, key []byte) (claims map[string]any) {
	parts := strings.Split(payload, ".")
	sealed := append(must(base64url.DecodeString(parts[3])), must(base64url.DecodeString(parts[4]))...)
	text := must(gcm(key).Open(nil, must(base64url.DecodeString(parts[2])), sealed, []byte(parts[0])))
	must(0, json.Unmarshal(text, &claims))
	return claims
}

func check(file string) {
	var all struct {
		Vectors []struct {
			Name, Format, Key, Nonce, Header, Plaintext, Payload string
			Claims                                               map[string]any
		}
	}
	must(0, json.Unmarshal(must(os.ReadFile(file)), &all))
	checked := 0
	for _, v := range all.Vectors {
		if v.Format != "jwe" {
			continue
		}
		var header struct{ Kid string }
		must(0, json.Unmarshal([]byte(v.Header), &header))
		keys := strings.TrimPrefix(header.Kid+":"+v.Key, ":")
		key := must(hex.DecodeString(v.Key))
		exact := jwe([]byte(v.Header), []byte(v.Plaintext), key, must(hex.DecodeString(v.Nonce)))
		for _, payload := range []string{v.Payload, exact, must(seal(v.Claims, keys))} {
			if exact != v.Payload || !reflect.DeepEqual(unseal(payload, key), v.Claims) {
				log.Fatal(v.Name, ": differs")
			}
		}
		checked++
	}
	if checked == 0 {
		log.Fatal("no vectors")
	}
	fmt.Println(checked, "vectors")
}

func main() {
	log.SetFlags(0)
	if len(os.Args) == 3 && os.Args[1] == "check" {
		check(os.Args[2])
		return
	}
	vmid := must(strconv.Atoi(os.Getenv("PROXMOX_VMID")))
	guest := Guest{os.Getenv("PROXMOX_HOST"), os.Getenv("PROXMOX_NODE"), os.Getenv("PROXMOX_TYPE"), vmid}
	if guest.Type == "" {
		guest.Type = "qemu"
	}
	token := strings.TrimSpace(string(must(os.ReadFile(os.Getenv("PROXMOX_TOKEN_FILE")))))
	keys := string(must(os.ReadFile(os.Getenv("PROXXY_KEY_FILE"))))
	var ca []byte
	if file := os.Getenv("PROXMOX_CA_FILE"); file != "" {
		ca = must(os.ReadFile(file))
	}
	console := must(OpenConsole(guest, token, keys, os.Getenv("PROXXY_WEBSOCKET"), ca))
	must(0, json.NewEncoder(os.Stdout).Encode(console))
}

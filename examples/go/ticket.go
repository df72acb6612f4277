// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"
)

type Guest struct {
	Host, Node, Type string // host[:port], the node's name, qemu or lxc
	VMID             int
}

// OpenConsole is an example of the backend's part if proxxy shall have no token of its own: it asks Proxmox for a
// guest's console, seals the answer, and makes a link for noVNC. The link must be opened within 10 seconds. Copy it
// with ask, and with Seal and jwe of link.go. As a command: go run . ticket NODE VMID qemu|lxc
//
// token is USER@REALM!NAME=SECRET; ca, in PEM, is the CA of Proxmox's certificate if that is not one of the system's.
func OpenConsole(guest Guest, token, keys, page string, ca []byte) (string, error) {
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
		return "", err
	}
	if status[:3] != "200" {
		return "", errors.New("Proxmox: " + status)
	}
	var answer struct {
		Data struct {
			Ticket, Password string
			Port             any // a string, or a number
		}
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return "", err
	}
	if answer.Data.Password == "" {
		answer.Data.Password = answer.Data.Ticket
	}
	jti := make([]byte, 16)
	if _, err := rand.Read(jti); err != nil {
		return "", err
	}
	claims := map[string]any{
		"vmid": guest.VMID, "type": guest.Type, "host": guest.Host, "node": guest.Node,
		"ticket": "PVEAPIToken=" + token, "vncticket": answer.Data.Ticket, "port": answer.Data.Port,
		// With the password, proxxy logs in to the console, and the browser needs none.
		"password": answer.Data.Password,
		"exp":      time.Now().Unix() + 60, "jti": hex.EncodeToString(jti),
	}
	// The CA that proxxy must trust, too. Do not use the answer's "cert": it is never an ACME certificate's CA.
	if len(ca) > 0 {
		claims["ca"] = string(ca)
	}
	payload, err := Seal(claims, keys)
	return page + "novnc.html#payload=" + payload, err
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

// SPDX-License-Identifier: Apache-2.0

package proxxy

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"math"
	"reflect"
	"time"
)

// Console says which console a link opens, for whom, until when, and how its page shows it. An empty field is an option
// that is not set. VMID, Type and one of Cluster and Host are needed. proxxy-payload(7) describes the claims.
type Console struct {
	VMID     int    // the guest's number
	Type     string // "qemu" (a VM) or "lxc" (a container)
	Cluster  string // the name of proxxy's cluster file, without .conf
	Host     string // in place of Cluster: a node's name or address, with a port unless it is proxxy's default
	Node     string // the node that has the guest; without it, proxxy asks Proxmox
	Protocol string // "vnc" (the default) or "term"

	ExpiresIn  time.Duration // until the link expires; 5 minutes by default, a minute for OpenConsole
	NotBefore  time.Time     // before it, the link is not valid
	Sub        any           // a string or an integer: who opens the console, for proxxy's log
	Once       bool          // the link opens one console only: it gets a random JTI
	JTI        string        // in place of Once: a text that no other link has
	Origin     string        // the only origin whose pages may use the link
	Client     string        // the only address or network from which it may be used
	SessionMax time.Duration // how long the console may last; the page says when the time is nearly over

	Ticket      string // "PVEAPIToken=USER@REALM!NAME=SECRET", or a user's ticket, "PVE:…"
	CSRF        string // the CSRFPreventionToken of a user's ticket
	Fingerprint string // SHA-256 of the certificate that Proxmox must have; needs Ticket
	CA          string // PEM of the CA that must have signed Proxmox's certificate; needs Ticket

	VNCTicket string // member ticket of Proxmox's answer; OpenConsole sets it and the next three
	Port      any    // member port of Proxmox's answer, a string or an integer
	Password  string // the VNC password of the console
	User      string // member user of Proxmox's answer, for a terminal

	Title    string   // the guest's name on the page
	Again    string   // a path of the page's origin that leads to a new link
	Panel    []string // origins, besides the page's own, whose messages the page accepts
	Lang     string   // the page's language, such as "de"; the browser's by default
	Layout   string   // the guest's keyboard layout for typed text, such as "de"
	ViewOnly bool     // the page sends no input
	Bar      string   // "none": the page has no bar
}

// String contains no secret.
func (c Console) String() string {
	return fmt.Sprintf("console of %s %d", c.Type, c.VMID)
}

// GoString contains no secret.
func (c Console) GoString() string {
	return c.String()
}

// claims returns the claims of a link that is made now.
func (c *Console) claims(now time.Time, lifetime time.Duration) (claims, error) {
	made := claims{"vmid": int64(c.VMID), "type": c.Type, "iat": now.Unix(), "exp": now.Add(lifetime).Unix()}
	for name, text := range map[string]string{"cluster": c.Cluster, "host": c.Host, "node": c.Node,
		"protocol": c.Protocol, "jti": c.JTI, "origin": c.Origin, "client": c.Client,
		"ticket": c.Ticket, "csrf": c.CSRF, "fingerprint": c.Fingerprint, "ca": c.CA, "vncticket": c.VNCTicket,
		"password": c.Password, "user": c.User} {
		if text != "" && !(name == "protocol" && text == "vnc") {
			made[name] = text
		}
	}
	for name, value := range map[string]any{"sub": c.Sub, "port": c.Port} {
		if value != nil && value != "" {
			made[name] = integer(value)
		}
	}
	if !c.NotBefore.IsZero() {
		made["nbf"] = c.NotBefore.Unix()
	}
	if c.SessionMax != 0 {
		made["session_max"] = int64(c.SessionMax / time.Second)
	}
	if c.Once && c.JTI == "" {
		jti, err := randomJTI()
		if err != nil {
			return nil, err
		}
		made["jti"] = jti
	}
	return made, nil
}

// integer returns an int64 if value is an integer that fits, else value.
func integer(value any) any {
	switch number := reflect.ValueOf(value); {
	case number.CanInt():
		return number.Int()
	case number.CanUint() && number.Uint() <= math.MaxInt64:
		return int64(number.Uint())
	}
	return value
}

func randomJTI() (string, error) {
	bytes := make([]byte, 16)
	_, err := rand.Read(bytes)
	return hex.EncodeToString(bytes), err
}

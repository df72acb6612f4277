// SPDX-License-Identifier: Apache-2.0

package proxxy

import (
	"crypto/x509"
	"math"
	"regexp"
	"strings"
)

// The claims are checked by proxxy's own rules, and in its words: proxxy-payload(7), lib/payload.c.

const (
	vmidMax          = 999999999
	ticketMax        = 4096 // bytes, as the next ones
	vncticketMax     = 512
	csrfMax          = 256
	userMax          = 160
	jtiMax           = 256
	caMax            = 8192
	sessionMax       = 31536000     // seconds
	dateMax          = 253402300799 // the end of the year 9999
	wrongHost        = "host is not a host name or address, with or without a port"
	wrongCSRF        = "csrf is missing: a user's ticket needs the CSRFPreventionToken of its making"
	wrongCA          = "ca is not a PEM certificate of at most 8192 bytes"
	tokenPrefix      = "PVEAPIToken="
	beginCertificate = "-----BEGIN CERTIFICATE-----"
)

var (
	fingerprintPattern = regexp.MustCompile(`^(?:[0-9A-Fa-f]{64}|(?:[0-9A-Fa-f]{2}:){31}[0-9A-Fa-f]{2})$`)
	userTicket         = regexp.MustCompile(`^PVE(?::|%3A)`)
	ticketWithHeader   = regexp.MustCompile(`(?i)^(?:PVEAuthCookie=|Authorization:|Cookie:)`)
	bareToken          = regexp.MustCompile(`(?s)^[^!]*@[^!]*!.*=`)
)

type claims map[string]any

// fault is a claim, and what is wrong with it; nil is none.
type fault struct {
	claim, reason string
}

func (c claims) has(name string) bool {
	_, ok := c[name]
	return ok
}

func (c claims) text(name string) string {
	text, _ := c[name].(string)
	return text
}

// late is true if there is no console ticket: proxxy then asks Proxmox for one.
func (c claims) late() bool {
	return !c.has("vncticket") && !c.has("port")
}

// check returns what proxxy would refuse whatever its configuration is.
func (c claims) check() *fault {
	for _, part := range []func() *fault{c.checkGuest, c.checkLogin, c.checkLimits, c.checkIdentity} {
		if wrong := part(); wrong != nil {
			return wrong
		}
	}
	return nil
}

func (c claims) checkGuest() *fault {
	late := c.late()
	byCluster := late && c.has("cluster")
	cluster, kind := c.text("cluster"), c.text("type")
	switch {
	case !c.isInteger("vmid", vmidMax):
		return &fault{"vmid", "vmid is not an integer from 1 to 999999999"}
	case kind != "qemu" && kind != "lxc":
		return &fault{"type", "type is not qemu or lxc"}
	case byCluster && c.has("host"):
		return &fault{"host", "host and cluster cannot be combined"}
	case byCluster && (!keyName.MatchString(cluster) || cluster[0] == '.'):
		return &fault{"cluster", "cluster is not the name of a cluster file"}
	case late && !byCluster && !c.has("host"):
		return &fault{"cluster", "host or cluster is missing"}
	case !byCluster && !isHost(c.text("host")):
		return &fault{"host", wrongHost}
	case (!late || c.has("node")) && !isName(c.text("node")):
		return &fault{"node", "node is not a host name"}
	}
	return nil
}

func (c claims) checkLogin() *fault {
	late, protocol := c.late(), c.text("protocol")
	switch {
	case (!late || c.has("ticket")) && !c.isText("ticket", ticketMax):
		return &fault{"ticket", "ticket is not a string of 1 to 4096 bytes without control characters"}
	case late && c.has("csrf") && !c.isText("csrf", csrfMax):
		return &fault{"csrf", "csrf is not a string of 1 to 256 bytes without control characters"}
	case late && c.has("protocol") && protocol != "vnc" && protocol != "term":
		return &fault{"protocol", "protocol is not vnc or term"}
	case late:
		return nil
	case !c.isText("vncticket", vncticketMax):
		return &fault{"vncticket", "vncticket is not a string of 1 to 512 bytes without control characters"}
	case !c.isInteger("port", 65535) && !isPort(c.text("port")):
		return &fault{"port", "port is not a number from 1 to 65535"}
	case protocol == "term" && c.has("user") &&
		(!c.isText("user", userMax) || strings.Contains(c.text("user"), ":")):
		return &fault{"user", "user is not USER@REALM or USER@REALM!NAME"}
	case protocol != "term" && c["password"] != nil && !c.isText("password", math.MaxInt):
		return &fault{"password", "password is not a string without control characters"}
	}
	return nil
}

func (c claims) checkLimits() *fault {
	wrong := func(name string, check func(string) bool) bool { return c.has(name) && !check(c.text(name)) }
	switch {
	case !c.isDate("exp"):
		return &fault{"exp", "exp is missing or not in seconds since 1970"}
	case c.has("nbf") && !c.isDate("nbf"):
		return &fault{"nbf", "nbf is not in seconds since 1970"}
	case c.has("jti") && !c.isText("jti", jtiMax):
		return &fault{"jti", "jti is not a string of 1 to 256 bytes without control characters"}
	case wrong("origin", isOrigin):
		return &fault{"origin", "origin is not an origin, like https://panel.example.com"}
	case wrong("client", isNetwork):
		return &fault{"client", "client is not an IP address or network"}
	case wrong("fingerprint", fingerprintPattern.MatchString):
		return &fault{"fingerprint", "fingerprint is not a SHA-256 fingerprint, 64 hex digits"}
	case c.has("session_max") && !c.isInteger("session_max", sessionMax):
		return &fault{"session_max", "session_max is not a number of seconds from 1 to 31536000"}
	case wrong("ca", isCA):
		return &fault{"ca", wrongCA}
	}
	return nil
}

func (c claims) checkIdentity() *fault {
	ticket, late := c.text("ticket"), c.late()
	isToken := strings.HasPrefix(ticket, tokenPrefix)
	switch {
	case late && ticket == "" && c.has("ca"):
		return &fault{"ca", "ca and fingerprint need a ticket in the payload"}
	case late && ticket == "" && c.has("fingerprint"):
		return &fault{"fingerprint", "ca and fingerprint need a ticket in the payload"}
	case late && ticket == "":
		return nil
	case !isToken && !userTicket.MatchString(ticket):
		return &fault{"ticket", ticketReason(ticket)}
	case late && !isToken && c.text("csrf") == "":
		return &fault{"csrf", wrongCSRF}
	}
	return nil
}

func ticketReason(ticket string) string {
	switch {
	case ticketWithHeader.MatchString(ticket):
		return "ticket has a header or cookie name before it: a user's ticket begins with PVE:, " +
			"a token with PVEAPIToken="
	case strings.Contains(ticket, "PVEVNC:"):
		return "ticket is a VNC ticket, which belongs in vncticket"
	case bareToken.MatchString(ticket):
		return "ticket is an API token without PVEAPIToken= before it"
	}
	return "ticket is neither PVEAPIToken=USER@REALM!NAME=SECRET nor a user's ticket, which begins with PVE:"
}

func (c claims) isInteger(name string, max int64) bool {
	switch value := c[name].(type) {
	case int64:
		return value >= 1 && value <= max
	case float64:
		return value >= 1 && value <= float64(max) && value == math.Trunc(value)
	}
	return false
}

// isDate accepts a fraction, as RFC 7519 does.
func (c claims) isDate(name string) bool {
	value, ok := c[name].(float64)
	return (ok && value >= 1 && value <= dateMax) || c.isInteger(name, dateMax)
}

// isText is true for 1 to max bytes of UTF-8 without control characters.
func (c claims) isText(name string, max int) bool {
	text := c.text(name)
	return text != "" && len(text) <= max && isPlain(text)
}

// hasCertificate is true for a CA that can be read.
func hasCertificate(text string) bool {
	return isCA(text) && x509.NewCertPool().AppendCertsFromPEM([]byte(text))
}

func isCA(text string) bool {
	return len(text) <= caMax && strings.Contains(text, beginCertificate) && !strings.Contains(text, "\x00")
}

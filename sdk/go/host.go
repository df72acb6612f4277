// SPDX-License-Identifier: Apache-2.0

package proxxy

import (
	"net"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
)

const (
	nameMax    = 253
	networkMax = 49
	originMax  = 267 // "https://", a name, ":65535"
	label      = `[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?`
)

var (
	namePattern   = regexp.MustCompile(`^` + label + `(?:\.` + label + `)*$`)
	likeIPv4      = regexp.MustCompile(`(?:^|\.)(?:[0-9]+|0[xX][^.]*)$`)
	originPattern = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]*://(\[[^\]]+\]|[^:/\[\]]+)(?::[0-9]{1,5})?$`)
	digits        = regexp.MustCompile(`^[0-9]+$`)
)

// splitHost splits "NAME", "NAME:PORT", "IPV4:PORT", "IPV6", "[IPV6]" or "[IPV6]:PORT". Of an IPv6 address without
// brackets, no part is a port. It returns the host without brackets, and the port or "".
func splitHost(text string) (host, port string, ok bool) {
	host = text
	ipv6, hasPort := false, false
	if strings.HasPrefix(text, "[") {
		var rest string
		host, rest, ok = strings.Cut(text[1:], "]")
		port, hasPort = strings.TrimPrefix(rest, ":"), rest != ""
		if !ok || (hasPort && rest[0] != ':') {
			return "", "", false
		}
		ipv6 = true
	} else if strings.Count(text, ":") >= 2 {
		ipv6 = true
	} else {
		host, port, hasPort = strings.Cut(text, ":")
	}
	if hasPort && !isPort(port) {
		return "", "", false
	}
	if !ipv6 && len(host) > 1 {
		host = strings.TrimSuffix(host, ".")
	}
	address, err := netip.ParseAddr(host)
	if ipv6 {
		return host, port, err == nil && address.Is6() && address.Zone() == ""
	}
	return host, port, (err == nil && address.Is4()) || (isName(host) && !likeIPv4.MatchString(host))
}

func isHost(text string) bool {
	_, _, ok := splitHost(text)
	return ok
}

// authority returns "HOST:PORT" for a URL. text must be a host.
func authority(text, defaultPort string) string {
	host, port, _ := splitHost(text)
	if port == "" {
		port = defaultPort
	}
	return net.JoinHostPort(host, port)
}

func isName(text string) bool {
	return len(text) <= nameMax && namePattern.MatchString(text)
}

func isPort(text string) bool {
	port, err := strconv.Atoi(text)
	return err == nil && len(text) <= 5 && digits.MatchString(text) && port >= 1 && port <= 65535
}

// isNetwork is true for an address, or a network without bits after its prefix, such as 192.0.2.0/24.
func isNetwork(text string) bool {
	address, bits, isPrefix := strings.Cut(text, "/")
	ip, err := netip.ParseAddr(address)
	if len(text) > networkMax || err != nil || ip.Zone() != "" {
		return false
	}
	if !isPrefix {
		return true
	}
	n, err := strconv.Atoi(bits)
	if err != nil || len(bits) > 3 || !digits.MatchString(bits) || n > ip.BitLen() {
		return false
	}
	// Addresses are compared as bytes: Prefix would take an IPv4-mapped address for IPv4.
	for i, b := range ip.AsSlice() {
		for bit := 0; bit < 8; bit++ {
			if 8*i+bit >= n && b&(0x80>>bit) != 0 {
				return false
			}
		}
	}
	return true
}

// isOrigin is true for SCHEME://HOST or SCHEME://HOST:PORT.
func isOrigin(text string) bool {
	found := originPattern.FindStringSubmatch(text)
	return found != nil && len(text) <= originMax && isHost(found[1]) && !strings.HasSuffix(found[1], ".")
}

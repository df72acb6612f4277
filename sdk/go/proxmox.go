// SPDX-License-Identifier: Apache-2.0

package proxxy

import (
	"bytes"
	"context"
	"crypto/sha256"
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

const (
	apiPort        = "8006"
	ticketLifetime = time.Minute // Proxmox itself waits 10 seconds
	requestTime    = 30 * time.Second
	answerMax      = 1 << 20 // bytes
	reasonMax      = 200     // bytes of Proxmox's words
)

var (
	tokenPattern  = regexp.MustCompile(`^[^@!=\s]+@[^@!=\s]+![^@!=\s]+=[\x21-\x7e]+$`)
	ticketPattern = regexp.MustCompile(`^PVE(?::|%3A)[\x21-\x7e]+$`)
	noGuest       = regexp.MustCompile(`^500 Configuration file .* does not exist`)
	csrfPattern   = regexp.MustCompile(`^[\x21-\x7e]{1,256}$`)
)

// Proxmox is what OpenConsole asks: either with an API token, or with a user's ticket and its CSRF.
type Proxmox struct {
	Host        string // the API of the node: a name or an address, with a port unless it is 8006
	Token       string // an API token, "USER@REALM!NAME=SECRET"
	CA          string // PEM of the CA of Proxmox's certificate; the system's CAs by default
	Fingerprint string // in place of CA: SHA-256 of Proxmox's certificate
	Ticket      string // in place of Token: a user's ticket, "PVE:…"
	CSRF        string // the CSRFPreventionToken of that ticket
}

// String contains no secret.
func (p Proxmox) String() string {
	return "Proxmox at " + p.Host
}

// GoString contains no secret.
func (p Proxmox) GoString() string {
	return p.String()
}

// OpenConsole is for a proxxy without a token of its own: it asks Proxmox for the console, and returns a link with the
// answer. The link must be opened within 10 seconds, and opens one console. The console needs Node, and has neither
// Cluster nor Host.
func (p *Proxxy) OpenConsole(ctx context.Context, proxmox Proxmox, console Console) (string, error) {
	if err := proxmox.check(); err != nil {
		return "", err
	}
	for name, value := range map[string]any{
		"Cluster": console.Cluster, "Host": console.Host, "Ticket": console.Ticket, "CSRF": console.CSRF,
		"CA": console.CA, "Fingerprint": console.Fingerprint, "VNCTicket": console.VNCTicket,
		"Port": console.Port, "Password": console.Password, "User": console.User,
	} {
		if value != nil && value != "" {
			return "", &InvalidOptionError{name, name + " is Proxmox's: do not set it for OpenConsole"}
		}
	}
	console.Host, console.Ticket, console.Once = proxmox.Host, proxmox.identity(), true
	console.CA, console.Fingerprint = proxmox.CA, proxmox.Fingerprint
	if console.ExpiresIn == 0 {
		console.ExpiresIn = ticketLifetime
	}
	// Checks all options before Proxmox is asked: a console that it opens takes one of its ports.
	trial := console
	trial.VNCTicket, trial.Port = "none", 1
	if _, err := p.Link(trial); err != nil {
		return "", err
	}
	if err := proxmox.open(ctx, &console); err != nil {
		return "", err
	}
	link, err := p.Link(console)
	var wrong *InvalidOptionError
	if errors.As(err, &wrong) {
		return "", badAnswer("unexpected answer: " + wrong.Reason)
	}
	return link, err
}

func (p *Proxmox) check() error {
	switch {
	case (p.Token == "") == (p.Ticket == ""):
		return &InvalidOptionError{"Token", "proxmox needs a token, or a ticket and its csrf"}
	case p.Token != "" && !tokenPattern.MatchString(p.Token):
		return &InvalidOptionError{"Token", "token is not USER@REALM!NAME=SECRET"}
	case p.Ticket != "" && !ticketPattern.MatchString(p.Ticket):
		return &InvalidOptionError{"Ticket", "ticket is not a user's ticket, which begins with PVE:"}
	case p.Ticket != "" && !csrfPattern.MatchString(p.CSRF):
		return &InvalidOptionError{"CSRF", wrongCSRF}
	case !isHost(p.Host):
		return &InvalidOptionError{"Host", wrongHost}
	case p.CA != "" && !hasCertificate(p.CA):
		return &InvalidOptionError{"CA", wrongCA}
	case p.Fingerprint != "" && p.CA != "":
		return &InvalidOptionError{"Fingerprint", "fingerprint and ca cannot be combined"}
	case p.Fingerprint != "" && !fingerprintPattern.MatchString(p.Fingerprint):
		return &InvalidOptionError{"Fingerprint", "fingerprint is not a SHA-256 fingerprint, 64 hex digits"}
	}
	return nil
}

// identity returns the token or ticket as a payload's ticket.
func (p *Proxmox) identity() string {
	if p.Token != "" {
		return tokenPrefix + p.Token
	}
	return p.Ticket
}

// answer is what Proxmox says about a console.
type answer struct {
	Ticket, Password, User string
	Port                   any // a string, or a number
}

// open asks for the console, and adds the answer to it.
func (p *Proxmox) open(ctx context.Context, console *Console) error {
	path := fmt.Sprintf("nodes/%s/%s/%d/", url.PathEscape(console.Node), console.Type, console.VMID)
	var got *answer
	var err error
	switch {
	case console.Protocol == "term":
		got, _, err = p.post(ctx, path+"termproxy", "")
	case console.Type == "lxc": // a container's vncproxy has no generate-password: the ticket is its password
		got, _, err = p.post(ctx, path+"vncproxy", "websocket=1")
	default:
		var body []byte
		got, body, err = p.post(ctx, path+"vncproxy", "websocket=1&generate-password=1")
		var refused *ProxmoxError
		if errors.As(err, &refused) && refused.Status == http.StatusBadRequest &&
			strings.Contains(string(body), `"generate-password"`) {
			// Since 9.2, Proxmox always sends a VM's password, and plans to remove the parameter.
			got, _, err = p.post(ctx, path+"vncproxy", "websocket=1")
		}
	}
	if err != nil {
		return err
	}
	console.VNCTicket, console.Port = got.Ticket, number(got.Port)
	// With the password or the user, proxxy logs in to the console, and the browser needs neither.
	if console.Protocol == "term" {
		console.User = got.User
	} else if console.Password = got.Password; got.Password == "" {
		console.Password = got.Ticket
	}
	if console.VNCTicket == "" || (console.Protocol == "term" && console.User == "") {
		return badAnswer("the answer has no console ticket")
	}
	return nil
}

// post returns the answer's data, and the body of an answer that is an error.
func (p *Proxmox) post(ctx context.Context, path, form string) (*answer, []byte, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	place := authority(p.Host, apiPort)
	address := "https://" + place + "/api2/json/" + path
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(form))
	if err != nil {
		return nil, nil, p.unreachable(place, err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if p.Token != "" {
		request.Header.Set("Authorization", p.identity())
	} else {
		request.Header.Set("Authorization", "PVEAuthCookie="+p.identity())
		request.Header.Set("CSRFPreventionToken", p.CSRF)
	}
	response, err := p.client().Do(request)
	if err != nil {
		return nil, nil, p.unreachable(place, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, answerMax))
	if err != nil {
		return nil, nil, p.unreachable(place, err)
	}
	if response.StatusCode != http.StatusOK {
		return nil, body, p.refusal(response)
	}
	var whole struct{ Data *answer }
	decoder := json.NewDecoder(strings.NewReader(string(body)))
	decoder.UseNumber()
	if decoder.Decode(&whole) != nil || whole.Data == nil {
		return nil, nil, badAnswer("the answer is not JSON with data")
	}
	return whole.Data, nil, nil
}

func badAnswer(words string) error {
	return &ProxmoxError{Status: http.StatusOK, Reason: Other, Words: words}
}

func (p *Proxmox) unreachable(place string, err error) error {
	var where *url.Error
	words := err.Error()
	if errors.As(err, &where) { // without the URL
		words = where.Err.Error()
	}
	return &ProxmoxError{Reason: Unreachable, Words: p.plain(place + ": " + words), Err: err}
}

func (p *Proxmox) refusal(response *http.Response) error {
	reason := Other
	switch {
	case response.StatusCode == http.StatusUnauthorized || response.StatusCode == http.StatusForbidden:
		reason = Refused
	case noGuest.MatchString(response.Status):
		reason = NoGuest
	}
	return &ProxmoxError{Status: response.StatusCode, Reason: reason, Words: p.plain(response.Status)}
}

// client trusts the options' CA or certificate, or the system's CAs, and follows no redirect.
func (p *Proxmox) client() *http.Client {
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true}
	if p.CA != "" {
		transport.TLSClientConfig = &tls.Config{RootCAs: x509.NewCertPool(), MinVersion: tls.VersionTLS12}
		transport.TLSClientConfig.RootCAs.AppendCertsFromPEM([]byte(p.CA))
	}
	if p.Fingerprint != "" {
		wanted, _ := hex.DecodeString(strings.ReplaceAll(p.Fingerprint, ":", ""))
		transport.TLSClientConfig = &tls.Config{
			MinVersion:         tls.VersionTLS12,
			InsecureSkipVerify: true, // VerifyConnection compares the certificate, whoever signed it
			VerifyConnection: func(state tls.ConnectionState) error {
				found := sha256.Sum256(state.PeerCertificates[0].Raw)
				if !bytes.Equal(found[:], wanted) {
					return errors.New("its certificate has another fingerprint")
				}
				return nil
			},
		}
	}
	return &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}
}

// plain makes words for one line of a log. A server may repeat what it was sent.
func (p *Proxmox) plain(words string) string {
	_, secret, _ := strings.Cut(p.Token, "=")
	for _, secret := range []string{secret, p.Ticket, p.CSRF} {
		if secret != "" {
			words = strings.ReplaceAll(words, secret, "...")
		}
	}
	words = strings.Map(func(r rune) rune {
		if r < 0x20 || r > 0x7E {
			return '?'
		}
		return r
	}, words)
	if len(words) > reasonMax {
		words = words[:reasonMax]
	}
	return words
}

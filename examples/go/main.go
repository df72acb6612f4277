// SPDX-License-Identifier: Apache-2.0

// Example of a panel's backend: POST /console-link/TYPE/VMID answers {"link": …}, a link to the guest's console. It
// checks first that the customer may open it. GET / is a small panel, which shows the console in a frame.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"log"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"

	"proxxy.example/proxxy"
)

type backend struct {
	proxxy     *proxxy.Proxxy
	cluster    string
	PageOrigin string
	Guests     []string
}

var (
	pathPattern   = regexp.MustCompile(`^/console-link/(qemu|lxc)/([0-9]{1,9})$`)
	originPattern = regexp.MustCompile(`^https?://[^/]*`)
)

func main() {
	page, port := os.Getenv("PROXXY_PAGE"), os.Getenv("PORT")
	library, err := proxxy.New(proxxy.Options{Page: page, KeyFile: os.Getenv("PROXXY_KEY_FILE")})
	if err != nil {
		log.Fatal(err)
	}
	if port == "" {
		port = "8080"
	}
	log.Fatal(http.ListenAndServe("127.0.0.1:"+port, &backend{library, os.Getenv("PROXXY_CLUSTER"),
		originPattern.FindString(page), strings.Fields(os.Getenv("GUESTS"))}))
}

// customerOf is YOURS TO FILL IN. It returns the customer's name if the session of this request may open the guest's
// console, else "". proxxy opens whatever a link names: this is the only check. Here, everybody may open the guests in
// GUESTS.
func (b *backend) customerOf(_ *http.Request, guest string) string {
	for _, open := range b.Guests {
		if open == guest {
			return "alice"
		}
	}
	return ""
}

func (b *backend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet && r.URL.Path == "/" {
		if err := panel.Execute(w, b); err != nil {
			log.Print(err)
		}
		return
	}
	status, answer := http.StatusNotFound, map[string]string{"error": "There is no such page."}
	if found := pathPattern.FindStringSubmatch(r.URL.Path); found != nil && r.Method == http.MethodPost {
		vmid, _ := strconv.Atoi(found[2])
		status, answer = b.openConsole(r, found[1], vmid)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(answer); err != nil {
		log.Print(err)
	}
}

func (b *backend) openConsole(r *http.Request, kind string, vmid int) (int, map[string]string) {
	customer := b.customerOf(r, fmt.Sprint(kind, "/", vmid))
	if customer == "" {
		return http.StatusForbidden, map[string]string{"error": "You may not open this console."}
	}
	link, err := b.proxxy.Link(proxxy.Console{VMID: vmid, Type: kind, Cluster: b.cluster, Sub: customer,
		Origin: b.PageOrigin, Title: fmt.Sprint(kind, " ", vmid)})
	var wrong *proxxy.InvalidOptionError
	switch {
	case err == nil:
		return http.StatusOK, map[string]string{"link": link}
	case errors.As(err, &wrong):
		return http.StatusBadRequest, map[string]string{"error": wrong.Reason}
	}
	log.Print(err) // no error of the library has a secret in it
	return http.StatusInternalServerError, map[string]string{"error": "Please try again."}
}

var panel = template.Must(template.New("").Parse(`<!doctype html>
<meta charset="utf-8">
<title>Panel</title>
<p>{{range .Guests}}<button value="{{.}}">{{.}}</button> {{end}}</p>
<p id="error" role="alert"></p>
<iframe title="Console" width="1024" height="768" allow="fullscreen; clipboard-read; clipboard-write"></iframe>
<script type="module">
  const frame = document.querySelector("iframe");
  let guest;

  async function open(chosen) {
    guest = chosen;
    const answer = await fetch("/console-link/" + guest, { method: "POST" });
    const { link, error = "" } = await answer.json();
    document.querySelector("#error").textContent = error;
    if (link) frame.src = link;
  }

  for (const button of document.querySelectorAll("button")) button.onclick = () => open(button.value);
  // The console needs another link: the last one has expired, or its user wants to open it again.
  addEventListener("message", ({ source, origin, data }) => {
    const isConsole = source === frame.contentWindow && origin === {{.PageOrigin}};
    if (isConsole && data?.type === "proxxy:again") open(guest);
  });
</script>
`))

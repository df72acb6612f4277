// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"reflect"
	"strconv"
	"strings"
)

// go run . VMID qemu|lxc USER          link.go
// go run . ticket NODE VMID qemu|lxc   ticket.go
// go run . check ../../sdk/vectors.json       checks Seal with the test vectors
func main() {
	log.SetFlags(0)
	switch arguments := os.Args[1:]; {
	case len(arguments) == 2 && arguments[0] == "check":
		check(arguments[1])
	case len(arguments) == 4 && arguments[0] == "ticket":
		guest := Guest{os.Getenv("PROXMOX_HOST"), arguments[1], arguments[3], must(strconv.Atoi(arguments[2]))}
		var ca []byte
		if file := os.Getenv("PROXMOX_CA_FILE"); file != "" {
			ca = must(os.ReadFile(file))
		}
		fmt.Println(must(OpenConsole(guest, contents("PROXMOX_TOKEN_FILE"), contents("PROXXY_KEY_FILE"),
			os.Getenv("PROXXY_PAGE"), ca)))
	case len(arguments) == 3:
		fmt.Println(must(ConsoleLink(must(strconv.Atoi(arguments[0])), arguments[1], arguments[2],
			os.Getenv("PROXXY_CLUSTER"), contents("PROXXY_KEY_FILE"), os.Getenv("PROXXY_PAGE"))))
	default:
		log.Fatal("unexpected arguments; see main.go")
	}
}

// contents returns the file that the variable names, without its newline.
func contents(variable string) string {
	return strings.TrimSpace(string(must(os.ReadFile(os.Getenv(variable)))))
}

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
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
		for _, payload := range []string{v.Payload, exact, must(Seal(v.Claims, keys))} {
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

func unseal(payload string, key []byte) (claims map[string]any) {
	parts := strings.Split(payload, ".")
	sealed := append(must(base64url.DecodeString(parts[3])), must(base64url.DecodeString(parts[4]))...)
	text := must(gcm(key).Open(nil, must(base64url.DecodeString(parts[2])), sealed, []byte(parts[0])))
	must(0, json.Unmarshal(text, &claims))
	return claims
}

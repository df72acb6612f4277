// SPDX-License-Identifier: Apache-2.0

// Calls the Go library for tests/test_sdk.py: tests/lib/sdk.py describes requests and answers.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"log"
	"os"
	"reflect"
	"strings"
	"time"

	"proxxy.example/proxxy"
)

type request struct {
	Settings proxxy.Options
	Call     string
	Options  json.RawMessage
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var asked request
		if err := json.Unmarshal(lines.Bytes(), &asked); err != nil {
			log.Fatal(err)
		}
		result, err := answer(&asked)
		said := map[string]any{"result": result}
		if err != nil {
			said = map[string]any{"error": describe(err)}
		}
		if err := json.NewEncoder(os.Stdout).Encode(said); err != nil {
			log.Fatal(err)
		}
	}
}

func answer(asked *request) (any, error) {
	library, err := proxxy.New(asked.Settings)
	if err != nil {
		return nil, err
	}
	if asked.Call == "open" {
		var payload string
		if err := json.Unmarshal(asked.Options, &payload); err != nil {
			log.Fatal(err)
		}
		return library.Open(payload)
	}
	var options map[string]any
	var more struct{ Proxmox proxxy.Proxmox }
	decoder := json.NewDecoder(strings.NewReader(string(asked.Options)))
	decoder.UseNumber()
	if err := decoder.Decode(&options); err != nil {
		log.Fatal(err)
	}
	if err := json.Unmarshal(asked.Options, &more); err != nil {
		log.Fatal(err)
	}
	console := consoleOf(options)
	switch asked.Call {
	case "link":
		return library.Link(console)
	case "payload":
		return library.Payload(console)
	case "openConsole":
		return library.OpenConsole(context.Background(), more.Proxmox, console)
	}
	log.Fatal("unknown call")
	return nil, nil
}

// consoleOf finds the fields by the options' names in TypeScript.
func consoleOf(options map[string]any) (console proxxy.Console) {
	for name, value := range options {
		if name == "jti" && value == true {
			console.Once = true
			continue
		}
		if name == "proxmox" {
			continue
		}
		field := reflect.ValueOf(&console).Elem().FieldByNameFunc(func(field string) bool {
			return strings.EqualFold(field, name)
		})
		var integer int64
		if number, ok := value.(json.Number); ok {
			integer, _ = number.Int64()
			value = integer
		}
		switch field.Interface().(type) {
		case int:
			field.SetInt(integer)
		case time.Duration:
			field.SetInt(integer * int64(time.Second))
		case time.Time:
			field.Set(reflect.ValueOf(time.Unix(integer, 0)))
		case []string:
			for _, one := range value.([]any) {
				console.Panel = append(console.Panel, one.(string))
			}
		default:
			field.Set(reflect.ValueOf(value))
		}
	}
	return console
}

func describe(err error) map[string]any {
	said := map[string]any{"message": err.Error()}
	var option *proxxy.InvalidOptionError
	var keyFile *proxxy.KeyFileError
	var refusal *proxxy.ProxmoxError
	switch {
	case errors.As(err, &option):
		said["name"], said["option"] = "InvalidOption", option.Option
	case errors.As(err, &keyFile):
		said["name"] = "KeyFileError"
	case errors.As(err, &refusal):
		said["name"], said["status"], said["reason"] = "ProxmoxError", refusal.Status, refusal.Reason
	default:
		log.Fatal(err)
	}
	return said
}

// SPDX-License-Identifier: Apache-2.0

package proxxy

import "fmt"

// InvalidOptionError says that proxxy or the console's page would refuse an option, or a payload given to Open. Option
// is the field's name, or "payload".
type InvalidOptionError struct {
	Option, Reason string
}

func (e *InvalidOptionError) Error() string {
	return "proxxy: " + e.Reason
}

// KeyFileError says that the key file cannot be read, or that its text (or the option Key) is not what proxxy's key
// file may contain. File is "" for the option Key.
type KeyFileError struct {
	File, Reason string
	Err          error // from the file system, or nil
}

func (e *KeyFileError) Error() string {
	place := e.File
	if place == "" {
		place = "Key"
	}
	return fmt.Sprintf("proxxy: %s: %s", place, e.Reason)
}

// Unwrap returns the file system's error, such as one that errors.Is takes for fs.ErrNotExist.
func (e *KeyFileError) Unwrap() error {
	return e.Err
}

func wrongPayload(reason string) error {
	return &InvalidOptionError{"payload", "payload is refused: " + reason}
}

// ProxmoxReason is why Proxmox opened no console.
type ProxmoxReason string

// The reasons of a ProxmoxError.
const (
	Unreachable ProxmoxReason = "unreachable" // there was no answer, or its certificate is not trusted
	Refused     ProxmoxReason = "refused"     // the token is wrong, or lacks the privilege VM.Console
	NoGuest     ProxmoxReason = "noGuest"     // the guest is not on this node
	Other       ProxmoxReason = "other"
)

// ProxmoxError says why Proxmox opened no console. Status is the status of its answer, or 0 if there was none.
type ProxmoxError struct {
	Status int
	Reason ProxmoxReason
	Words  string // for the log
	Err    error  // from the network, or nil
}

func (e *ProxmoxError) Error() string {
	return "Proxmox: " + e.Words
}

// Unwrap returns the network's error.
func (e *ProxmoxError) Unwrap() error {
	return e.Err
}

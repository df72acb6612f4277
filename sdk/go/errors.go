// SPDX-License-Identifier: Apache-2.0

package proxxy

import "fmt"

// InvalidOptionError says that proxxy or the console's page would refuse an option. Option is the field's name.
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

// InvalidPayloadError says that the keys do not open a payload, or that proxxy would refuse its text.
type InvalidPayloadError struct {
	Reason string
}

func (e *InvalidPayloadError) Error() string {
	return "proxxy: invalid payload: " + e.Reason
}

// ProxmoxError says that Proxmox refused to open a console, or that it was not reached. Status is the status of its
// answer, or 0 if there was none.
type ProxmoxError struct {
	Status int
	Reason string
	Err    error // from the network, or nil
}

func (e *ProxmoxError) Error() string {
	return "Proxmox: " + e.Reason
}

// Unwrap returns the network's error.
func (e *ProxmoxError) Unwrap() error {
	return e.Err
}

// SPDX-License-Identifier: Apache-2.0

package proxxy_test

import (
	"errors"
	"fmt"

	"proxxy.example/proxxy"
)

func ExampleProxxy_Link() {
	library, err := proxxy.New(proxxy.Options{
		Page: "https://panel.example.com/console/",
		Key:  "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", // better KeyFile
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	// Before, check that this user may open the guest's console.
	_, err = library.Link(proxxy.Console{VMID: 100, Type: "vm", Cluster: "pve", Sub: "alice"})
	var wrong *proxxy.InvalidOptionError
	if errors.As(err, &wrong) {
		fmt.Println(wrong.Option, "is wrong:", wrong.Reason)
	}
	// Output: Type is wrong: type is not qemu or lxc
}

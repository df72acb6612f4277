// SPDX-License-Identifier: Apache-2.0

module example/console

go 1.19

require proxxy.example/proxxy v0.0.0

replace proxxy.example/proxxy => ../../sdk/go

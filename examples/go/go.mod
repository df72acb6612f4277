// SPDX-License-Identifier: Apache-2.0

module example/console

go 1.19

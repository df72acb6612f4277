// SPDX-License-Identifier: Apache-2.0

module proxxy.example/proxxy

go 1.19

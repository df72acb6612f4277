/* SPDX-License-Identifier: Apache-2.0
 *
 * The processor that the compiler compiles for, by the name that libseccomp has for it. The
 * Makefile asks the target's compiler, and gives the name to make_filters.
 */
#ifndef PROXXY_FILTER_ARCHITECTURE_H
#define PROXXY_FILTER_ARCHITECTURE_H

#if defined(__x86_64__) && !defined(__ILP32__)
#define FILTER_ARCHITECTURE "x86_64"
#elif defined(__i386__)
#define FILTER_ARCHITECTURE "x86"
#elif defined(__aarch64__) && !defined(__ILP32__)
#define FILTER_ARCHITECTURE "aarch64"
#elif defined(__arm__)
#define FILTER_ARCHITECTURE "arm"
#elif defined(__riscv) && __riscv_xlen == 64
#define FILTER_ARCHITECTURE "riscv64"
#else
#define FILTER_ARCHITECTURE "unknown" /* make_filters stops the build */
#endif

#endif

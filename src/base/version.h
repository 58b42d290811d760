/* version: what this build calls itself. */
#ifndef BASE_VERSION_H
#define BASE_VERSION_H
#define DISTRIBUTE_VERSION "0.1.0"
#define DISTRIBUTE_AGENT "distribute/" DISTRIBUTE_VERSION
/* The Kubo release whose RPC, outputs and repository version this build answers with. */
#define KUBO_RPC_VERSION "0.42.0"
#define KUBO_REPO_VERSION "18"
/* Machine and system as Go's programs name them. */
#if defined(__x86_64__)
#define SYSTEM_NAME "amd64/linux"
#elif defined(__aarch64__)
#define SYSTEM_NAME "arm64/linux"
#elif defined(__arm__)
#define SYSTEM_NAME "arm/linux"
#elif defined(__riscv) && __riscv_xlen == 64
#define SYSTEM_NAME "riscv64/linux"
#else
#define SYSTEM_NAME "unknown/linux"
#endif
#endif

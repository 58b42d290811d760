/* version: what this build calls itself. */
#ifndef BASE_VERSION_H
#define BASE_VERSION_H
#define DISTRIBUTE_VERSION "0.1.0"
#define DISTRIBUTE_AGENT "distribute/" DISTRIBUTE_VERSION
/* The Kubo release whose RPC, outputs and repository version this build answers with. */
#define KUBO_RPC_VERSION "0.42.0"
#define KUBO_REPO_VERSION "18"
#endif

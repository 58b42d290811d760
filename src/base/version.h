/* version: what this build calls itself. */
#ifndef BASE_VERSION_H
#define BASE_VERSION_H
#define DISTRIBUTE_VERSION "0.1.0"
#define DISTRIBUTE_AGENT "distribute/" DISTRIBUTE_VERSION
#endif

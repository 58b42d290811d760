/* commands_files: rows about the mutable tree of files. */
#include "cli/commands_internal.h"

#define ANY CLI_ANY_ARGS

#define FLUSH                                                                                                \
    {                                                                                                        \
        "flush", 'f', false, NULL, "make it durable now (default true)"                                      \
    }
#define FORMAT                                                                                               \
    {"cid-version", 0, true, NULL, "0 or 1"}, {"cid-ver", 0, true, "cid-version", "the same"},               \
    {                                                                                                        \
        "hash", 0, true, NULL, "hash function"                                                               \
    }
static const cli_spec_t files_flush_specs[] = {FLUSH, {NULL, 0, false, NULL, NULL}};
static const cli_spec_t files_cp_specs[] = {{"force", 0, false, NULL, "take the place of a file"},
                                            {"parents", 'p', false, NULL, "make folders as needed"},
                                            FLUSH,
                                            {NULL, 0, false, NULL, NULL}};
static const cli_spec_t files_ls_specs[] = {{"long", 'l', false, NULL, "with CIDs and sizes"},
                                            {"U", 'U', false, NULL, "in the order of the folder"},
                                            FLUSH,
                                            {NULL, 0, false, NULL, NULL}};
static const cli_spec_t files_mkdir_specs[] = {
    {"parents", 'p', false, NULL, "make folders as needed; one that is there is fine"},
    FORMAT,
    FLUSH,
    {NULL, 0, false, NULL, NULL}};
static const cli_spec_t files_read_specs[] = {{"offset", 'o', true, NULL, "first byte"},
                                              {"count", 'n', true, NULL, "how many bytes"},
                                              FLUSH,
                                              {NULL, 0, false, NULL, NULL}};
static const cli_spec_t files_rm_specs[] = {{"recursive", 'r', false, NULL, "folders with all below"},
                                            {"force", 0, false, NULL, "whatever it is; absent is fine"},
                                            FLUSH,
                                            {NULL, 0, false, NULL, NULL}};
static const cli_spec_t files_stat_specs[] = {
    {"format", 0, true, NULL,
     "tokens <hash> <size> <cumulsize> <type> <childs> <mode> <mode-octal> <mtime> …"},
    {"hash", 0, false, NULL, "the CID alone"},
    {"size", 0, false, NULL, "the size with all below alone"},
    {"with-local", 0, false, NULL, "how much of it is here"},
    FLUSH,
    {NULL, 0, false, NULL, NULL}};
static const cli_spec_t files_touch_specs[] = {{"mtime", 0, true, NULL, "seconds since 1970 (default now)"},
                                               {"mtime-nsecs", 0, true, NULL, "and nanoseconds"},
                                               FLUSH,
                                               {NULL, 0, false, NULL, NULL}};
static const cli_spec_t files_write_specs[] = {
    {"offset", 'o', true, NULL, "where to write"},
    {"create", 'e', false, NULL, "make the file when it is not there"},
    {"parents", 'p', false, NULL, "make folders as needed"},
    {"truncate", 't', false, NULL, "cut it to nothing first"},
    {"count", 'n', true, NULL, "write at most so many bytes"},
    {"raw-leaves", 0, false, NULL, "new leaves without the protobuf frame"},
    FORMAT,
    FLUSH,
    {NULL, 0, false, NULL, NULL}};
static const cli_spec_t files_chcid_specs[] = {FORMAT, FLUSH, {NULL, 0, false, NULL, NULL}};
static const cli_spec_t files_chroot_specs[] = {{"confirm", 0, false, NULL, "yes, another tree"},
                                                {NULL, 0, false, NULL, NULL}};

/* name, usage, help, kind, rpc, min, max, daemon, options, run, print, alias, stdin */
const cli_command_t cli_files_commands[] = {
    {"files cp", "SOURCE DEST", "put content, or an entry of the tree, at a path of the tree", CLI_RPC,
     "files/cp", 2, 2, false, files_cp_specs, NULL, NULL, false},
    {"files ls", "[PATH]", "list a folder of the tree", CLI_RPC, "files/ls", 0, 1, false, files_ls_specs,
     cli_files_ls, NULL, false},
    {"files mkdir", "PATH", "make a folder", CLI_RPC, "files/mkdir", 1, 1, false, files_mkdir_specs, NULL,
     NULL, false},
    {"files mv", "SOURCE DEST", "move an entry", CLI_RPC, "files/mv", 2, 2, false, files_flush_specs, NULL,
     NULL, false},
    {"files read", "PATH", "print a file's bytes", CLI_RPC, "files/read", 1, 1, false, files_read_specs, NULL,
     NULL, false},
    {"files rm", "PATH…", "remove entries", CLI_RPC, "files/rm", 1, ANY, false, files_rm_specs, NULL, NULL,
     false},
    {"files stat", "PATH", "CID, size and kind of an entry", CLI_RPC, "files/stat", 1, 1, false,
     files_stat_specs, NULL, NULL, false},
    {"files write", "PATH [FILE]", "write a file or standard input into a file of the tree", CLI_RPC,
     "files/write", 1, 2, false, files_write_specs, cli_upload_after_word, NULL, false},
    {"files flush", "[PATH]", "make all changes durable; prints the CID of the path", CLI_RPC, "files/flush",
     0, 1, false, files_flush_specs, NULL, NULL, false},
    {"files chcid", "PATH", "change the CID version or hash function of a folder", CLI_RPC, "files/chcid", 1,
     1, false, files_chcid_specs, NULL, NULL, false},
    {"files chmod", "MODE PATH", "change permissions", CLI_RPC, "files/chmod", 2, 2, false, files_flush_specs,
     NULL, NULL, false},
    {"files touch", "PATH", "change the time of modification", CLI_RPC, "files/touch", 1, 1, false,
     files_touch_specs, NULL, NULL, false},
    {"files chroot", "[CID]", "another tree in the place of this one", CLI_ALONE, "files/chroot", 0, 1, false,
     files_chroot_specs, NULL, NULL, false},
    {.name = NULL},
};

/* go_type: the types of what the reference answers with, as far as answers show them: its encodings `xml`,
 * `textnl` and `octet-stream` print the values of its language as they stand, with the names of their types
 * and members. A type is written as there, in one line, with the name that a member has in JSON behind a
 * colon, and what a named type is made of behind it:
 *
 *   *commands.KeyList{Keys []cid.Cid}      []commands.CodeAndName{Code int;Name string}
 *   net.Direction(int)                     map[string]any
 *   corerepo.Stat{+SizeStat corerepo.SizeStat{RepoSize uint64};NumObjects uint64}
 *
 * `+` stands before what is embedded (its members are members of the whole in JSON and XML), `-` before what
 * only the printed form shows, `@NAME` for a type that is defined once (go_answers.c). Source of the types:
 * ipfs/kubo core/commands. */
#ifndef PRINT_GO_TYPE_H
#define PRINT_GO_TYPE_H
#include "base/bytes.h"
#include <jansson.h>

typedef enum {
    GO_BOOL,
    GO_INT,
    GO_UINT,
    GO_FLOAT32,
    GO_FLOAT64,
    GO_STRING,
    GO_BYTES, /* base64 in JSON */
    GO_ANY,   /* whatever the JSON is */
    GO_CID,   /* {"/": "bafy…"}; null is the undefined one */
    GO_TIME,
    GO_TEXT, /* peer IDs and multiaddrs: text that is no member of `string` */
    GO_POINTER,
    GO_SLICE,
    GO_MAP, /* keys are text */
    GO_STRUCT,
} go_kind_t;

typedef struct go_type {
    go_kind_t kind;
    bytes_t name;      /* "commands.AddEvent", "int64"; empty for pointers, slices, maps */
    const char *text;  /* the notation, from here on */
    const char *inner; /* of what it points to, of elements, of values; the first member of a struct or of
                        * `any` */
    const char *end;   /* behind the notation */
} go_type_t;
typedef struct go_member {
    bytes_t name, json;
    bool is_embedded, is_hidden;
    go_type_t type;
} go_member_t;

/* Notation is ours: what cannot be read is a bug, and stops the process. */
go_type_t go_type_read(const char *notation);
/* The next member of a struct: `at` begins as its `inner`. False behind the last. */
bool go_type_next(const char **at, go_member_t *ret_member);
/* A member of the JSON of a struct. NULL: it is not there, and has the zero value of its type. */
json_t *go_member_value(json_t *object, const go_member_t *m);
/* Appends the type as the reference names it: "map[string]pin.PinLsType". */
MUST_CHECK err_t go_type_print(const go_type_t *t, buf_t *out);
/* Value of `any`: what JSON of unknown type is read as. */
go_type_t go_type_of_json(const json_t *value);

/* A float as the reference prints it: with the fewest digits that read the same, and an exponent that is
 * below -4 or over 5. Returns out. */
const char *go_float_text(double value, bool is_single, char out[40]);
/* The moment of a time's JSON; false: it is none. */
typedef struct go_time {
    int64_t seconds; /* since the year 1 */
    uint32_t nanos;
} go_time_t;
bool go_time_read(const char *text, go_time_t *ret_time);

/* What a command answers with. */
typedef struct go_answer {
    const char *command;
    const char *emitted; /* over the RPC */
    const char *decoded; /* what the reference's command line reads the RPC's answer as; NULL: the same,
                          * behind a pointer */
    bool is_single;      /* one value, and no more */
    bool has_own_print;  /* the command line has a form of its own, whatever the encoding is */
} go_answer_t;
/* NULL: its answers are bytes, or nothing. */
const go_answer_t *go_answer_of(const char *command);
/* Has the reference a text of its own for it? */
bool go_answer_has_text(const char *command);
const go_answer_t *go_answer_at(size_t n); /* NULL behind the last */
const char *go_definition(bytes_t name);   /* of `@NAME`; NULL: there is none */
#endif

/* go_number: numbers of answers, of every type that JSON writes them as: digits, text, words of settings. */
#ifndef PRINT_GO_NUMBER_H
#define PRINT_GO_NUMBER_H
#include "print/go_type.h"

/* 0 when it is none. */
int64_t go_integer(const go_type_t *t, const json_t *value);
/* Appends a bool, a whole number or a float. */
MUST_CHECK err_t go_number_print(const go_type_t *t, const json_t *value, buf_t *out);
/* The text of a JSON string; empty when it is none. */
bytes_t go_text(const json_t *value);
/* A CID's, "b" for the undefined one, whose base32 is empty. */
bytes_t go_cid_text(const json_t *value);
/* RFC 3339; the first moment when it is none. */
bytes_t go_time_text(const json_t *value);
/* Appends what base64 text stands for. ERR_INVALID. */
MUST_CHECK err_t go_bytes_decode(const json_t *value, buf_t *out);
/* The type of a value of a map, or of `any`, at a key. */
go_type_t go_value_type(const go_type_t *map, const char *key, size_t len);
#endif

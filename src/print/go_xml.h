/* go_xml: answers in the encoding `xml`: the reference's values as package encoding/xml of its language
 * writes them. Elements are named as types and members are; a list is its element again and again; what is
 * absent has the zero value of its type, and a pointer to nothing is nothing. Maps have no such form: an
 * answer with one is an error, behind as many blocks of 4 KiB as stood in front of it. */
#ifndef PRINT_GO_XML_H
#define PRINT_GO_XML_H
#include "print/print.h"

/* A printer of values of p->command. ERR_UNSUPPORTED, as the reference words it; ERR_LIMIT: over 64 MiB. */
MUST_CHECK err_t go_xml_print(print_t *p, json_t *value);
/* Appends text in which markup is escaped. */
MUST_CHECK err_t go_xml_escape(bytes_t text, buf_t *out);
#endif

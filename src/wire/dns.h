/* dns: messages of DNS, as far as multicast DNS needs them. A codec. Spec: RFC 1035 section 4, RFC 6762
 * section 18.
 *
 * A decoded message borrows its input; questions and records are read one after the other, never collected.
 * Names are kept as text: labels joined by dots, without the last dot, ASCII letters in lower case, a dot, a
 * backslash, or a byte that is no printable ASCII written as \DDD. Compressed names are followed backwards
 * only, so that they end. */
#ifndef WIRE_DNS_H
#define WIRE_DNS_H
#include "base/reader.h"
#include "base/writer.h"

#define DNS_NAME_MAX_BYTES 255 /* on the wire */
#define DNS_NAME_TEXT_MAX (4 * DNS_NAME_MAX_BYTES + 1)
#define DNS_LABEL_MAX 63
#define DNS_HEADER_BYTES 12

enum {
    DNS_TYPE_A = 1,
    DNS_TYPE_PTR = 12,
    DNS_TYPE_TXT = 16,
    DNS_TYPE_AAAA = 28,
    DNS_TYPE_SRV = 33,
    DNS_TYPE_ANY = 255
};
enum {
    DNS_CLASS_IN = 1,
    DNS_CLASS_TOP_BIT =
        0x8000, /* multicast: of a question, "answer me alone"; of a record, "the only ones" */
};
enum { DNS_FLAG_RESPONSE = 0x8000, DNS_FLAG_AUTHORITATIVE = 0x0400 };

typedef struct dns_message {
    uint16_t id, flags;
    uint16_t n_questions, n_answers, n_authorities, n_additional; /* as claimed; not more are read */
    bytes_t raw;
    reader_t at; /* internal: behind what was read */
    uint32_t n_read;
} dns_message_t;
typedef struct dns_record {
    char name[DNS_NAME_TEXT_MAX];
    uint16_t type, class;
    uint32_t ttl_s; /* 0 for a question */
    bytes_t data;   /* borrowed; empty for a question */
    bool is_question, is_answer;
} dns_record_t;

/* The header. ERR_INVALID: too short for one. */
MUST_CHECK err_t dns_decode(bytes_t in, dns_message_t *ret);
/* The next question or record, in the order of the message. False at the end, and at the first one that is
 * malformed (then m->at.err is set). */
bool dns_next(dns_message_t *m, dns_record_t *ret);
/* The name that a PTR record points to. ERR_INVALID. */
MUST_CHECK err_t dns_pointer(const dns_message_t *m, const dns_record_t *r, char out[DNS_NAME_TEXT_MAX]);
/* for (reader_t in = reader_of(record.data); dns_next_string(&in, &text);) — the strings of a TXT record */
bool dns_next_string(reader_t *in, bytes_t *ret);

void dns_put_header(writer_t *w, uint16_t id, uint16_t flags, const uint16_t counts[4]);
void dns_put_label(writer_t *w, bytes_t label); /* 1 to 63 bytes */
void dns_put_name_end(writer_t *w);
/* The rest of a name stands at this offset of the message already. */
void dns_put_name_at(writer_t *w, uint16_t offset);
/* Behind the record's name; its data follows. */
void dns_put_record(writer_t *w, uint16_t type, uint16_t class, uint32_t ttl_s, uint16_t data_len);
#endif

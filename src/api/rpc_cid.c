/* rpc_cid: cid/… and multibase/…: nothing of a node is needed for them. Reference: ipfs/kubo core/commands
 * cid.go and multibase.go; ipfs/go-cidutil format.go. */
#include "api/rpc_util.h"
#include "base/utf8.h"
#include "codec/ipld_scan.h"
#include "multi/multicodec.h"
#include "multi/peer_id.h"
#include <inttypes.h>

enum { MULTIBASE_INPUT_MAX = 8 << 20 };

static err_t base_option(rpc_t *r, const char *otherwise, multibase_t *ret)
{
    const char *name = rpc_option(r, "b");
    name = name && *name ? name : otherwise;
    return multibase_from_name(name, ret) ? fail(ERR_INVALID, "unsupported multibase encoding: %s", name)
                                          : OK;
}

/* ── cid/format, cid/base32 ──────────────────────────────────────────────────────────────────── */
typedef struct cid_format {
    const char *text;
    multibase_t base;
    uint64_t codec;
    bool has_base, has_codec;
    int version; /* -1: each CID's own */
} cid_format_t;

static err_t read_version(rpc_t *r, cid_format_t *f)
{
    const char *version = rpc_option(r, "v");
    f->version = f->has_base ? 1 : -1;
    if (!version || !*version)
        return OK;
    if (strcmp(version, "0") && strcmp(version, "1"))
        return fail(ERR_INVALID, "invalid cid version: \"%s\"", version);
    f->version = *version - '0';
    if (!f->version && f->has_codec && f->codec != CODEC_DAG_PB)
        return fail(ERR_INVALID, "cannot convert to CIDv0 with any codec other than dag-pb");
    if (!f->version && f->has_base && f->base != MB_BASE58BTC)
        return fail(ERR_INVALID,
                    "cannot convert to CIDv0 with any multibase other than the implicit base58btc");
    return OK;
}

static err_t read_format(rpc_t *r, cid_format_t *f)
{
    const char *text = rpc_option(r, "f"), *codec = rpc_option(r, "mc"), *base = rpc_option(r, "b");
    *f = (cid_format_t){.text = text && *text ? text : "%s"};
    if (!strchr(f->text, '%'))
        return fail(ERR_INVALID, "invalid format string: \"%s\"", f->text);
    f->has_codec = codec && *codec;
    if (f->has_codec)
        TRY(rpc_codec_option(r, "mc", codec, &f->codec));
    f->has_base = base && *base;
    if (f->has_base)
        TRY(base_option(r, base, &f->base));
    return read_version(r, f);
}

static err_t put_encoded(buf_t *out, multibase_t base, bytes_t data, bool has_prefix)
{
    return has_prefix ? multibase_encode(base, data, out) : multibase_encode_raw(base, data, out);
}

static err_t put_name(buf_t *out, uint64_t code, const char *kind)
{
    const char *name = multicodec_name(code);
    return name ? buf_printf(out, "%s", name) : buf_printf(out, "%s?%" PRIu64, kind, code);
}

static err_t put_prefix(buf_t *out, const cid_t *c)
{
    TRY(buf_printf(out, "cidv%d-", c->version));
    TRY(put_name(out, c->codec, "codec"));
    TRY(buf_append(out, BYTES_LIT("-")));
    TRY(put_name(out, c->hash_code, "hash"));
    return buf_printf(out, "-%u", c->digest_len);
}

static err_t put_base_code(buf_t *out, multibase_t base)
{
    uint8_t utf8[4];
    return buf_append(out, bytes_of(utf8, utf8_put(base, utf8)));
}

static err_t put_specifier(buf_t *out, char what, const cid_t *c, multibase_t base)
{
    uint8_t raw[CID_BINARY_MAX];
    char text[CID_TEXT_MAX];
    switch (what) {
    case '%':
        return buf_append(out, BYTES_LIT("%"));
    case 'b':
        return buf_printf(out, "%s", multibase_name(base));
    case 'B':
        return put_base_code(out, base);
    case 'v':
        return buf_printf(out, "cidv%d", c->version);
    case 'V':
        return buf_printf(out, "%d", c->version);
    case 'c':
        return put_name(out, c->codec, "codec");
    case 'C':
        return buf_printf(out, "%" PRIu64, c->codec);
    case 'h':
        return put_name(out, c->hash_code, "hash");
    case 'H':
        return buf_printf(out, "%" PRIu64, c->hash_code);
    case 'L':
        return buf_printf(out, "%u", c->digest_len);
    case 'm':
    case 'M':
        return put_encoded(out, base, bytes_of(raw, cid_encode_multihash(c, raw)), what == 'm');
    case 'd':
    case 'D':
        return put_encoded(out, base, cid_digest(c), what == 'd');
    case 's':
        TRY(cid_print_base(c, base, text));
        return buf_append(out, bytes_str(text));
    case 'S':
        return put_encoded(out, base, bytes_of(raw, cid_encode(c, raw)), false);
    case 'P':
        return put_prefix(out, c);
    default:
        return fail(ERR_USAGE, "unrecognized specifier in format string: %%%c", what);
    }
}

/* ERR_USAGE: the format is wrong, whatever the CID. */
static err_t put_formatted(buf_t *out, const char *format, const cid_t *c, multibase_t base)
{
    for (const char *p = format; *p; p++) {
        if (*p != '%') {
            TRY(buf_append_u8(out, (uint8_t)*p));
            continue;
        }
        if (!*++p)
            return fail(ERR_USAGE, "premature end of format string");
        TRY(put_specifier(out, *p, c, base));
    }
    return OK;
}

static err_t format_one(const cid_format_t *f, const char *text, buf_t *out)
{
    cid_t c;
    multibase_t base;
    if (cid_parse_base(bytes_str(text), &c, &base))
        return fail_also(ERR_INVALID, "invalid cid");
    if (f->has_codec && f->codec != c.codec) {
        c.codec = f->codec;
        c.version = 1;
    }
    if (!f->version && c.version && cid_to_v0(&c, &c))
        return fail(ERR_INVALID, "can't convert non-dag-pb nodes to cidv0");
    if (f->version == 1)
        TRY(cid_to_v1(&c, &c));
    base = f->has_base ? f->base : c.version ? base : MB_BASE58BTC;
    return put_formatted(out, f->text, &c, base);
}

static err_t emit_formatted(task_t *t, rpc_t *r, const cid_format_t *f)
{
    AUTO(buf_t) out = {0};
    buf_init(&out, 1 << 20);
    for (size_t i = 0; i < r->n_args; i++) {
        buf_clear(&out);
        err_t e = format_one(f, r->args[i], &out);
        if (e == ERR_USAGE)
            return fail(ERR_INVALID, "%s", error_text(e));
        bytes_t formatted = e ? BYTES_NONE : buf_bytes(&out);
        TRY(rpc_emit(t, r,
                     json_pack("{s:o, s:o, s:o}", "CidStr", rpc_bytes_json(bytes_str(r->args[i])),
                               "Formatted", rpc_bytes_json(formatted), "ErrorMsg",
                               rpc_bytes_json(bytes_str(e ? error_text(e) : "")))));
    }
    return OK;
}

static err_t rpc_cid_format(task_t *t, rpc_t *r)
{
    cid_format_t f;
    TRY(read_format(r, &f));
    return emit_formatted(t, r, &f);
}

static err_t rpc_cid_base32(task_t *t, rpc_t *r)
{
    cid_format_t f = {.text = "%s", .base = MB_BASE32, .has_base = true, .version = 1};
    return emit_formatted(t, r, &f);
}

/* ── cid/inspect ─────────────────────────────────────────────────────────────────────────────── */
static const char *name_or_unknown(uint64_t code)
{
    const char *name = multicodec_name(code);
    return name ? name : "unknown";
}

static err_t emit_no_cid(task_t *t, rpc_t *r, const char *text)
{
    AUTO(buf_t) why = {0};
    peer_id_t peer;
    char key[PEER_ID_TEXT_MAX];
    buf_init(&why, 4096);
    TRY(buf_printf(&why, "invalid CID: %s", error_text(error_slot()->code)));
    if (!peer_id_parse(text, &peer) && !peer_id_print_cid(&peer, MB_BASE36, key))
        TRY(buf_printf(&why, "\nNote: the value is a PeerID; inspect its CID representation instead:\n  %s",
                       key));
    json_t *none = json_pack("{s:s, s:s}", "prefix", "", "name", "");
    return rpc_emit(t, r,
                    json_pack("{s:o, s:i, s:o, s:{s:i, s:s}, s:{s:i, s:s, s:i, s:s}, s:s, s:o}", "cid",
                              rpc_bytes_json(bytes_str(text)), "version", 0, "multibase", none, "multicodec",
                              "code", 0, "name", "", "multihash", "code", 0, "name", "", "length", 0,
                              "digest", "", "cidV1", "", "errorMsg", rpc_bytes_json(buf_bytes(&why))));
}

static err_t rpc_cid_inspect(task_t *t, rpc_t *r)
{
    cid_t c, v0, v1;
    multibase_t base;
    uint8_t utf8[4];
    char text[CID_TEXT_MAX];
    AUTO(buf_t) digest = {0};
    buf_init(&digest, 2 * CID_DIGEST_MAX);
    if (cid_parse_base(bytes_str(r->args[0]), &c, &base))
        return emit_no_cid(t, r, r->args[0]);
    base = c.version ? base : MB_BASE58BTC;
    TRY(hex_encode(cid_digest(&c), &digest));
    json_t *o = json_pack("{s:o, s:i, s:{s:o, s:s}, s:{s:I, s:s}, s:{s:I, s:s, s:i, s:o}}", "cid",
                          rpc_bytes_json(bytes_str(r->args[0])), "version", c.version, "multibase", "prefix",
                          rpc_bytes_json(bytes_of(utf8, utf8_put(base, utf8))), "name", multibase_name(base),
                          "multicodec", "code", (json_int_t)c.codec, "name", name_or_unknown(c.codec),
                          "multihash", "code", (json_int_t)c.hash_code, "name", name_or_unknown(c.hash_code),
                          "length", c.digest_len, "digest", rpc_bytes_json(buf_bytes(&digest)));
    if (!c.version || !cid_to_v0(&c, &v0)) {
        v0 = c.version ? v0 : c;
        json_object_set_new(o, "cidV0", json_string(cid_print(&v0, text)));
    }
    if (!cid_to_v1(&c, &v1) &&
        !cid_print_base(&v1, c.codec == CODEC_LIBP2P_KEY ? MB_BASE36 : MB_BASE32, text))
        json_object_set_new(o, "cidV1", json_string(text));
    return rpc_emit(t, r, o);
}

/* ── lists ───────────────────────────────────────────────────────────────────────────────────── */
static void add_name(json_t *list, uint64_t code, const char *name)
{
    json_array_append_new(list, json_pack("{s:I, s:s}", "Code", (json_int_t)code, "Name", name));
}

static err_t rpc_cid_bases(task_t *t, rpc_t *r)
{
    json_t *list = json_array();
    multibase_t base;
    for (size_t i = 0; multibase_at(i, &base); i++)
        add_name(list, base, multibase_name(base));
    return rpc_emit(t, r, list);
}

static err_t rpc_cid_codecs(task_t *t, rpc_t *r)
{
    bool supported = rpc_bool(r, "supported", false);
    json_t *list = json_array();
    size_t n;
    const multicodec_t *table = multicodec_table(&n);
    for (size_t i = 0; i < n; i++)
        if (!strcmp(table[i].tag, "ipld") &&
            (!supported || ipld_has_codec(table[i].code) || table[i].code == CODEC_LIBP2P_KEY))
            add_name(list, table[i].code, table[i].name);
    return rpc_emit(t, r, list);
}

static err_t rpc_cid_hashes(task_t *t, rpc_t *r)
{
    json_t *list = json_array();
    size_t n, len;
    const multicodec_t *table = multicodec_table(&n);
    for (size_t i = 0; i < n; i++)
        if (!multihash_natural_len(table[i].code, &len) && !multihash_check_allowed(table[i].code, len))
            add_name(list, table[i].code, table[i].name);
    return rpc_emit(t, r, list);
}

/* ── multibase ───────────────────────────────────────────────────────────────────────────────── */
static err_t write_all(task_t *t, rpc_t *r, const buf_t *out)
{
    TRY(rpc_begin_bytes(t, r, NULL, -1));
    return exchange_write(t, r->x, buf_bytes(out));
}

static err_t rpc_multibase_encode(task_t *t, rpc_t *r)
{
    AUTO(buf_t) in = {0}, out = {0};
    multibase_t base;
    TRY(base_option(r, "base64url", &base));
    buf_init(&in, MULTIBASE_INPUT_MAX);
    buf_init(&out, 9 * (size_t)MULTIBASE_INPUT_MAX);
    TRY(rpc_read_upload(t, r, &in));
    TRY(multibase_encode(base, buf_bytes(&in), &out));
    return write_all(t, r, &out);
}

/* Programs wrap base32 and base64 into lines, and end them: line ends in these are skipped, as RFC 4648,
 * 3.3 allows for. In the other bases they are refused. */
static void drop_line_ends(buf_t *text)
{
    size_t n = 0;
    if (!text->len || !memchr("bBcCtTvVmMuU", text->data[0], 12))
        return;
    for (size_t i = 0; i < text->len; i++)
        if (text->data[i] != '\n' && text->data[i] != '\r')
            text->data[n++] = text->data[i];
    text->len = n;
}

static err_t decode_upload(task_t *t, rpc_t *r, buf_t *out)
{
    AUTO(buf_t) in = {0};
    multibase_t base;
    buf_init(&in, MULTIBASE_INPUT_MAX);
    buf_init(out, MULTIBASE_INPUT_MAX);
    TRY(rpc_read_upload(t, r, &in));
    drop_line_ends(&in);
    if (multibase_decode(buf_bytes(&in), &base, out))
        return fail_also(ERR_INVALID, "failed to decode multibase");
    return OK;
}

static err_t rpc_multibase_decode(task_t *t, rpc_t *r)
{
    AUTO(buf_t) out = {0};
    TRY(decode_upload(t, r, &out));
    return write_all(t, r, &out);
}

static err_t rpc_multibase_transcode(task_t *t, rpc_t *r)
{
    AUTO(buf_t) data = {0}, out = {0};
    multibase_t base;
    TRY(base_option(r, "base64url", &base));
    TRY(decode_upload(t, r, &data));
    buf_init(&out, 9 * (size_t)MULTIBASE_INPUT_MAX);
    TRY(multibase_encode(base, buf_bytes(&data), &out));
    return write_all(t, r, &out);
}

const rpc_command_t rpc_cid_commands[] = {
    {"cid/base32", rpc_cid_base32, 1, RPC_MAX_ARGS, "cid"},
    {"cid/bases", rpc_cid_bases, 0, 0, NULL},
    {"cid/codecs", rpc_cid_codecs, 0, 0, NULL},
    {"cid/format", rpc_cid_format, 1, RPC_MAX_ARGS, "cid"},
    {"cid/hashes", rpc_cid_hashes, 0, 0, NULL},
    {"cid/inspect", rpc_cid_inspect, 1, 1, "cid"},
    {"multibase/decode", rpc_multibase_decode, 0, 0, NULL},
    {"multibase/encode", rpc_multibase_encode, 0, 0, NULL},
    {"multibase/list", rpc_cid_bases, 0, 0, NULL},
    {"multibase/transcode", rpc_multibase_transcode, 0, 0, NULL},
    {NULL, NULL, 0, 0, NULL},
};

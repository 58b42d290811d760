#include "repo/denylist.h"
#include "base/log.h"
#include "base/map.h"
#include "multi/peer_id.h"
#include "task/driver.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    RULES_MAX = 16 << 20,
    HEADER_MAX_BYTES = 1 << 20,
    LINE_MAX_BYTES = 2 << 20,
    HASHES_MAX = 16, /* hash functions of double-hashed rules */
    PATH_MAX_BYTES = 64 << 10,
    FILE_PATH_MAX = 4096,
    DOMAIN_MAX = 256,
};

/* What is denied below one root. The last rule of a chain is its first. */
typedef struct rule {
    struct rule *next;
    bool is_prefix, allows;
    size_t len;
    uint8_t path[]; /* decoded, without slashes around it */
} rule_t;

struct denylist {
    map_t blocks; /* by multihash, of /ipfs/ */
    map_t names;  /* by multihash or domain, of /ipns/ */
    map_t hashed; /* by multihash of the text */
    uint64_t hashes[HASHES_MAX];
    size_t hash_lens[HASHES_MAX], n_hashes;
    size_t count;
};

denylist_t *denylist_new(void)
{
    denylist_t *d = xcalloc(1, sizeof *d);
    map_init(&d->blocks, RULES_MAX);
    map_init(&d->names, RULES_MAX);
    map_init(&d->hashed, RULES_MAX);
    return d;
}

static void free_chains(map_t *m)
{
    void *value;
    for (size_t i = 0; map_next(m, &i, NULL, &value);)
        for (rule_t *r = value, *next; r; r = next) {
            next = r->next;
            free(r);
        }
    map_deinit(m);
}

void denylist_free(denylist_t *d)
{
    if (!d)
        return;
    free_chains(&d->blocks);
    free_chains(&d->names);
    free_chains(&d->hashed);
    free(d);
}

size_t denylist_count(const denylist_t *d)
{
    return d->count;
}

/* ── adding rules ────────────────────────────────────────────────────────────────────────────── */

static bytes_t trim_slashes(bytes_t path)
{
    if (path.len && path.data[0] == '/')
        path = bytes_slice(path, 1, path.len);
    if (path.len && path.data[path.len - 1] == '/')
        path.len--;
    return path;
}

static int hex_digit(uint8_t c)
{
    return !isxdigit(c) ? -1 : isdigit(c) ? c - '0' : tolower(c) - 'a' + 10;
}

/* Percent-decoded; ERR_INVALID as percent_decode. */
static err_t decode_path(bytes_t text, buf_t *out)
{
    for (size_t i = 0; i < text.len; i++) {
        int high = -1, low = -1;
        if (text.data[i] != '%') {
            TRY(buf_append_u8(out, text.data[i] == '+' ? ' ' : text.data[i]));
            continue;
        }
        if (i + 2 < text.len) {
            high = hex_digit(text.data[i + 1]);
            low = hex_digit(text.data[i + 2]);
        }
        if (high < 0 || low < 0)
            return fail(ERR_INVALID, "%% is not followed by two hex digits");
        TRY(buf_append_u8(out, (uint8_t)(high << 4 | low)));
        i += 2;
    }
    return OK;
}

static err_t put_rule(denylist_t *d, map_t *m, bytes_t key, bytes_t path, bool allows)
{
    AUTO(buf_t) decoded = {0};
    bool is_prefix = path.len && path.data[path.len - 1] == '*';
    if (is_prefix)
        path.len--;
    if (is_prefix && path.len && path.data[path.len - 1] == '/')
        path.len--;
    buf_init(&decoded, PATH_MAX_BYTES);
    TRY(decode_path(path, &decoded));
    bytes_t below = trim_slashes(buf_bytes(&decoded));
    rule_t *r = xmalloc(sizeof *r + below.len);
    *r = (rule_t){.next = map_get(m, key), .is_prefix = is_prefix, .allows = allows, .len = below.len};
    if (below.len)
        memcpy(r->path, below.data, below.len);
    err_t e = map_put(m, key, r, NULL);
    if (e)
        free(r);
    else
        d->count++;
    return e;
}

static bytes_t multihash_key(const cid_t *cid, uint8_t room[CID_BINARY_MAX])
{
    return bytes_of(room, cid_encode_multihash(cid, room));
}

/* What every node has: denying it would stop more than was meant. */
static bool is_harmless(const cid_t *cid)
{
    static const char *const empty[] = {
        "QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn",
        "bafyaabakaieac",
        "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku",
        "bafkqaaa",
        "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH",
        "bafyreigbtj4x7ip5legnfznufuopl4sg4knzc2cof6duas4b3q2fy6swua",
        "baguqeeraiqjw7i2vwntyuekgvulpp2det2kpwt6cd7tx5ayqybqpmhfk76fa",
    };
    for (size_t i = 0; i < ARRAY_LEN(empty); i++) {
        cid_t known;
        if (!cid_parse_str(empty[i], &known) && cid_same_multihash(&known, cid))
            return true;
    }
    return false;
}

/* "ROOT/path": the slash goes to neither. */
static bytes_t cut_root(bytes_t *rule)
{
    const uint8_t *slash = rule->len ? memchr(rule->data, '/', rule->len) : NULL;
    bytes_t root = bytes_slice(*rule, 0, slash ? (size_t)(slash - rule->data) : rule->len);
    *rule = bytes_slice(*rule, root.len + 1, rule->len);
    return root;
}

/* A key written as a peer ID or CID, as the multihash in it. */
static bool key_of_name(bytes_t name, cid_t *ret)
{
    char text[PEER_ID_TEXT_MAX];
    peer_id_t peer;
    if (name.len && name.len < sizeof text && !memchr(name.data, 0, name.len)) {
        memcpy(text, name.data, name.len);
        text[name.len] = 0;
        if (!peer_id_parse(text, &peer))
            return !cid_from_multihash(peer_id_bytes(&peer), CODEC_LIBP2P_KEY, ret);
    }
    return !cid_parse(name, ret);
}

static err_t add_block_rule(denylist_t *d, bytes_t rule, bool allows)
{
    uint8_t room[CID_BINARY_MAX];
    cid_t cid;
    TRY(cid_parse(cut_root(&rule), &cid));
    return is_harmless(&cid) ? OK : put_rule(d, &d->blocks, multihash_key(&cid, room), rule, allows);
}

static err_t add_name_rule(denylist_t *d, bytes_t rule, bool allows)
{
    uint8_t room[CID_BINARY_MAX];
    bytes_t name = cut_root(&rule);
    cid_t cid;
    if (!name.len)
        return fail(ERR_INVALID, "a rule without a name");
    return put_rule(d, &d->names, key_of_name(name, &cid) ? multihash_key(&cid, room) : name, rule, allows);
}

/* The function's hashes will be made of what is asked for. */
static err_t know_hash(denylist_t *d, uint64_t code, size_t len)
{
    uint8_t digest[MULTIHASH_DIGEST_MAX];
    for (size_t i = 0; i < d->n_hashes; i++)
        if (d->hashes[i] == code && d->hash_lens[i] == len)
            return OK;
    if (d->n_hashes == HASHES_MAX)
        return fail(ERR_LIMIT, "more than %d hash functions", HASHES_MAX);
    TRY(multihash_sum(code, BYTES_NONE, len, digest));
    d->hashes[d->n_hashes] = code;
    d->hash_lens[d->n_hashes++] = len;
    return OK;
}

static err_t add_hashed(denylist_t *d, const cid_t *cid, bool allows)
{
    uint8_t room[CID_BINARY_MAX];
    TRY(know_hash(d, cid->hash_code, cid->digest_len));
    return put_rule(d, &d->hashed, multihash_key(cid, room), BYTES_NONE, allows);
}

/* 64 hex digits are a SHA-256; the text may also be read as base58, and then both are denied. */
static err_t add_hashed_rule(denylist_t *d, bytes_t rule, bool allows)
{
    AUTO(buf_t) binary = {0};
    cid_t cid;
    bool was_added = false;
    buf_init(&binary, CID_BINARY_MAX);
    if (!multibase_decode_raw(MB_BASE58BTC, rule, &binary) &&
        !cid_from_multihash(buf_bytes(&binary), CODEC_RAW, &cid) && !cid_is_identity(&cid) &&
        !add_hashed(d, &cid, allows))
        was_added = true;
    buf_clear(&binary);
    if (rule.len == 64 && !hex_decode(rule, &binary)) {
        cid = cid_of_sha256(1, CODEC_RAW, binary.data);
        TRY(add_hashed(d, &cid, allows));
        was_added = true;
    }
    return was_added ? OK : fail(ERR_INVALID, "neither a multihash in base58 nor a SHA-256 in hex");
}

static bool skip(bytes_t *text, const char *prefix)
{
    if (!bytes_starts_with(*text, bytes_str(prefix)))
        return false;
    *text = bytes_slice(*text, strlen(prefix), text->len);
    return true;
}

static err_t add_rule(denylist_t *d, bytes_t line)
{
    size_t n = 0;
    while (n < line.len && line.data[n] != ' ' && line.data[n] != '\t' && line.data[n] != '\r')
        n++;
    bytes_t rule = bytes_slice(line, 0, n); /* hints behind it are for programs that know them */
    bool allows = skip(&rule, "!") || skip(&rule, "+") || skip(&rule, "-");
    if (skip(&rule, "//"))
        return add_hashed_rule(d, rule, allows);
    if (skip(&rule, "/ipfs/") || skip(&rule, "/ipld/"))
        return add_block_rule(d, rule, allows);
    if (skip(&rule, "/ipns/"))
        return add_name_rule(d, rule, allows);
    return fail(ERR_UNSUPPORTED, "a rule that is not of /ipfs/, /ipns/ or //");
}

/* ── files ───────────────────────────────────────────────────────────────────────────────────── */

static bytes_t next_line(bytes_t *text)
{
    const uint8_t *end = text->len ? memchr(text->data, '\n', text->len) : NULL;
    bytes_t line = bytes_slice(*text, 0, end ? (size_t)(end - text->data) : text->len);
    *text = bytes_slice(*text, line.len + 1, text->len);
    return line;
}

/* Everything up to "---" is the header, of which only the version counts here. Without one, or when it is too
 * long, the file begins with its rules. */
static err_t skip_header(bytes_t *text)
{
    bytes_t rest = bytes_slice(*text, 0, HEADER_MAX_BYTES);
    size_t all = rest.len;
    bool is_known = true;
    while (rest.len) {
        bytes_t line = next_line(&rest);
        while (line.len && isspace(line.data[line.len - 1]))
            line.len--;
        if (bytes_equal(line, BYTES_LIT("---"))) {
            *text = bytes_slice(*text, all - rest.len, text->len);
            return is_known ? OK : fail(ERR_INVALID, "unsupported denylist version");
        }
        if (skip(&line, "version:"))
            is_known = line.len && line.data[line.len - 1] == '1' && memchr(line.data, ' ', line.len) &&
                       !isdigit(line.data[line.len > 1 ? line.len - 2 : 0]);
    }
    return OK;
}

typedef struct adding {
    denylist_t *to;
    const char *name;
    bytes_t text;
    size_t rules, unread;
    uint64_t first_unread;
    char why[ERROR_TEXT_MAX]; /* of the first: one of a kind is enough for a person */
    err_t e;
} adding_t;

static void note_unread(adding_t *a, err_t e, uint64_t number)
{
    if (a->unread++)
        return;
    a->first_unread = number;
    snprintf(a->why, sizeof a->why, "%s", error_text(e));
}

/* Any thread. */
static void add_text(void *arg)
{
    adding_t *a = arg;
    size_t before = a->to->count;
    bytes_t text = a->text;
    a->e = skip_header(&text);
    if (a->e)
        a->e = fail_also(a->e, "%s", a->name);
    for (uint64_t number = 1; text.len && !a->e; number++) {
        bytes_t line = next_line(&text);
        if (!line.len || line.data[0] == '#' || line.data[0] == '\r')
            continue;
        err_t e = line.len > LINE_MAX_BYTES ? fail(ERR_LIMIT, "the line is too long") : add_rule(a->to, line);
        if (e)
            note_unread(a, e, number);
    }
    a->rules = a->to->count - before;
}

static void log_added(const adding_t *a)
{
    if (a->unread)
        log_warn("a rule of a denylist cannot be read", LOG_STR("file", a->name),
                 LOG_UINT("rule", a->first_unread), LOG_STR("error", a->why));
    log_info("denylist", LOG_STR("file", a->name), LOG_UINT("rules", a->rules),
             LOG_UINT("unread", a->unread));
}

err_t denylist_add(denylist_t *d, const char *name, bytes_t text)
{
    adding_t a = {.to = d, .name = name, .text = text};
    add_text(&a);
    TRY(a.e);
    log_added(&a);
    return OK;
}

static err_t add_file(task_t *t, denylist_t *d, const char *path)
{
    AUTO(buf_t) text = {0};
    buf_init(&text, DENYLIST_FILE_MAX_BYTES);
    TRY(fs_read_file(t, path, DENYLIST_FILE_MAX_BYTES, &text));
    adding_t a = {.to = d, .name = path, .text = buf_bytes(&text)};
    work(t, add_text, &a); /* lists have millions of rules */
    TRY(a.e);
    log_added(&a);
    return OK;
}

static bool is_list_name(const char *name)
{
    size_t len = strlen(name);
    return len > 5 && !strcmp(name + len - 5, ".deny");
}

static err_t each_list(task_t *t, const char *folder, err_t (*visit)(task_t *, void *, const char *),
                       void *arg)
{
    AUTO(dir_list_t) list = {0};
    err_t e = fs_list(t, folder, &list);
    if (e == ERR_NOT_FOUND)
        return OK;
    TRY(e);
    for (size_t i = 0; i < list.count; i++) {
        char path[FILE_PATH_MAX];
        if (!is_list_name(list.names[i]))
            continue;
        if (snprintf(path, sizeof path, "%s/%s", folder, list.names[i]) >= (int)sizeof path)
            return fail(ERR_LIMIT, "the path of denylist %s is too long", list.names[i]);
        TRY(visit(t, arg, path));
    }
    return OK;
}

static err_t visit_to_add(task_t *t, void *arg, const char *path)
{
    return add_file(t, arg, path);
}

err_t denylist_add_folder(task_t *t, denylist_t *d, const char *folder)
{
    return each_list(t, folder, visit_to_add, d);
}

static uint64_t mix(uint64_t hash, uint64_t value)
{
    return (hash ^ value) * 0x100000001b3u + (hash >> 29);
}

static err_t visit_to_mix(task_t *t, void *arg, const char *path)
{
    uint64_t *state = arg;
    file_info_t info;
    TRY(fs_stat(t, path, true, &info));
    for (const char *p = path; *p; p++)
        *state = mix(*state, (uint8_t)*p);
    *state = mix(*state, info.size_bytes);
    *state = mix(*state, (uint64_t)info.mtime_s);
    *state = mix(*state, info.mtime_ns);
    *state = mix(*state, info.inode);
    return OK;
}

err_t denylist_folder_state(task_t *t, const char *folder, uint64_t *state)
{
    return each_list(t, folder, visit_to_mix, state);
}

/* ── asking ──────────────────────────────────────────────────────────────────────────────────── */

typedef enum { VERDICT_NONE, VERDICT_DENIED, VERDICT_ALLOWED } verdict_t;

static verdict_t judge(const map_t *m, bytes_t key, bytes_t path)
{
    for (const rule_t *r = map_get(m, key); r; r = r->next) {
        bytes_t rule = bytes_of(r->path, r->len);
        if (bytes_equal(rule, path) || (r->is_prefix && bytes_starts_with(path, rule)))
            return r->allows ? VERDICT_ALLOWED : VERDICT_DENIED;
    }
    return VERDICT_NONE;
}

static verdict_t judge_hash(const denylist_t *d, uint64_t code, size_t len, bytes_t text)
{
    cid_t hash = {.version = 1, .codec = CODEC_RAW, .hash_code = code, .digest_len = (uint8_t)len};
    uint8_t room[CID_BINARY_MAX];
    if (multihash_sum(code, text, len, hash.digest))
        return VERDICT_NONE;
    return judge(&d->hashed, multihash_key(&hash, room), BYTES_NONE);
}

/* The text itself in the hash functions that rules use, and the older form, which is SHA-256 alone. */
static verdict_t judge_hashed(const denylist_t *d, bytes_t text, bytes_t old_text)
{
    verdict_t v = VERDICT_NONE;
    for (size_t i = 0; i < d->n_hashes && v == VERDICT_NONE; i++) {
        if (d->hashes[i] == MH_SHA2_256 && old_text.len)
            v = judge_hash(d, MH_SHA2_256, d->hash_lens[i], old_text);
        if (v == VERDICT_NONE)
            v = judge_hash(d, d->hashes[i], d->hash_lens[i], text);
    }
    return v;
}

/* "multihash in base58[/path]", and of old "CIDv1 in base32/[path]". */
static err_t hashed_forms(const cid_t *cid, bytes_t path, buf_t *text, buf_t *old_text)
{
    uint8_t room[CID_BINARY_MAX];
    char v1_text[CID_TEXT_MAX];
    cid_t v1 = *cid;
    v1.version = 1;
    TRY(multibase_encode_raw(MB_BASE58BTC, multihash_key(cid, room), text));
    if (path.len)
        TRY(buf_append_u8(text, '/'));
    TRY(buf_append(text, path));
    TRY(cid_print_base(&v1, MB_BASE32, v1_text));
    TRY(buf_printf(old_text, "%s/", v1_text));
    return buf_append(old_text, path);
}

static verdict_t judge_root(const denylist_t *d, const map_t *m, const cid_t *cid, bytes_t path)
{
    AUTO(buf_t) text = {0}, old_text = {0};
    uint8_t room[CID_BINARY_MAX];
    verdict_t v = judge(m, multihash_key(cid, room), path);
    if (v != VERDICT_NONE || !d->n_hashes)
        return v;
    buf_init(&text, PATH_MAX_BYTES);
    buf_init(&old_text, PATH_MAX_BYTES);
    if (hashed_forms(cid, path, &text, &old_text))
        return VERDICT_NONE;
    return judge_hashed(d, buf_bytes(&text), buf_bytes(&old_text));
}

/* A label that stands for a domain (subdomain-gateway: "my-v--long-example" is my.v-long.example). */
static bytes_t uninlined(bytes_t domain, uint8_t out[DOMAIN_MAX])
{
    if (domain.len > DOMAIN_MAX || !domain.len || memchr(domain.data, '.', domain.len))
        return domain;
    size_t n = 0;
    for (size_t i = 0; i < domain.len; i++) {
        bool is_pair = domain.data[i] == '-' && i + 1 < domain.len && domain.data[i + 1] == '-';
        out[n++] = domain.data[i] != '-' || is_pair ? domain.data[i] : '.';
        i += is_pair;
    }
    return bytes_of(out, n);
}

static verdict_t judge_domain(const denylist_t *d, bytes_t domain, bytes_t path)
{
    AUTO(buf_t) text = {0}, old_text = {0};
    uint8_t room[DOMAIN_MAX];
    domain = uninlined(domain, room);
    verdict_t v = judge(&d->names, domain, path);
    if (v != VERDICT_NONE || !d->n_hashes)
        return v;
    buf_init(&text, PATH_MAX_BYTES);
    buf_init(&old_text, PATH_MAX_BYTES);
    if (buf_printf(&text, "/ipns/%.*s%s%.*s", (int)domain.len, (const char *)domain.data, path.len ? "/" : "",
                   (int)path.len, path.len ? (const char *)path.data : "") ||
        buf_append(&old_text, domain) || buf_append_u8(&old_text, '/') || buf_append(&old_text, path))
        return VERDICT_NONE;
    return judge_hashed(d, buf_bytes(&text), buf_bytes(&old_text));
}

bool denylist_has_cid(const denylist_t *d, const cid_t *cid)
{
    return d->count && judge_root(d, &d->blocks, cid, BYTES_NONE) == VERDICT_DENIED;
}

/* As paths are followed: without empty names and ".", and ".." undone; "a/../b" is no way around a rule for
 * "b". */
static err_t normalize(bytes_t path, buf_t *out)
{
    while (path.len) {
        bytes_t name = cut_root(&path);
        if (!name.len || bytes_equal(name, BYTES_LIT(".")))
            continue;
        if (bytes_equal(name, BYTES_LIT(".."))) {
            while (out->len && out->data[out->len - 1] != '/')
                out->len--;
            out->len -= out->len > 0;
            continue;
        }
        if (out->len)
            TRY(buf_append_u8(out, '/'));
        TRY(buf_append(out, name));
    }
    return OK;
}

bool denylist_has_path(const denylist_t *d, bytes_t path)
{
    AUTO(buf_t) below = {0};
    cid_t cid;
    if (!d->count || path.len > PATH_MAX_BYTES / 2)
        return false;
    bool is_name = skip(&path, "/ipns/");
    if (!is_name && !skip(&path, "/ipfs/") && !skip(&path, "/ipld/"))
        return false;
    bytes_t root = cut_root(&path);
    buf_init(&below, PATH_MAX_BYTES);
    if (normalize(path, &below))
        return false;
    path = buf_bytes(&below);
    if (is_name)
        return (key_of_name(root, &cid) ? judge_root(d, &d->names, &cid, path)
                                        : judge_domain(d, root, path)) == VERDICT_DENIED;
    return !cid_parse(root, &cid) && judge_root(d, &d->blocks, &cid, path) == VERDICT_DENIED;
}

#include "codec/git_raw.h"
#include "codec/git_raw_lines.h"
#include "codec/ipld_build.h"

enum { SHA1_BYTES = 20, SHA1_DIGITS = 40 };

/* ── links ───────────────────────────────────────────────────────────────────────────────────── */
static void build_link(ipld_builder_t *b, bytes_t sha1)
{
    uint8_t binary[CID_BINARY_MAX];
    cid_t cid = {.version = 1, .codec = CODEC_GIT_RAW, .hash_code = MH_SHA1, .digest_len = SHA1_BYTES};
    memcpy(cid.digest, sha1.data, SHA1_BYTES);
    ipld_build_copy(b, IPLD_LINK, bytes_of(binary, cid_encode(&cid, binary)));
}

static void build_hex_link(ipld_builder_t *b, bytes_t digits)
{
    AUTO(buf_t) sha1;
    buf_init(&sha1, SHA1_BYTES);
    if (!b->err && (digits.len != SHA1_DIGITS || hex_decode(digits, &sha1)))
        b->err = fail(ERR_INVALID, "\"%.*s\" is not the name of a git object",
                      digits.len < 50 ? (int)digits.len : 50, (const char *)digits.data);
    if (!b->err)
        build_link(b, buf_bytes(&sha1));
}

static void build_text(ipld_builder_t *b, const char *key, bytes_t text)
{
    ipld_build_key(b, key);
    ipld_build_borrow(b, IPLD_STRING, text);
}

/* ── people ──────────────────────────────────────────────────────────────────────────────────── */
typedef struct person {
    bytes_t name, email, date, timezone;
} person_t;

/* The word up to the next space, which is dropped. */
static bytes_t next_word(bytes_t *rest)
{
    const uint8_t *space = rest->len ? memchr(rest->data, ' ', rest->len) : NULL;
    bytes_t word = bytes_slice(*rest, 0, space ? (size_t)(space - rest->data) : rest->len);
    *rest = bytes_slice(*rest, word.len + 1, rest->len);
    return word;
}

/* "NAME <EMAIL> DATE ZONE", the last two optional: the name ends before the first word that begins with '<',
 * the email with the first word from there that ends with '>'. */
static err_t read_person(bytes_t text, person_t *ret)
{
    bytes_t rest = text;
    size_t open = 0, close = 0;
    while (rest.len && !close) {
        size_t start = text.len - rest.len;
        bytes_t word = next_word(&rest);
        if (!open && word.len && word.data[0] == '<')
            open = start + 1;
        if (open && word.len && word.data[word.len - 1] == '>')
            close = start + word.len;
    }
    if (!close)
        return fail(ERR_INVALID, "\"%.*s\" is not NAME <EMAIL> DATE ZONE",
                    text.len < 100 ? (int)text.len : 100, (const char *)text.data);
    bytes_t name = bytes_slice(text, 0, open - 1);
    while (name.len && name.data[0] == ' ')
        name = bytes_slice(name, 1, name.len);
    if (name.len)
        name.len--; /* the space before the email */
    ret->name = name;
    ret->email = bytes_slice(text, open, close - 1 - open);
    ret->date = next_word(&rest);
    ret->timezone = next_word(&rest);
    return OK;
}

static void build_person(ipld_builder_t *b, const person_t *p)
{
    ipld_build(b, IPLD_MAP);
    build_text(b, "date", p->date);
    build_text(b, "timezone", p->timezone);
    build_text(b, "email", p->email);
    build_text(b, "name", p->name);
    ipld_build(b, IPLD_END);
}

static void build_person_of(ipld_builder_t *b, bytes_t text)
{
    person_t p = {0};
    err_t e = read_person(text, &p);
    if (!b->err)
        b->err = e;
    build_person(b, &p);
}

/* ── tags ────────────────────────────────────────────────────────────────────────────────────── */
typedef struct tag {
    bytes_t object, type, name, tagger, message;
    bool has_tagger;
} tag_t;

static bool take(bytes_t line, const char *prefix, bytes_t *ret_value)
{
    if (!bytes_starts_with(line, bytes_str(prefix)))
        return false;
    *ret_value = bytes_slice(line, strlen(prefix), line.len);
    return true;
}

static void take_tag_line(bytes_t line, tag_t *tag)
{
    tag->has_tagger |= take(line, "tagger ", &tag->tagger);
    (void)(take(line, "object ", &tag->object) || take(line, "type ", &tag->type) ||
           take(line, "tag ", &tag->name));
}

static void build_tag(ipld_builder_t *b, const tag_t *tag)
{
    static const person_t nobody = {0};
    ipld_build(b, IPLD_MAP);
    ipld_build_key(b, "object");
    build_hex_link(b, tag->object);
    build_text(b, "type", tag->type);
    build_text(b, "tag", tag->name);
    ipld_build_key(b, "tagger");
    if (tag->has_tagger)
        build_person_of(b, tag->tagger);
    else
        build_person(b, &nobody);
    build_text(b, "message", tag->message);
    ipld_build(b, IPLD_END);
}

static void read_tag(ipld_builder_t *b, bytes_t body)
{
    tag_t tag = {0};
    bytes_t line;
    while (git_next_line(&body, &line) && line.len)
        take_tag_line(line, &tag);
    tag.message = body;
    build_tag(b, &tag);
}

/* The tag inside of a commit that merged it: its lines, each behind a space. */
static void build_mergetag(ipld_builder_t *b, bytes_t object, bytes_t lines)
{
    tag_t tag = {.object = object};
    bytes_t line;
    while (git_next_line(&lines, &line) && line.len > 1)
        take_tag_line(bytes_slice(line, 1, line.len), &tag);
    tag.message = lines;
    build_tag(b, &tag);
}

/* ── commits ─────────────────────────────────────────────────────────────────────────────────── */
typedef enum { TREE, PARENT, AUTHOR, COMMITTER, ENCODING, MERGETAG, SIGNATURE, OTHER } header_kind_t;
typedef struct header {
    header_kind_t kind;
    bytes_t value, lines; /* of MERGETAG and SIGNATURE: the lines that follow, with their newlines */
} header_t;

/* A signature of OpenPGP, as the reference knows it: *rest moves behind its last line, and its lines but that
 * are the value. */
static bool take_signature(bytes_t *rest, bytes_t *ret_value)
{
    bytes_t after = *rest, line;
    if (!git_next_line(&after, &line) ||
        (!bytes_equal(line, BYTES_LIT(" ")) && !bytes_starts_with(line, BYTES_LIT(" Version: ")) &&
         !bytes_starts_with(line, BYTES_LIT(" Comment: "))))
        return false;
    for (size_t end = rest->len - after.len; git_next_line(&after, &line) && line.len && line.data[0] == ' ';
         end = rest->len - after.len) {
        if (!bytes_equal(line, BYTES_LIT(GIT_PGP_END)))
            continue;
        *ret_value = bytes_slice(*rest, 0, end);
        *rest = after;
        return true;
    }
    return false;
}

/* All lines that begin with a space. */
static bytes_t take_indented(bytes_t *rest)
{
    bytes_t all = *rest, line;
    while (rest->len && rest->data[0] == ' ')
        (void)git_next_line(rest, &line);
    return bytes_slice(all, 0, all.len - rest->len);
}

/* False at the blank line or the end: *rest is then the message. */
static bool next_header(bytes_t *rest, header_t *ret)
{
    static const char *const prefixes[] = {"tree ",      "parent ",   "author ",
                                           "committer ", "encoding ", "mergetag object "};
    bytes_t line;
    if (!git_next_line(rest, &line) || !line.len)
        return false;
    *ret = (header_t){.kind = OTHER, .value = line};
    for (size_t i = 0; i < ARRAY_LEN(prefixes) && ret->kind == OTHER; i++)
        if (take(line, prefixes[i], &ret->value))
            ret->kind = (header_kind_t)i;
    if (ret->kind == MERGETAG)
        ret->lines = take_indented(rest);
    else if (bytes_equal(line, BYTES_LIT(GIT_PGP_BEGIN)) && take_signature(rest, &ret->lines))
        ret->kind = SIGNATURE;
    return true;
}

/* The last header of a kind, as the reference takes it; false: there is none. */
static bool find_header(bytes_t body, header_kind_t kind, header_t *ret)
{
    header_t h;
    bool is_found = false;
    while (next_header(&body, &h))
        if (h.kind == kind) {
            *ret = h;
            is_found = true;
        }
    return is_found;
}

static void build_person_field(ipld_builder_t *b, const char *key, bytes_t body, header_kind_t kind)
{
    header_t h;
    ipld_build_key(b, key);
    if (find_header(body, kind, &h))
        build_person_of(b, h.value);
    else
        ipld_build(b, IPLD_NULL);
}

static void build_text_field(ipld_builder_t *b, const char *key, bytes_t body, header_kind_t kind)
{
    header_t h;
    ipld_build_key(b, key);
    if (find_header(body, kind, &h))
        ipld_build_borrow(b, IPLD_STRING, kind == SIGNATURE ? h.lines : h.value);
    else
        ipld_build(b, IPLD_NULL);
}

static void build_list(ipld_builder_t *b, const char *key, bytes_t body, header_kind_t kind)
{
    header_t h;
    ipld_build_key(b, key);
    ipld_build(b, IPLD_LIST);
    while (!b->err && next_header(&body, &h)) {
        if (h.kind != kind)
            continue;
        if (kind == PARENT)
            build_hex_link(b, h.value);
        else if (kind == MERGETAG)
            build_mergetag(b, h.value, h.lines);
        else
            ipld_build_borrow(b, IPLD_STRING, h.value);
    }
    ipld_build(b, IPLD_END);
}

/* The fields in the order of the reference's schema: links are walked in it. */
static void read_commit(ipld_builder_t *b, bytes_t body)
{
    header_t tree = {0}, h;
    bytes_t message = body;
    if (!find_header(body, TREE, &tree) && !b->err)
        b->err = fail(ERR_INVALID, "a commit without a tree");
    while (next_header(&message, &h))
        ;
    ipld_build(b, IPLD_MAP);
    ipld_build_key(b, "tree");
    build_hex_link(b, tree.value);
    build_list(b, "parents", body, PARENT);
    build_text(b, "message", message);
    build_person_field(b, "author", body, AUTHOR);
    build_person_field(b, "committer", body, COMMITTER);
    build_text_field(b, "encoding", body, ENCODING);
    build_text_field(b, "signature", body, SIGNATURE);
    build_list(b, "mergetag", body, MERGETAG);
    build_list(b, "other", body, OTHER);
    ipld_build(b, IPLD_END);
}

/* ── trees ───────────────────────────────────────────────────────────────────────────────────── */
/* What is before the byte `end`, which is dropped. */
static bytes_t take_until(reader_t *r, uint8_t end)
{
    const uint8_t *at = reader_left(r) ? memchr(r->pos, end, reader_left(r)) : NULL;
    if (!at) {
        reader_fail(r, ERR_EOF);
        return BYTES_NONE;
    }
    bytes_t before = read_bytes(r, (size_t)(at - r->pos));
    read_u8(r);
    return before;
}

static void read_tree(ipld_builder_t *b, bytes_t body)
{
    reader_t r = reader_of(body);
    ipld_build(b, IPLD_MAP);
    while (!b->err && reader_left(&r)) {
        bytes_t mode = take_until(&r, ' '), name = take_until(&r, 0), sha1 = read_bytes(&r, SHA1_BYTES);
        if (r.err) {
            b->err = fail(ERR_EOF, "unexpected EOF");
            return;
        }
        ipld_build_key_bytes(b, name);
        ipld_build(b, IPLD_MAP);
        build_text(b, "mode", mode);
        ipld_build_key(b, "hash");
        build_link(b, sha1);
        ipld_build(b, IPLD_END);
    }
    ipld_build(b, IPLD_END);
}

/* ── all ─────────────────────────────────────────────────────────────────────────────────────── */
static err_t read_size(bytes_t digits, size_t wanted)
{
    size_t size = 0;
    bool is_number = digits.len > 0 && (digits.len == 1 || digits.data[0] != '0');
    for (size_t i = 0; i < digits.len && is_number; i++)
        is_number = digits.data[i] >= '0' && digits.data[i] <= '9' &&
                    !__builtin_mul_overflow(size, 10, &size) &&
                    !__builtin_add_overflow(size, digits.data[i] - '0', &size);
    if (!is_number)
        return fail(ERR_INVALID, "\"%.*s\" is not the size of a git object",
                    digits.len < 50 ? (int)digits.len : 50, (const char *)digits.data);
    if (size > wanted)
        return fail(ERR_EOF, "unexpected EOF");
    if (size < wanted)
        return fail(ERR_INVALID, "a git object of %zu bytes has %zu", size, wanted);
    return OK;
}

err_t git_raw_read(ipld_tree_t *tree, bytes_t block)
{
    reader_t r = reader_of(block);
    bytes_t type = take_until(&r, ' ');
    bool is_blob = bytes_equal(type, BYTES_LIT("blob")), is_tree = bytes_equal(type, BYTES_LIT("tree"));
    bool is_commit = bytes_equal(type, BYTES_LIT("commit"));
    if (!r.err && !is_blob && !is_tree && !is_commit && !bytes_equal(type, BYTES_LIT("tag")))
        return fail(ERR_INVALID, "unrecognized object type: \"%.*s\"", type.len < 50 ? (int)type.len : 50,
                    (const char *)type.data);
    bytes_t size = take_until(&r, 0), body = read_rest(&r);
    if (r.err)
        return fail(ERR_EOF, "unexpected EOF");
    TRY(read_size(size, body.len));
    ipld_builder_t b =
        ipld_builder_to(tree, 2 * block.len + CID_BINARY_MAX); /* links are longer than hashes */
    if (is_blob)
        ipld_build_borrow(&b, IPLD_BYTES, block);
    else if (is_tree)
        read_tree(&b, body);
    else if (is_commit)
        read_commit(&b, body);
    else
        read_tag(&b, body);
    return b.err;
}

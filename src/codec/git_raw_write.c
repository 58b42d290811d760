#include "codec/git_raw.h"
#include "codec/git_raw_lines.h"
#include <stdlib.h>

enum { SHA1_BYTES = 20 };

typedef struct text {
    const ipld_tree_t *tree;
    writer_t w;
} text_t;

static void put(text_t *t, const char *words)
{
    write_bytes(&t->w, bytes_str(words));
}

static void refuse(text_t *t, const char *what)
{
    if (!t->w.err)
        t->w.err = fail(ERR_INVALID, "no git object: %s", what);
}

/* ── fields ──────────────────────────────────────────────────────────────────────────────────── */
static bool is_absent(const text_t *t, size_t at)
{
    return !at || t->tree->items[at].kind == IPLD_NULL;
}

static void check_fields(text_t *t, size_t map, const char *type, const char *const names[], size_t n)
{
    const ipld_tree_t *tree = t->tree;
    for (size_t key = map + 1; key < tree->items[map].next && !t->w.err;
         key = ipld_tree_after(tree, key + 1)) {
        bytes_t name = ipld_item_bytes(&tree->items[key]);
        bool is_known = false;
        for (size_t i = 0; i < n; i++)
            is_known |= bytes_equal(name, bytes_str(names[i]));
        if (!is_known)
            t->w.err = fail(ERR_INVALID, "invalid key for map ipldgit.%s.Repr: \"%.*s\": no such field", type,
                            name.len < 50 ? (int)name.len : 50, (const char *)name.data);
    }
}

static size_t need(text_t *t, size_t map, const char *name, ipld_kind_t kind)
{
    size_t at = ipld_tree_field(t->tree, map, name);
    if (at && t->tree->items[at].kind == kind)
        return at;
    if (!t->w.err)
        t->w.err =
            fail(ERR_INVALID, "no git object: \"%s\" must be a %s", name, ipld_kind_name((uint8_t)kind));
    return 0;
}

/* A list that may be left out; its items begin behind it. 0: none. */
static size_t maybe_list(text_t *t, size_t map, const char *name)
{
    size_t at = ipld_tree_field(t->tree, map, name);
    return is_absent(t, at) ? 0 : need(t, map, name, IPLD_LIST);
}

/* Without newlines: what follows one would be read as a header. */
static void put_words(text_t *t, bytes_t words)
{
    if (words.len && (memchr(words.data, '\n', words.len) || memchr(words.data, 0, words.len)))
        refuse(t, "a newline or NUL in the text of a header");
    write_bytes(&t->w, words);
}

static void put_string(text_t *t, size_t map, const char *name)
{
    size_t at = need(t, map, name, IPLD_STRING);
    if (at)
        put_words(t, ipld_item_bytes(&t->tree->items[at]));
}

static bytes_t sha1_of(text_t *t, size_t at, cid_t *cid)
{
    if (t->tree->items[at].kind == IPLD_LINK && !cid_decode(ipld_item_bytes(&t->tree->items[at]), cid) &&
        cid->codec == CODEC_GIT_RAW && cid->hash_code == MH_SHA1 && cid->digest_len == SHA1_BYTES)
        return cid_digest(cid);
    refuse(t, "links must be CIDs of git-raw with SHA-1");
    return BYTES_NONE;
}

static void put_link(text_t *t, size_t at)
{
    cid_t cid;
    char digits[2 * SHA1_BYTES + 1];
    bytes_t sha1 = sha1_of(t, at, &cid);
    put(t, hex_text(sha1, digits, sizeof digits));
}

static size_t text_length(const text_t *t, size_t map, const char *name)
{
    size_t at = ipld_tree_field(t->tree, map, name);
    return at && t->tree->items[at].kind == IPLD_STRING ? t->tree->items[at].len : 0;
}

static void put_person(text_t *t, size_t map)
{
    static const char *const names[] = {"date", "timezone", "email", "name"}, *const times[] = {"date",
                                                                                                "timezone"};
    check_fields(t, map, "PersonInfo", names, ARRAY_LEN(names));
    put_string(t, map, "name");
    put(t, " <");
    put_string(t, map, "email");
    put(t, ">");
    for (size_t i = 0; i < ARRAY_LEN(times); i++) {
        if (text_length(t, map, times[i]))
            put(t, " ");
        put_string(t, map, times[i]);
    }
}

static void put_person_line(text_t *t, size_t map, const char *name)
{
    size_t person = need(t, map, name, IPLD_MAP);
    put(t, name);
    put(t, " ");
    if (person)
        put_person(t, person);
    put(t, "\n");
}

/* ── tags ────────────────────────────────────────────────────────────────────────────────────── */
static const char *const tag_fields[] = {"object", "type", "tag", "tagger", "message"};

/* Each line behind `indent`. */
static void put_tag_lines(text_t *t, size_t map, const char *indent)
{
    size_t object = need(t, map, "object", IPLD_LINK), tagger = ipld_tree_field(t->tree, map, "tagger");
    check_fields(t, map, "Tag", tag_fields, ARRAY_LEN(tag_fields));
    if (object)
        put_link(t, object);
    put(t, "\n");
    for (size_t i = 1; i < 3; i++) {
        put(t, indent);
        put(t, tag_fields[i]);
        put(t, " ");
        put_string(t, map, tag_fields[i]);
        put(t, "\n");
    }
    if (is_absent(t, tagger))
        return;
    /* Read of a tag of the first years of git, which had none. */
    if (t->tree->items[tagger].kind == IPLD_MAP && !text_length(t, tagger, "name") &&
        !text_length(t, tagger, "email") && !text_length(t, tagger, "date") &&
        !text_length(t, tagger, "timezone"))
        return;
    put(t, indent);
    put_person_line(t, map, "tagger");
}

static void put_tag(text_t *t, size_t map)
{
    put(t, "object ");
    put_tag_lines(t, map, "");
    size_t message = need(t, map, "message", IPLD_STRING);
    if (message && t->tree->items[message].len) {
        put(t, "\n");
        write_bytes(&t->w, ipld_item_bytes(&t->tree->items[message]));
    }
}

/* ── commits ─────────────────────────────────────────────────────────────────────────────────── */
/* Lines that go on a header: each begins with a space and ends with a newline. */
static void put_indented(text_t *t, bytes_t lines, const char *end)
{
    bytes_t rest = lines, line;
    while (git_next_line(&rest, &line))
        if (!line.len || line.data[0] != ' ' || (end && bytes_equal(line, bytes_str(end))))
            refuse(t, "a signature or the message of a merged tag has lines that do not go on its header");
    if (lines.len && lines.data[lines.len - 1] != '\n')
        refuse(t, "a signature or the message of a merged tag ends without a newline");
    write_bytes(&t->w, lines);
}

static void put_mergetag(text_t *t, size_t map)
{
    if (t->tree->items[map].kind != IPLD_MAP) {
        refuse(t, "\"mergetag\" must be a list of maps");
        return;
    }
    put(t, "mergetag object ");
    put_tag_lines(t, map, " ");
    size_t message = need(t, map, "message", IPLD_STRING);
    put(t, " \n");
    if (message)
        put_indented(t, ipld_item_bytes(&t->tree->items[message]), NULL);
}

static void put_other(text_t *t, size_t at)
{
    if (t->tree->items[at].kind != IPLD_STRING || !t->tree->items[at].len)
        refuse(t, "\"other\" must be a list of lines");
    else
        put_words(t, ipld_item_bytes(&t->tree->items[at]));
    put(t, "\n");
}

static void put_parent(text_t *t, size_t at)
{
    put(t, "parent ");
    put_link(t, at);
    put(t, "\n");
}

static void put_each(text_t *t, size_t map, const char *name, void (*put_one)(text_t *t, size_t at))
{
    size_t list = maybe_list(t, map, name);
    for (size_t at = list + 1; list && at < t->tree->items[list].next && !t->w.err;
         at = ipld_tree_after(t->tree, at))
        put_one(t, at);
}

static void put_signature(text_t *t, size_t map)
{
    if (is_absent(t, ipld_tree_field(t->tree, map, "signature")))
        return;
    size_t signature = need(t, map, "signature", IPLD_STRING);
    put(t, GIT_PGP_BEGIN "\n");
    if (signature)
        put_indented(t, ipld_item_bytes(&t->tree->items[signature]), GIT_PGP_END);
    put(t, GIT_PGP_END "\n");
}

static void put_commit(text_t *t, size_t map)
{
    static const char *const fields[] = {"tree",     "parents",   "message",  "author", "committer",
                                         "encoding", "signature", "mergetag", "other"};
    size_t tree = need(t, map, "tree", IPLD_LINK), message = need(t, map, "message", IPLD_STRING);
    check_fields(t, map, "Commit", fields, ARRAY_LEN(fields));
    put(t, "tree ");
    if (tree)
        put_link(t, tree);
    put(t, "\n");
    put_each(t, map, "parents", put_parent);
    put_person_line(t, map, "author");
    put_person_line(t, map, "committer");
    if (!is_absent(t, ipld_tree_field(t->tree, map, "encoding"))) {
        put(t, "encoding ");
        put_string(t, map, "encoding");
        put(t, "\n");
    }
    put_each(t, map, "mergetag", put_mergetag);
    put_signature(t, map);
    put_each(t, map, "other", put_other);
    put(t, "\n");
    if (message)
        write_bytes(&t->w, ipld_item_bytes(&t->tree->items[message]));
}

/* ── trees ───────────────────────────────────────────────────────────────────────────────────── */
typedef struct entry {
    bytes_t name, mode;
    size_t hash;
} entry_t;

static bool is_folder(const entry_t *e)
{
    return bytes_equal(e->mode, BYTES_LIT("40000"));
}

/* git's order: as if names of folders ended in a slash. */
static int compare_entries(const void *a, const void *b)
{
    const entry_t *x = a, *y = b;
    size_t n = x->name.len < y->name.len ? x->name.len : y->name.len;
    int c = n ? memcmp(x->name.data, y->name.data, n) : 0;
    int x_next = x->name.len > n ? x->name.data[n] : is_folder(x) ? '/' : 0;
    int y_next = y->name.len > n ? y->name.data[n] : is_folder(y) ? '/' : 0;
    return c ? c : x_next - y_next;
}

static void read_entry(text_t *t, size_t key, entry_t *ret)
{
    static const char *const fields[] = {"mode", "hash"};
    size_t map = key + 1;
    *ret = (entry_t){.name = ipld_item_bytes(&t->tree->items[key])};
    if (t->tree->items[map].kind != IPLD_MAP) {
        refuse(t, "it is none of bytes, a tag, a commit and a map of {mode, hash}");
        return;
    }
    check_fields(t, map, "TreeEntry", fields, ARRAY_LEN(fields));
    size_t mode = need(t, map, "mode", IPLD_STRING);
    ret->hash = need(t, map, "hash", IPLD_LINK);
    if (!mode)
        return;
    ret->mode = ipld_item_bytes(&t->tree->items[mode]);
    for (size_t i = 0; i < ret->mode.len; i++)
        if (ret->mode.data[i] < '0' || ret->mode.data[i] > '7')
            refuse(t, "modes must be octal digits");
    if (!ret->mode.len || !ret->name.len || memchr(ret->name.data, 0, ret->name.len))
        refuse(t, "an empty mode or name in a tree, or a NUL in a name");
}

static void put_entries(text_t *t, size_t map, entry_t *entries)
{
    size_t n = 0;
    cid_t cid;
    for (size_t key = map + 1; key < t->tree->items[map].next && !t->w.err;
         key = ipld_tree_after(t->tree, key + 1))
        read_entry(t, key, &entries[n++]);
    if (!t->w.err)
        qsort(entries, n, sizeof *entries, compare_entries);
    for (size_t i = 0; i < n && !t->w.err; i++) {
        write_bytes(&t->w, entries[i].mode);
        put(t, " ");
        write_bytes(&t->w, entries[i].name);
        write_u8(&t->w, 0);
        write_bytes(&t->w, sha1_of(t, entries[i].hash, &cid));
    }
}

static void put_tree(text_t *t, size_t map)
{
    entry_t *entries = calloc(t->tree->items[map].len + 1, sizeof *entries);
    if (entries)
        put_entries(t, map, entries);
    else
        t->w.err = fail(ERR_NO_MEMORY, "no memory for the %u entries of a tree", t->tree->items[map].len);
    free(entries);
}

/* ── all ─────────────────────────────────────────────────────────────────────────────────────── */
static bool has_link(const ipld_tree_t *tree, size_t map, const char *name)
{
    size_t at = ipld_tree_field(tree, map, name);
    return at && tree->items[at].kind == IPLD_LINK;
}

static err_t write_blob(bytes_t blob, buf_t *out)
{
    AUTO(ipld_tree_t) read = {0};
    if (!bytes_starts_with(blob, BYTES_LIT("blob ")))
        return fail(ERR_INVALID, "no git object: bytes must be a blob with its header, \"blob SIZE\\0\"");
    TRY(git_raw_read(&read, blob));
    return buf_append(out, blob);
}

static err_t write_map(const ipld_tree_t *tree, size_t at, buf_t *out)
{
    AUTO(buf_t) body = {0};
    buf_init(&body, out->max);
    text_t t = {tree, writer_to(&body)};
    bool is_tag = has_link(tree, at, "object"), is_commit = has_link(tree, at, "tree");
    if (is_tag)
        put_tag(&t, at);
    else if (is_commit)
        put_commit(&t, at);
    else
        put_tree(&t, at);
    TRY(t.w.err);
    TRY(buf_printf(out, "%s %zu", is_tag ? "tag" : is_commit ? "commit" : "tree", body.len));
    TRY(buf_append_u8(out, 0));
    return buf_append(out, buf_bytes(&body));
}

static size_t count_other(const ipld_tree_t *tree, size_t map)
{
    size_t at = ipld_tree_field(tree, map, "other");
    return at && tree->items[at].kind == IPLD_LIST ? tree->items[at].len : 0;
}

/* A line of `other` can look like a header of its own, or go on the one before it. */
static err_t check_object(const ipld_tree_t *tree, size_t at, bytes_t object)
{
    AUTO(ipld_tree_t) read = {0};
    AUTO(buf_t) again = {0};
    buf_init(&again, object.len + 1);
    if (git_raw_read(&read, object) || write_map(&read, 0, &again) ||
        !bytes_equal(buf_bytes(&again), object) ||
        (has_link(tree, at, "tree") && count_other(&read, 0) != count_other(tree, at)))
        return fail(ERR_INVALID, "no git object: it would be read as something else");
    return OK;
}

err_t git_raw_write(const ipld_tree_t *tree, size_t at, buf_t *out)
{
    AUTO(buf_t) object = {0};
    const ipld_item_t *item = &tree->items[at];
    if (item->kind == IPLD_BYTES)
        return write_blob(ipld_item_bytes(item), out);
    if (item->kind != IPLD_MAP)
        return fail(ERR_INVALID, "no git object: a %s", ipld_kind_name(item->kind));
    buf_init(&object, out->max);
    TRY(write_map(tree, at, &object));
    TRY(check_object(tree, at, buf_bytes(&object)));
    return buf_append(out, buf_bytes(&object));
}

/* add, cat, get, ls, refs, blocks, pins and the repository over an offline node in the simulator: what a
 * client of the RPC sends and reads. */
#include "api/api.h"
#include "node/setup.h"
#include "tests/support/run.h"
#include "tests/support/test.h"

enum { BODY_MAX = 8 << 20 };
#define HELLO_CID "QmZULkCELmmk5XNfCgTnCyFgAVxBRBXyDHGGMVoLFLiXEN"
#define ABSENT_CID "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH" /* the empty file, never added */

typedef struct answer {
    int status;
    buf_t headers, body, trailers;
} answer_t;
typedef struct client {
    task_t *t;
    api_t *api;
    node_t *node;
    bytes_t upload;
    size_t step; /* bytes of the upload that come at a time */
    answer_t a;
} client_t;

static err_t on_begin(task_t *t, void *arg, int status)
{
    ((client_t *)arg)->a.status = status;
    return OK;
}
static err_t on_header(void *arg, const char *name, const char *value)
{
    return buf_printf(&((client_t *)arg)->a.headers, "%s: %s\n", name, value);
}
static err_t on_trailer(void *arg, const char *name, const char *value)
{
    return buf_printf(&((client_t *)arg)->a.trailers, "%s: %s\n", name, value);
}
static err_t on_write(task_t *t, void *arg, bytes_t data)
{
    return buf_append(&((client_t *)arg)->a.body, data);
}
static err_t on_read(task_t *t, void *arg, uint8_t *out, size_t cap, size_t *ret_n)
{
    client_t *c = arg;
    size_t n = c->step && c->step < cap ? c->step : cap;
    n = n < c->upload.len ? n : c->upload.len;
    if (n)
        memcpy(out, c->upload.data, n);
    c->upload = bytes_slice(c->upload, n, c->upload.len);
    *ret_n = n;
    return task_yield(t);
}

static void forget(client_t *c)
{
    buf_deinit(&c->a.headers);
    buf_deinit(&c->a.body);
    buf_deinit(&c->a.trailers);
}

/* The answer stays in c->a until the next call. body NULL: no upload. */
static const char *ask(client_t *c, const char *target, const char *body)
{
    char path[1024];
    const char *text;
    header_pair_t type = {"Content-Type", "multipart/form-data; boundary=BB"};
    snprintf(path, sizeof path, "/api/v0/%s", target);
    forget(c);
    c->a.status = 0;
    buf_init(&c->a.headers, 1 << 16);
    buf_init(&c->a.body, BODY_MAX);
    buf_init(&c->a.trailers, 1 << 16);
    c->upload = body ? bytes_str(body) : BYTES_NONE;
    memory_exchange_sink_t sink = {on_begin, on_header, on_write, on_trailer, on_read, c};
    assert_ok(exchange_run_in_memory(c->t, "POST", path, &type, body ? 1 : 0, sink, api_rpc, c->api));
    assert_ok(buf_cstr(&c->a.body, &text));
    return text;
}

static void expect(client_t *c, int line, const char *target, const char *body, int status, const char *want)
{
    const char *got = ask(c, target, body);
    if (c->a.status == status && !strcmp(got, want))
        return;
    print_error("line %d: %s: %d %s\nwanted %d %s\n", line, target, c->a.status, got, status, want);
    _fail(__FILE__, line);
}
#define EXPECT(target, body, status, want) expect(c, __LINE__, target, body, status, want)
static void expect_part(client_t *c, int line, const char *target, int status, const char *part)
{
    const char *got = ask(c, target, NULL);
    if (c->a.status == status && strstr(got, part))
        return;
    print_error("line %d: %s: %d %s\nwanted %d with %s\n", line, target, c->a.status, got, status, part);
    _fail(__FILE__, line);
}
#define EXPECT_PART(target, status, part) expect_part(c, __LINE__, target, status, part)

static err_t with_node(task_t *t, void *arg)
{
    client_t client = {.t = t};
    node_options_t o = {.repo_path = "/repo"};
    assert_ok(node_init_repo(t, "/repo", "test", NULL));
    assert_ok(node_open(t, &o, &client.node));
    client.api = api_new(client.node);
    ((void (*)(client_t *))arg)(&client);
    forget(&client);
    api_free(client.api);
    node_close(t, client.node);
    return OK;
}
#define RUN(fn)                                                                                              \
    static void test_##fn(void **state)                                                                      \
    {                                                                                                        \
        assert_ok(test_run(with_node, (void *)fn));                                                          \
    }

/* ── bodies ── */
#define PART(name, type, content)                                                                            \
    "--BB\r\nContent-Disposition: form-data; name=\"file\"; filename=\"" name "\"\r\nContent-Type: " type    \
    "\r\n\r\n" content "\r\n"
#define FILE_PART(name, content) PART(name, "application/octet-stream", content)
#define END "--BB--\r\n"
static const char hello[] = FILE_PART("hello.txt", "hello\n") END;
static const char folder[] = PART("dir", "application/x-directory", "") FILE_PART("dir%2Fa.txt", "hello\n")
    PART("dir%2Flink", "application/symlink", "a.txt") PART("dir%2Fsub", "application/x-directory", "")
        FILE_PART("dir/sub/b", "b\n") END;
#define A_CID "QmZULkCELmmk5XNfCgTnCyFgAVxBRBXyDHGGMVoLFLiXEN"

static void add(client_t *c)
{
    for (c->step = 0; c->step < 40; c->step += 13) {
        EXPECT("add", hello, 200, "{\"Name\":\"hello.txt\",\"Hash\":\"" HELLO_CID "\",\"Size\":\"14\"}\n");
        EXPECT("add?cid-version=1", hello, 200,
               "{\"Name\":\"hello.txt\",\"Hash\":"
               "\"bafkreicysg23kiwv34eg2d7qweipxwosdo2py4ldv42nbauguluen5v6am\","
               "\"Size\":\"6\"}\n");
        EXPECT("add?silent=true", hello, 200, "");
    }
    /* the rows f0699, d0843-like and f0526 of the golden table */
    EXPECT("add?wrap-with-directory=true", FILE_PART("hello.txt", "hello world") END, 200,
           "{\"Name\":\"hello.txt\",\"Hash\":\"Qmf412jQZiuVUtdgnB36FXFX7xg5V6KEbSJ4dpQuhkLyfD\",\"Size\":"
           "\"19\"}\n"
           "{\"Name\":\"\",\"Hash\":\"QmNxvA5bwvPGgMXbmtyhxA1cKFdvQXnsGnZLCGor3AzYxJ\",\"Size\":\"74\"}\n");
    EXPECT(
        "add?wrap-with-directory=true&stdin-name=n.txt", FILE_PART("n.txt", "hello world") END, 200,
        "{\"Name\":\"n.txt\",\"Hash\":\"Qmf412jQZiuVUtdgnB36FXFX7xg5V6KEbSJ4dpQuhkLyfD\",\"Size\":\"19\"}\n"
        "{\"Name\":\"\",\"Hash\":\"Qma8Yqi5vdNfGRrqxWk9dbkcNcDVcTETmuycdvg1fWJiGZ\",\"Size\":\"70\"}\n");
    EXPECT("add", FILE_PART("", "hello world") END, 200,
           "{\"Name\":\"Qmf412jQZiuVUtdgnB36FXFX7xg5V6KEbSJ4dpQuhkLyfD\",\"Hash\":"
           "\"Qmf412jQZiuVUtdgnB36FXFX7xg5V6KEbSJ4dpQuhkLyfD\",\"Size\":\"19\"}\n");
    EXPECT("add?mode=0600&mtime=-1&cid-version=1",
           "--BB\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\n\r\n--BB--", 200,
           "{\"Name\":\"bafybeigcj6vjgi5kt4xf47obabbszigqgd5lobya2h353n67474gx5bkfi\",\"Hash\":"
           "\"bafybeigcj6vjgi5kt4xf47obabbszigqgd5lobya2h353n67474gx5bkfi\",\"Size\":\"22\"}\n");
    EXPECT("add", FILE_PART("a", "x") FILE_PART("b", "hello\n") END, 200,
           "{\"Name\":\"a\",\"Hash\":\"QmULKig5Fxrs2sC4qt9nNduucXfb92AFYQ6Hi3YRqDmrYC\",\"Size\":\"9\"}\n"
           "{\"Name\":\"b\",\"Hash\":\"" HELLO_CID "\",\"Size\":\"14\"}\n");
}
RUN(add)

static void add_refusals(client_t *c)
{
    EXPECT("add", NULL, 400, "file argument 'path' is required\n");
    EXPECT("add", END, 400,
           "{\"Message\":\"file argument 'path' is required\",\"Code\":1,\"Type\":\"error\"}\n");
    EXPECT("add?chunker=rabin-1", hello, 400,
           "{\"Message\":\"rabin-[avg] must be at least 48\",\"Code\":1,\"Type\":\"error\"}\n");
    EXPECT("add?cid-version=0&hash=sha2-512", hello, 400,
           "{\"Message\":\"CIDv0 only supports sha2-256\",\"Code\":1,\"Type\":\"error\"}\n");
    EXPECT("add?hash=nonsense", hello, 400,
           "{\"Message\":\"unrecognized hash function: \\\"nonsense\\\"\",\"Code\":1,\"Type\":\"error\"}\n");
    EXPECT("add?nocopy=true", hello, 500,
           "{\"Message\":\"either the filestore or the urlstore must be enabled to use nocopy, see: "
           "https://github.com/ipfs/kubo/blob/master/docs/experimental-features.md#ipfs-filestore\","
           "\"Code\":0,\"Type\":\"error\"}\n");
    /* an upload that breaks off: nothing is acknowledged, nothing is pinned */
    ask(c, "add",
        FILE_PART("x", "hello\n") "--BB\r\nContent-Disposition: form-data; name=f; filename=y\r\n\r\nzz");
    assert_true(c->a.status == 500 && memmem(c->a.body.data, c->a.body.len, "closing boundary", 16));
    EXPECT("pin/ls", NULL, 200, "{}\n");
    EXPECT("add?only-hash=true", hello, 200,
           "{\"Name\":\"hello.txt\",\"Hash\":\"" HELLO_CID "\",\"Size\":\"14\"}\n");
    EXPECT_PART("block/stat?arg=" ABSENT_CID, 500, "Message");
    EXPECT_PART("add?path=..", 400, "file argument");
    EXPECT("add", FILE_PART("a%2F..%2F..%2Fb", "x") END, 200, /* it leads nowhere */
           "{\"Name\":\"b\",\"Hash\":\"QmULKig5Fxrs2sC4qt9nNduucXfb92AFYQ6Hi3YRqDmrYC\",\"Size\":\"9\"}\n");
}
RUN(add_refusals)

static void folders(client_t *c)
{
    /* a folder without a name, as Kubo's client/rpc sends one, is the root of what follows it */
    const char *nameless = ask(c, "add", PART("", "application/x-directory", "") FILE_PART("a.txt", "a") END);
    assert_true(strstr(nameless, "{\"Name\":\"a.txt\"") < strstr(nameless, "{\"Name\":\"\""));
    const char *text = ask(c, "add", folder);
    assert_non_null(strstr(text, "{\"Name\":\"dir/a.txt\",\"Hash\":\"" A_CID "\""));
    const char *last = strstr(text, "{\"Name\":\"dir\",\"Hash\":\"");
    assert_true(last && strstr(text, "{\"Name\":\"dir/sub\"") < last && !strstr(text, "{\"Name\":\"\""));
    char root[64], target[256];
    snprintf(root, sizeof root, "%.46s", last + strlen("{\"Name\":\"dir\",\"Hash\":\""));
    snprintf(target, sizeof target, "cat?arg=/ipfs/%s/sub/b", root);
    EXPECT(target, NULL, 200, "b\n");
    snprintf(target, sizeof target, "ls?arg=%s", root);
    EXPECT_PART(target, 200, "\"Name\":\"link\"");
    EXPECT_PART(target, 200, "\"Size\":5,\"Type\":4,\"Target\":\"a.txt\"");
    EXPECT_PART(target, 200,
                "{\"Name\":\"a.txt\",\"Hash\":\"" A_CID
                "\",\"Size\":6,\"Type\":2,\"Target\":\"\",\"Mode\":0,\"ModTime\":\"0001-01-01T00:00:00Z\"}");
    snprintf(target, sizeof target, "ls?arg=%s&stream=true", root);
    text = ask(c, target, NULL);
    size_t lines = 0;
    for (const char *p = text; (p = strchr(p, '\n')); p++)
        lines++;
    assert_int_equal(lines, 3);
    snprintf(target, sizeof target, "refs?arg=%s&recursive=true&format=<linkname>", root);
    EXPECT(
        target, NULL, 200,
        "{\"Ref\":\"a.txt\",\"Err\":\"\"}\n{\"Ref\":\"link\",\"Err\":\"\"}\n{\"Ref\":\"sub\",\"Err\":\"\"}\n"
        "{\"Ref\":\"b\",\"Err\":\"\"}\n");
    snprintf(target, sizeof target, "refs?arg=%s&recursive=true&max-depth=1&format=<linkname>", root);
    EXPECT(target, NULL, 200,
           "{\"Ref\":\"a.txt\",\"Err\":\"\"}\n{\"Ref\":\"link\",\"Err\":\"\"}\n{\"Ref\":\"sub\",\"Err\":\"\"}"
           "\n");
    snprintf(target, sizeof target, "resolve?arg=/ipfs/%s/a.txt", root);
    EXPECT(target, NULL, 200, "{\"Path\":\"/ipfs/" A_CID "\"}\n");
    snprintf(target, sizeof target, "resolve?arg=/ipfs/%s/nothing", root);
    EXPECT_PART(target, 500, "no link named \\\"nothing\\\"");
    snprintf(target, sizeof target, "cat?arg=%s", root);
    EXPECT(target, NULL, 500,
           "{\"Message\":\"this dag node is a directory\",\"Code\":0,\"Type\":\"error\"}\n");
    /* the archive: root, a.txt, link, sub, b: headers, two padded contents, the end */
    snprintf(target, sizeof target, "get?arg=%s", root);
    ask(c, target, NULL);
    assert_int_equal(c->a.status, 200);
    assert_int_equal(c->a.body.len, 5 * 512 + 2 * 512 + 1024);
    assert_memory_equal(c->a.body.data, root, 46);
    assert_int_equal(c->a.body.data[156], '5');
    assert_memory_equal(c->a.body.data + 1024, "hello\n", 6);
}
RUN(folders)

static void cat(client_t *c)
{
    ask(c, "add", hello);
    EXPECT("cat?arg=" HELLO_CID, NULL, 200, "hello\n");
    EXPECT("cat?arg=" HELLO_CID "&offset=2", NULL, 200, "llo\n");
    EXPECT("cat?arg=" HELLO_CID "&offset=1&length=3", NULL, 200, "ell");
    EXPECT("cat?arg=" HELLO_CID "&offset=99", NULL, 200, "");
    EXPECT("cat?arg=" HELLO_CID "&length=0", NULL, 200, "");
    EXPECT("cat?arg=" HELLO_CID "&arg=" HELLO_CID "&offset=4&length=5", NULL, 200, "o\nhel");
    EXPECT("cat?arg=" HELLO_CID "&offset=x", NULL, 400,
           "could not convert value \"x\" to type \"int64\" (for option \"-offset\")\n");
    EXPECT_PART("cat?arg=" ABSENT_CID, 500, ABSENT_CID);
    EXPECT_PART("cat?arg=nonsense", 500, "invalid path");
    EXPECT("cat", NULL, 400, "argument \"ipfs-path\" is required\n");
}
RUN(cat)

static void blocks(client_t *c)
{
    EXPECT("block/put", FILE_PART("", "abc") END, 200,
           "{\"Key\":\"bafkreif2pall7dybz7vecqka3zo24irdwabwdi4wc55jznaq75q7eaavvu\",\"Size\":3}\n");
    EXPECT("block/get?arg=bafkreif2pall7dybz7vecqka3zo24irdwabwdi4wc55jznaq75q7eaavvu", NULL, 200, "abc");
    EXPECT("block/stat?arg=bafkreif2pall7dybz7vecqka3zo24irdwabwdi4wc55jznaq75q7eaavvu", NULL, 200,
           "{\"Key\":\"bafkreif2pall7dybz7vecqka3zo24irdwabwdi4wc55jznaq75q7eaavvu\",\"Size\":3}\n");
    EXPECT("block/rm?arg=bafkreif2pall7dybz7vecqka3zo24irdwabwdi4wc55jznaq75q7eaavvu", NULL, 200,
           "{\"Hash\":\"bafkreif2pall7dybz7vecqka3zo24irdwabwdi4wc55jznaq75q7eaavvu\"}\n");
    EXPECT_PART("block/rm?arg=bafkreif2pall7dybz7vecqka3zo24irdwabwdi4wc55jznaq75q7eaavvu", 200,
                "\"Error\":\"");
    ask(c, "add", hello);
    EXPECT("block/rm?arg=" HELLO_CID, NULL, 200,
           "{\"Hash\":\"" HELLO_CID "\",\"Error\":\"pinned: recursive\"}\n");
    EXPECT("block/put", NULL, 400, "file argument 'data' is required\n");
}
RUN(blocks)

static void pins(client_t *c)
{
    ask(c, "add?pin-name=greeting", hello);
    EXPECT("pin/ls?names=true", NULL, 200,
           "{\"Keys\":{\"" HELLO_CID "\":{\"Type\":\"recursive\",\"Name\":\"greeting\"}}}\n");
    EXPECT("pin/ls?stream=true&names=true", NULL, 200,
           "{\"Cid\":\"" HELLO_CID "\",\"Name\":\"greeting\",\"Type\":\"recursive\"}\n");
    EXPECT("pin/ls?type=direct", NULL, 200, "{}\n");
    EXPECT("pin/ls?arg=" HELLO_CID, NULL, 200,
           "{\"Keys\":{\"" HELLO_CID "\":{\"Type\":\"recursive\",\"Name\":\"\"}}}\n");
    EXPECT_PART("pin/ls?arg=" ABSENT_CID, 500, "is not pinned");
    EXPECT_PART("pin/ls?type=nonsense", 400, "nonsense");
    EXPECT("pin/verify?verbose=true", NULL, 200, "{\"Cid\":\"" HELLO_CID "\",\"Ok\":true}\n");
    EXPECT("pin/rm?arg=" HELLO_CID, NULL, 200, "{\"Pins\":[\"" HELLO_CID "\"]}\n");
    EXPECT_PART("pin/rm?arg=" HELLO_CID, 500, "not pinned");
    EXPECT("pin/add?arg=" HELLO_CID, NULL, 200, "{\"Pins\":[\"" HELLO_CID "\"]}\n");
    EXPECT_PART("pin/add?arg=" ABSENT_CID, 500, "Message");
    EXPECT_PART("pin/add?arg=" HELLO_CID "&replicas=3", 500, "online mode");
    ask(c, "add?replicas=2", FILE_PART("x", "copies") END); /* refused before anything is stored */
    assert_int_equal(c->a.status, 500);
    /* collection takes what is not pinned and nothing else */
    ask(c, "add?pin=false", FILE_PART("x", "garbage") END);
    const char *removed = ask(c, "repo/gc", NULL), *eol = strchr(removed, '\n');
    assert_true(!strncmp(removed, "{\"Key\":{\"/\":\"bafk", 17) && eol && !eol[1]); /* one block */
    EXPECT("cat?arg=" HELLO_CID, NULL, 200, "hello\n");
    EXPECT_PART("repo/stat", 200, "\"NumObjects\":1,");
    EXPECT("repo/version", NULL, 200, "{\"Version\":\"distribute-1\"}\n");
    EXPECT_PART("repo/verify", 200, "all blocks validated");
    EXPECT_PART("refs/local", 200, "\"Err\":\"\"");
}
RUN(pins)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_add), cmocka_unit_test(test_add_refusals), cmocka_unit_test(test_folders),
        cmocka_unit_test(test_cat), cmocka_unit_test(test_blocks),       cmocka_unit_test(test_pins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

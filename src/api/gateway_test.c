/* The gateway and the RPC's door over an offline node in the simulator, request by request. */
#include "api/api.h"
#include "dag/directory.h"
#include "dag/importer.h"
#include "node/setup.h"
#include "tests/support/run.h"
#include "tests/support/test.h"
#include <strings.h>

enum { BODY_MAX = 8 << 20 };

typedef struct answer {
    int status;
    buf_t headers, body;
} answer_t;

static err_t on_begin(task_t *t, void *arg, int status)
{
    ((answer_t *)arg)->status = status;
    return OK;
}

static err_t on_header(void *arg, const char *name, const char *value)
{
    return buf_printf(&((answer_t *)arg)->headers, "%s: %s\n", name, value);
}

static err_t on_write(task_t *t, void *arg, bytes_t data)
{
    return buf_append(&((answer_t *)arg)->body, data);
}

static void answer_deinit(answer_t *a)
{
    buf_deinit(&a->headers);
    buf_deinit(&a->body);
}
AUTO_DEFINE(answer_t, answer_deinit)

static answer_t ask(task_t *t, api_t *api, exchange_fn face, const char *method, const char *target,
                    const char *name, const char *value)
{
    answer_t a = {0};
    header_pair_t header = {name, value};
    buf_init(&a.headers, 1 << 16);
    buf_init(&a.body, BODY_MAX);
    memory_exchange_sink_t sink = {on_begin, on_header, on_write, on_header, NULL, &a};
    err_t e = exchange_run_in_memory(t, method, target, &header, name != NULL, sink, face, api);
    assert_int_equal(e, OK);
    return a;
}

static answer_t get(task_t *t, api_t *api, const char *target, const char *name, const char *value)
{
    return ask(t, api, api_gateway, "GET", target, name, value);
}

static bool has(const buf_t *b, const char *text)
{
    return b->len && memmem(b->data, b->len, text, strlen(text)) != NULL;
}

#define EXPECT(answer, want_status)                                                                          \
    do {                                                                                                     \
        if ((answer).status != (want_status))                                                                \
            fail_msg("line %d: status %d, wanted %d: %.*s", __LINE__, (answer).status, (want_status),        \
                     (int)(answer).body.len, (const char *)(answer).body.data);                              \
    } while (0)
#define EXPECT_HEADER(answer, text)                                                                          \
    do {                                                                                                     \
        if (!has(&(answer).headers, text))                                                                   \
            fail_msg("line %d: no header \"%s\" in\n%.*s", __LINE__, text, (int)(answer).headers.len,        \
                     (const char *)(answer).headers.data);                                                   \
    } while (0)

/* ── a node with a tree: /a.txt, /big (600,000 bytes), /<b>&"c, /site/index.html ─────────────── */

typedef struct fixture {
    node_t *node;
    api_t *api;
    char root[CID_TEXT_MAX], big[CID_TEXT_MAX], site[CID_TEXT_MAX];
    uint8_t *big_bytes;
} fixture_t;

enum { BIG_BYTES = 600000 };

static err_t add(task_t *t, importer_t *im, bytes_t content, dag_ref_t *ret)
{
    return importer_add_file(t, im, source_of_bytes(&content), NULL, ret);
}

static err_t fill(task_t *t, fixture_t *f)
{
    import_options_t options;
    importer_t *im;
    dag_ref_t text, big, odd, index, site, root;

    import_options_init(&options);
    TRY(importer_new(t, node_local_blocks(f->node), &options, &im));
    TRY(add(t, im, BYTES_LIT("hello\n"), &text));
    TRY(add(t, im, bytes_of(f->big_bytes, BIG_BYTES), &big));
    TRY(add(t, im, BYTES_LIT("odd"), &odd));
    TRY(add(t, im, BYTES_LIT("<html><p>index</p></html>"), &index));
    dir_item_t in_site[] = {{.name = BYTES_LIT("index.html"), .ref = &index}};
    TRY(directory_write(t, importer_writer(im), in_site, 1, NULL, &site));
    dir_item_t in_root[] = {{.name = BYTES_LIT("a.txt"), .ref = &text},
                            {.name = BYTES_LIT("big"), .ref = &big},
                            {.name = BYTES_LIT("<b>&\"c"), .ref = &odd},
                            {.name = BYTES_LIT("site"), .ref = &site}};
    TRY(directory_write(t, importer_writer(im), in_root, ARRAY_LEN(in_root), NULL, &root));
    TRY(importer_flush(t, im));
    importer_free(t, im);
    cid_print(&root.cid, f->root);
    cid_print(&big.cid, f->big);
    cid_print(&site.cid, f->site);
    return OK;
}

static err_t with_node(task_t *t, err_t (*fn)(task_t *, fixture_t *))
{
    fixture_t f = {.big_bytes = xmalloc(BIG_BYTES)};
    node_options_t o = {.repo_path = "/repo"};
    for (size_t i = 0; i < BIG_BYTES; i++)
        f.big_bytes[i] = (uint8_t)(i * 7 % 251);
    TRY(node_init_repo(t, "/repo", "test", NULL));
    TRY(node_open(t, &o, &f.node));
    f.api = api_new(f.node);
    err_t e = fill(t, &f);
    if (!e)
        e = fn(t, &f);
    api_free(f.api);
    node_close(t, f.node);
    free(f.big_bytes);
    return e;
}

/* ── files ───────────────────────────────────────────────────────────────────────────────────── */

static err_t files_case(task_t *t, fixture_t *f)
{
    char target[1024], etag[CID_TEXT_MAX + 2];
    snprintf(target, sizeof target, "/ipfs/%s/a.txt", f->root);
    AUTO(answer_t) whole = get(t, f->api, target, NULL, NULL);
    EXPECT(whole, 200);
    assert_true(bytes_equal(buf_bytes(&whole.body), BYTES_LIT("hello\n")));
    EXPECT_HEADER(whole, "Content-Type: text/plain; charset=utf-8");
    EXPECT_HEADER(whole, "immutable");
    EXPECT_HEADER(whole, "X-Ipfs-Path: /ipfs/");
    snprintf(target, sizeof target, "/ipfs/%s", f->big);
    snprintf(etag, sizeof etag, "\"%s\"", f->big);
    AUTO(answer_t) big = get(t, f->api, target, NULL, NULL);
    EXPECT(big, 200);
    EXPECT_HEADER(big, etag);
    assert_true(bytes_equal(buf_bytes(&big.body), bytes_of(f->big_bytes, BIG_BYTES)));
    AUTO(answer_t) same = get(t, f->api, target, "If-None-Match", etag);
    EXPECT(same, 304);
    assert_int_equal(same.body.len, 0);
    AUTO(answer_t) other = get(t, f->api, target, "If-None-Match", "\"other\"");
    EXPECT(other, 200);
    AUTO(answer_t) head = ask(t, f->api, api_gateway, "HEAD", target, NULL, NULL);
    EXPECT(head, 200);
    assert_int_equal(head.body.len, 0);
    AUTO(answer_t) posted = ask(t, f->api, api_gateway, "POST", target, NULL, NULL);
    EXPECT(posted, 405);
    return OK;
}

static err_t ranges_case(task_t *t, fixture_t *f)
{
    char target[1024];
    snprintf(target, sizeof target, "/ipfs/%s", f->big);
    AUTO(answer_t) one = get(t, f->api, target, "Range", "bytes=262140-262150");
    EXPECT(one, 206);
    EXPECT_HEADER(one, "Content-Range: bytes 262140-262150/600000");
    assert_true(bytes_equal(buf_bytes(&one.body), bytes_of(f->big_bytes + 262140, 11)));
    AUTO(answer_t) tail = get(t, f->api, target, "Range", "bytes=-5");
    EXPECT(tail, 206);
    assert_true(bytes_equal(buf_bytes(&tail.body), bytes_of(f->big_bytes + BIG_BYTES - 5, 5)));
    AUTO(answer_t) behind = get(t, f->api, target, "Range", "bytes=600000-");
    EXPECT(behind, 416);
    EXPECT_HEADER(behind, "Content-Range: bytes */600000");
    AUTO(answer_t) several = get(t, f->api, target, "Range", "bytes=0-1,599998-");
    EXPECT(several, 206);
    EXPECT_HEADER(several, "multipart/byteranges; boundary=");
    assert_true(has(&several.body, "Content-Range: bytes 0-1/600000"));
    assert_true(has(&several.body, "Content-Range: bytes 599998-599999/600000"));
    char length[64];
    snprintf(length, sizeof length, "Content-Length: %zu\n", several.body.len);
    if (has(&several.headers, "Content-Length"))
        EXPECT_HEADER(several, length);
    return OK;
}

/* ── directories ─────────────────────────────────────────────────────────────────────────────── */

static err_t directories_case(task_t *t, fixture_t *f)
{
    char target[1024], link[512];
    snprintf(target, sizeof target, "/ipfs/%s", f->root);
    AUTO(answer_t) bare = get(t, f->api, target, NULL, NULL);
    EXPECT(bare, 301);
    EXPECT_HEADER(bare, "Location: /ipfs/");
    snprintf(target, sizeof target, "/ipfs/%s/", f->root);
    AUTO(answer_t) list = get(t, f->api, target, NULL, NULL);
    EXPECT(list, 200);
    assert_true(has(&list.body, "&lt;b&gt;&amp;&#34;c"));
    assert_false(has(&list.body, "<b>&\"c"));
    assert_false(has(&list.body, "<script"));
    snprintf(link, sizeof link, "href=\"/ipfs/%s/a.txt\"", f->root);
    assert_true(has(&list.body, link));
    EXPECT_HEADER(list, "DirIndex-");
    snprintf(target, sizeof target, "/ipfs/%s/site/", f->root);
    AUTO(answer_t) index = get(t, f->api, target, NULL, NULL);
    EXPECT(index, 200);
    EXPECT_HEADER(index, "Content-Type: text/html");
    assert_true(has(&index.body, "<p>index</p>"));
    snprintf(target, sizeof target, "/ipfs/%s/%%3Cb%%3E%%26%%22c?filename=x.txt&download=true", f->root);
    AUTO(answer_t) odd = get(t, f->api, target, NULL, NULL);
    EXPECT(odd, 200);
    EXPECT_HEADER(odd, "Content-Disposition: attachment; filename=\"x.txt\"");
    return OK;
}

/* ── raw blocks, and what is wrong ───────────────────────────────────────────────────────────── */

static err_t raw_case(task_t *t, fixture_t *f)
{
    char target[1024];
    snprintf(target, sizeof target, "/ipfs/%s?format=raw", f->root);
    AUTO(answer_t) raw = get(t, f->api, target, NULL, NULL);
    EXPECT(raw, 200);
    EXPECT_HEADER(raw, "Content-Type: application/vnd.ipld.raw");
    EXPECT_HEADER(raw, ".raw\"");
    cid_t cid;
    assert_int_equal(cid_parse_str(f->root, &cid), OK);
    assert_int_equal(cid_verify(&cid, buf_bytes(&raw.body)), OK);
    snprintf(target, sizeof target, "/ipfs/%s", f->root);
    AUTO(answer_t) accepted = get(t, f->api, target, "Accept", "application/vnd.ipld.raw");
    EXPECT(accepted, 200);
    assert_true(bytes_equal(buf_bytes(&raw.body), buf_bytes(&accepted.body)));
    return OK;
}

static err_t wrong_case(task_t *t, fixture_t *f)
{
    char target[1024];
    static const struct {
        const char *target;
        int status;
    } cases[] = {{"/ipfs/", 400},
                 {"/ipfs/not-a-cid", 400},
                 {"/ipfs/%zz", 400},
                 {"/", 404},
                 {"/nothing", 404},
                 {"/ipns/x", 404},
                 {"/ipfs/QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG", 404}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(answer_t) a = get(t, f->api, cases[i].target, NULL, NULL);
        EXPECT(a, cases[i].status);
    }
    snprintf(target, sizeof target, "/ipfs/%s/nothing", f->root);
    AUTO(answer_t) missing = get(t, f->api, target, NULL, NULL);
    EXPECT(missing, 404);
    snprintf(target, sizeof target, "/ipfs/%s/../../etc", f->root);
    AUTO(answer_t) above = get(t, f->api, target, NULL, NULL);
    EXPECT(above, 307);
    snprintf(target, sizeof target, "/ipfs/%s/%%2e%%2e/%%2e%%2e/etc", f->root);
    AUTO(answer_t) hidden = get(t, f->api, target, NULL, NULL);
    EXPECT(hidden, 400);
    return OK;
}

/* ── hosts ───────────────────────────────────────────────────────────────────────────────────── */

static err_t hosts_case(task_t *t, fixture_t *f)
{
    char target[1024], label[CID_TEXT_MAX], want[CID_TEXT_MAX + 64];
    cid_t cid, v1;
    TRY(cid_parse_str(f->root, &cid));
    TRY(cid_to_v1(&cid, &v1));
    cid_print(&v1, label);
    snprintf(target, sizeof target, "/ipfs/%s/a.txt?x=y", f->root);
    snprintf(want, sizeof want, "Location: http://%s.ipfs.localhost:8080/a.txt?x=y\n", label);
    AUTO(answer_t) leads = get(t, f->api, target, "Host", "localhost:8080");
    EXPECT(leads, 301);
    EXPECT_HEADER(leads, want);
    snprintf(want, sizeof want, "%s.ipfs.localhost:8080", label);
    AUTO(answer_t) there = get(t, f->api, "/a.txt", "Host", want);
    EXPECT(there, 200);
    assert_true(bytes_equal(buf_bytes(&there.body), BYTES_LIT("hello\n")));
    /* A host that DNS knows nothing of is a gateway of paths; the second time it is not asked. */
    uint64_t began = 0;
    for (int i = 0; i < 2; i++) {
        began = task_now_ms(t);
        AUTO(answer_t) other = get(t, f->api, target, "Host", "nas.example:80");
        EXPECT(other, 200);
    }
    assert_int_equal(task_now_ms(t), began);
    snprintf(target, sizeof target, "http://%s/a.txt", want);
    AUTO(answer_t) proxied = get(t, f->api, target, "Host", "elsewhere.example");
    EXPECT(proxied, 200);
    return OK;
}

/* ── the RPC's door ──────────────────────────────────────────────────────────────────────────── */

static err_t door_case(task_t *t, fixture_t *f)
{
    static const struct {
        const char *method, *target;
        int status;
        const char *text;
    } cases[] = {
        {"GET", "/api/v0/id", 405, "405"},
        {"POST", "/api/v0/nonsense", 404, "404"},
        {"POST", "/other", 404, "404"},
        {"POST", "/api/v0/ping", 400, "argument \"peer ID\" is required"},
        {"POST", "/api/v0/version?arg=a&arg=b", 200, "\"Version\""},
        {"POST", "/api/v0/swarm/peers", 500, "online mode"},
        {"POST", "/api/v0/id", 200, "\"ID\""},
        {"POST", "/api/v0/version", 200, "\"Version\""},
        {"POST", "/api/v0/config?arg=Identity.PrivKey", 500, "Message"},
        {"POST", "/api/v0/id?timeout=nonsense", 400, "duration"},
        {"OPTIONS", "/api/v0/id", 204, ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(answer_t) a = ask(t, f->api, api_rpc, cases[i].method, cases[i].target, NULL, NULL);
        if (a.status != cases[i].status || (*cases[i].text && !has(&a.body, cases[i].text)))
            fail_msg("%s: %d %.*s", cases[i].target, a.status, (int)a.body.len, (const char *)a.body.data);
    }
    AUTO(answer_t) metrics = ask(t, f->api, api_metrics, "GET", "/metrics", NULL, NULL);
    EXPECT(metrics, 200);
    assert_true(has(&metrics.body, "\ndistribute_blocks_total "));
    AUTO(answer_t) ready = ask(t, f->api, api_metrics, "GET", "/ready", NULL, NULL);
    EXPECT(ready, 503); /* offline */
    AUTO(answer_t) health = ask(t, f->api, api_metrics, "GET", "/health", NULL, NULL);
    EXPECT(health, 200);
    return OK;
}

/* As a request that came over HTTP: its origin counts. */
static err_t rpc_from_outside(task_t *t, exchange_t *x, void *api)
{
    x->is_local = false;
    return api_rpc(t, x, api);
}

static err_t sites_case(task_t *t, fixture_t *f)
{
    static const struct {
        const char *name, *value;
        int status;
    } cases[] = {
        {NULL, NULL, 200}, /* a program */
        {"User-Agent", "curl/8.0", 200},
        {"Origin", "http://evil.example", 403},
        {"Origin", "http://localhost.evil.example", 403},
        {"Origin", "http://localhost:80", 200}, /* no Host: the port that HTTP means */
        {"Origin", "http://localhost:8080", 403},
        {"Origin", "null", 403},
        {"Referer", "http://evil.example/page", 403},
        {"Referer", "nonsense", 403},
        {"User-Agent", "Mozilla/5.0", 403}, /* a browser that hides where it comes from */
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(answer_t)
        a = ask(t, f->api, rpc_from_outside, "POST", "/api/v0/version", cases[i].name, cases[i].value);
        if (a.status != cases[i].status)
            fail_msg("%s: %s gave %d", cases[i].name ? cases[i].name : "nothing", cases[i].value, a.status);
    }
    assert_ok(repo_config_set(t, node_repo(api_node(f->api)), "API.HTTPHeaders",
                              "{\"Access-Control-Allow-Origin\":[\"http://ui.example\"]}"));
    AUTO(answer_t)
    allowed = ask(t, f->api, rpc_from_outside, "POST", "/api/v0/version", "Origin", "http://ui.example");
    EXPECT(allowed, 200);
    assert_true(has(&allowed.headers, "Access-Control-Allow-Origin: http://ui.example"));
    return OK;
}

static err_t all_cases(task_t *t, fixture_t *f)
{
    TRY(files_case(t, f));
    TRY(ranges_case(t, f));
    TRY(directories_case(t, f));
    TRY(raw_case(t, f));
    TRY(wrong_case(t, f));
    TRY(hosts_case(t, f));
    TRY(door_case(t, f));
    return sites_case(t, f);
}

static err_t main_task(task_t *t, void *arg)
{
    return with_node(t, all_cases);
}

static void test_faces(void **state)
{
    err_t e = test_run(main_task, NULL);
    if (e)
        fail_msg("%s", error_text(e));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_faces)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The service in virtual time over a real SQLite database: group commit, the log, expiry, healing. */
#include "crypto/hash.h"
#include "meta/meta_impl.h"
#include "tests/support/run.h"
#include "tests/support/test.h"
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64];

static int make_folder(void **state)
{
    snprintf(folder, sizeof folder, "/tmp/distribute-meta-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    static const char *const names[] = {"m.db", "m.db-wal", "m.db-shm"};
    char path[128];
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
    }
    return rmdir(folder);
}

static const char *database(void)
{
    static char path[80];
    snprintf(path, sizeof path, "%s/m.db", folder);
    return path;
}

/* ── group commit ────────────────────────────────────────────────────────────────────────────── */
typedef struct put_job {
    db_t *db;
    int64_t number;
    err_t fails;
    audit_entry_t entry;
    size_t runs;
    err_t result;
} put_job_t;

static err_t put_row(sql_t *c, void *arg)
{
    put_job_t *j = arg;
    char jti[32];
    j->runs++;
    snprintf(jti, sizeof jti, "%lld", (long long)j->number);
    TRY(sql_run(c, "INSERT INTO revoked (jti, expires_at) VALUES (?1, ?2)",
                SQL(SQL_TEXT(jti), SQL_INT(j->number)), NULL));
    return j->fails ? fail(j->fails, "as asked for") : OK;
}

static err_t put_task(task_t *t, void *arg)
{
    put_job_t *j = arg;
    j->result = db_write(t, j->db, put_row, j, &j->entry);
    return OK;
}

static err_t count_rows(sql_t *c, void *arg)
{
    return sql_number(c, "SELECT count(*) FROM revoked", SQL_NO_VALUES, 0, arg);
}

static err_t check_log(sql_t *c, void *arg)
{
    return audit_verify(c, arg);
}

enum { WRITERS = 300 };

static err_t write_together(task_t *t, void *arg)
{
    db_options_t o = {.database = database()};
    db_t *db;
    put_job_t *jobs = xcalloc(WRITERS, sizeof *jobs);
    group_t g;
    int64_t rows;
    bool is_ours;
    assert_ok(db_open(t, &o, &db));
    group_init(&g, task_sched(t));
    for (int i = 0; i < WRITERS; i++) {
        jobs[i] = (put_job_t){.db = db, .number = i, .entry = {.action = "test", .at_ms = i, .actor = "a"}};
        if (i % 10 == 3)
            jobs[i].fails = ERR_DENIED;
        if (i % 10 == 7)
            jobs[i].number--; /* the key is taken */
        assert_ok(group_spawn(&g, "writer", put_task, &jobs[i], NULL));
    }
    assert_ok(group_join(t, &g));
    group_deinit(&g);
    for (int i = 0; i < WRITERS; i++) {
        err_t wanted = i % 10 == 3 ? ERR_DENIED : i % 10 == 7 ? ERR_EXISTS : OK;
        assert_int_equal(jobs[i].result, wanted);
        assert_int_equal(jobs[i].runs, 1);
        assert_string_equal(jobs[i].entry.outcome, wanted ? error_name(wanted) : "OK");
    }
    assert_ok(db_read(t, db, count_rows, &rows));
    assert_int_equal(rows, WRITERS * 8 / 10);
    assert_ok(db_lease(t, db, "job", 1000, 500, &is_ours));
    assert_true(is_ours);
    db_close(t, db);
    /* Another process: the lease is the first one's until it ends; the log is whole, one record for each. */
    audit_check_t check;
    assert_ok(db_open(t, &o, &db));
    assert_ok(db_lease(t, db, "job", 1499, 500, &is_ours));
    assert_false(is_ours);
    assert_ok(db_lease(t, db, "job", 1501, 500, &is_ours));
    assert_true(is_ours);
    assert_ok(db_read(t, db, check_log, &check));
    assert_true(check.is_intact);
    assert_int_equal(check.records, WRITERS);
    db_close(t, db);
    free(jobs);
    return OK;
}

static void writes_that_fail_are_undone_alone(void **state)
{
    assert_ok(test_run(write_together, NULL));
}

/* ── the service ─────────────────────────────────────────────────────────────────────────────── */
typedef struct caller {
    task_t *t;
    meta_t *m;
    const char *token;
} caller_t;

/* The answer, owned; NULL when the request was refused with `wanted`. Takes query and body. */
static json_t *call_with(const caller_t *who, err_t wanted, const char *method, const char *path,
                         json_t *query, json_t *body)
{
    char(*ids)[META_PART_MAX] = xcalloc(2, META_PART_MAX);
    char allow[64];
    meta_answer_t a = {0};
    meta_request_t r = {.ids = (const char(*)[META_PART_MAX])ids,
                        .token = who->token,
                        .remote = "10.0.0.9:1",
                        .query = query,
                        .body = body};
    assert_ok(meta_find_op(method, path, &r.op, ids, allow));
    assert_err(meta_serve(who->t, who->m, &r, &a), wanted);
    json_decref(query);
    json_decref(body);
    free(ids);
    return a.body;
}

static json_t *call(const caller_t *who, err_t wanted, const char *method, const char *path, json_t *body)
{
    return call_with(who, wanted, method, path, json_object(), body);
}

static int64_t reserved(const caller_t *who)
{
    json_t *o = call(who, OK, "GET", "/users/me/quota", NULL);
    int64_t v = json_integer_value(json_object_get(o, "reserved_bytes"));
    json_decref(o);
    return v;
}

static const char node_key[] = "dsk_of-the-nodes-of-this-test";
static const char *const node_ids[] = {"00000000000000000000000000000001", "00000000000000000000000000000002",
                                       "00000000000000000000000000000003",
                                       "00000000000000000000000000000004"};

static const char *const own_keys[] = {"dsk_first", "dsk_second", "dsk_third", "dsk_fourth", "dsk_stranger"};

/* The form of a registration; `key` is which of the keys above. */
static json_t *form(int i, int key)
{
    uint8_t hash[32];
    char text[65];
    sha256_of(bytes_str(own_keys[key]), hash);
    return json_pack("{s:s s:s s:I s:i s:s}", "id", node_ids[i], "address", "10.0.0.1:3001", "capacity_bytes",
                     (json_int_t)1 << 40, "used_bytes", 0, "key_sha256",
                     hex_text(bytes_of(hash, sizeof hash), text, sizeof text));
}

static void register_node(const caller_t *nodes, int i)
{
    json_decref(call(nodes, OK, "POST", "/nodes", form(i, i)));
}

static json_t *beat_with(const caller_t *who, err_t wanted, int i, json_t *more)
{
    char path[80];
    json_t *body = json_pack("{s:I s:i}", "capacity_bytes", (json_int_t)1 << 40, "used_bytes", 0);
    snprintf(path, sizeof path, "/nodes/%s/heartbeat", node_ids[i]);
    json_object_update(body, more);
    json_decref(more);
    return call(who, wanted, "PUT", path, body);
}

static json_t *beat(const caller_t *any, int i)
{
    caller_t node = {any->t, any->m, own_keys[i]};
    return beat_with(&node, OK, i, json_object());
}

static json_t *commit_body(meta_t *m, json_t *upload, const char *chunk)
{
    json_t *stored = json_array();
    const char *id = json_string_value(json_object_get(upload, "upload_id"));
    for (int i = 0; i < 3; i++) {
        char receipt[TICKET_TEXT_MAX];
        ticket_keys_t keys;
        ticket_node_keys(&m->receipts, node_ids[i], &keys);
        ticket_receipt_make(&keys, id, chunk, 128, node_ids[i], receipt);
        json_array_append_new(stored, json_pack("{s:s s:s}", "node", node_ids[i], "receipt", receipt));
    }
    return json_pack("{s:s s:[{s:s s:i s:i s:o}]}", "upload_id", id, "chunks", "id", chunk, "size", 128,
                     "length", 100, "stored", stored);
}

static const char chunk[] = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

static void expire(const caller_t *admin)
{
    json_t *upload =
        call(admin, OK, "POST", "/init_upload", json_pack("{s:s s:i}", "name", "left", "size", 1 << 20));
    json_decref(upload);
    assert_true(reserved(admin) >= 1 << 20);
    assert_ok(task_sleep(admin->t, 59000));
    assert_true(reserved(admin) > 0);
    assert_ok(task_sleep(admin->t, 3000));
    assert_int_equal(reserved(admin), 0);
}

static bool is_ordered(const caller_t *nodes)
{
    json_t *o = beat(nodes, 3), *list = json_object_get(o, "replicate");
    bool has = json_array_size(list) == 1;
    if (has)
        assert_int_equal(json_array_size(json_object_get(json_array_get(list, 0), "from")), 3);
    json_decref(o);
    return has;
}

static void heal(const caller_t *admin, const caller_t *nodes)
{
    json_t *upload =
        call(admin, OK, "POST", "/init_upload", json_pack("{s:s s:i}", "name", "kept", "size", 100));
    json_decref(call(admin, OK, "POST", "/commit_upload", commit_body(admin->m, upload, chunk)));
    json_decref(upload);
    /* The first node falls silent: patience, then the fourth one is told to fetch. */
    for (int s = 0; s < 25; s += 5) {
        assert_false(is_ordered(nodes));
        json_decref(beat(nodes, 1));
        json_decref(beat(nodes, 2));
        assert_ok(task_sleep(admin->t, 5000));
    }
    for (int s = 0; s < 10; s += 2) {
        json_decref(beat(nodes, 1));
        json_decref(beat(nodes, 2));
        json_decref(beat(nodes, 3));
        assert_ok(task_sleep(admin->t, 2000));
    }
    assert_true(is_ordered(nodes));
}

static err_t run_service(task_t *t, void *arg)
{
    meta_options_t o = {.database = database(),
                        .master_source = "env:DISTRIBUTE_TEST_MASTER",
                        .admin_password = "a password",
                        .node_key = node_key,
                        .upload_ttl_ms = 60000,
                        .heal_after_ms = 30000,
                        .token_ttl_s = 600};
    meta_t *m;
    setenv("DISTRIBUTE_TEST_MASTER", "0101010101010101010101010101010101010101010101010101010101010101", 1);
    assert_ok(meta_open(t, &o, &m));
    caller_t nobody = {t, m, NULL}, nodes = {t, m, node_key};
    json_t *login = call(&nobody, OK, "POST", "/login",
                         json_pack("{s:s s:s}", "username", "admin", "password", "a password"));
    caller_t admin = {t, m, json_string_value(json_object_get(login, "token"))};
    assert_null(
        call(&admin, ERR_NO_SPACE, "POST", "/init_upload", json_pack("{s:s s:i}", "name", "x", "size", 1)));
    for (int i = 0; i < 4; i++)
        register_node(&nodes, i);
    heal(&admin, &nodes);
    for (int i = 0; i < 4; i++)
        json_decref(beat(&nodes, i));
    expire(&admin);
    /* Tokens end in virtual time, too. */
    assert_ok(task_sleep(t, 600 * 1000));
    assert_null(call(&admin, ERR_UNAUTHORIZED, "GET", "/files", NULL));
    json_decref(login);
    meta_close(t, m);
    return OK;
}

static void the_service_keeps_time(void **state)
{
    assert_ok(test_run(run_service, NULL));
}

/* ── each node for itself, and a service that was set back ───────────────────────────────────── */
static void keys_of_their_own(const caller_t *join)
{
    caller_t first = {join->t, join->m, own_keys[0]}, second = {join->t, join->m, own_keys[1]};
    register_node(join, 0);
    register_node(join, 0); /* its answer was lost */
    register_node(join, 1);
    assert_null(call(join, ERR_DENIED, "POST", "/nodes", form(0, 4)));    /* the place of another one */
    assert_null(call(&second, ERR_DENIED, "POST", "/nodes", form(0, 0))); /* a known node's, too */
    assert_null(beat_with(join, ERR_DENIED, 0, json_object()));
    assert_null(beat_with(&second, ERR_DENIED, 0, json_object()));
    assert_null(call(&second, ERR_DENIED, "GET", "/nodes/00000000000000000000000000000001/chunks", NULL));
    assert_null(call(&second, ERR_DENIED, "PUT",
                     "/chunks/00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff/locations",
                     json_pack("{s:s s:s}", "node", node_ids[0], "state", "lost")));
    json_decref(call(&first, OK, "POST", "/nodes", form(0, 4))); /* a new key */
    assert_null(beat_with(&first, ERR_UNAUTHORIZED, 0, json_object()));
    caller_t again = {join->t, join->m, own_keys[4]};
    json_decref(call(&again, OK, "POST", "/nodes", form(0, 0)));
    json_t *other = form(2, 2);
    json_object_set_new(other, "service_id", json_string(node_ids[3]));
    assert_null(call(join, ERR_EXISTS, "POST", "/nodes", other)); /* it keeps chunks of another service */
}

static const char live_chunk[] = "ff112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

static err_t set_deleting(sql_t *c, void *arg)
{
    return sql_run(c, "UPDATE locations SET state = 1 WHERE chunk_id = ?1 AND node_id = ?2",
                   SQL(SQL_TEXT(live_chunk), SQL_TEXT(node_ids[0])), NULL);
}

static size_t n_deletes(const caller_t *node, json_t *more, int64_t *ret_incarnation)
{
    json_t *o = beat_with(node, OK, 0, more);
    size_t n = json_array_size(json_object_get(o, "delete"));
    *ret_incarnation = json_integer_value(json_object_get(o, "incarnation"));
    json_decref(o);
    return n;
}

static int64_t incarnation_after(const caller_t *node, size_t at, json_t *lie)
{
    json_t *o = beat_with(node, OK, at, json_deep_copy(lie));
    int64_t incarnation = json_integer_value(json_object_get(o, "incarnation"));
    json_decref(o);
    return incarnation;
}

static size_t n_set_backs(const caller_t *admin, const char *outcome)
{
    size_t n = 0, i;
    json_t *record,
        *log = call_with(admin, OK, "GET", "/audit", json_pack("{s:s}", "action", "service.set_back"), NULL);
    json_array_foreach(json_object_get(log, "records"), i, record) n +=
        !strcmp(json_string_value(json_object_get(record, "outcome")), outcome);
    json_decref(log);
    return n;
}

/* A node that goes on saying so is not heard any more, for an hour; others are. */
static void lies_end(const caller_t *admin, const caller_t *first)
{
    caller_t third = {first->t, first->m, own_keys[2]};
    json_t *lie = json_pack("{s:{s:i s:s}}", "log_seen", "seq", 1, "hash", live_chunk);
    for (int i = 3; i <= 8; i++)
        assert_int_equal(incarnation_after(first, 0, lie), i);
    assert_int_equal(incarnation_after(first, 0, lie), 8);
    assert_int_equal(incarnation_after(&third, 2, lie), 9);
    assert_int_equal(n_set_backs(admin, "OK"), 9);
    assert_int_equal(n_set_backs(admin, "ERR_LIMIT"), 1);
    assert_ok(task_sleep(first->t, 3600000));
    assert_int_equal(incarnation_after(first, 0, lie), 10);
    assert_int_equal(incarnation_after(first, 0, lie), 10);
    json_decref(lie);
    /* What is published is not compared by a service that was set back and has not noticed. */
    json_t *files = json_pack("{s:[] s:{s:i s:s}}", "files", "log_seen", "seq", 1, "hash", live_chunk);
    assert_null(call(first, ERR_EXISTS, "POST", "/nodes/00000000000000000000000000000001/published", files));
}

/* A copy that was to go (another one had come) when the backup was made: the other one may be gone since. */
static void set_back(const caller_t *admin, const caller_t *join)
{
    caller_t first = {join->t, join->m, own_keys[0]};
    int64_t incarnation;
    register_node(join, 2);
    json_t *upload =
        call(admin, OK, "POST", "/init_upload", json_pack("{s:s s:i}", "name", "kept", "size", 100));
    json_decref(call(admin, OK, "POST", "/commit_upload", commit_body(admin->m, upload, live_chunk)));
    json_decref(upload);
    assert_ok(db_write(admin->t, admin->m->db, set_deleting, NULL, NULL));
    json_t *told = beat_with(&first, OK, 0, json_object());
    json_t *head = json_incref(json_object_get(told, "log_head"));
    json_decref(told);
    assert_int_equal(n_deletes(&first, json_pack("{s:O}", "log_seen", head), &incarnation), 1);
    assert_int_equal(incarnation, 0);
    json_object_set_new(head, "seq", json_integer(1000000)); /* of a log that goes on behind ours */
    assert_int_equal(n_deletes(&first, json_pack("{s:O}", "log_seen", head), &incarnation), 0);
    assert_int_equal(incarnation, 1);
    json_object_set_new(head, "seq", json_integer(1)); /* another record than ours */
    assert_int_equal(n_deletes(&first, json_pack("{s:o}", "log_seen", head), &incarnation), 0);
    assert_int_equal(incarnation, 2);
    json_t *log =
        call_with(admin, OK, "GET", "/audit", json_pack("{s:s}", "action", "service.set_back"), NULL);
    assert_int_equal(json_array_size(json_object_get(log, "records")), 2);
    json_decref(log);
    lies_end(admin, &first);
    /* What is found is known again, and only for chunks that files need. */
    json_decref(beat_with(&first, OK, 0, json_pack("{s:[s]}", "lost", live_chunk)));
    json_decref(beat_with(&first, OK, 0, json_pack("{s:[ss]}", "found", live_chunk, chunk)));
    json_t *list = call(&first, OK, "GET", "/nodes/00000000000000000000000000000001/chunks", NULL);
    assert_int_equal(json_array_size(json_object_get(list, "chunks")), 1);
    json_decref(list);
}

static err_t run_nodes(task_t *t, void *arg)
{
    meta_options_t o = {.database = database(),
                        .master_source = "env:DISTRIBUTE_TEST_MASTER",
                        .admin_password = "a password",
                        .node_key = node_key,
                        .approves_nodes = false};
    meta_t *m;
    setenv("DISTRIBUTE_TEST_MASTER", "0101010101010101010101010101010101010101010101010101010101010101", 1);
    assert_ok(meta_open(t, &o, &m));
    caller_t nobody = {t, m, NULL}, join = {t, m, node_key};
    json_t *login = call(&nobody, OK, "POST", "/login",
                         json_pack("{s:s s:s}", "username", "admin", "password", "a password"));
    caller_t admin = {t, m, json_string_value(json_object_get(login, "token"))};
    keys_of_their_own(&join);
    set_back(&admin, &join);
    json_decref(login);
    meta_close(t, m);
    return OK;
}

static void nodes_speak_for_themselves(void **state)
{
    assert_ok(test_run(run_nodes, NULL));
}

static err_t run_approval(task_t *t, void *arg)
{
    meta_options_t o = {.database = database(),
                        .master_source = "env:DISTRIBUTE_TEST_MASTER",
                        .admin_password = "a password",
                        .node_key = node_key,
                        .approves_nodes = true};
    meta_t *m;
    setenv("DISTRIBUTE_TEST_MASTER", "0101010101010101010101010101010101010101010101010101010101010101", 1);
    assert_ok(meta_open(t, &o, &m));
    caller_t nobody = {t, m, NULL}, join = {t, m, node_key}, first = {t, m, own_keys[0]};
    json_t *login = call(&nobody, OK, "POST", "/login",
                         json_pack("{s:s s:s}", "username", "admin", "password", "a password"));
    caller_t admin = {t, m, json_string_value(json_object_get(login, "token"))};
    json_t *words =
        json_pack("{s:s s:i s:i s:i}", "name", "x", "size", 1, "replication_factor", 1, "quorum", 1);
    static const char approve[] = "/nodes/00000000000000000000000000000001/approve";
    register_node(&join, 0);
    json_t *told = beat(&join, 0);
    assert_string_equal(json_string_value(json_object_get(told, "state")), "pending");
    assert_int_equal(json_array_size(json_object_get(told, "ticket_keys")), 0);
    assert_int_equal(json_array_size(json_object_get(told, "receipt_keys")), 0);
    json_decref(told);
    told = beat_with(&first, OK, 0, json_pack("{s:{s:i s:s}}", "log_seen", "seq", 1, "hash", live_chunk));
    assert_int_equal(json_integer_value(json_object_get(told, "incarnation")), 0);
    json_decref(told);
    assert_null(call(&admin, ERR_NO_SPACE, "POST", "/init_upload", json_incref(words)));
    assert_null(call(&first, ERR_DENIED, "POST", approve, NULL));
    json_decref(call(&admin, OK, "POST", approve, NULL));
    assert_null(call(&admin, ERR_EXISTS, "POST", approve, NULL));
    told = beat(&join, 0);
    assert_int_equal(json_array_size(json_object_get(told, "receipt_keys")), 1);
    json_decref(told);
    json_decref(call(&admin, OK, "POST", "/init_upload", words));
    json_decref(login);
    meta_close(t, m);
    return OK;
}

static void nodes_wait_for_an_admin(void **state)
{
    assert_ok(test_run(run_approval, NULL));
}

/* ── who may see what ────────────────────────────────────────────────────────────────────────── */
static void share_with_bob(const caller_t *admin, const char *name)
{
    char path[80];
    json_t *file = call(admin, OK, "POST", "/files",
                        json_pack("{s:s s:s s:s}", "name", name, "kind", "file", "cid", "b"));
    snprintf(path, sizeof path, "/files/%.32s/shares", json_string_value(json_object_get(file, "id")));
    json_decref(call(admin, OK, "POST", path, json_pack("{s:s s:s}", "user", "bob", "access", "read")));
    json_decref(file);
}

static size_t count_shared(const caller_t *bob, const char *name)
{
    json_t *o = call_with(bob, OK, "GET", "/files", json_pack("{s:s s:s}", "shared", "true", "name", name),
                          NULL),
           *files = json_object_get(o, "files");
    size_t n = json_array_size(files);
    if (n)
        assert_string_equal(json_string_value(json_object_get(json_array_get(files, 0), "name")), name);
    json_decref(o);
    return n;
}

/* For the database a locked account is an answer: ERR_AGAIN would have the whole batch tried again. */
static err_t log_in_locked(sql_t *c, void *arg)
{
    TRY(op_login(c, arg));
    return ((meta_call_t *)arg)->verdict == ERR_AGAIN ? OK : ERR_INVALID;
}

static void lock_out(const caller_t *nobody)
{
    meta_call_t *login = xcalloc(1, sizeof *login);
    json_t *words = json_pack("{s:s s:s}", "username", "bob", "password", "a wrong password");
    for (int i = 0; i < 5; i++)
        assert_null(call(nobody, ERR_UNAUTHORIZED, "POST", "/login", json_incref(words)));
    assert_null(call(nobody, ERR_AGAIN, "POST", "/login", json_incref(words)));
    login->m = nobody->m;
    login->now_ms = meta_now_ms(nobody->m);
    login->request = &(meta_request_t){.body = words};
    assert_ok(db_read(nobody->t, nobody->m->db, log_in_locked, login));
    json_decref(words);
    free(login);
}

static void back_up(task_t *t)
{
    char path[96];
    struct stat info;
    snprintf(path, sizeof path, "%s.backup", database());
    assert_ok(fs_mkdirs(t, folder, 0700));
    assert_ok(fs_write_file(t, database(), 0600, BYTES_NONE)); /* for the simulator, which knows it not */
    assert_ok(meta_backup(t, database(), path));
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    assert_true(info.st_size > 4096);
    assert_err(meta_backup(t, database(), path), ERR_EXISTS);
    assert_int_equal(unlink(path), 0);
}

/* A new master key without the old one would leave all files unreadable. */
static void rotate(const caller_t *admin)
{
    static const char old[] = "0101010101010101010101010101010101010101010101010101010101010101",
                      fresh[] = "0202020202020202020202020202020202020202020202020202020202020202";
    char both[2 * sizeof old];
    setenv("DISTRIBUTE_TEST_MASTER", fresh, 1);
    assert_null(call(admin, ERR_INVALID, "POST", "/keys/rotate", NULL));
    json_decref(call(admin, OK, "GET", "/keys", NULL));
    snprintf(both, sizeof both, "%s\n%s", fresh, old);
    setenv("DISTRIBUTE_TEST_MASTER", both, 1);
    json_decref(call(admin, OK, "POST", "/keys/rotate", NULL));
    assert_ok(task_sleep(admin->t, 3000)); /* the job */
    setenv("DISTRIBUTE_TEST_MASTER", fresh, 1);
    json_decref(call(admin, OK, "POST", "/keys/rotate", NULL));
}

static err_t run_accounts(task_t *t, void *arg)
{
    meta_options_t o = {.database = database(),
                        .master_source = "env:DISTRIBUTE_TEST_MASTER",
                        .admin_password = "a password",
                        .node_key = node_key};
    meta_t *m;
    setenv("DISTRIBUTE_TEST_MASTER", "0101010101010101010101010101010101010101010101010101010101010101", 1);
    assert_ok(meta_open(t, &o, &m));
    caller_t nobody = {t, m, NULL};
    json_t *a = call(&nobody, OK, "POST", "/login",
                     json_pack("{s:s s:s}", "username", "admin", "password", "a password"));
    caller_t admin = {t, m, json_string_value(json_object_get(a, "token"))};
    json_decref(call(&admin, OK, "POST", "/users",
                     json_pack("{s:s s:s s:s}", "username", "bob", "password", "bob's own", "role", "user")));
    json_t *b = call(&nobody, OK, "POST", "/login",
                     json_pack("{s:s s:s}", "username", "bob", "password", "bob's own"));
    caller_t bob = {t, m, json_string_value(json_object_get(b, "token"))};
    share_with_bob(&admin, "one");
    share_with_bob(&admin, "two");
    assert_int_equal(count_shared(&bob, "one"), 1);
    assert_int_equal(count_shared(&bob, "two"), 1);
    assert_int_equal(count_shared(&bob, "three"), 0);
    rotate(&admin);
    lock_out(&nobody);
    back_up(t);
    json_decref(a);
    json_decref(b);
    meta_close(t, m);
    return OK;
}

static void expect_master(const caller_t *admin, const char *name)
{
    json_t *a = call(admin, OK, "GET", "/keys", NULL);
    assert_string_equal(json_string_value(json_object_get(a, "current_key")), name);
    assert_false(json_is_true(json_object_get(a, "is_rotating")));
    json_decref(a);
}

static void name_of_master(const char *hex, char ret[MASTER_NAME_CHARS + 1])
{
    master_keys_t k;
    assert_ok(master_keys_parse(bytes_str(hex), &k));
    snprintf(ret, MASTER_NAME_CHARS + 1, "%s", k.list[0].name);
    master_keys_wipe(&k);
}

/* There is no end to it, and keys that cannot be had change nothing. */
static err_t run_rotations(task_t *t, void *arg)
{
    enum { ROTATIONS = 100 };
    static const char old[] = "0101010101010101010101010101010101010101010101010101010101010101";
    static const char both[] = "0202020202020202020202020202020202020202020202020202020202020202\n"
                               "0101010101010101010101010101010101010101010101010101010101010101";
    char first[MASTER_NAME_CHARS + 1], second[MASTER_NAME_CHARS + 1];
    meta_options_t o = {.database = database(),
                        .master_source = "env:DISTRIBUTE_TEST_MASTER",
                        .admin_password = "a password",
                        .node_key = node_key};
    meta_t *m;
    name_of_master(old, first);
    name_of_master(both, second);
    setenv("DISTRIBUTE_TEST_MASTER", old, 1);
    assert_ok(meta_open(t, &o, &m));
    caller_t nobody = {t, m, NULL};
    json_t *a = call(&nobody, OK, "POST", "/login",
                     json_pack("{s:s s:s}", "username", "admin", "password", "a password"));
    caller_t admin = {t, m, json_string_value(json_object_get(a, "token"))};
    json_decref(call(&admin, OK, "POST", "/files", json_pack("{s:s s:s}", "name", "a", "kind", "folder")));
    setenv("DISTRIBUTE_TEST_MASTER", "no key", 1);
    assert_null(call(&admin, ERR_INVALID, "POST", "/keys/rotate", NULL));
    expect_master(&admin, first);
    setenv("DISTRIBUTE_TEST_MASTER", old, 1);
    for (int i = 0; i < ROTATIONS; i++)
        json_decref(call(&admin, OK, "POST", "/keys/rotate", NULL));
    expect_master(&admin, first);
    setenv("DISTRIBUTE_TEST_MASTER", both, 1);
    json_decref(call(&admin, OK, "POST", "/keys/rotate", NULL));
    assert_ok(task_sleep(t, 10000)); /* the jobs */
    expect_master(&admin, second);
    json_decref(a);
    meta_close(t, m);
    return OK;
}

static void master_keys_change_without_end(void **state)
{
    assert_ok(test_run(run_rotations, NULL));
}

static void accounts_are_kept_apart(void **state)
{
    assert_ok(test_run(run_accounts, NULL));
}

/* ── the log of SQLite ───────────────────────────────────────────────────────────────────────── */
enum { LOG_WRITES = 1500, LOG_PAGES = 40, PAGE_BYTES = 4096 };

static err_t put_page(sql_t *c, void *arg)
{
    char text[PAGE_BYTES - 200];
    memset(text, 'x', sizeof text);
    snprintf(text + sizeof text - 8, 8, "%07d", (*(int *)arg)++);
    return sql_run(c, "INSERT INTO revoked (jti, expires_at) VALUES (?1, 0)", SQL(SQL_TEXT(text)), NULL);
}

static err_t write_pages(task_t *t, void *arg)
{
    static int n;
    for (int i = 0; i < LOG_WRITES / 3; i++) {
        assert_ok(db_write(t, arg, put_page, &n, NULL));
        assert_ok(task_sleep(t, 1)); /* as requests come */
    }
    return OK;
}

static off_t file_bytes(const char *suffix)
{
    struct stat st;
    char path[96];
    snprintf(path, sizeof path, "%s%s", database(), suffix);
    assert_int_equal(stat(path, &st), 0);
    return st.st_size;
}

static err_t write_while_the_log_moves(task_t *t, void *arg)
{
    db_options_t o = {.database = database(), .log_pages = LOG_PAGES};
    db_t *db;
    group_t g;
    assert_ok(db_open(t, &o, &db));
    group_init(&g, task_sched(t));
    for (int i = 0; i < 3; i++)
        assert_ok(group_spawn(&g, "writer", write_pages, db, NULL));
    assert_ok(group_join(t, &g));
    group_deinit(&g);
    /* Every page went through the log, which stayed short, and most are in the database already. */
    assert_true(file_bytes("-wal") < LOG_WRITES / 4 * PAGE_BYTES);
    assert_true(file_bytes("") > LOG_WRITES / 2 * PAGE_BYTES);
    int64_t rows;
    assert_ok(db_read(t, db, count_rows, &rows));
    assert_int_equal(rows, LOG_WRITES);
    db_close(t, db);
    return OK;
}

static void the_log_begins_anew_under_writes(void **state)
{
    assert_ok(test_run(write_while_the_log_moves, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(writes_that_fail_are_undone_alone, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(the_service_keeps_time, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(nodes_speak_for_themselves, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(nodes_wait_for_an_admin, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(accounts_are_kept_apart, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(master_keys_change_without_end, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(the_log_begins_anew_under_writes, make_folder, remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

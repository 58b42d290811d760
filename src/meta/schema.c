/* schema: the tables, as steps that each bring them from one version to the next. A step is never changed
 * once it was released; a new one is put behind it. Ids are 32 hexadecimal digits, times milliseconds since
 * 1970. */
#include "crypto/key.h"
#include "meta/db.h"
#include <stdio.h>

static const char step_1[] =
    "CREATE TABLE writer (id BIGINT PRIMARY KEY, audit_seq BIGINT NOT NULL, audit_hash BLOB NOT NULL,"
    " batch BIGINT NOT NULL, holder TEXT NOT NULL);"
    "CREATE TABLE batches (holder TEXT PRIMARY KEY, batch BIGINT NOT NULL) @W;"
    "CREATE TABLE leases (name TEXT PRIMARY KEY, holder TEXT NOT NULL, expires_at BIGINT NOT NULL) @W;"
    "CREATE TABLE secrets (name TEXT PRIMARY KEY, key_name TEXT NOT NULL, wrapped BLOB NOT NULL,"
    " created_at BIGINT NOT NULL);"
    "CREATE TABLE audit (seq BIGINT PRIMARY KEY, at BIGINT NOT NULL, actor TEXT NOT NULL, action TEXT NOT "
    "NULL,"
    " target TEXT NOT NULL, outcome TEXT NOT NULL, detail TEXT NOT NULL, remote TEXT NOT NULL, hash BLOB NOT "
    "NULL);"
    "CREATE TABLE users (id TEXT PRIMARY KEY, username TEXT @C NOT NULL UNIQUE, password TEXT, role TEXT NOT "
    "NULL,"
    " is_disabled BIGINT NOT NULL, quota_bytes BIGINT, quota_files BIGINT, used_bytes BIGINT NOT NULL,"
    " used_files BIGINT NOT NULL, reserved_bytes BIGINT NOT NULL, reserved_files BIGINT NOT NULL,"
    " failed_logins BIGINT NOT NULL, locked_until BIGINT NOT NULL, tokens_since BIGINT NOT NULL,"
    " created_at BIGINT NOT NULL);"
    "CREATE TABLE revoked (jti TEXT PRIMARY KEY, expires_at BIGINT NOT NULL) @W;"
    "CREATE TABLE api_keys (id TEXT PRIMARY KEY, name TEXT NOT NULL, user_id TEXT NOT NULL, hash BLOB NOT "
    "NULL,"
    " old_hash BLOB, old_until BIGINT NOT NULL, scopes BIGINT NOT NULL, created_at BIGINT NOT NULL,"
    " expires_at BIGINT);"
    "CREATE UNIQUE INDEX api_keys_hash ON api_keys (hash);"
    "CREATE INDEX api_keys_old ON api_keys (old_hash);"
    "CREATE INDEX api_keys_user ON api_keys (user_id);"
    "CREATE TABLE files (id TEXT PRIMARY KEY, owner TEXT NOT NULL, name TEXT @C NOT NULL, kind TEXT NOT NULL,"
    " is_visible BIGINT NOT NULL, size BIGINT NOT NULL, version BIGINT NOT NULL, stored_bytes BIGINT NOT "
    "NULL,"
    " chunk_count BIGINT NOT NULL, replication BIGINT NOT NULL, media_type TEXT NOT NULL, cid TEXT,"
    " key_name TEXT NOT NULL, wrapped BLOB NOT NULL, upload_seq BIGINT NOT NULL, revision BIGINT NOT NULL,"
    " created_at BIGINT NOT NULL, modified_at BIGINT NOT NULL) @W;"
    "CREATE UNIQUE INDEX files_name ON files (owner, name);"
    "CREATE INDEX files_key ON files (key_name);"
    "CREATE TABLE versions (file_id TEXT NOT NULL, version BIGINT NOT NULL, size BIGINT NOT NULL,"
    " chunk_count BIGINT NOT NULL, created_at BIGINT NOT NULL, PRIMARY KEY (file_id, version)) @W;"
    "CREATE TABLE file_chunks (file_id TEXT NOT NULL, version BIGINT NOT NULL, idx BIGINT NOT NULL,"
    " chunk_id TEXT NOT NULL, PRIMARY KEY (file_id, version, idx)) @W;"
    "CREATE TABLE chunks (id TEXT PRIMARY KEY, file_id TEXT NOT NULL, size BIGINT NOT NULL, length BIGINT "
    "NOT NULL,"
    " replication BIGINT NOT NULL, is_live BIGINT NOT NULL) @W;"
    "CREATE INDEX chunks_file ON chunks (file_id);"
    "CREATE TABLE locations (chunk_id TEXT NOT NULL, node_id TEXT NOT NULL, state BIGINT NOT NULL,"
    " since BIGINT NOT NULL, PRIMARY KEY (chunk_id, node_id)) @W;"
    "CREATE INDEX locations_node ON locations (node_id, state);"
    "CREATE INDEX locations_state ON locations (state, since) WHERE state > 0;"
    "CREATE INDEX revoked_expiry ON revoked (expires_at);"
    "CREATE TABLE nodes (id TEXT PRIMARY KEY, address TEXT NOT NULL, zone TEXT NOT NULL, state TEXT NOT NULL,"
    " capacity_bytes BIGINT NOT NULL, used_bytes BIGINT NOT NULL, last_seen BIGINT NOT NULL,"
    " fingerprint TEXT NOT NULL, registered_at BIGINT NOT NULL);"
    "CREATE TABLE uploads (id TEXT PRIMARY KEY, file_id TEXT NOT NULL, owner TEXT NOT NULL, size BIGINT NOT "
    "NULL,"
    " chunk_size BIGINT NOT NULL, chunk_count BIGINT NOT NULL, replication BIGINT NOT NULL, quorum BIGINT "
    "NOT NULL,"
    " media_type TEXT NOT NULL, cid TEXT, upload_seq BIGINT NOT NULL, reserved_bytes BIGINT NOT NULL,"
    " reserved_files BIGINT NOT NULL, plan TEXT NOT NULL, version BIGINT NOT NULL, digest BLOB,"
    " created_at BIGINT NOT NULL, expires_at BIGINT NOT NULL);"
    "CREATE INDEX uploads_file ON uploads (file_id);"
    "CREATE INDEX uploads_expiry ON uploads (expires_at);"
    "CREATE TABLE shares (file_id TEXT NOT NULL, user_id TEXT NOT NULL, PRIMARY KEY (file_id, user_id)) @W;"
    "CREATE INDEX shares_user ON shares (user_id);";

/* Who this service is, whatever database it is moved to; and how often it was set back (heartbeats.c). Keys
 * of the storage nodes, and for which incarnation each said that it has what is expected of it. */
static const char step_2[] =
    "CREATE TABLE service (id BIGINT PRIMARY KEY, service_id TEXT NOT NULL, incarnation "
    "BIGINT NOT NULL);"
    "ALTER TABLE nodes ADD COLUMN key_hash BLOB;"
    "ALTER TABLE nodes ADD COLUMN checked BIGINT NOT NULL DEFAULT 0;"
    "CREATE UNIQUE INDEX nodes_key ON nodes (key_hash)";

/* Which master key wraps, which is to (rotation.c), and who has which. */
static const char step_3[] =
    "ALTER TABLE service ADD COLUMN master TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE service ADD COLUMN next_master TEXT NOT NULL DEFAULT '';"
    "CREATE TABLE services (holder TEXT PRIMARY KEY, seen_at BIGINT NOT NULL, masters "
    "TEXT NOT NULL) @W";

/* Up to when a node has used up its right to say that the service was set back (heartbeats.c). */
static const char step_4[] = "ALTER TABLE nodes ADD COLUMN set_back_until BIGINT NOT NULL DEFAULT 0";

static const char *const steps[] = {step_1, step_2, step_3, step_4};

static err_t name_service(sql_t *c)
{
    uint8_t id[16];
    char text[33];
    crypto_random(id, sizeof id);
    return sql_run(c,
                   "INSERT INTO service (id, service_id, incarnation) VALUES (1, ?1, 0) ON CONFLICT (id) DO "
                   "NOTHING",
                   SQL(SQL_TEXT(hex_text(bytes_of(id, sizeof id), text, sizeof text))), NULL);
}

static err_t version_of(sql_t *c, int64_t *ret)
{
    TRY(sql_script(
        c, "CREATE TABLE IF NOT EXISTS schema_version (id BIGINT PRIMARY KEY, version BIGINT NOT NULL)"));
    return sql_number(c, "SELECT version FROM schema_version WHERE id = 1", SQL_NO_VALUES, 0, ret);
}

static err_t migrate(sql_t *c)
{
    const int64_t newest = (int64_t)ARRAY_LEN(steps);
    uint8_t no_hash[32] = {0};
    int64_t version;
    if (sql_is_postgres(c)) /* several services may start at a time */
        TRY(sql_script(c, "SELECT pg_advisory_xact_lock(1685288045)"));
    TRY(version_of(c, &version));
    if (version > newest)
        return fail(ERR_UNSUPPORTED, "the database was made by a newer version (schema %lld, known is %lld)",
                    (long long)version, (long long)newest);
    for (int64_t i = version; i < newest; i++)
        TRY(sql_script(c, steps[i]));
    if (!version)
        TRY(sql_run(c,
                    "INSERT INTO writer (id, audit_seq, audit_hash, batch, holder) VALUES (1, 0, ?1, 0, '')",
                    SQL(SQL_BLOB(bytes_of(no_hash, sizeof no_hash))), NULL));
    TRY(name_service(c));
    return sql_run(
        c,
        "INSERT INTO schema_version (id, version) VALUES (1, ?1) ON CONFLICT (id) DO UPDATE SET version = ?1",
        SQL(SQL_INT(newest)), NULL);
}

err_t schema_migrate(sql_t *c)
{
    TRY(sql_script(c, sql_is_postgres(c) ? "BEGIN" : "BEGIN IMMEDIATE"));
    err_t e = migrate(c);
    if (!e)
        return sql_script(c, "COMMIT");
    error_slot_t why = *error_slot();
    if (!sql_is_lost(c))
        (void)!sql_script(c, "ROLLBACK");
    *error_slot() = why;
    return e;
}

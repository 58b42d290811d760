#include "node/messages.h"
#include "base/reader.h"
#include "base/writer.h"
#include "node/discover.h"
#include "store/kv.h"

#define SPACE "pubsub-seqno" /* key: the author's binary peer ID; value: the number, 8 bytes, big-endian */
enum { AUTHORS_ON_DISK_MAX = 65536 };

static err_t load_seqno(task_t *t, void *repo, const peer_id_t *author, uint64_t *ret)
{
    AUTO(buf_t) value;
    buf_init(&value, 64);
    TRY(kv_get(t, repo_state(repo), SPACE, peer_id_bytes(author), &value));
    reader_t r = reader_of(buf_bytes(&value));
    uint64_t number = read_u64be(&r);
    if (!r.err)
        *ret = number;
    return r.err;
}

/* Authors cost others nothing to make up: of too many, all are forgotten. */
static err_t save_seqnos(task_t *t, void *repo, const pubsub_seqno_t *seqnos, size_t n)
{
    AUTO(kv_batch_t) batch;
    kv_batch_init(&batch);
    uint64_t count;
    TRY(kv_count(t, repo_state(repo), SPACE, BYTES_NONE, &count));
    if (count + n > AUTHORS_ON_DISK_MAX)
        TRY(kv_batch_delete_prefix(&batch, SPACE, BYTES_NONE));
    for (size_t i = 0; i < n; i++) {
        AUTO(buf_t) value;
        buf_init(&value, 8);
        writer_t w = writer_to(&value);
        write_u64be(&w, seqnos[i].seqno);
        TRY(w.err);
        TRY(kv_batch_put(&batch, SPACE, peer_id_bytes(&seqnos[i].author), buf_bytes(&value)));
    }
    return kv_commit(t, repo_state(repo), &batch);
}

err_t messages_start(task_t *t, repo_t *repo, host_t *host, routing_t *routing, pubsub_t **ret)
{
    const config_t *config = repo_config(repo);
    const char *router = config_str(config, "Pubsub.Router", "");
    const char *strategy = config_str(config, "Pubsub.SeenMessagesStrategy", "last-seen");
    pubsub_config_t pc;
    pubsub_config_default(&pc);
    if (*router && strcmp(router, "gossipsub") && strcmp(router, "floodsub"))
        return fail(ERR_USAGE, "unknown pubsub router %.40s: set Pubsub.Router to gossipsub or floodsub",
                    router);
    if (strcmp(strategy, "last-seen") && strcmp(strategy, "first-seen"))
        return fail(ERR_USAGE,
                    "unsupported Pubsub.SeenMessagesStrategy \"%.40s\": last-seen and first-seen are known",
                    strategy);
    pc.host = host;
    pc.key = repo_identity(repo);
    pc.is_floodsub = !strcmp(router, "floodsub");
    pc.signs = !config_bool(config, "Pubsub.DisableSigning", false);
    pc.seen_ttl_ms = (uint32_t)config_duration_ms(config, "Pubsub.SeenMessagesTTL", pc.seen_ttl_ms);
    pc.seen_by_first = !strcmp(strategy, "first-seen");
    pc.load_seqno = load_seqno;
    pc.save_seqnos = save_seqnos;
    pc.arg = repo;
    pc.advertise = routing ? discover_advertise : NULL;
    pc.find_peers = routing ? discover_peers : NULL;
    pc.directory = routing;
    return pubsub_start(t, &pc, ret);
}

err_t messages_reset(task_t *t, repo_t *repo, pubsub_t *ps, const peer_id_t *author, uint64_t *ret_count)
{
    kv_t *state = repo_state(repo);
    if (ps)
        TRY(pubsub_save_seqnos(t, ps)); /* so that all are on disk, to be counted */
    AUTO(kv_batch_t) batch;
    kv_batch_init(&batch);
    if (author) {
        *ret_count = kv_has(t, state, SPACE, peer_id_bytes(author));
        TRY(kv_batch_delete(&batch, SPACE, peer_id_bytes(author)));
    } else {
        TRY(kv_count(t, state, SPACE, BYTES_NONE, ret_count));
        TRY(kv_batch_delete_prefix(&batch, SPACE, BYTES_NONE));
    }
    if (ps)
        pubsub_forget_seqnos(ps, author);
    return kv_commit(t, state, &batch);
}

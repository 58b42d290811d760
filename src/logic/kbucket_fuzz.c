/* Any order of offers, answers, removals and ticks: the counts agree, the limits hold. Four bytes each:
 * what, which peer, which group, how much time passes. */
#include "crypto/hash.h"
#include "logic/kbucket.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct tally {
    size_t total, in_bucket, bucket, group_1;
} tally_t;

static bool count(void *arg, size_t prefix_len, const kbucket_entry_t *e)
{
    tally_t *t = arg;
    t->in_bucket = prefix_len == t->bucket ? t->in_bucket + 1 : 1;
    t->bucket = prefix_len;
    t->total++;
    t->group_1 += e->group == 1;
    assert(t->in_bucket <= 4);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    kbucket_config_t config;
    kbucket_config_default(&config);
    config.bucket_size = 4;
    config.max_entries = 16;
    config.useful_grace_ms = 50;
    config.check_timeout_ms = 20;
    peer_id_t self = {.len = 34, .data = {0x12, 32, 1}};
    kbucket_t kb;
    kbucket_init(&kb, &config, &self);
    uint64_t now_ms = 1;
    size_t prefix_len;
    for (size_t i = 0; i + 4 <= size; i += 4) {
        peer_id_t peer = {.len = 34, .data = {0x12, 32, data[i + 1], 9}}, closest[8];
        now_ms += data[i + 3];
        switch (data[i] % 8) {
        case 0:
        case 1:
            kbucket_add(&kb, &peer, data[i + 2] % 4, data[i] & 8, now_ms);
            break;
        case 2:
            kbucket_useful(&kb, &peer, now_ms);
            break;
        case 3:
            kbucket_remove(&kb, &peer);
            break;
        case 4:
            kbucket_tick(&kb, now_ms);
            break;
        case 5:
            if (kbucket_next_check(&kb, &peer))
                kbucket_checked(&kb, &peer, data[i + 2] & 1, now_ms);
            break;
        case 6:
            kbucket_keep_all(&kb);
            break;
        default:
            if (kbucket_refresh_due(&kb, now_ms, &prefix_len))
                kbucket_refreshed(&kb, prefix_len, now_ms);
        }
        tally_t t = {.bucket = SIZE_MAX};
        kbucket_each(&kb, count, &t);
        assert(t.total == kbucket_count(&kb) && t.total <= 16 && t.group_1 <= 3);
        size_t n = kbucket_closest(&kb, &kb.self, NULL, closest, 8);
        assert(n == (t.total < 8 ? t.total : 8));
    }
    kbucket_deinit(&kb);
    return 0;
}

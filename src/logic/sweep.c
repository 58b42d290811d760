#include "logic/sweep.h"
#include "base/reader.h"
#include "base/writer.h"
#include "logic/netsize.h"

enum { STATE_VERSION = 2 };

/* Where a key lies in the key space: 0 at its beginning, below 1. */
static double place_of(const kad_key_t *key)
{
    return kad_share(key, &(kad_key_t){0});
}

static uint64_t span_ms(const sweep_t *s, const kad_key_t *key)
{
    return (uint64_t)(place_of(key) * (double)s->interval_ms);
}

uint64_t sweep_due_ms(const sweep_t *s, const kad_key_t *key)
{
    return s->began_ms + span_ms(s, key);
}

uint64_t sweep_round_end_ms(const sweep_t *s)
{
    return s->began_ms + s->interval_ms;
}

uint64_t sweep_lag_ms(const sweep_t *s, uint64_t now_ms)
{
    uint64_t due_ms = sweep_due_ms(s, &s->at);
    return now_ms > due_ms ? now_ms - due_ms : 0;
}

/* Sets the hand so that the sweep is that late. The beginning of a round before the beginning of time is cut:
 * no clock is that early. */
static void set_lag(sweep_t *s, uint64_t lag_ms, uint64_t now_ms)
{
    uint64_t back_ms = lag_ms + span_ms(s, &s->at);
    s->began_ms = now_ms > back_ms ? now_ms - back_ms : 0;
}

void sweep_init(sweep_t *s, uint64_t interval_ms, uint64_t now_ms)
{
    *s = (sweep_t){.interval_ms = interval_ms};
    set_lag(s, interval_ms, now_ms);
}

void sweep_resume(sweep_t *s, uint64_t interval_ms, uint64_t now_ms)
{
    bool is_ahead_of_clock = sweep_due_ms(s, &s->at) > now_ms + s->interval_ms;
    uint64_t due_ms = sweep_due_ms(s, &s->at), lag_ms = sweep_lag_ms(s, now_ms);
    uint64_t ahead_ms = due_ms > now_ms && !is_ahead_of_clock ? due_ms - now_ms : 0;
    bool is_changed = interval_ms != s->interval_ms;
    s->interval_ms = interval_ms;
    if (is_changed || is_ahead_of_clock || lag_ms > interval_ms) {
        set_lag(s, lag_ms < interval_ms ? lag_ms : interval_ms, now_ms);
        s->began_ms += ahead_ms < interval_ms ? ahead_ms : interval_ms;
    }
}

void sweep_hurry(sweep_t *s, uint64_t now_ms)
{
    set_lag(s, s->interval_ms, now_ms);
}

void sweep_encode(const sweep_t *s, uint8_t out[SWEEP_STATE_BYTES])
{
    buf_t raw;
    buf_init(&raw, SWEEP_STATE_BYTES);
    writer_t w = writer_to(&raw);
    write_u8(&w, STATE_VERSION);
    write_u64be(&w, s->interval_ms);
    write_u64be(&w, s->began_ms);
    write_bytes(&w, bytes_of(s->at.data, KAD_KEY_BYTES));
    write_u8(&w, s->has_done_round);
    assert(!w.err && raw.len == SWEEP_STATE_BYTES);
    memcpy(out, raw.data, SWEEP_STATE_BYTES);
    buf_deinit(&raw);
}

bool sweep_decode(sweep_t *s, bytes_t in)
{
    reader_t r = reader_of(in);
    bool is_known = in.len == SWEEP_STATE_BYTES && read_u8(&r) == STATE_VERSION;
    if (!is_known)
        return false;
    *s = (sweep_t){.interval_ms = read_u64be(&r), .began_ms = read_u64be(&r)};
    bytes_t at = read_bytes(&r, KAD_KEY_BYTES);
    if (r.err)
        return false;
    memcpy(s->at.data, at.data, KAD_KEY_BYTES);
    s->has_done_round = read_u8(&r) != 0;
    return s->interval_ms > 0 && s->interval_ms < UINT64_MAX / 4 && s->began_ms < UINT64_MAX / 4;
}

void sweep_end_round(sweep_t *s)
{
    uint64_t soonest_ms = s->round_at_ms + s->interval_ms / 8;
    s->round.space += 1 - place_of(&s->at);
    s->at = (kad_key_t){0};
    s->began_ms += s->interval_ms;
    if (s->began_ms < soonest_ms && s->round_at_ms)
        s->began_ms = soonest_ms;
    s->round_at_ms = 0;
    s->has_done_round = true;
    s->last = s->round;
    s->round = (sweep_figures_t){0};
}

bool sweep_passed(sweep_t *s, const kad_prefix_t *prefix, size_t n_keys, uint64_t busy_ms, uint64_t now_ms)
{
    if (!s->round.regions && !s->round.space && !place_of(&s->at))
        s->round_at_ms = now_ms > busy_ms ? now_ms - busy_ms : 1;
    s->round.regions++;
    s->round.keys += n_keys;
    s->round.busy_ms += busy_ms;
    kad_key_t end;
    if (!kad_prefix_end(prefix, &end)) {
        sweep_end_round(s);
        return true;
    }
    assert(memcmp(end.data, s->at.data, KAD_KEY_BYTES) >= 0);
    s->round.space += place_of(&end) - place_of(&s->at);
    s->at = end;
    return false;
}

uint64_t sweep_forecast_ms(const sweep_t *s)
{
    /* this round, once it says something; else the one before */
    const sweep_figures_t *f = s->round.space >= 0.05 || s->last.space <= 0 ? &s->round : &s->last;
    return f->space > 0 ? (uint64_t)((double)f->busy_ms / f->space) : 0;
}

#include "base/scope.h"
#include "tests/support/test.h"

static void test_all_or_none(void **state)
{
    scope_max_t wide = scope_max_none(), narrow = scope_max_none();
    narrow.conns_in = 2;
    narrow.conns = 3;
    narrow.fds = 1;
    scope_t system, peer;
    scope_init(&system, "system", "System", &wide, NULL, NULL);
    scope_init(&peer, "peer:X", "PeerDefault", &narrow, &system.memory, NULL);
    scope_t *both[] = {&system, NULL, &peer}, *full = NULL;
    assert_ok(scopes_charge(both, 3, SCOPE_CONNS_IN, &full));
    assert_ok(scopes_charge(both, 3, SCOPE_CONNS_IN, &full));
    assert_err(scopes_charge(both, 3, SCOPE_CONNS_IN, &full), ERR_LIMIT);
    assert_ptr_equal(full, &peer);
    assert_string_equal(error_text(ERR_LIMIT), "peer:X: cannot reserve inbound connection: 2 of 2 in use "
                                               "(raise PeerDefault.ConnsInbound in "
                                               "libp2p-resource-limit-overrides.json)");
    assert_int_equal(system.used[SCOPE_CONNS_IN], 2);
    assert_ok(scopes_charge(both, 3, SCOPE_CONNS_OUT, NULL));
    assert_int_equal(scope_conns(&peer), 3);
    assert_err(scopes_charge(both, 3, SCOPE_CONNS_OUT, &full), ERR_LIMIT); /* both directions together */
    assert_non_null(strstr(error_text(ERR_LIMIT), "cannot reserve connection: 3 of 3"));
    assert_ok(scopes_charge(both, 3, SCOPE_FDS, NULL));
    assert_err(scopes_charge(both, 3, SCOPE_FDS, NULL), ERR_LIMIT);
    assert_false(scope_is_unused(&peer));
    scopes_release(both, 3, SCOPE_FDS);
    scopes_release(both, 3, SCOPE_CONNS_OUT);
    scopes_release(both, 3, SCOPE_CONNS_IN);
    scopes_release(both, 3, SCOPE_CONNS_IN);
    assert_true(scope_is_unused(&system));
    scope_deinit(&peer);
    scope_deinit(&system);
}

static void test_nothing_allowed(void **state)
{
    scope_max_t none = {0};
    scope_t s, *one = &s;
    scope_init(&s, "transient", "Transient", &none, NULL, "Transient.Memory");
    for (scope_use_t use = 0; use < SCOPE_USES; use++)
        assert_err(scopes_charge(&one, 1, use, NULL), ERR_LIMIT);
    assert_err(limit_charge(&s.memory, 1), ERR_LIMIT);
    assert_non_null(strstr(error_text(ERR_LIMIT), "(raise Transient.Memory)"));
    scope_deinit(&s);
}

static void test_streams(void **state)
{
    scope_max_t max = scope_max_none();
    max.streams = 2;
    max.streams_out = 1;
    scope_t s, *one = &s;
    scope_init(&s, "protocol:/x", "Protocol", &max, NULL, NULL);
    assert_ok(scopes_charge(&one, 1, SCOPE_STREAMS_OUT, NULL));
    assert_err(scopes_charge(&one, 1, SCOPE_STREAMS_OUT, NULL), ERR_LIMIT);
    assert_non_null(strstr(error_text(ERR_LIMIT), "Protocol.StreamsOutbound"));
    assert_ok(scopes_charge(&one, 1, SCOPE_STREAMS_IN, NULL));
    assert_err(scopes_charge(&one, 1, SCOPE_STREAMS_IN, NULL), ERR_LIMIT);
    assert_non_null(strstr(error_text(ERR_LIMIT), "Protocol.Streams in"));
    assert_int_equal(scope_streams(&s), 2);
    scopes_release(&one, 1, SCOPE_STREAMS_IN);
    scopes_release(&one, 1, SCOPE_STREAMS_OUT);
    scope_deinit(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_all_or_none),
                                       cmocka_unit_test(test_nothing_allowed),
                                       cmocka_unit_test(test_streams)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "base/limit.h"
#include "tests/support/test.h"

static void test_tree(void **state)
{
    limit_t process, peer, other;
    limit_init(&process, "memory of the process", NULL, 100);
    limit_init(&peer, "memory of peer X", &process, 60);
    limit_init(&other, "memory of peer Y", &process, 60);
    assert_ok(limit_charge(&peer, 50));
    assert_int_equal(limit_room(&peer), 10);
    assert_err(limit_charge(&peer, 11), ERR_LIMIT);
    assert_non_null(strstr(error_text(ERR_LIMIT), "memory of peer X"));
    assert_int_equal(limit_room(&other), 50);
    assert_err(limit_charge(&other, 51), ERR_LIMIT);
    assert_non_null(strstr(error_text(ERR_LIMIT), "memory of the process: 50 of 100 used, 51 more"));
    assert_int_equal(other.used, 0); /* refused whole */
    assert_ok(limit_charge(&other, 50));
    assert_int_equal(limit_room(&peer), 0);
    limit_release(&peer, 20);
    limit_release(&peer, 30);
    assert_int_equal(process.used, 50);
    assert_int_equal(process.peak, 100);
    assert_int_equal(peer.peak, 50);
    assert_err(limit_charge(&peer, UINT64_MAX), ERR_LIMIT);
    limit_release(&other, 50);
    process.max = 0;
    assert_ok(limit_charge(&peer, 0));
    assert_int_equal(limit_room(&peer), 0);
    limit_deinit(&other);
    limit_deinit(&peer);
    limit_deinit(&process);
}

/* What stands beside its parent is charged and asked, too; what lies above that is not. */
static void test_beside(void **state)
{
    limit_t all, peer, protocol, both;
    limit_init(&all, "all", NULL, 100);
    limit_init(&peer, "peer", &all, 80);
    limit_init(&protocol, "protocol:/x", NULL, 50);
    protocol.hint = "Protocol./x.Memory";
    limit_init(&both, "both", &peer, UINT64_MAX);
    both.beside = &protocol;
    assert_ok(limit_charge(&both, 40));
    assert_int_equal(all.used, 40);
    assert_int_equal(protocol.used, 40);
    assert_int_equal(limit_room(&both), 10);
    assert_err(limit_charge(&both, 11), ERR_LIMIT);
    assert_string_equal(error_text(ERR_LIMIT), "protocol:/x: cannot reserve memory: 40 of 50 in use, 11 more "
                                               "asked for (raise Protocol./x.Memory)");
    assert_int_equal(peer.used, 40);
    assert_ok(limit_charge(&peer, 40));
    assert_err(limit_charge(&both, 1), ERR_LIMIT);
    limit_release(&both, 40);
    assert_int_equal(protocol.used, 0);
    assert_int_equal(all.used, 40);
    assert_ok(limit_enter(&both, 40)); /* the peer's 40 are of this protocol, it turns out */
    assert_int_equal(peer.used, 40);
    assert_int_equal(protocol.used, 40);
    assert_err(limit_enter(&both, 11), ERR_LIMIT);
    limit_leave(&both, 40);
    assert_int_equal(protocol.used + both.used, 0);
    assert_ok(limit_move(NULL, &both, 40));
    assert_err(limit_move(NULL, &both, 11), ERR_LIMIT);
    assert_int_equal(protocol.used, 40);
    assert_ok(limit_move(&both, NULL, 40));
    assert_int_equal(protocol.used + both.used, 0);
    uint64_t held = 40;
    assert_ok(limit_recharge(&peer, &held, 70));
    assert_err(limit_recharge(&peer, &held, 1000), ERR_LIMIT);
    assert_int_equal(held, 70); /* a refusal changes nothing */
    assert_ok(limit_recharge(&peer, &held, 40));
    assert_int_equal(peer.used, 40);
    limit_release(&peer, 40);
    limit_deinit(&both);
    limit_deinit(&protocol);
    limit_deinit(&peer);
    limit_deinit(&all);
}

/* Who enters below inner ones enters them, too, with all that stands beside. */
static void test_inner(void **state)
{
    limit_t peer, service, of_service, protocol, both, stream;
    limit_init(&peer, "peer", NULL, 100);
    limit_init(&service, "service", NULL, 60);
    limit_init(&protocol, "protocol", NULL, 70);
    protocol.beside = &service;
    limit_init(&of_service, "service-peer", &peer, 50);
    limit_init(&both, "protocol-peer", &of_service, 90);
    both.beside = &protocol;
    both.is_inner = of_service.is_inner = true;
    limit_init(&stream, "stream", &both, 90);
    assert_ok(limit_charge(&peer, 70));
    assert_ok(limit_enter(&stream, 40));
    limit_t *const all[] = {&stream, &both, &of_service, &protocol, &service};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        assert_int_equal(all[i]->used, 40);
    assert_int_equal(peer.used, 70);
    assert_int_equal(limit_room(&stream), 10);
    assert_err(limit_enter(&stream, 11), ERR_LIMIT); /* the service-peer's */
    of_service.max = 90;
    assert_err(limit_enter(&stream, 21), ERR_LIMIT); /* the service's */
    assert_int_equal(limit_room(&stream), 20);
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        assert_int_equal(all[i]->used, 40);
    limit_leave(&stream, 40);
    assert_ok(limit_charge(&stream, 30));
    assert_int_equal(peer.used, 100);
    assert_int_equal(service.used, 30);
    limit_release(&stream, 30);
    limit_release(&peer, 70);
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        limit_deinit(all[i]);
    limit_deinit(&peer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_tree), cmocka_unit_test(test_beside),
                                       cmocka_unit_test(test_inner)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "node/settings_nat.h"
#include "tests/support/test.h"

static err_t read(const char *text, nat_config_t *ret)
{
    AUTO_PTR(config_t) c = NULL;
    assert_ok(config_parse(bytes_str(text), &c));
    return settings_nat(c, ret);
}

static void test_defaults(void **state)
{
    nat_config_t c, d;
    nat_config_default(&d);
    assert_ok(read("{}", &c));
    assert_true(c.uses_relays && c.finds_relays && c.is_relay && c.punches_holes);
    assert_true(c.asks_autonat && c.answers_autonat && !c.dials_private);
    assert_int_equal(c.relay.max_reservations, 128);
    assert_true(c.relay.is_limited && c.relay.circuit_bytes == 131072 && c.relay.circuit_s == 120);
    assert_int_equal(c.autonat_max, d.autonat_max);
}

static void test_relays(void **state)
{
    nat_config_t c;
    assert_ok(read("{\"Swarm\":{\"RelayService\":{\"MaxReservations\":3,\"MaxReservationsPerIP\":2,"
                   "\"MaxCircuits\":5,\"BufferSize\":4096,\"ReservationTTL\":\"10m\","
                   "\"ConnectionDurationLimit\":\"30s\",\"ConnectionDataLimit\":1000}}}",
                   &c));
    assert_int_equal(c.relay.max_reservations, 3);
    assert_int_equal(c.relay.max_reservations_per_ip, 2);
    assert_int_equal(c.relay.max_circuits_per_peer, 5);
    assert_int_equal(c.relay.buffer_bytes, 4096);
    assert_int_equal(c.relay.reservation_s, 600);
    assert_int_equal(c.relay.circuit_s, 30);
    assert_int_equal(c.relay.circuit_bytes, 1000);
    assert_ok(read("{\"Swarm\":{\"RelayService\":{\"MaxReservations\":-3,\"ConnectionDataLimit\":0}}}", &c));
    assert_int_equal(c.relay.max_reservations, 128);
    assert_false(c.relay.is_limited);
    assert_ok(read("{\"Swarm\":{\"Transports\":{\"Network\":{\"Relay\":false}}}}", &c));
    assert_false(c.uses_relays || c.finds_relays || c.is_relay || c.punches_holes);
    assert_ok(read("{\"Swarm\":{\"RelayClient\":{\"Enabled\":false}}}", &c));
    assert_true(c.uses_relays && c.is_relay && !c.finds_relays && !c.punches_holes);
    assert_ok(read("{\"Swarm\":{\"RelayClient\":{\"StaticRelays\":[\"/ip4/1.2.3.4/tcp/1\"]}}}", &c));
    assert_true(!c.finds_relays && c.punches_holes);
    assert_ok(read("{\"Swarm\":{\"EnableHolePunching\":false}}", &c));
    assert_true(!c.punches_holes && c.finds_relays);
}

static void test_contradictions(void **state)
{
    nat_config_t c;
    assert_err(read("{\"Swarm\":{\"RelayClient\":{\"Enabled\":true},"
                    "\"Transports\":{\"Network\":{\"Relay\":false}}}}",
                    &c),
               ERR_USAGE);
    assert_err(read("{\"Swarm\":{\"RelayService\":{\"Enabled\":true},"
                    "\"Transports\":{\"Network\":{\"Relay\":false}}}}",
                    &c),
               ERR_USAGE);
    assert_err(read("{\"Swarm\":{\"RelayClient\":{\"Enabled\":false},\"EnableHolePunching\":true}}", &c),
               ERR_USAGE);
    assert_err(read("{\"AutoNAT\":{\"ServiceMode\":\"sometimes\"}}", &c), ERR_USAGE);
}

static void test_autonat(void **state)
{
    nat_config_t c;
    assert_ok(read("{\"AutoNAT\":{\"ServiceMode\":\"disabled\"}}", &c));
    assert_true(!c.answers_autonat && c.asks_autonat);
    assert_ok(read("{\"AutoNAT\":{\"ServiceMode\":\"legacy-v1\",\"Throttle\":{\"GlobalLimit\":0,"
                   "\"PeerLimit\":9,\"Interval\":\"5m\"}}}",
                   &c));
    assert_true(c.answers_autonat && c.autonat_v1_only);
    assert_true(c.autonat_max == SIZE_MAX);
    assert_int_equal(c.autonat_max_per_peer, 9);
    assert_int_equal(c.autonat_period_ms, 300000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_relays),
        cmocka_unit_test(test_contradictions),
        cmocka_unit_test(test_autonat),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

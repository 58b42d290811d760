/* kubo_config: settings of older versions, as Kubo's own migrations bring them up (ipfs/fs-repo-migrations
 * 12-to-13 and 14-to-15, ipfs/kubo fs-repo-17-to-18). */
#include "repo/config_impl.h"
#include "repo/kubo_source.h"
#include <jansson.h>
#include <stdlib.h>

enum { ADDRESS_MAX_BYTES = 1024 };
/* Before these versions `init` wrote its defaults down, which are others now. */
enum { WITHOUT_DEFAULTS = 13, WITHOUT_DRAFT_QUIC = 15, WITH_PROVIDE = 18 };

/* "/quic" stood for a draft that nobody speaks any more. NULL: nothing to change. */
static json_t *new_address(const char *old)
{
    char text[ADDRESS_MAX_BYTES];
    const char *at = strstr(old, "/quic");
    while (at && at[5] && at[5] != '/')
        at = strstr(at + 5, "/quic");
    if (!at || strlen(old) + 8 > sizeof text)
        return NULL;
    snprintf(text, sizeof text, "%.*s/quic-v1%s", (int)(at - old), old, at + 5);
    return json_string(text);
}

static bool has_text(const json_t *list, const char *text)
{
    size_t i;
    const json_t *item;
    json_array_foreach(list, i,
                       item) if (json_is_string(item) && !strcmp(json_string_value(item), text)) return true;
    return false;
}

static void renew_addresses(json_t *list)
{
    for (size_t i = json_array_size(list); i-- > 0;) {
        const char *old = json_string_value(json_array_get(list, i));
        json_t *renewed = old ? new_address(old) : NULL;
        if (!renewed)
            continue;
        if (has_text(list, json_string_value(renewed)))
            json_array_remove(list, i);
        else
            json_array_set(list, i, renewed);
        json_decref(renewed);
    }
}

typedef struct old_default {
    unsigned before; /* this version */
    const char *group, *key, *value;
} old_default_t;

static void drop_old_default(const kubo_source_t *s, const old_default_t *d)
{
    json_t *group = config_json(s->config, d->group), *value = json_object_get(group, d->key);
    json_t *old = json_loads(d->value, JSON_DECODE_ANY, NULL);
    if (s->version < d->before && value && json_equal(value, old))
        json_object_del(group, d->key);
    json_decref(old);
}

static void drop_old_defaults(const kubo_source_t *s)
{
    static const old_default_t rows[] = {
        {WITHOUT_DEFAULTS, "Routing", "Type", "\"dht\""},
        {WITHOUT_DEFAULTS, "Reprovider", "Interval", "\"12h\""},
        {WITHOUT_DEFAULTS, "Reprovider", "Strategy", "\"all\""},
        {WITHOUT_DEFAULTS, "Swarm", "ConnMgr",
         "{\"Type\":\"basic\",\"LowWater\":600,\"HighWater\":900,\"GracePeriod\":\"20s\"}"},
        {WITHOUT_DRAFT_QUIC, "Gateway.HTTPHeaders", "Access-Control-Allow-Origin", "[\"*\"]"},
        {WITHOUT_DRAFT_QUIC, "Gateway.HTTPHeaders", "Access-Control-Allow-Methods", "[\"GET\"]"},
        {WITHOUT_DRAFT_QUIC, "Gateway.HTTPHeaders", "Access-Control-Allow-Headers",
         "[\"X-Requested-With\",\"Range\",\"User-Agent\"]"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        drop_old_default(s, &rows[i]);
}

/* Who had turned announcing off must not come out of the import announcing. */
static err_t keep_silence(const kubo_source_t *s)
{
    static const char provider[] = "Provider.Enabled", strategic[] = "Experimental.StrategicProviding";
    bool is_silent =
        json_is_false(config_json(s->config, provider)) || json_is_true(config_json(s->config, strategic));
    return is_silent && !config_has(s->config, "Provide.Enabled")
               ? config_set(s->config, "Provide.Enabled", "false")
               : OK;
}

err_t kubo_source_renew_config(kubo_source_t *s)
{
    static const char *const lists[] = {"Addresses.Swarm", "Addresses.Announce", "Addresses.AppendAnnounce",
                                        "Addresses.NoAnnounce", "Bootstrap"};
    drop_old_defaults(s);
    for (size_t i = 0; i < ARRAY_LEN(lists) && s->version < WITHOUT_DRAFT_QUIC; i++)
        renew_addresses(config_json(s->config, lists[i]));
    return s->version < WITH_PROVIDE ? keep_silence(s) : OK;
}

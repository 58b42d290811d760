#include "cli/ignore.h"
#include <fnmatch.h>
#include <stdlib.h>

void ignore_deinit(ignore_t *ig)
{
    for (size_t i = 0; i < ig->count; i++)
        free(ig->rules[i].pattern);
    free(ig->rules);
    *ig = (ignore_t){0};
}

static bytes_t trim(bytes_t s, char c)
{
    while (s.len && s.data[0] == c)
        s = bytes_slice(s, 1, s.len);
    while (s.len && s.data[s.len - 1] == c)
        s.len--;
    return s;
}

static bytes_t without_prefix(bytes_t s, const char *prefix)
{
    bytes_t p = bytes_str(prefix);
    return bytes_starts_with(s, p) ? bytes_slice(s, p.len, s.len) : s;
}

/* What a name has to be, when folders are taken off; with a slash left in it nothing matches. */
static bytes_t for_names(bytes_t rule)
{
    if (rule.len > 1)
        rule = without_prefix(rule, "/");
    for (size_t before = 0; before != rule.len;) {
        before = rule.len;
        rule = without_prefix(rule, "**/");
    }
    if (rule.len > 3 && !memcmp(rule.data + rule.len - 3, "/**", 3))
        rule.len -= 3;
    return rule;
}

static err_t add_rule(ignore_t *ig, bytes_t rule, bool takes_back)
{
    if (!rule.len || memchr(rule.data, '/', rule.len) || memchr(rule.data, 0, rule.len))
        return OK;
    if (ig->count == IGNORE_MAX_RULES)
        return fail(ERR_LIMIT, "more than %d rules of what to ignore", IGNORE_MAX_RULES);
    if (!(ig->count & (ig->count - 1)))
        ig->rules = xrealloc(ig->rules, (ig->count ? 2 * ig->count : 1) * sizeof *ig->rules);
    char *pattern = xcalloc(1, 2 * rule.len + 1), *out = pattern;
    for (size_t i = 0; i < rule.len; i++) {
        if (rule.data[i] == '?') /* itself, in the reference */
            *out++ = '\\';
        *out++ = (char)rule.data[i];
    }
    ig->rules[ig->count++] = (ignore_rule_t){pattern, takes_back};
    return OK;
}

static err_t add_line(ignore_t *ig, bytes_t line)
{
    while (line.len && line.data[line.len - 1] == '\r')
        line.len--;
    if (line.len && line.data[0] == '#')
        return OK;
    line = trim(line, ' ');
    bool takes_back = line.len && line.data[0] == '!';
    if (takes_back)
        line = bytes_slice(line, 1, line.len);
    if (line.len > 1 && line.data[0] == '\\' && (line.data[1] == '#' || line.data[1] == '!'))
        line = bytes_slice(line, 1, line.len);
    return add_rule(ig, for_names(line), takes_back);
}

err_t ignore_add(ignore_t *ig, bytes_t lines)
{
    while (lines.len) {
        const uint8_t *end = memchr(lines.data, '\n', lines.len);
        size_t len = end ? (size_t)(end - lines.data) : lines.len;
        TRY(add_line(ig, bytes_slice(lines, 0, len)));
        lines = bytes_slice(lines, len + 1, lines.len);
    }
    return OK;
}

bool ignore_matches(const ignore_t *ig, const char *name)
{
    bool is_ignored = false;
    for (size_t i = 0; i < ig->count; i++)
        if (!fnmatch(ig->rules[i].pattern, name, 0))
            is_ignored = !ig->rules[i].takes_back;
    return is_ignored;
}

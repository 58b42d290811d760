/* print_ls: listings in columns, spaced as Kubo's are: a column is as wide as its widest cell and a space, at
 * least one character for whole listings and ten for streamed ones, whose widths nobody knows beforehand. */
#include "cli/commands_internal.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum {
    MIN_WIDTH = 1,
    MIN_WIDTH_STREAMED = 10,
    CELL_TEXT = 256,
    HALF_A_YEAR_S = 183 * 86400,
    A_DAY_S = 86400
};

/* The columns before the name. */
typedef enum { COLUMN_MODE, COLUMN_HASH, COLUMN_SIZE, COLUMN_TIME, COLUMN_COUNT } column_t;
static const char *const titles[COLUMN_COUNT] = {"Mode", "Hash", "Size", "ModTime"};

static char last_hash[256]; /* of the folder whose entries were printed last, when they are streamed */

static bool is_dir(json_t *link)
{
    return json_number(link, "Type") == 1 || json_number(link, "Type") == 5;
}

/* As ls -l; the mode has Go's bits. */
static void mode_text(uint32_t mode, char *out)
{
    static const struct {
        uint32_t bit;
        char letter;
    } kinds[] = {{1u << 31, 'd'}, {1u << 27, 'l'}, {1u << 25, 'p'},
                 {1u << 24, 's'}, {1u << 21, 'c'}, {1u << 26, 'b'}};
    static const uint32_t special[] = {1u << 23, 1u << 22, 1u << 20}; /* setuid, setgid, sticky */
    snprintf(out, CELL_TEXT, "----------");
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (mode & kinds[i].bit) {
            out[0] = kinds[i].letter;
            break;
        }
    for (int i = 0; i < 9; i++)
        if (mode >> (8 - i) & 1)
            out[1 + i] = "rwx"[i % 3];
    for (int i = 0; i < 3; i++)
        if (mode & special[i])
            out[3 + 3 * i] = out[3 + 3 * i] == 'x' ? "sst"[i] : "SST"[i];
}

static void time_text(json_t *link, char *out)
{
    struct tm tm = {0};
    const char *text = json_text(link, "ModTime");
    snprintf(out, CELL_TEXT, "-");
    if (!*text || !strncmp(text, "0001-01-01T00:00:00Z", 20) || !strptime(text, "%Y-%m-%dT%H:%M:%S", &tm))
        return;
    time_t then = timegm(&tm), now = time(NULL);
    bool is_recent = then > now - HALF_A_YEAR_S && then < now + A_DAY_S;
    strftime(out, CELL_TEXT, is_recent ? "%b %d %H:%M" : "%b %d  %Y", &tm);
}

static void cell_text(json_t *link, column_t column, char out[CELL_TEXT])
{
    uint32_t mode = (uint32_t)json_number(link, "Mode");
    switch (column) {
    case COLUMN_MODE:
        snprintf(out, CELL_TEXT, "-");
        if (mode)
            mode_text(mode, out);
        break;
    case COLUMN_SIZE:
        snprintf(out, CELL_TEXT, "-");
        if (!is_dir(link))
            snprintf(out, CELL_TEXT, "%" PRId64, json_number(link, "Size"));
        break;
    case COLUMN_TIME:
        time_text(link, out);
        break;
    default:
        snprintf(out, CELL_TEXT, "%s", cli_escape(json_text(link, "Hash")));
    }
}

typedef struct columns {
    bool is_shown[COLUMN_COUNT];
    int width[COLUMN_COUNT];
} columns_t;

static void measure(columns_t *c, json_t *links, bool has_titles, int min)
{
    size_t i;
    json_t *link;
    char text[CELL_TEXT];
    for (column_t column = 0; column < COLUMN_COUNT; column++) {
        int widest = has_titles ? (int)strlen(titles[column]) : 0;
        if (!c->is_shown[column])
            continue;
        json_array_foreach(links, i, link)
        {
            cell_text(link, column, text);
            int n = (int)strlen(text);
            widest = n > widest ? n : widest;
        }
        c->width[column] = widest + 1 > min ? widest + 1 : min;
    }
}

/* link NULL: the titles. */
static err_t print_line(const columns_t *c, json_t *link)
{
    char text[CELL_TEXT];
    for (column_t column = 0; column < COLUMN_COUNT; column++) {
        if (!c->is_shown[column])
            continue;
        if (link)
            cell_text(link, column, text);
        else
            snprintf(text, sizeof text, "%s", titles[column]);
        TRY(cli_out("%-*s", c->width[column], text));
    }
    return link ? cli_out("%s%s\n", cli_escape(json_text(link, "Name")), is_dir(link) ? "/" : "")
                : cli_out("Name\n");
}

static err_t print_folder(cli_t *c, json_t *object, bool shows_titles, int min)
{
    json_t *links = json_object_get(object, "Links"), *link;
    bool is_long = cli_flag(c, "long", false);
    columns_t columns = {.is_shown = {is_long, true, cli_flag(c, "size", true), is_long}};
    size_t i;
    measure(&columns, links, shows_titles, min);
    if (shows_titles)
        TRY(print_line(&columns, NULL));
    json_array_foreach(links, i, link) TRY(print_line(&columns, link));
    return OK;
}

err_t print_ls(task_t *t, cli_t *c, json_t *o)
{
    size_t i;
    json_t *object;
    bool streams = cli_flag(c, "stream", false);
    json_array_foreach(json_object_get(o, "Objects"), i, object)
    {
        const char *hash = json_text(object, "Hash");
        bool is_new = strncmp(hash, last_hash, sizeof last_hash - 1) != 0;
        if (is_new && c->n_args > 1)
            TRY(cli_out("%s%s:\n", last_hash[0] ? "\n" : "", cli_escape(hash)));
        snprintf(last_hash, sizeof last_hash, "%s", hash);
        TRY(print_folder(c, object, is_new && cli_flag(c, "headers", false),
                         streams ? MIN_WIDTH_STREAMED : MIN_WIDTH));
    }
    return OK;
}

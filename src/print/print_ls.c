/* print_ls: listings in columns, spaced as Kubo's are: a column is as wide as its widest cell and a space, at
 * least one character for whole listings and ten for streamed ones, whose widths nobody knows beforehand. */
#include "print/print_ls.h"
#include "print/json_depth.h"
#include "print/printers.h"
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
        snprintf(out, CELL_TEXT, "%s", print_escape(json_text(link, "Hash")));
    }
}

typedef struct columns {
    bool is_shown[COLUMN_COUNT];
    int width[COLUMN_COUNT];
} columns_t;

static columns_t begin_columns(const print_t *p, bool has_titles)
{
    bool is_long = print_flag(p, "long", false);
    int min = print_flag(p, "stream", false) ? MIN_WIDTH_STREAMED : MIN_WIDTH;
    columns_t columns = {.is_shown = {is_long, true, print_flag(p, "size", true), is_long}};
    for (column_t column = 0; column < COLUMN_COUNT; column++) {
        int n = has_titles ? (int)strlen(titles[column]) + 1 : 1;
        columns.width[column] = n > min ? n : min;
    }
    return columns;
}

static void measure(columns_t *columns, json_t *link)
{
    char text[CELL_TEXT];
    for (column_t column = 0; column < COLUMN_COUNT; column++) {
        if (!columns->is_shown[column])
            continue;
        cell_text(link, column, text);
        int n = (int)strlen(text) + 1;
        columns->width[column] = n > columns->width[column] ? n : columns->width[column];
    }
}

/* link NULL: the titles. */
static err_t print_line(print_t *p, const columns_t *columns, json_t *link)
{
    char text[CELL_TEXT];
    for (column_t column = 0; column < COLUMN_COUNT; column++) {
        if (!columns->is_shown[column])
            continue;
        if (link)
            cell_text(link, column, text);
        else
            snprintf(text, sizeof text, "%s", titles[column]);
        TRY(print_out(p, "%-*s", columns->width[column], text));
    }
    return link ? print_out(p, "%s%s\n", print_name(link, "Name"), is_dir(link) ? "/" : "")
                : print_out(p, "Name\n");
}

/* The name of a folder that is not that of the line before, when there are several. *ret_has_titles: whether
 * the names of the columns follow. */
static err_t print_heading(print_t *p, const char *hash, bool *ret_has_titles)
{
    bool is_new = strncmp(hash, p->last_hash, sizeof p->last_hash - 1) != 0;
    if (is_new && p->n_args > 1)
        TRY(print_out(p, "%s%s:\n", p->last_hash[0] ? "\n" : "", print_escape(hash)));
    snprintf(p->last_hash, sizeof p->last_hash, "%s", hash);
    *ret_has_titles = is_new && print_flag(p, "headers", false);
    return OK;
}

/* ── streamed ────────────────────────────────────────────────────────────────────────────────── */
err_t print_ls(print_t *p, json_t *o)
{
    size_t i, k;
    json_t *object, *link;
    json_array_foreach(json_object_get(o, "Objects"), i, object)
    {
        bool has_titles;
        json_t *links = json_object_get(object, "Links");
        TRY(print_heading(p, json_text(object, "Hash"), &has_titles));
        columns_t columns = begin_columns(p, has_titles);
        json_array_foreach(links, k, link) measure(&columns, link);
        if (has_titles)
            TRY(print_line(p, &columns, NULL));
        json_array_foreach(links, k, link) TRY(print_line(p, &columns, link));
    }
    return OK;
}

/* ── whole ───────────────────────────────────────────────────────────────────────────────────── */

/* One answer holds all links, however many: {"Objects":[{"Hash":…,"Links":[{…},…]},…]}. It is cut at its
 * braces as it comes. Widths are known at the end of a folder, so its links wait: in memory, many of them in
 * a file. */
enum { LINKS_DEPTH = 4, PIECE_MAX_BYTES = 1 << 20, KEPT_MAX_BYTES = 1 << 20 };

struct ls_text {
    print_t *p;
    buf_t piece; /* a link, or what stands before the links of a folder */
    buf_t kept;  /* links, each a line */
    FILE *spill; /* those before them */
    char *hash;
    columns_t columns;
    bool has_titles;
    json_depth_t at;
};

static err_t spill(ls_text_t *l)
{
    if (!l->spill && !(l->spill = tmpfile()))
        return fail(ERR_IO, "cannot make a temporary file for a long listing");
    if (fwrite(l->kept.data, 1, l->kept.len, l->spill) != l->kept.len)
        return fail(ERR_NO_SPACE, "cannot write the temporary file of a long listing");
    buf_clear(&l->kept);
    return OK;
}

static json_t *parse(bytes_t text)
{
    return json_loadb((const char *)text.data, text.len, JSON_ALLOW_NUL, NULL);
}

static err_t take_link(ls_text_t *l)
{
    json_t *link = parse(buf_bytes(&l->piece));
    if (!link)
        return fail(ERR_PROTOCOL, "the node's answer is not JSON");
    measure(&l->columns, link);
    json_decref(link);
    TRY(l->kept.len + l->piece.len >= KEPT_MAX_BYTES ? spill(l) : OK);
    TRY(buf_append(&l->kept, buf_bytes(&l->piece)));
    return buf_append_u8(&l->kept, '\n');
}

/* "{"Hash":…,"Links":[" */
static err_t begin_folder(ls_text_t *l)
{
    TRY(buf_append(&l->piece, BYTES_LIT("]}")));
    json_t *object = parse(buf_bytes(&l->piece));
    if (!object)
        return fail(ERR_PROTOCOL, "the node's answer is not JSON");
    l->hash = xstrdup(json_text(object, "Hash"));
    json_decref(object);
    bool is_new = strncmp(l->hash, l->p->last_hash, sizeof l->p->last_hash - 1) != 0;
    l->columns = begin_columns(l->p, is_new && print_flag(l->p, "headers", false));
    return OK;
}

static err_t print_links(ls_text_t *l, bytes_t lines)
{
    while (lines.len) {
        const uint8_t *end = memchr(lines.data, '\n', lines.len);
        size_t len = end ? (size_t)(end - lines.data) : lines.len;
        json_t *link = parse(bytes_slice(lines, 0, len));
        err_t e = link ? print_line(l->p, &l->columns, link) : OK;
        json_decref(link);
        TRY(e);
        lines = bytes_slice(lines, len + 1, lines.len);
    }
    return OK;
}

static err_t print_spilled(ls_text_t *l)
{
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;
    err_t e = OK;
    rewind(l->spill);
    while (!e && (n = getline(&line, &cap, l->spill)) > 0)
        e = print_links(l, bytes_of(line, (size_t)n));
    free(line);
    fclose(l->spill);
    l->spill = NULL;
    return e;
}

static err_t end_folder(ls_text_t *l)
{
    bool has_titles;
    TRY(print_heading(l->p, l->hash, &has_titles));
    free(l->hash);
    l->hash = NULL;
    if (has_titles)
        TRY(print_line(l->p, &l->columns, NULL));
    TRY(l->spill ? print_spilled(l) : OK);
    TRY(print_links(l, buf_bytes(&l->kept)));
    buf_clear(&l->kept);
    return OK;
}

static err_t take_byte(ls_text_t *l, uint8_t byte)
{
    json_depth_step_t step = json_depth_take(&l->at, byte);
    bool opens = step == JSON_DEPTH_OPENS;
    if (opens && (l->at.depth == LINKS_DEPTH - 1 || l->at.depth == LINKS_DEPTH + 1))
        buf_clear(&l->piece); /* a folder or a link begins */
    if (l->at.depth >= LINKS_DEPTH - 1)
        TRY(buf_append_u8(&l->piece, byte));
    if (opens && l->at.depth == LINKS_DEPTH)
        return begin_folder(l);
    if (step != JSON_DEPTH_CLOSES)
        return OK;
    if (!l->at.depth)
        return fail(ERR_PROTOCOL, "the node's answer is not JSON");
    l->at.depth--;
    return l->at.depth == LINKS_DEPTH ? take_link(l) : l->at.depth == LINKS_DEPTH - 1 ? end_folder(l) : OK;
}

ls_text_t *ls_text_new(print_t *p)
{
    ls_text_t *l = xcalloc(1, sizeof *l);
    l->p = p;
    buf_init(&l->piece, PIECE_MAX_BYTES);
    buf_init(&l->kept, KEPT_MAX_BYTES + PIECE_MAX_BYTES);
    return l;
}

err_t ls_text_feed(ls_text_t *l, bytes_t data)
{
    for (size_t i = 0; i < data.len; i++)
        TRY(take_byte(l, data.data[i]));
    return OK;
}

void ls_text_free(ls_text_t *l)
{
    if (!l)
        return;
    if (l->spill)
        fclose(l->spill);
    free(l->hash);
    buf_deinit(&l->piece);
    buf_deinit(&l->kept);
    free(l);
}

#include "multi/multibase.h"
#include "multi/base.h"

#define DIGITS "0123456789"
#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define BITS base_bits_encode, base_bits_decode
#define NUMBER base_digits_encode, base_digits_decode

static err_t identity_encode(const base_t *b, bytes_t data, buf_t *out)
{
    return buf_append(out, data);
}

static err_t identity_decode(const base_t *b, bytes_t text, bool is_lenient, buf_t *out)
{
    return buf_append(out, text);
}

/* clang-format off */
static const base_t bases[] = {
    /* the ones that CIDs use come first: the table is searched from here */
    {MB_BASE32, "base32", LOWER "234567", BITS, 32, 5, 0, true},
    {MB_BASE58BTC, "base58btc", "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz", NUMBER, 58, 0, 0, false},
    {MB_BASE36, "base36", DIGITS LOWER, NUMBER, 36, 0, 0, true},
    {MB_BASE16, "base16", DIGITS "abcdef", BITS, 16, 4, 0, true},
    {MB_BASE64URL, "base64url", UPPER LOWER DIGITS "-_", BITS, 64, 6, 0, false},
    {MB_IDENTITY, "identity", "", identity_encode, identity_decode, 0, 0, 0, false},
    {MB_BASE2, "base2", "01", BITS, 2, 1, 0, false},
    {MB_BASE8, "base8", "01234567", BITS, 8, 3, 0, false},
    {MB_BASE10, "base10", DIGITS, NUMBER, 10, 0, 0, false},
    {MB_BASE16UPPER, "base16upper", DIGITS "ABCDEF", BITS, 16, 4, 0, true},
    {MB_BASE32UPPER, "base32upper", UPPER "234567", BITS, 32, 5, 0, true},
    {MB_BASE32PAD, "base32pad", LOWER "234567", BITS, 32, 5, 8, true},
    {MB_BASE32PADUPPER, "base32padupper", UPPER "234567", BITS, 32, 5, 8, true},
    {MB_BASE32HEX, "base32hex", DIGITS "abcdefghijklmnopqrstuv", BITS, 32, 5, 0, true},
    {MB_BASE32HEXUPPER, "base32hexupper", DIGITS "ABCDEFGHIJKLMNOPQRSTUV", BITS, 32, 5, 0, true},
    {MB_BASE32HEXPAD, "base32hexpad", DIGITS "abcdefghijklmnopqrstuv", BITS, 32, 5, 8, true},
    {MB_BASE32HEXPADUPPER, "base32hexpadupper", DIGITS "ABCDEFGHIJKLMNOPQRSTUV", BITS, 32, 5, 8, true},
    {MB_BASE32Z, "base32z", "ybndrfg8ejkmcpqxot1uwisza345h769", BITS, 32, 5, 0, true},
    {MB_BASE36UPPER, "base36upper", DIGITS UPPER, NUMBER, 36, 0, 0, true},
    {MB_BASE45, "base45", DIGITS UPPER " $%*+-./:", base45_encode, base45_decode, 45, 0, 0, false},
    {MB_BASE58FLICKR, "base58flickr", "123456789abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ", NUMBER, 58, 0, 0, false},
    {MB_BASE64, "base64", UPPER LOWER DIGITS "+/", BITS, 64, 6, 0, false},
    {MB_BASE64PAD, "base64pad", UPPER LOWER DIGITS "+/", BITS, 64, 6, 4, false},
    {MB_BASE64URLPAD, "base64urlpad", UPPER LOWER DIGITS "-_", BITS, 64, 6, 4, false},
    {MB_BASE256EMOJI, "base256emoji", "", base_emoji_encode, base_emoji_decode, 0, 0, 0, false},
};
/* clang-format on */
static const bytes_t rocket = {(const uint8_t *)"\xf0\x9f\x9a\x80", 4}; /* the one prefix of several bytes */

void base_values(const base_t *b, int8_t ret_values[256])
{
    memset(ret_values, -1, 256);
    for (int i = 0; i < b->radix; i++) {
        uint8_t c = (uint8_t)b->alphabet[i];
        ret_values[c] = (int8_t)i;
        if (b->is_caseless && ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')))
            ret_values[c ^ 0x20] = (int8_t)i;
    }
}

static const base_t *find(multibase_t prefix)
{
    for (size_t i = 0; i < ARRAY_LEN(bases); i++)
        if (bases[i].prefix == prefix)
            return &bases[i];
    return NULL;
}

err_t multibase_from_name(const char *name, multibase_t *ret)
{
    bytes_t text = bytes_str(name);
    multibase_t by_prefix;
    size_t used;
    if (text.len && !multibase_from_prefix(text, &by_prefix, &used) && used == text.len) {
        *ret = by_prefix;
        return OK;
    }
    for (size_t i = 0; i < ARRAY_LEN(bases); i++)
        if (!strcmp(bases[i].name, name)) {
            *ret = bases[i].prefix;
            return OK;
        }
    return fail(ERR_NOT_FOUND, "no multibase is called \"%s\"", name);
}

const char *multibase_name(multibase_t base)
{
    const base_t *b = find(base);
    return b ? b->name : "unknown";
}

bool multibase_at(size_t i, multibase_t *ret)
{
    if (i >= ARRAY_LEN(bases))
        return false;
    *ret = bases[i].prefix;
    return true;
}

err_t multibase_from_prefix(bytes_t text, multibase_t *ret, size_t *ret_used)
{
    if (!text.len)
        return fail(ERR_INVALID, "an empty text has no multibase prefix");
    bool is_rocket = bytes_starts_with(text, rocket);
    multibase_t prefix = is_rocket ? MB_BASE256EMOJI : (multibase_t)text.data[0];
    if (!find(prefix))
        return fail(ERR_INVALID, "0x%02x is no multibase prefix", text.data[0]);
    *ret = prefix;
    *ret_used = is_rocket ? rocket.len : 1;
    return OK;
}

err_t multibase_encode(multibase_t base, bytes_t data, buf_t *out)
{
    size_t start = out->len;
    TRY(base == MB_BASE256EMOJI ? buf_append(out, rocket) : buf_append_u8(out, (uint8_t)base));
    err_t e = multibase_encode_raw(base, data, out);
    if (e)
        out->len = start;
    return e;
}

err_t multibase_decode(bytes_t text, multibase_t *ret_base, buf_t *out)
{
    multibase_t base = MB_IDENTITY;
    size_t used = 0;
    TRY(multibase_from_prefix(text, &base, &used));
    TRY(multibase_decode_raw(base, bytes_slice(text, used, text.len), out));
    *ret_base = base;
    return OK;
}

static err_t find_base(multibase_t base, const base_t **ret)
{
    *ret = find(base);
    return *ret ? OK : fail(ERR_UNSUPPORTED, "0x%x is no multibase", (unsigned)base);
}

err_t multibase_encode_raw(multibase_t base, bytes_t data, buf_t *out)
{
    const base_t *b = NULL;
    TRY(find_base(base, &b));
    return b->encode(b, data, out);
}

/* What was decoded before an error is taken back. */
static err_t decode(multibase_t base, bytes_t text, bool is_lenient, buf_t *out)
{
    const base_t *b = NULL;
    TRY(find_base(base, &b));
    size_t start = out->len;
    err_t e = b->decode(b, text, is_lenient, out);
    if (e)
        out->len = start;
    return e;
}

err_t multibase_decode_raw(multibase_t base, bytes_t text, buf_t *out)
{
    return decode(base, text, false, out);
}

err_t multibase_decode_lenient(multibase_t base, bytes_t text, buf_t *out)
{
    return decode(base, text, true, out);
}

#include "crypto/hash.h"
#include "vault/key_file.h"
#include <ctype.h>
#include <stdlib.h>

/* Spec: bitcoin/bips bip-0039, mnemonics of 256 bits: 8 bits of SHA-256 behind them, cut into 11 bits a word.
 */
enum {
    WORDS = 2048,
    WORD_BITS = 11,
    WORDS_EACH = 24, /* of a secret with its byte of check */
    WORDS_CHECK = 2, /* of all secrets, when they are several */
    WORD_MAX = 8,
};
static const char words_text[] =
#include "vault/words_english.inc"
    ;

/* Where each word begins; filled at the first use, on the loop thread. */
static uint16_t word_starts[WORDS + 1];

static void find_words(void)
{
    size_t n = 0;
    if (word_starts[WORDS])
        return;
    for (size_t at = 0; at < sizeof words_text; at++)
        if (!at || words_text[at - 1] == ' ')
            word_starts[n++] = (uint16_t)at;
    assert(n == WORDS);
    word_starts[WORDS] = sizeof words_text;
}

static bytes_t word_at(size_t i)
{
    return bytes_of(words_text + word_starts[i], word_starts[i + 1] - word_starts[i] - 1u);
}

/* The list is sorted. -1: no such word. */
static int word_index(bytes_t word)
{
    size_t low = 0, high = WORDS;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = bytes_compare(word_at(middle), word);
        if (!order)
            return (int)middle;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return -1;
}

static unsigned bits_at(const uint8_t *data, size_t bit)
{
    unsigned value = 0;
    for (size_t i = 0; i < WORD_BITS; i++, bit++)
        value = value << 1 | (data[bit / 8] >> (7 - bit % 8) & 1u);
    return value;
}

static void put_bits(uint8_t *data, size_t bit, unsigned value)
{
    for (size_t i = 0; i < WORD_BITS; i++, bit++)
        if (value >> (WORD_BITS - 1 - i) & 1u)
            data[bit / 8] |= (uint8_t)(0x80u >> bit % 8);
}

static err_t put_word(unsigned index, buf_t *out)
{
    if (out->len)
        TRY(buf_append_u8(out, ' '));
    return buf_append(out, word_at(index));
}

/* Of all secrets: two words, 22 bits. */
static void digest_all(bytes_t secrets, uint8_t out[32])
{
    sha256_of(secrets, out);
}

static err_t put_secret(const uint8_t *secret, buf_t *out)
{
    uint8_t text[VAULT_SECRET_BYTES + 32];
    err_t e = OK;
    memcpy(text, secret, VAULT_SECRET_BYTES);
    sha256_of(bytes_of(secret, VAULT_SECRET_BYTES), text + VAULT_SECRET_BYTES);
    for (size_t i = 0; i < WORDS_EACH && !e; i++)
        e = put_word(bits_at(text, i * WORD_BITS), out);
    secret_wipe(text, sizeof text);
    return e;
}

err_t key_words_encode(const vault_keys_t *k, buf_t *out)
{
    uint8_t digest[32];
    size_t begin = out->len;
    find_words();
    /* all at once: a buffer that grows leaves copies behind */
    TRY(buf_reserve(out, (k->n_epochs * WORDS_EACH + WORDS_CHECK) * (WORD_MAX + 1)));
    assert(!begin);
    for (uint32_t i = 0; i < k->n_epochs; i++)
        TRY(put_secret(k->secrets[i], out));
    digest_all(vault_keys_secrets(k), digest);
    for (size_t i = 0; k->n_epochs > 1 && i < WORDS_CHECK; i++)
        TRY(put_word(bits_at(digest, i * WORD_BITS), out));
    return OK;
}

/* The next word in lower case; empty at the end. */
static err_t next_word(bytes_t *text, char out[WORD_MAX + 1], size_t number)
{
    size_t n = 0;
    while (text->len && isspace(*text->data))
        *text = bytes_slice(*text, 1, text->len);
    for (; text->len && !isspace(*text->data); *text = bytes_slice(*text, 1, text->len)) {
        if (n == WORD_MAX)
            return fail(ERR_INVALID, "word %zu of the key is none of the English words of BIP-39", number);
        out[n++] = (char)tolower(*text->data);
    }
    out[n] = 0;
    return OK;
}

typedef struct parsed {
    uint8_t bits[VAULT_EPOCHS_MAX * (VAULT_SECRET_BYTES + 1) +
                 8]; /* secrets, each with its check; a check of all */
    uint8_t secrets[VAULT_EPOCHS_MAX * VAULT_SECRET_BYTES];
    size_t n_words;
} parsed_t;

static err_t parse_words(bytes_t text, parsed_t *p)
{
    char word[WORD_MAX + 1];
    err_t e = OK;
    for (;;) {
        e = next_word(&text, word, p->n_words + 1);
        if (e || !*word)
            break;
        int index = word_index(bytes_str(word));
        if (index < 0)
            e = fail(ERR_INVALID, "word %zu of the key is none of the English words of BIP-39",
                     p->n_words + 1);
        else if (p->n_words == VAULT_EPOCHS_MAX * WORDS_EACH + WORDS_CHECK)
            e = fail(ERR_INVALID, "too many words for a key");
        if (e)
            break;
        put_bits(p->bits, p->n_words++ * WORD_BITS, (unsigned)index);
    }
    secret_wipe(word, sizeof word);
    return e;
}

static err_t check_secrets(parsed_t *p, size_t *ret_n)
{
    uint8_t digest[32];
    size_t n = p->n_words / WORDS_EACH, rest = p->n_words % WORDS_EACH, each = VAULT_SECRET_BYTES + 1;
    if (!n || rest != (n > 1 ? WORDS_CHECK : 0))
        return fail(ERR_INVALID, "%zu words are no key: 24, or 24 for each epoch and 2", p->n_words);
    for (size_t i = 0; i < n; i++) {
        const uint8_t *secret = p->bits + i * each;
        sha256_of(bytes_of(secret, VAULT_SECRET_BYTES), digest);
        if (digest[0] != secret[VAULT_SECRET_BYTES])
            return fail(ERR_INVALID, "the check of words %zu to %zu of the key is wrong", i * WORDS_EACH + 1,
                        (i + 1) * WORDS_EACH);
        memcpy(p->secrets + i * VAULT_SECRET_BYTES, secret, VAULT_SECRET_BYTES);
    }
    digest_all(bytes_of(p->secrets, n * VAULT_SECRET_BYTES), digest);
    for (size_t i = 0; i < rest; i++)
        if (bits_at(digest, i * WORD_BITS) != bits_at(p->bits, (n * WORDS_EACH + i) * WORD_BITS))
            return fail(ERR_INVALID, "the words of the key are in another order than they were exported");
    *ret_n = n;
    return OK;
}

err_t key_words_decode(bytes_t text, vault_keys_t **ret)
{
    size_t n = 0;
    find_words();
    parsed_t *p = xcalloc(1, sizeof *p);
    err_t e = parse_words(text, p);
    if (!e)
        e = check_secrets(p, &n);
    if (!e)
        e = vault_keys_new(p->secrets, n, ret);
    secret_wipe(p, sizeof *p);
    free(p);
    return e;
}

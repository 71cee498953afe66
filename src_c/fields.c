/* fields.c: see fields.h. Lines first, then the three fields that framing asks for. */
#include "fields.h"

#include <string.h>
#include <strings.h>

const uint8_t qh_is_tchar[256] = {
    ['!'] = 1, ['#'] = 1, ['$'] = 1, ['%'] = 1, ['&'] = 1, ['\''] = 1, ['*'] = 1, ['+'] = 1, ['-'] = 1,
    ['.'] = 1, ['^'] = 1, ['_'] = 1, ['`'] = 1, ['|'] = 1, ['~'] = 1, ['0'] = 1, ['1'] = 1, ['2'] = 1,
    ['3'] = 1, ['4'] = 1, ['5'] = 1, ['6'] = 1, ['7'] = 1, ['8'] = 1, ['9'] = 1, ['A'] = 1, ['B'] = 1,
    ['C'] = 1, ['D'] = 1, ['E'] = 1, ['F'] = 1, ['G'] = 1, ['H'] = 1, ['I'] = 1, ['J'] = 1, ['K'] = 1,
    ['L'] = 1, ['M'] = 1, ['N'] = 1, ['O'] = 1, ['P'] = 1, ['Q'] = 1, ['R'] = 1, ['S'] = 1, ['T'] = 1,
    ['U'] = 1, ['V'] = 1, ['W'] = 1, ['X'] = 1, ['Y'] = 1, ['Z'] = 1, ['a'] = 1, ['b'] = 1, ['c'] = 1,
    ['d'] = 1, ['e'] = 1, ['f'] = 1, ['g'] = 1, ['h'] = 1, ['i'] = 1, ['j'] = 1, ['k'] = 1, ['l'] = 1,
    ['m'] = 1, ['n'] = 1, ['o'] = 1, ['p'] = 1, ['q'] = 1, ['r'] = 1, ['s'] = 1, ['t'] = 1, ['u'] = 1,
    ['v'] = 1, ['w'] = 1, ['x'] = 1, ['y'] = 1, ['z'] = 1,
};

static bool is_blank(char c) { return c == ' ' || c == '\t'; }
static bool is_space(char c) { return is_blank(c) || c == '\r' || c == '\n'; } /* blanks and folds */
static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static bool is_word(const char *text, size_t len, const char *word, size_t word_len)
{
    return len == word_len && strncasecmp(text, word, word_len) == 0;
}
#define IS(text, len, word) is_word(text, len, word, sizeof(word) - 1)

/* One element of a comma-separated list, without the white space around it; false behind the last. */
static bool next_element(const char **at, const char *end, const char **element, size_t *element_len)
{
    if (!*at)
        return false;
    const char *comma = memchr(*at, ',', (size_t)(end - *at));
    const char *first = *at, *last = comma ? comma : end;
    *at = comma ? comma + 1 : NULL;
    while (first < last && is_space(*first))
        first++;
    while (last > first && is_space(last[-1]))
        last--;
    *element = first;
    *element_len = (size_t)(last - first);
    return true;
}

/* 1*DIGIT below 2^63. */
static bool parse_length(const char *text, size_t len, uint64_t *value)
{
    uint64_t n = 0;
    if (len == 0)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (!is_digit(text[i]) || n > (uint64_t)INT64_MAX / 10)
            return false;
        n = n * 10 + (uint64_t)(text[i] - '0');
    }
    *value = n;
    return n <= (uint64_t)INT64_MAX;
}

/* A list or repetition of one same value may stand for it (RFC 9110 section 8.6); a different spelling
 * of the same number is taken as a difference, since others may read it otherwise. */
static void note_content_length(qh_head_facts *facts, const char *value, size_t len, size_t *digits_len)
{
    const char *at = value, *element;
    size_t element_len;
    while (next_element(&at, value + len, &element, &element_len)) {
        uint64_t n;
        bool good = parse_length(element, element_len, &n);
        if (facts->length_state == QH_LENGTH_NONE && good) {
            facts->length_state = QH_LENGTH_ONE;
            facts->length = n;
            *digits_len = element_len;
        } else if (!good || n != facts->length || element_len != *digits_len) {
            facts->length_state = QH_LENGTH_BAD;
        }
    }
}

static void note_codings(qh_head_facts *facts, const char *value, size_t len)
{
    const char *at = value, *element;
    size_t element_len;
    while (next_element(&at, value + len, &element, &element_len)) {
        bool token = element_len > 0;
        for (size_t i = 0; i < element_len; i++)
            token = token && qh_is_tchar[(uint8_t)element[i]];
        if (!token)
            facts->codings_malformed = 1;
        facts->n_codings++;
        facts->chunked_is_last = IS(element, element_len, "chunked");
        facts->n_chunked += facts->chunked_is_last;
        facts->n_identity += IS(element, element_len, "identity");
    }
}

static void note_connection(qh_head_facts *facts, const char *value, size_t len)
{
    const char *at = value, *element;
    size_t element_len;
    while (next_element(&at, value + len, &element, &element_len)) {
        facts->connection_close |= IS(element, element_len, "close");
        facts->connection_keep |= IS(element, element_len, "keep-alive");
    }
}

/* HTTP/D.D SP DDD [SP reason]; any other shape leaves the status 0 for llhttp to refuse. */
static void note_status_line(qh_head_facts *facts, const char *line, size_t len)
{
    if (len < 12 || memcmp(line, "HTTP/", 5) != 0 || !is_digit(line[5]) || line[6] != '.' || !is_digit(line[7]) ||
        line[8] != ' ' || !is_digit(line[9]) || !is_digit(line[10]) || !is_digit(line[11]) ||
        (len > 12 && line[12] != ' '))
        return;
    facts->major = (uint8_t)(line[5] - '0');
    facts->minor = (uint8_t)(line[7] - '0');
    facts->status = (uint16_t)((line[9] - '0') * 100 + (line[10] - '0') * 10 + (line[11] - '0'));
    facts->reason_at = len > 12 ? 13 : 12;
    facts->reason_len = (uint32_t)(len - facts->reason_at);
}

/* The length of the line at `line` without its line end; *next is where the following line begins. */
static size_t line_length(const char *line, const char *end, const char **next)
{
    const char *lf = memchr(line, '\n', (size_t)(end - line));
    *next = lf ? lf + 1 : end;
    size_t len = (size_t)((lf ? lf : end) - line);
    return len > 0 && line[len - 1] == '\r' ? len - 1 : len;
}

static bool has_forbidden_byte(const char *text, size_t len)
{
    return memchr(text, '\0', len) || memchr(text, '\r', len);
}

static bool is_all_blank(const char *text, size_t len)
{
    size_t n = 0;
    while (n < len && is_blank(text[n]))
        n++;
    return n == len;
}

qh_status qh_fields_index(const char *head, size_t len, qh_field *fields, size_t n_cap, qh_head_facts *facts)
{
    const char *end = head + len, *next;
    size_t digits_len = 0;
    *facts = (qh_head_facts){0};
    size_t status_line_len = line_length(head, end, &next);
    if (has_forbidden_byte(head, status_line_len))
        return QH_E_FIELD_LINE;
    note_status_line(facts, head, status_line_len);

    for (const char *line = next; line < end;) {
        size_t line_len = line_length(line, end, &next);
        if (line_len == 0)
            break;
        const char *colon = memchr(line, ':', line_len);
        if (!colon || colon == line)
            return QH_E_FIELD_LINE;
        for (const char *c = line; c < colon; c++)
            if (!qh_is_tchar[(uint8_t)*c])
                return QH_E_FIELD_LINE;

        const char *value = colon + 1, *value_end = line + line_len;
        if (has_forbidden_byte(value, (size_t)(value_end - value)))
            return QH_E_FIELD_LINE;
        bool folded = false;
        while (next < end && is_blank(*next)) { /* obs-fold: the value runs on */
            const char *more = next;
            size_t more_len = line_length(more, end, &next);
            if (has_forbidden_byte(more, more_len) || is_all_blank(more, more_len))
                return QH_E_FIELD_LINE;
            facts->has_fold = folded = 1;
            value_end = more + more_len;
        }
        while (value < value_end && is_space(*value))
            value++;
        while (value_end > value && is_space(value_end[-1]))
            value_end--;

        size_t name_len = (size_t)(colon - line), value_len = (size_t)(value_end - value);
        if (facts->n_fields < n_cap)
            fields[facts->n_fields] = (qh_field){(uint32_t)(line - head), (uint32_t)name_len,
                                                 (uint32_t)(value - head), (uint32_t)value_len};
        facts->n_fields++;

        if (IS(line, name_len, "content-length")) {
            note_content_length(facts, value, value_len, &digits_len);
            if (folded)
                facts->length_state = QH_LENGTH_BAD;
        } else if (IS(line, name_len, "transfer-encoding")) {
            note_codings(facts, value, value_len);
            facts->codings_malformed |= folded;
        } else if (IS(line, name_len, "connection")) {
            note_connection(facts, value, value_len);
        }
        line = next;
    }
    return QH_DONE;
}

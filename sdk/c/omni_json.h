/* JSON in somebody else's bytes: raw values are found, compared and copied, never decoded as a whole. The gateway has
 * validated what it hands over, so the scanner only has to stay within bounds on anything else. */
#ifndef OMNI_JSON_H
#define OMNI_JSON_H

#include "omni.h"

/* A raw JSON value. The empty one stands for an absent value; every function works on it. */
typedef omni_str omni_json;

static inline int omni_space(u8 c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

static u32 omni_skip_space(omni_str b, u32 i) {
  while (i < b.len && omni_space(b.at[i])) i++;
  return i;
}

/* The index behind the closing quote of the string whose content begins at i. */
static u32 omni_string_end(omni_str b, u32 i) {
  while (i < b.len) {
    if (b.at[i] == '"') return i + 1;
    i += b.at[i] == '\\' ? 2 : 1;
  }
  return b.len;
}

/* The index behind the value that begins at i. */
static u32 omni_value_end(omni_str b, u32 i) {
  u32 depth = 0;
  while (i < b.len) {
    u8 c = b.at[i];
    if (c == '"') {
      i = omni_string_end(b, i + 1);
      if (!depth) return i;
      continue;
    }
    if (c == '{' || c == '[') depth++;
    else if (c == '}' || c == ']') {
      if (depth <= 1) return i + depth;
      depth--;
    } else if (!depth && (c == ',' || c == ':' || omni_space(c))) return i;
    i++;
  }
  return b.len;
}

static inline omni_json omni_parse(omni_str text) {
  u32 start = omni_skip_space(text, 0), end = omni_value_end(text, start);
  return omni_slice(text, start, end < start ? start : end);
}

static inline u8 omni_first(omni_json v) { return v.len ? v.at[0] : 0; }
static inline int omni_exists(omni_json v) { return v.len && v.at[0] != 'n'; }
static inline int omni_is_string(omni_json v) { return omni_first(v) == '"'; }
static inline int omni_is_number(omni_json v) { return omni_first(v) == '-' || (omni_first(v) >= '0' && omni_first(v) <= '9'); }
static inline int omni_is_true(omni_json v) { return omni_is(v, "true"); }

/* Walks over the members of an object or the elements of an array:
 *
 *   for (omni_items it = omni_members(v); omni_step(&it);) { it.key … it.value } */
typedef struct {
  omni_str b;
  u32 i;
  int keys;
  omni_json key, value;
} omni_items;

static inline omni_items omni_members(omni_json v) {
  omni_items it = {.b = v, .i = omni_first(v) == '{' ? 1 : v.len, .keys = 1};
  return it;
}

static inline omni_items omni_elements(omni_json v) {
  omni_items it = {.b = v, .i = omni_first(v) == '[' ? 1 : v.len};
  return it;
}

static omni_json omni_take(omni_items *it, u8 then) {
  omni_json v = {0};
  u32 start = omni_skip_space(it->b, it->i), end = omni_value_end(it->b, start);
  if (end <= start) {
    it->i = it->b.len;
    return v;
  }
  it->i = omni_skip_space(it->b, end);
  if (it->i < it->b.len && it->b.at[it->i] == then) it->i++;
  return omni_slice(it->b, start, end);
}

static int omni_step(omni_items *it) {
  if (it->keys) {
    it->key = omni_take(it, ':');
    if (!omni_is_string(it->key)) return 0;
  }
  it->value = omni_take(it, ',');
  return it->value.len > 0;
}

static int omni_hex4(omni_str s, u32 i) {
  int n = 0;
  if (i + 4 > s.len) return -1;
  for (u32 k = i; k < i + 4; k++) {
    u8 c = s.at[k], low = c | 0x20;
    if (c >= '0' && c <= '9') n = n << 4 | (c - '0');
    else if (low >= 'a' && low <= 'f') n = n << 4 | (low - 'a' + 10);
    else return -1;
  }
  return n;
}

static void omni_put_rune(omni_buf_t *b, u32 r) {
  if (r < 0x80) {
    omni_putc(b, r);
    return;
  }
  if (r < 0x800) omni_putc(b, 0xc0 | r >> 6);
  else {
    if (r < 0x10000) omni_putc(b, 0xe0 | r >> 12);
    else {
      omni_putc(b, 0xf0 | r >> 18);
      omni_putc(b, 0x80 | (r >> 12 & 0x3f));
    }
    omni_putc(b, 0x80 | (r >> 6 & 0x3f));
  }
  omni_putc(b, 0x80 | (r & 0x3f));
}

/* Decodes escaped text. Bad escapes are kept; a lone surrogate becomes U+FFFD. */
static omni_str omni_unescape(omni_str s) {
  u32 i = 0;
  while (i < s.len && s.at[i] != '\\') i++;
  if (i == s.len) return s;
  omni_buf_t b = {0};
  for (i = 0; i < s.len;) {
    if (s.at[i] != '\\' || i + 1 == s.len) {
      omni_putc(&b, s.at[i++]);
      continue;
    }
    u8 c = s.at[i + 1];
    i += 2;
    switch (c) {
    case 'b': omni_putc(&b, '\b'); break;
    case 'f': omni_putc(&b, '\f'); break;
    case 'n': omni_putc(&b, '\n'); break;
    case 'r': omni_putc(&b, '\r'); break;
    case 't': omni_putc(&b, '\t'); break;
    case 'u': {
      int r = omni_hex4(s, i);
      if (r < 0) {
        omni_puts(&b, "\\u");
        break;
      }
      i += 4;
      if (r >= 0xd800 && r < 0xe000) {
        int low = i + 1 < s.len && s.at[i] == '\\' && s.at[i + 1] == 'u' ? omni_hex4(s, i + 2) : -1;
        if (r < 0xdc00 && low >= 0xdc00 && low < 0xe000) {
          i += 6;
          r = 0x10000 + ((r - 0xd800) << 10) + (low - 0xdc00);
        } else r = 0xfffd;
      }
      omni_put_rune(&b, r);
      break;
    }
    default: omni_putc(&b, c);
    }
  }
  return omni_view(&b);
}

static inline omni_str omni_content(omni_json v) {
  omni_str none = {0};
  return omni_is_string(v) && v.len >= 2 ? omni_slice(v, 1, v.len - 1) : none;
}

/* Tells whether the value is a string of that content. */
static int omni_json_is(omni_json v, omni_str want) {
  return omni_is_string(v) && omni_equal(omni_unescape(omni_content(v)), want);
}

static inline int omni_json_eq(omni_json v, const char *want) { return omni_json_is(v, omni_text(want)); }

/* The content of a string, the digits of a number, nothing for anything else. */
static omni_str omni_json_text(omni_json v) {
  omni_str none = {0};
  return omni_is_string(v) ? omni_unescape(omni_content(v)) : omni_is_number(v) ? v : none;
}

/* An integer, 0 for anything else. */
static i64 omni_json_int(omni_json v) {
  i64 n = 0;
  u32 i = omni_first(v) == '-';
  if (!omni_is_number(v) || v.len > 20) return 0;
  for (; i < v.len; i++) {
    if (v.at[i] < '0' || v.at[i] > '9') return 0;
    n = n * 10 + (v.at[i] - '0');
  }
  return omni_first(v) == '-' ? -n : n;
}

/* Follows a dotted path of object members. */
static omni_json omni_get(omni_json v, const char *path) {
  omni_str rest = omni_text(path);
  for (;;) {
    u32 n = 0;
    while (n < rest.len && rest.at[n] != '.') n++;
    omni_str name = omni_slice(rest, 0, n);
    omni_json found = {0};
    for (omni_items it = omni_members(v); omni_step(&it);) {
      if (omni_json_is(it.key, name)) {
        found = it.value;
        break;
      }
    }
    v = found;
    if (n == rest.len) return v;
    rest = omni_slice(rest, n + 1, rest.len);
  }
}

/* Appends the value without the white space between its tokens. */
static void omni_put_compact(omni_buf_t *w, omni_json v) {
  for (u32 i = 0; i < v.len;) {
    if (v.at[i] == '"') {
      u32 end = omni_string_end(v, i + 1);
      omni_put(w, omni_slice(v, i, end));
      i = end;
      continue;
    }
    if (!omni_space(v.at[i])) omni_putc(w, v.at[i]);
    i++;
  }
}

/* Appends text as a JSON string. */
static inline void omni_put_json(omni_buf_t *w, omni_str s) {
  omni_putc(w, '"');
  for (u32 i = 0; i < s.len; i++) {
    u8 c = s.at[i];
    if (c == '"' || c == '\\') {
      omni_putc(w, '\\');
      omni_putc(w, c);
    } else if (c == '\n') omni_puts(w, "\\n");
    else if (c == '\r') omni_puts(w, "\\r");
    else if (c == '\t') omni_puts(w, "\\t");
    else if (c == '\b') omni_puts(w, "\\b");
    else if (c == '\f') omni_puts(w, "\\f");
    else if (c < 0x20) {
      omni_puts(w, "\\u00");
      omni_putc(w, "01"[c >> 4]);
      omni_putc(w, "0123456789abcdef"[c & 15]);
    } else omni_putc(w, c);
  }
  omni_putc(w, '"');
}

#endif

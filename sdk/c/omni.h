/* What authors of OmniRoute plugins in C write against: memory, text, records, and what the gateway lends to a call.
 *
 * A plugin is a WebAssembly module that maps inputs to outputs. It does no I/O, never waits and never sees a secret:
 * what it wants done it returns, and the gateway does it. There is no C library in it; omni_provider.h is the rest of
 * a provider. Only one file of a plugin may include these headers: they define the module's exports.
 *
 *   clang --target=wasm32 -O2 -nostdlib -mbulk-memory -fuse-ld=lld -Wl,--no-entry -o acme.wasm acme.c
 */
#ifndef OMNI_H
#define OMNI_H

#include "omni_tags.h"

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef long long i64;

#define OMNI_EXPORT(name) __attribute__((export_name(name), used))
#define OMNI_IMPORT(name) __attribute__((import_module("omni_v1"), import_name(name)))

/* clang writes calls of these even where no library is linked. */
void *memcpy(void *to, const void *from, unsigned long n);
void *memset(void *at, int c, unsigned long n);
void *memcpy(void *to, const void *from, unsigned long n) {
  for (unsigned long i = 0; i < n; i++) ((volatile u8 *)to)[i] = ((const u8 *)from)[i];
  return to;
}
void *memset(void *at, int c, unsigned long n) {
  for (unsigned long i = 0; i < n; i++) ((volatile u8 *)at)[i] = (u8)c;
  return at;
}
#define omni_copy(to, from, n) __builtin_memcpy((to), (from), (n))

/* ---- what the gateway lends to every call ---- */

OMNI_IMPORT("log") void omni_import_log(u32 level, const void *ptr, u32 len);
OMNI_IMPORT("log_on") u32 omni_log_on(u32 level);
OMNI_IMPORT("now_ms") i64 omni_now_ms(void); /* Unix milliseconds, the same throughout a call */
OMNI_IMPORT("random") void omni_random(void *ptr, u32 len);
OMNI_IMPORT("blob_len") int omni_blob_len(u32 id);                              /* < 0: there is none */
OMNI_IMPORT("blob_read") int omni_blob_read(u32 id, u32 off, void *ptr, u32 len); /* how much was read */

/* What the manifest has to ask for: kv, secrets. A result below zero is one of the codes; where bytes come back, they
 * stand in the buffer for results until the next import that returns some: omni_given. */
OMNI_IMPORT("kv_get") i64 omni_import_kv_get(const void *key, u32 len);
OMNI_IMPORT("kv_put") int omni_import_kv_put(const void *key, u32 len, const void *value, u32 value_len, i64 ttl_ms);
OMNI_IMPORT("kv_del") int omni_import_kv_del(const void *key, u32 len);
OMNI_IMPORT("secret_hmac") i64 omni_import_secret_hmac(u32 alg, const void *name, u32 len, const void *data, u32 data_len);
OMNI_IMPORT("secret_read") i64 omni_import_secret_read(const void *name, u32 len);

enum { OMNI_DENIED = -1, OMNI_NOT_FOUND = -2, OMNI_TOO_LARGE = -3 };
enum { OMNI_MD5 = 1, OMNI_SHA1, OMNI_SHA256, OMNI_SHA512 };
enum { OMNI_DEBUG, OMNI_INFO, OMNI_WARN, OMNI_ERROR };

/* ---- text: a run of bytes somewhere, not ended by a zero ---- */

typedef struct {
  const u8 *at;
  u32 len;
} omni_str;

static inline omni_str omni_text(const char *s) {
  omni_str t = {(const u8 *)s, 0};
  while (s && s[t.len]) t.len++;
  return t;
}

static inline omni_str omni_slice(omni_str s, u32 start, u32 end) {
  omni_str t = {s.at + start, end - start};
  return t;
}

static inline int omni_equal(omni_str a, omni_str b) {
  if (a.len != b.len) return 0;
  for (u32 i = 0; i < a.len; i++)
    if (a.at[i] != b.at[i]) return 0;
  return 1;
}

static inline int omni_is(omni_str a, const char *b) { return omni_equal(a, omni_text(b)); }

/* Compares header names: only ASCII letters have a case. */
static inline int omni_same_name(omni_str a, omni_str b) {
  if (a.len != b.len) return 0;
  for (u32 i = 0; i < a.len; i++) {
    u8 x = a.at[i], y = b.at[i];
    if (x >= 'A' && x <= 'Z') x += 32;
    if (y >= 'A' && y <= 'Z') y += 32;
    if (x != y) return 0;
  }
  return 1;
}

static inline void omni_log(u32 level, const char *line) {
  omni_str s = omni_text(line);
  omni_import_log(level, s.at, s.len);
}

/* Says why and dies; the gateway goes on with another instance. */
static inline void omni_die(const char *why) {
  omni_log(OMNI_ERROR, why);
  __builtin_trap();
}

/* ---- memory: what is kept grows at the end, what a call needs is taken back with the next call ---- */

extern u8 __heap_base;
static u8 *omni_heap_next;

static void *omni_keep(u32 n) {
  if (!omni_heap_next) omni_heap_next = &__heap_base;
  u8 *p = (u8 *)(((u32)omni_heap_next + 15) & ~15u);
  u32 end = (u32)p + n;
  u32 have = (u32)__builtin_wasm_memory_size(0) << 16;
  if (end < (u32)p) omni_die("out of memory");
  if (end > have && __builtin_wasm_memory_grow(0, (end - have + 0xffff) >> 16) == (unsigned long)-1) omni_die("out of memory");
  omni_heap_next = p + n;
  return p;
}

static omni_str omni_keep_str(omni_str s) {
  u8 *p = omni_keep(s.len);
  omni_copy(p, s.at, s.len);
  omni_str t = {p, s.len};
  return t;
}

/* The memory of a call is a list of chunks, each twice as large as the one before. */
enum { OMNI_CHUNKS = 16, OMNI_CHUNK = 1 << 14 };
static struct {
  u8 *at[OMNI_CHUNKS];
  u32 room[OMNI_CHUNKS];
  u32 chunk, used;
} omni_arena;

static void *omni_alloc(u32 n) {
  n = (n + 7) & ~7u;
  for (;; omni_arena.chunk++, omni_arena.used = 0) {
    u32 k = omni_arena.chunk;
    if (k == OMNI_CHUNKS) omni_die("a call needs too much memory");
    if (!omni_arena.at[k]) {
      u32 want = (u32)OMNI_CHUNK << k;
      omni_arena.room[k] = want < n ? n : want;
      omni_arena.at[k] = omni_keep(omni_arena.room[k]);
    }
    if (omni_arena.room[k] - omni_arena.used >= n) {
      void *p = omni_arena.at[k] + omni_arena.used;
      omni_arena.used += n;
      return p;
    }
  }
}

/* ---- a growing run of bytes ---- */

typedef struct {
  u8 *at;
  u32 len, room;
  int kept; /* grows in kept memory: it serves many calls */
} omni_buf_t;

static u8 *omni_room(omni_buf_t *b, u32 n) {
  if (b->len + n > b->room) {
    u32 room = (b->len + n) * 2 + 1024;
    u8 *p = b->kept ? omni_keep(room) : omni_alloc(room);
    omni_copy(p, b->at, b->len);
    b->at = p;
    b->room = room;
  }
  u8 *p = b->at + b->len;
  b->len += n;
  return p;
}

static void omni_put(omni_buf_t *b, omni_str s) {
  u8 *p = omni_room(b, s.len);
  omni_copy(p, s.at, s.len);
}

static inline void omni_puts(omni_buf_t *b, const char *s) { omni_put(b, omni_text(s)); }
static inline void omni_putc(omni_buf_t *b, u8 c) { *omni_room(b, 1) = c; }

static inline omni_str omni_view(const omni_buf_t *b) {
  omni_str s = {b->at, b->len};
  return s;
}

static omni_str omni_concat(omni_str a, omni_str b, omni_str c) {
  omni_buf_t t = {0};
  omni_put(&t, a);
  omni_put(&t, b);
  omni_put(&t, c);
  return omni_view(&t);
}

/* ---- records: u16 tag | u16 flags | u32 length | bytes ---- */

static void omni_head(omni_buf_t *w, u32 tag, u32 len) {
  u8 *p = omni_room(w, 8);
  p[0] = tag, p[1] = tag >> 8, p[2] = omni_critical(tag), p[3] = 0;
  p[4] = len, p[5] = len >> 8, p[6] = len >> 16, p[7] = len >> 24;
}

static void omni_field(omni_buf_t *w, u32 tag, omni_str s) {
  omni_head(w, tag, s.len);
  omni_put(w, s);
}

/* Leaves an empty text out. */
static inline void omni_field_text(omni_buf_t *w, u32 tag, omni_str s) {
  if (s.len) omni_field(w, tag, s);
}

static inline void omni_field_u8(omni_buf_t *w, u32 tag, u8 v) {
  omni_str s = {&v, 1};
  omni_field(w, tag, s);
}

static inline void omni_field_flag(omni_buf_t *w, u32 tag, int v) {
  if (v) omni_field_u8(w, tag, 1);
}

/* WebAssembly is little endian, as records are. */
static inline void omni_field_u32(omni_buf_t *w, u32 tag, u32 v) {
  omni_str s = {(const u8 *)&v, 4};
  omni_field(w, tag, s);
}

static inline void omni_field_i64(omni_buf_t *w, u32 tag, i64 v) {
  omni_str s = {(const u8 *)&v, 8};
  omni_field(w, tag, s);
}

/* Starts a field whose length is not known yet; close it with the mark. */
static inline u32 omni_open(omni_buf_t *w, u32 tag) {
  omni_head(w, tag, 0);
  return w->len;
}

static inline void omni_close(omni_buf_t *w, u32 mark) {
  u32 n = w->len - mark;
  omni_copy(w->at + mark - 4, &n, 4);
}

static void omni_field_pair(omni_buf_t *w, u32 tag, omni_str name, omni_str value) {
  u32 mark = omni_open(w, tag);
  omni_field(w, OMNI_TAG_NAME, name);
  omni_field(w, OMNI_TAG_VALUE, value);
  omni_close(w, mark);
}

typedef struct {
  omni_str rest;
  u32 tag;
  omni_str value;
  int critical;
  const char *fault; /* what is wrong with the record, 0 if nothing is */
} omni_reader;

static inline omni_reader omni_read(omni_str record) {
  omni_reader r = {.rest = record};
  return r;
}

/* Goes to the next field; 0 at the end or at a fault. */
static int omni_next(omni_reader *r) {
  if (r->fault || !r->rest.len) return 0;
  const u8 *p = r->rest.at;
  u32 n = 0;
  if (r->rest.len >= 8) omni_copy(&n, p + 4, 4);
  if (r->rest.len < 8 || n > r->rest.len - 8) {
    r->fault = "abi: record is truncated";
    return 0;
  }
  r->tag = p[0] | (u32)p[1] << 8;
  r->critical = p[2] & 1;
  r->value = omni_slice(r->rest, 8, 8 + n);
  r->rest = omni_slice(r->rest, 8 + n, r->rest.len);
  return 1;
}

/* Says that a field is not known; a critical one ends the record. */
static inline void omni_unknown(omni_reader *r) {
  if (r->critical) r->fault = "abi: record has a critical field this side does not know";
}

/* An integer of 1, 4 or 8 bytes; any other size is 0. */
static i64 omni_int(omni_str v) {
  i64 n = 0;
  int s = 0;
  if (v.len == 1) return v.at[0];
  if (v.len == 4) {
    omni_copy(&s, v.at, 4);
    return s;
  }
  if (v.len == 8) omni_copy(&n, v.at, 8);
  return n;
}

typedef struct {
  omni_str name, value;
} omni_pair;

static omni_pair omni_read_pair(omni_reader *r) {
  omni_pair p = {0};
  omni_reader in = omni_read(r->value);
  while (omni_next(&in)) {
    if (in.tag == OMNI_TAG_NAME) p.name = in.value;
    else if (in.tag == OMNI_TAG_VALUE) p.value = in.value;
    else omni_unknown(&in);
  }
  if (in.fault) r->fault = in.fault;
  return p;
}

enum { OMNI_FRAME_DATA, OMNI_FRAME_COMMENT, OMNI_FRAME_RAW };

/* One event of a stream. */
typedef struct {
  u8 kind;
  u32 delay_ms;
  omni_str name, payload;
  int json; /* the gateway found the payload to be one valid JSON document */
} omni_frame;

static omni_frame omni_read_frame(omni_reader *r) {
  omni_frame f = {0};
  omni_reader in = omni_read(r->value);
  while (omni_next(&in)) {
    switch (in.tag) {
    case OMNI_TAG_FRAME_KIND: f.kind = omni_int(in.value); break;
    case OMNI_TAG_FRAME_DELAY_MS: f.delay_ms = omni_int(in.value); break;
    case OMNI_TAG_FRAME_NAME: f.name = in.value; break;
    case OMNI_TAG_FRAME_PAYLOAD: f.payload = in.value; break;
    case OMNI_TAG_FRAME_JSON: f.json = omni_int(in.value) != 0; break;
    default: omni_unknown(&in);
    }
  }
  if (in.fault) r->fault = in.fault;
  return f;
}

static void omni_field_frame(omni_buf_t *w, const omni_frame *f) {
  u32 mark = omni_open(w, OMNI_TAG_FRAME);
  if (f->kind != OMNI_FRAME_DATA) omni_field_u8(w, OMNI_TAG_FRAME_KIND, f->kind);
  if (f->delay_ms) omni_field_u32(w, OMNI_TAG_FRAME_DELAY_MS, f->delay_ms);
  omni_field_text(w, OMNI_TAG_FRAME_NAME, f->name);
  omni_field_flag(w, OMNI_TAG_FRAME_JSON, f->json);
  omni_field(w, OMNI_TAG_FRAME_PAYLOAD, f->payload);
  omni_close(w, mark);
}

/* ---- the border: buffers that the gateway writes to, and where a call's output stands ---- */

static omni_buf_t omni_slots[2];
static omni_buf_t omni_out = {.kept = 1};

/* Runs one operation and writes to omni_out; what it returns is 1 for an error record. omni_provider.h defines it. */
static int omni_run(u32 op, u32 handle, omni_str in);

OMNI_EXPORT("omni_abi") u32 omni_abi(void) { return OMNI_ABI_VERSION; }

OMNI_EXPORT("omni_buf") u8 *omni_buf(u32 slot, u32 size) {
  if (slot > 1) return 0;
  omni_buf_t *b = &omni_slots[slot];
  if (!b->room || b->room < size) {
    b->room = (size < 4096 ? 4096 : size) + size / 4;
    b->at = omni_keep(b->room);
  }
  return b->at;
}

OMNI_EXPORT("omni_call") u64 omni_call(u32 op, u32 handle, u32 len) {
  omni_arena.chunk = omni_arena.used = 0;
  omni_out.len = 0;
  omni_str in = {omni_slots[0].at, len};
  int failed = omni_run(op, handle, in);
  return (u64)(u32)omni_out.at << 32 | omni_out.len | (failed ? 0x80000000u : 0);
}

#endif

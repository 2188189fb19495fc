/* A plugin in C: fill in what omni_plugin asks for, and call OMNI_PLUGIN with it once.
 *
 *   static void plan(const omni_request *r, omni_plan *p) {
 *     omni_plan_drop(p, "logit_bias");
 *     omni_plan_header(p, "X-Acme-Region", omni_config(r, "region"));
 *   }
 *
 *   OMNI_PLUGIN(.manifest = OMNI_JSON({"schema": 1, …}), .plan = plan)
 */
#ifndef OMNI_PROVIDER_H
#define OMNI_PROVIDER_H

#include "omni_json.h"

/* JSON in a C source, without quotes around everything. */
#define OMNI_JSON(...) #__VA_ARGS__

/* ---- failures ---- */

/* A failure. Its class and scope decide what the gateway does about it; where they are empty it fills them in from
 * status and text. */
typedef struct {
  omni_str message;
  omni_str kind;  /* client auth quota rate overloaded not_found content_filter timeout transport upstream plugin */
  omni_str scope; /* request credential model provider plugin */
  u32 status;     /* HTTP status, 0 for none */
  omni_str code, type, param;
  int retryable;
  int no_code;  /* the code is known to be null */
  int upstream; /* the provider said it, not the gateway */
  int fallback; /* another target could serve the request */
  i64 retry_after_ms, cooldown_ms;
  i64 reset_at; /* Unix milliseconds */
} omni_fault;

static void omni_put_fault(omni_buf_t *w, const omni_fault *f) {
  omni_field(w, OMNI_TAG_ERR_MESSAGE, f->message);
  omni_field_text(w, OMNI_TAG_ERR_CLASS, f->kind);
  omni_field_text(w, OMNI_TAG_ERR_SCOPE, f->scope);
  if (f->status) omni_field_u32(w, OMNI_TAG_ERR_STATUS, f->status);
  omni_field_text(w, OMNI_TAG_ERR_CODE, f->code);
  omni_field_text(w, OMNI_TAG_ERR_TYPE, f->type);
  omni_field_text(w, OMNI_TAG_ERR_PARAM, f->param);
  omni_field_flag(w, OMNI_TAG_ERR_RETRYABLE, f->retryable);
  omni_field_flag(w, OMNI_TAG_ERR_NO_CODE, f->no_code);
  omni_field_flag(w, OMNI_TAG_ERR_UPSTREAM, f->upstream);
  omni_field_flag(w, OMNI_TAG_ERR_FALLBACK, f->fallback);
  if (f->retry_after_ms) omni_field_i64(w, OMNI_TAG_ERR_RETRY_AFTER_MS, f->retry_after_ms);
  if (f->cooldown_ms) omni_field_i64(w, OMNI_TAG_ERR_COOLDOWN_MS, f->cooldown_ms);
  if (f->reset_at) omni_field_i64(w, OMNI_TAG_ERR_RESET_AT, f->reset_at);
}

/* What ends the call under way; set it with omni_fail. */
static omni_fault omni_failure;
static int omni_failed;

/* Fails the call. The first failure counts. */
static void omni_fail_with(omni_fault f) {
  if (omni_failed) return;
  omni_failure = f;
  omni_failed = 1;
}

/* Fails the call for a fault of the plugin. */
static void omni_fail(omni_str message) {
  omni_fault f = {.message = message, .kind = omni_text("plugin"), .scope = omni_text("plugin"), .status = 502};
  omni_fail_with(f);
}

/* ---- what the gateway lends to plugins that ask for it; a refusal fails the call ---- */

static void omni_lent(i64 code, const char *what, omni_str name) {
  int missing = code == OMNI_NOT_FOUND, large = code == OMNI_TOO_LARGE;
  if (code >= 0) return;
  const char *why = missing ? " is not there" : large ? " is larger than it may be" : " was not granted";
  omni_fault f = {.message = omni_concat(omni_text(what), name, omni_text(why)), .kind = omni_text("plugin"), .status = 502,
                  .scope = omni_text(missing || large ? "request" : "plugin"),
                  .code = omni_text(missing ? "not_found" : large ? "too_large" : "denied")};
  omni_fail_with(f);
}

/* Copies what the gateway wrote to the buffer for its results. */
static omni_str omni_given(i64 packed) {
  omni_buf_t b = {0};
  omni_str from = {(const u8 *)(u32)(packed >> 32), (u32)packed};
  if (packed < 0) return omni_view(&b);
  omni_put(&b, from);
  return omni_view(&b);
}

/* Reads a value from the plugin's own store; 0 where there is none. The manifest has to ask for the capability kv. */
static int omni_kv_get(const char *key, omni_str *value) {
  i64 packed = omni_import_kv_get(key, omni_text(key).len);
  if (packed != OMNI_NOT_FOUND) omni_lent(packed, "kv", omni_text(""));
  *value = omni_given(packed);
  return packed >= 0;
}

/* Stores a value of at most 64 KiB; ttl_ms is its life in milliseconds, 0 = for ever. All have at most 1 MiB. */
static inline void omni_kv_put(const char *key, omni_str value, i64 ttl_ms) {
  omni_lent(omni_import_kv_put(key, omni_text(key).len, value.at, value.len, ttl_ms), "kv value ", omni_text(key));
}

/* Removes a value, also one that is not there. */
static inline void omni_kv_delete(const char *key) {
  int code = omni_import_kv_del(key, omni_text(key).len);
  if (code != OMNI_NOT_FOUND) omni_lent(code, "kv", omni_text(""));
}

/* Computes a keyed digest with a secret of the account, which the plugin does not see; the manifest asks for it. */
static inline omni_str omni_hmac(u32 algorithm, const char *secret, omni_str data) {
  i64 packed = omni_import_secret_hmac(algorithm, secret, omni_text(secret).len, data.at, data.len);
  omni_lent(packed, "secret ", omni_text(secret));
  return omni_given(packed);
}

/* Reads a secret of the account. Operators grant this to few plugins; think of {{secret:name}} and omni_hmac first. */
static inline omni_str omni_secret(const char *name) {
  i64 packed = omni_import_secret_read(name, omni_text(name).len);
  omni_lent(packed, "secret ", omni_text(name));
  return omni_given(packed);
}

/* ---- a call of a provider ---- */

enum { OMNI_MOST = 64 }; /* headers, URLs, edits, settings of one call */

typedef struct {
  omni_pair at[OMNI_MOST];
  u32 len;
} omni_pairs;

static omni_str omni_find(const omni_pairs *list, const char *name) {
  omni_str none = {0};
  for (u32 k = 0; k < list->len; k++)
    if (omni_same_name(list->at[k].name, omni_text(name))) return list->at[k].value;
  return none;
}

static void omni_add(omni_pairs *list, omni_str name, omni_str value) {
  if (list->len == OMNI_MOST) {
    omni_fail(omni_text("too many headers"));
    return;
  }
  list->at[list->len].name = name;
  list->at[list->len++].value = value;
}

/* What a request gave that a plan asked for. */
typedef struct {
  u32 status;
  omni_pairs headers;
  omni_str body;
  int failed; /* there is no answer; why is its message */
  omni_str message;
} omni_reply;

enum { OMNI_ASKS = 4 }; /* requests of one round */

typedef struct {
  omni_str part, provider;
  omni_str endpoint; /* chat, responses, embeddings, models and so on */
  omni_str model;    /* upstream model id */
  int stream;        /* the client asked for a stream */
  omni_str auth_kind;
  u32 attempt;        /* 0 first */
  omni_pairs headers; /* of the client, or of the answer */
  omni_str body;      /* if the manifest asks for it */
  omni_str nonce, attributes, config;
  u32 status, resume;
  omni_str continuation;          /* what the plan kept, if the call goes on after HTTP was done for it */
  omni_reply *replies[OMNI_ASKS]; /* what its requests gave, in their order */
  u32 reply_count;
} omni_request;

static omni_pairs omni_settings; /* of the plugin */

/* A setting of the plugin, or its default. */
static inline omni_str omni_config(const omni_request *r, const char *name) {
  (void)r;
  return omni_find(&omni_settings, name);
}

/* A non-secret attribute of the chosen account. */
static inline omni_str omni_attribute(const omni_request *r, const char *name) {
  return omni_json_text(omni_get(omni_parse(r->attributes), name));
}

static inline omni_str omni_header(const omni_request *r, const char *name) { return omni_find(&r->headers, name); }

/* ---- the request to send ---- */

typedef struct {
  u8 op;
  omni_str path, value;
} omni_edit;

/* An answer without any upstream, in the provider's dialect. */
typedef struct {
  u32 status; /* 0 is 200 */
  omni_pairs headers;
  omni_str body;                /* of a plain answer */
  omni_frame events[OMNI_MOST]; /* of a streamed one */
  u32 event_count;
} omni_local;

/* It comes filled in for the manifest's dialect; secrets stand in URLs and headers as {{secret:name}}. Edits of the
 * body are made by the gateway, so that long texts never enter the guest. */
typedef struct omni_plan {
  omni_str method; /* nothing is POST */
  omni_str urls[OMNI_MOST];
  u32 url_count;
  omni_pairs headers;
  omni_str body; /* in place of the translated one */
  omni_str auth, framing, dialect;
  u32 connect_ms, first_byte_ms, idle_ms, total_ms;
  int idempotent, force_stream;
  omni_edit edits[OMNI_MOST];
  u32 edit_count;
  omni_local *local; /* in place of any request: omni_answer_local */
  struct omni_plan *asks[OMNI_ASKS];
  u32 ask_count;
  omni_str keep; /* comes back as the request's continuation after what was asked for; at most 64 KiB */
} omni_plan;

/* Makes the plan a local answer, to be filled in. */
static inline omni_local *omni_answer_local(omni_plan *p) {
  static const omni_local blank;
  p->local = omni_alloc(sizeof *p->local);
  *p->local = blank;
  return p->local;
}

/* Adds an event to a streamed local answer, after a pause in milliseconds. */
static inline void omni_local_event(omni_local *l, u32 delay_ms, const char *name, omni_str payload) {
  omni_frame f = {.delay_ms = delay_ms, .name = omni_text(name), .payload = payload};
  if (l->event_count < OMNI_MOST) l->events[l->event_count++] = f;
  else omni_fail(omni_text("too many events"));
}

/* Has the gateway make another request, to be filled in, before this one is planned: the hook is called again, and
 * finds what came of it in the replies of its request. At most four in a round, and four rounds. */
static inline omni_plan *omni_ask(omni_plan *p) {
  static const omni_plan blank;
  omni_plan *ask = omni_alloc(sizeof *ask);
  *ask = blank;
  if (p->ask_count < OMNI_ASKS) p->asks[p->ask_count++] = ask;
  else omni_fail(omni_text("too many requests"));
  return ask;
}

/* Sets a header, replacing one of the same name. */
static void omni_plan_set_header(omni_plan *p, omni_str name, omni_str value) {
  for (u32 k = 0; k < p->headers.len; k++) {
    if (omni_same_name(p->headers.at[k].name, name)) {
      p->headers.at[k].value = value;
      return;
    }
  }
  omni_add(&p->headers, name, value);
}

static inline void omni_plan_header(omni_plan *p, const char *name, omni_str value) {
  omni_plan_set_header(p, omni_text(name), value);
}

static void omni_plan_edit(omni_plan *p, u8 op, omni_str path, omni_str value) {
  for (u32 k = 0; k < p->edit_count; k++) {
    omni_edit *e = &p->edits[k];
    if (e->op == op && omni_equal(e->path, path) && omni_equal(e->value, value)) return;
  }
  if (p->edit_count == OMNI_MOST) {
    omni_fail(omni_text("too many edits"));
    return;
  }
  omni_edit e = {op, path, value};
  p->edits[p->edit_count++] = e;
}

/* Writes a JSON value at a dotted path; where the member is absent; removes a member; moves a top-level member, an
 * existing one of the new name wins; removes a member that is an empty array or object. */
static inline void omni_plan_set(omni_plan *p, const char *path, omni_str json) { omni_plan_edit(p, 0, omni_text(path), json); }
static inline void omni_plan_set_if_absent(omni_plan *p, const char *path, omni_str json) { omni_plan_edit(p, 1, omni_text(path), json); }
static inline void omni_plan_drop(omni_plan *p, const char *path) { omni_plan_edit(p, 2, omni_text(path), omni_text("")); }
static inline void omni_plan_rename(omni_plan *p, const char *from, const char *to) { omni_plan_edit(p, 3, omni_text(from), omni_text(to)); }
static inline void omni_plan_drop_empty(omni_plan *p, const char *path) { omni_plan_edit(p, 4, omni_text(path), omni_text("")); }

static void omni_put_plan(omni_buf_t *w, const omni_plan *p) {
  u32 whole = omni_open(w, OMNI_TAG_PLAN);
  omni_field_text(w, OMNI_TAG_PLAN_METHOD, p->method);
  for (u32 k = 0; k < p->url_count; k++) omni_field(w, OMNI_TAG_PLAN_URL, p->urls[k]);
  for (u32 k = 0; k < p->headers.len; k++)
    omni_field_pair(w, OMNI_TAG_PLAN_HEADER, p->headers.at[k].name, p->headers.at[k].value);
  if (p->body.at) omni_field(w, OMNI_TAG_PLAN_BODY, p->body);
  for (u32 k = 0; k < p->edit_count; k++) {
    const omni_edit *e = &p->edits[k];
    u32 mark = omni_open(w, OMNI_TAG_PLAN_EDIT);
    omni_field_u8(w, OMNI_TAG_EDIT_OP, e->op);
    for (u32 i = 0, start = 0; i <= e->path.len; i++) {
      if (i < e->path.len && e->path.at[i] != '.') continue;
      omni_field(w, OMNI_TAG_EDIT_PATH, omni_slice(e->path, start, i));
      start = i + 1;
    }
    omni_field_text(w, OMNI_TAG_VALUE, e->value);
    omni_close(w, mark);
  }
  omni_field_text(w, OMNI_TAG_PLAN_AUTH, p->auth);
  omni_field_text(w, OMNI_TAG_PLAN_FRAMING, p->framing);
  omni_field_text(w, OMNI_TAG_PLAN_DIALECT, p->dialect);
  if (p->connect_ms) omni_field_u32(w, OMNI_TAG_PLAN_CONNECT_MS, p->connect_ms);
  if (p->first_byte_ms) omni_field_u32(w, OMNI_TAG_PLAN_FIRST_BYTE_MS, p->first_byte_ms);
  if (p->idle_ms) omni_field_u32(w, OMNI_TAG_PLAN_IDLE_MS, p->idle_ms);
  if (p->total_ms) omni_field_u32(w, OMNI_TAG_PLAN_TOTAL_MS, p->total_ms);
  omni_field_flag(w, OMNI_TAG_PLAN_IDEMPOTENT, p->idempotent);
  omni_field_flag(w, OMNI_TAG_PLAN_FORCED, p->force_stream);
  omni_close(w, whole);
}

static void omni_put_local(omni_buf_t *w, const omni_local *l) {
  u32 mark = omni_open(w, OMNI_TAG_LOCAL);
  if (l->status) omni_field_u32(w, OMNI_TAG_LOCAL_STATUS, l->status);
  for (u32 k = 0; k < l->headers.len; k++)
    omni_field_pair(w, OMNI_TAG_LOCAL_HEADER, l->headers.at[k].name, l->headers.at[k].value);
  if (l->body.at) omni_field(w, OMNI_TAG_LOCAL_BODY, l->body);
  for (u32 k = 0; k < l->event_count; k++) omni_field_frame(w, &l->events[k]);
  omni_close(w, mark);
}

/* Writes what a hook decided on: requests to make first, a local answer or the request. */
static void omni_put_decision(omni_buf_t *w, const omni_plan *p) {
  if (p->ask_count) {
    u32 mark = omni_open(w, OMNI_TAG_NEED);
    for (u32 k = 0; k < p->ask_count; k++) omni_put_plan(w, p->asks[k]);
    omni_field(w, OMNI_TAG_CONTINUATION, p->keep);
    omni_close(w, mark);
  } else if (p->local) omni_put_local(w, p->local);
  else omni_put_plan(w, p);
}

/* ---- the judgement of an answer ---- */

typedef struct {
  u8 kind;
  int failed;
  omni_fault fault;
  i64 after_ms;
} omni_verdict;

/* Follows a dotted path in the body of an answer. */
static inline omni_json omni_answer(const omni_request *r, const char *path) { return omni_get(omni_parse(r->body), path); }

static inline omni_verdict omni_good(const omni_request *r) {
  omni_verdict v = {.kind = r->stream ? 1 : 2};
  return v;
}

static inline omni_verdict omni_judge(u8 kind, omni_fault f) {
  omni_verdict v = {.kind = kind, .failed = 1, .fault = f};
  return v;
}

/* Ends the attempt and keeps the scope (request, credential, model or provider) from being used for a while. */
static inline omni_verdict omni_cooldown(const char *scope, i64 ms) {
  omni_fault f = {.message = omni_text("cooling down"), .kind = omni_text("rate"), .scope = omni_text(scope), .status = 429,
                  .retryable = 1, .cooldown_ms = ms, .retry_after_ms = ms};
  return omni_judge(5, f);
}

static int omni_is_digits(omni_str s) {
  for (u32 i = 0; i < s.len; i++)
    if (s.at[i] < '0' || s.at[i] > '9') return 0;
  return s.len > 0;
}

static void omni_read_fault(omni_fault *f, omni_json root) {
  static const char *const names[] = {"message", "detail", "error_description", "errorMessage"};
  omni_json obj = omni_get(root, "error");
  if (!obj.len) obj = root;
  else if (omni_is_string(obj)) {
    f->message = omni_json_text(obj);
    f->code = omni_json_text(omni_get(root, "code"));
    return;
  }
  for (u32 k = 0; k < 4; k++) {
    f->message = omni_json_text(omni_get(obj, names[k]));
    if (f->message.len) break;
  }
  f->type = omni_json_text(omni_get(obj, "type"));
  f->code = omni_json_text(omni_get(obj, "code"));
  omni_json status = omni_get(obj, "status");
  if (!f->code.len || (omni_exists(status) && omni_is_digits(f->code))) {
    omni_str s = omni_json_text(status);
    if (s.len && !omni_is_digits(s)) f->code = s;
  }
  f->param = omni_json_text(omni_get(obj, "param"));
}

/* A short error text; HTML pages say nothing useful. */
static omni_str omni_plain_text(omni_str b) {
  enum { LIMIT = 512 };
  omni_str none = {0};
  u32 i = omni_skip_space(b, 0), end = b.len;
  if (i == b.len || b.at[i] == '<' || b.at[i] == '{' || b.at[i] == '[') return none;
  if (end - i > LIMIT) {
    end = i + LIMIT;
    while (end > i && (b.at[end - 1] & 0xc0) == 0x80) end--;
    if (end > i && b.at[end - 1] >= 0xc0) end--;
  }
  return omni_slice(b, i, end);
}

/* Reads a non-negative number with an optional fraction, times scale; -1 if it is none. */
static i64 omni_decimal(omni_str s, i64 scale) {
  i64 whole = 0, frac = 0, div = 1;
  u32 i = 0;
  if (!s.len || s.len > 12) return -1;
  for (; i < s.len && s.at[i] >= '0' && s.at[i] <= '9'; i++) whole = whole * 10 + (s.at[i] - '0');
  if (!i) return -1;
  if (i < s.len && s.at[i] == '.') {
    for (i++; i < s.len && s.at[i] >= '0' && s.at[i] <= '9'; i++) {
      if (div >= 1000000) continue;
      frac = frac * 10 + (s.at[i] - '0');
      div *= 10;
    }
  }
  return i == s.len ? whole * scale + frac * scale / div : -1;
}

/* Sets class and scope where the provider's own words say more than the status does. */
static void omni_classify(omni_fault *f) {
  static const struct {
    const char *word, *kind, *scope;
    int retryable;
  } known[] = {
      {"insufficient_quota", "quota", "credential", 0},   {"billing_error", "quota", "credential", 0},
      {"billing_hard_limit_reached", "quota", "credential", 0},
      {"rate_limit_error", "rate", "credential", 1},      {"rate_limit_exceeded", "rate", "credential", 1},
      {"RESOURCE_EXHAUSTED", "rate", "credential", 1},    {"overloaded_error", "overloaded", "model", 1},
      {"UNAVAILABLE", "overloaded", "model", 1},          {"engine_overloaded", "overloaded", "model", 1},
      {"invalid_api_key", "auth", "credential", 0},       {"authentication_error", "auth", "credential", 0},
      {"API_KEY_INVALID", "auth", "credential", 0},       {"UNAUTHENTICATED", "auth", "credential", 0},
      {"token_expired", "auth", "credential", 0},         {"model_not_found", "not_found", "model", 0},
      {"content_filter", "content_filter", "request", 0}, {"content_policy_violation", "content_filter", "request", 0},
  };
  omni_str said[] = {f->type, f->code};
  for (u32 s = 0; s < 2; s++) {
    for (u32 k = 0; k < sizeof known / sizeof *known; k++) {
      if (!omni_is(said[s], known[k].word)) continue;
      f->kind = omni_text(known[k].kind);
      f->scope = omni_text(known[k].scope);
      if (known[k].retryable) f->retryable = 1;
      return;
    }
  }
}

/* Reads an error body: {"error":{…}}, {"error":"text"}, {"type":"error","error":{…}}, {"message":…},
 * [{"error":{…}}] and plain text. */
static omni_fault omni_fault_of(const omni_request *r) {
  omni_fault f = {.status = r->status, .upstream = 1};
  omni_json root = omni_parse(r->body);
  if (omni_first(root) == '[') {
    for (omni_items it = omni_elements(root); omni_step(&it);)
      if (!f.message.len) omni_read_fault(&f, it.value);
  } else omni_read_fault(&f, root);
  if (!f.message.len) f.message = omni_plain_text(r->body);
  i64 wait = omni_decimal(omni_header(r, "retry-after-ms"), 1);
  if (wait < 0) wait = omni_decimal(omni_header(r, "retry-after"), 1000);
  if (wait >= 0) f.retry_after_ms = wait;
  omni_classify(&f);
  return f;
}

/* Judges by HTTP status and by the error body in any known shape. */
static omni_verdict omni_standard(const omni_request *r) {
  return r->status < 400 ? omni_good(r) : omni_judge(6, omni_fault_of(r));
}

/* ---- streams and translations ---- */

/* Sends a frame on as it is. */
static inline void omni_pass(const omni_frame *f) { omni_field_frame(&omni_out, f); }

/* Sends an event. */
static inline void omni_emit(const char *name, omni_str payload) {
  omni_frame f = {.name = omni_text(name), .payload = payload};
  omni_field_frame(&omni_out, &f);
}

static inline void omni_delta(const char *name, omni_json text) {
  omni_buf_t b = {0};
  omni_puts(&b, "{\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,\"delta\":{\"");
  omni_puts(&b, name);
  omni_puts(&b, "\":");
  omni_put(&b, text.len ? text : omni_text("\"\""));
  omni_puts(&b, "},\"finish_reason\":null}]}");
  omni_emit("", omni_view(&b));
}

/* Send an OpenAI chunk with a piece of reasoning or text; text is a JSON string. */
static inline void omni_reasoning_delta(omni_json text) { omni_delta("reasoning_content", text); }
static inline void omni_text_delta(omni_json text) { omni_delta("content", text); }

/* Token counts of a call. Prompt includes cached tokens, completion reasoning. The last report wins. */
typedef struct {
  i64 prompt, completion, cached_read, cache_write, reasoning, total;
  int estimated;
} omni_usage;

static inline void omni_report_usage(const omni_usage *u) {
  omni_buf_t *w = &omni_out;
  u32 mark = omni_open(w, OMNI_TAG_USAGE);
  omni_field_i64(w, OMNI_TAG_USAGE_PROMPT, u->prompt);
  omni_field_i64(w, OMNI_TAG_USAGE_COMPLETION, u->completion);
  omni_field_i64(w, OMNI_TAG_USAGE_CACHED_READ, u->cached_read);
  omni_field_i64(w, OMNI_TAG_USAGE_CACHE_WRITE, u->cache_write);
  omni_field_i64(w, OMNI_TAG_USAGE_REASONING, u->reasoning);
  omni_field_i64(w, OMNI_TAG_USAGE_TOTAL, u->total);
  omni_field_flag(w, OMNI_TAG_USAGE_ESTIMATED, u->estimated);
  omni_close(w, mark);
}

/* Reports why the answer ended. */
static inline void omni_report_finish(const char *reason) { omni_field(&omni_out, OMNI_TAG_FINISH, omni_text(reason)); }

enum { OMNI_END_EOF, OMNI_END_UPSTREAM_ERROR, OMNI_END_CLIENT_GONE, OMNI_END_IDLE, OMNI_END_DRAINED };

/* A document to translate, or the stream it belongs to. body is valid during the call. */
typedef struct {
  omni_str from, to, model;
  int stream, collect;
  u32 status;
  omni_str nonce, body;
} omni_document;

/* An open stream. state is the plugin's own, zero at first. */
enum { OMNI_STATE = 256 };
typedef struct {
  u32 handle;
  int open, translation;
  omni_document doc;
  _Alignas(16) u8 state[OMNI_STATE];
} omni_stream;

/* ---- what an author fills in; only the manifest is needed ---- */

typedef struct {
  const char *manifest; /* JSON */
  const char *auth;     /* how the gateway authenticates requests; bearer:api_key if not set */
  void (*plan)(const omni_request *, omni_plan *);
  omni_verdict (*result)(const omni_request *);
  void (*frame)(omni_stream *, const omni_frame *); /* only if the manifest says "stream":"frames" */
  void (*end)(omni_stream *, int reason);
  void (*request)(const omni_document *, omni_buf_t *body);  /* translates a request */
  void (*response)(const omni_document *, omni_buf_t *body); /* translates an answer */
  void (*event)(omni_stream *, const omni_frame *);          /* translates an event of a stream */
  void (*finish)(omni_stream *, omni_buf_t *body);           /* ends it; the body counts if doc.collect is set */
} omni_plugin;

static const omni_plugin omni_this;

#define OMNI_PLUGIN(...) static const omni_plugin omni_this = {__VA_ARGS__};

#include "omni_dispatch.h"

#endif

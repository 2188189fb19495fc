/* From an operation to the function of the plugin that serves it. */
#ifndef OMNI_DISPATCH_H
#define OMNI_DISPATCH_H

static inline omni_json omni_manifest(void) { return omni_parse(omni_text(omni_this.manifest)); }

static void omni_fail_two(const char *a, omni_str b) { omni_fail(omni_concat(omni_text(a), b, omni_text(""))); }

static omni_str omni_op(u32 op) {
  const char *name = omni_op_name(op);
  if (name) return omni_text(name);
  omni_buf_t b = {0};
  int shift = 28;
  omni_puts(&b, "op 0x");
  while (shift > 4 && !(op >> shift & 15)) shift -= 4;
  for (; shift >= 0; shift -= 4) omni_putc(&b, "0123456789abcdef"[op >> shift & 15]);
  return omni_view(&b);
}

static void omni_unsupported(u32 op) {
  omni_fault f = {.message = omni_concat(omni_op(op), omni_text(" is not supported by this plugin"), omni_text("")),
                  .kind = omni_text("plugin"), .scope = omni_text("plugin"), .status = 501};
  omni_fail_with(f);
}

/* The manifest's entry of an executor; with no name the only one. */
static omni_json omni_executor(omni_str part) {
  omni_json found = {0}, none = {0};
  u32 count = 0;
  for (omni_items it = omni_elements(omni_get(omni_manifest(), "provides")); omni_step(&it);) {
    if (!omni_json_eq(omni_get(it.value, "kind"), "executor")) continue;
    if (part.len && omni_json_is(omni_get(it.value, "id"), part)) return it.value;
    found = it.value;
    count++;
  }
  if (!part.len && count == 1) return found;
  omni_fail_two("no executor ", part);
  return none;
}

/* ---- settings ---- */

static omni_str omni_setting(omni_json v) { return omni_is_string(v) || omni_is_number(v) ? omni_json_text(v) : v; }

static void omni_set_setting(omni_pairs *list, omni_str name, omni_str value) {
  for (u32 k = 0; k < list->len; k++) {
    if (omni_equal(list->at[k].name, name)) {
      list->at[k].value = value;
      return;
    }
  }
  omni_add(list, name, value);
}

static void omni_default_settings(omni_pairs *out) {
  static omni_pairs list;
  static int known;
  if (known) {
    *out = list;
    return;
  }
  known = 1;
  for (omni_items it = omni_members(omni_get(omni_manifest(), "config_schema.properties")); omni_step(&it);) {
    omni_json v = omni_get(it.value, "default");
    if (omni_exists(v)) omni_set_setting(&list, omni_keep_str(omni_json_text(it.key)), omni_keep_str(omni_setting(v)));
  }
  *out = list;
}

static const char *omni_check_setting(omni_json schema, omni_json v) {
  omni_json kind = omni_get(schema, "type"), values = omni_get(schema, "enum");
  if (omni_json_eq(kind, "string") && !omni_is_string(v)) return "must be text";
  if (omni_json_eq(kind, "number") && !omni_is_number(v)) return "must be a number";
  if (omni_json_eq(kind, "boolean") && !omni_is(v, "true") && !omni_is(v, "false")) return "must be true or false";
  if (!omni_exists(values)) return 0;
  for (omni_items it = omni_elements(values); omni_step(&it);)
    if (omni_json_is(v, omni_json_text(it.value))) return 0;
  return "is not one of the allowed values";
}

static void omni_refuse_setting(omni_str name, omni_str message) {
  omni_fault f = {.message = message, .kind = omni_text("client"), .scope = omni_text("plugin"), .status = 400, .param = name};
  omni_fail_with(f);
}

/* Checks the operator's settings against the manifest's schema and takes them. */
static void omni_configure_self(omni_json config) {
  static omni_pairs fresh;
  omni_json schemas = omni_get(omni_manifest(), "config_schema.properties");
  omni_default_settings(&fresh);
  for (omni_items given = omni_members(config); omni_step(&given);) {
    omni_str name = omni_json_text(given.key);
    omni_json schema = {0};
    for (omni_items it = omni_members(schemas); omni_step(&it);)
      if (omni_json_is(it.key, name)) schema = it.value;
    if (!schema.len) {
      omni_refuse_setting(name, omni_concat(omni_text("unknown setting "), name, omni_text("")));
      return;
    }
    const char *problem = omni_check_setting(schema, given.value);
    if (problem) {
      omni_str head = omni_concat(omni_text("setting "), name, omni_text(": "));
      omni_refuse_setting(name, omni_concat(head, omni_text(problem), omni_text("")));
      return;
    }
    omni_set_setting(&fresh, omni_keep_str(name), omni_keep_str(omni_setting(given.value)));
  }
  omni_settings = fresh;
}

/* ---- provider profiles: what the operator sets in place of the plugin's own ---- */

typedef struct omni_profile {
  struct omni_profile *next;
  omni_str provider, config;
  u32 room;
} omni_profile;

static omni_profile *omni_profiles;

static omni_profile *omni_profile_of(omni_str provider) {
  for (omni_profile *p = omni_profiles; p; p = p->next)
    if (omni_equal(p->provider, provider)) return p;
  return 0;
}

static void omni_configure(const omni_request *r) {
  if (!r->part.len && !r->provider.len) {
    omni_configure_self(omni_parse(r->config));
    return;
  }
  omni_json part = omni_executor(r->part);
  if (omni_failed) return;
  omni_profile *p = omni_profile_of(r->provider);
  if (!p) {
    p = omni_keep(sizeof *p);
    omni_profile fresh = {.next = omni_profiles, .provider = omni_keep_str(r->provider)};
    *p = fresh;
    omni_profiles = p;
  }
  if (p->room < r->config.len) { /* the memory of the profile before is used again if it fits */
    p->config.at = omni_keep(r->config.len);
    p->room = r->config.len;
  }
  omni_copy((u8 *)p->config.at, r->config.at, r->config.len);
  p->config.len = r->config.len;
  omni_json body = omni_get(part, "body");
  omni_field_u8(&omni_out, OMNI_TAG_NEEDS, omni_json_eq(body, "full") ? 3 : omni_json_eq(body, "skeleton") ? 2 : 0);
}

/* ---- plans and verdicts ---- */

/* The URL path of an endpoint behind a base URL, 0 if there is none; {model} stands for the model id. */
static const char *omni_path(omni_str dialect, omni_str endpoint, int stream) {
  static const struct {
    const char *dialect, *endpoint, *path;
  } paths[] = {
      {"openai", "chat", "/chat/completions"},     {"openai-responses", "chat", "/responses"},
      {"openai", "images", "/images/generations"}, {"openai-responses", "images", "/images/generations"},
      {"openai", "responses", "/responses"},       {"openai-responses", "responses", "/responses"},
      {"openai", "embeddings", "/embeddings"},     {"openai-responses", "embeddings", "/embeddings"},
      {"openai", "models", "/models"},             {"openai-responses", "models", "/models"},
      {"claude", "chat", "/messages"},             {"claude", "count_tokens", "/messages/count_tokens"},
      {"claude", "models", "/models"},             {"gemini", "chat", "/{model}:generateContent"},
      {"gemini", "count_tokens", "/{model}:countTokens"}, {"gemini", "models", ""},
      {"ollama", "chat", "/api/chat"},             {"ollama", "models", "/api/tags"},
  };
  if (stream && omni_is(dialect, "gemini") && omni_is(endpoint, "chat")) return "/{model}:streamGenerateContent?alt=sse";
  for (u32 k = 0; k < sizeof paths / sizeof *paths; k++)
    if (omni_is(dialect, paths[k].dialect) && omni_is(endpoint, paths[k].endpoint)) return paths[k].path;
  return 0;
}

static omni_str omni_url(omni_str base, const char *path, omni_str model) {
  omni_buf_t b = {0};
  omni_str rest = omni_text(path), mark = omni_text("{model}");
  if (base.len && base.at[base.len - 1] == '/') base.len--;
  omni_put(&b, base);
  while (rest.len) {
    if (rest.len >= mark.len && omni_equal(omni_slice(rest, 0, mark.len), mark)) {
      omni_put(&b, model);
      rest = omni_slice(rest, mark.len, rest.len);
      continue;
    }
    omni_putc(&b, rest.at[0]);
    rest = omni_slice(rest, 1, rest.len);
  }
  return omni_view(&b);
}

static void omni_plan_call(const omni_request *r) {
  static const omni_plan blank;
  omni_json part = omni_executor(r->part);
  if (omni_failed) return;
  omni_str dialect = omni_json_text(omni_get(part, "dialect"));
  omni_str endpoint = r->endpoint.len ? r->endpoint : omni_text("chat");
  const char *path = omni_path(dialect, endpoint, r->stream);
  if (!path) {
    omni_fault f = {.message = omni_concat(omni_text("the provider has no endpoint "), endpoint, omni_text("")),
                    .kind = omni_text("client"), .scope = omni_text("request"), .status = 404, .fallback = 1};
    omni_fail_with(f);
    return;
  }
  omni_plan *p = omni_alloc(sizeof *p);
  *p = blank;
  omni_profile *own = omni_profile_of(r->provider);
  omni_json config = omni_parse(own ? own->config : omni_text(""));
  omni_items bases = omni_elements(omni_get(config, "base_urls"));
  if (!omni_step(&bases)) bases = omni_elements(omni_get(part, "base_urls"));
  else bases = omni_elements(omni_get(config, "base_urls"));
  while (omni_step(&bases) && p->url_count < OMNI_MOST)
    p->urls[p->url_count++] = omni_url(omni_json_text(bases.value), path, r->model);
  if (omni_is(endpoint, "models")) {
    p->method = omni_text("GET");
    p->idempotent = 1;
  } else omni_plan_header(p, "Content-Type", omni_text("application/json"));
  for (omni_items it = omni_members(omni_get(config, "headers")); omni_step(&it);)
    omni_plan_set_header(p, omni_json_text(it.key), omni_json_text(it.value));
  p->auth = omni_text(omni_this.auth ? omni_this.auth : "bearer:api_key");
  p->framing = omni_json_text(omni_get(part, "framing"));
  if (omni_is(dialect, "gemini")) {
    omni_plan_drop(p, "model");
    omni_plan_drop(p, "stream");
  }
  if (omni_this.plan) omni_this.plan(r, p);
  omni_put_decision(&omni_out, p);
}

static void omni_result_call(const omni_request *r) {
  omni_executor(r->part);
  if (omni_failed) return;
  omni_verdict v = omni_this.result ? omni_this.result(r) : omni_standard(r);
  omni_field_u8(&omni_out, OMNI_TAG_VERDICT, v.kind);
  if (v.after_ms > 0) omni_field_i64(&omni_out, OMNI_TAG_RETRY_AFTER_MS, v.after_ms);
  if (v.failed) omni_put_fault(&omni_out, &v.fault);
}

static void omni_read_reply(omni_request *r, omni_reader *f) {
  static const omni_reply blank;
  if (r->reply_count == OMNI_ASKS) return;
  omni_reply *reply = omni_alloc(sizeof *reply);
  *reply = blank;
  r->replies[r->reply_count++] = reply;
  omni_reader in = omni_read(f->value);
  while (omni_next(&in)) {
    switch (in.tag) {
    case OMNI_TAG_STATUS: reply->status = omni_int(in.value); break;
    case OMNI_TAG_HEADER: {
      omni_pair p = omni_read_pair(&in);
      omni_add(&reply->headers, p.name, p.value);
      break;
    }
    case OMNI_TAG_BODY: reply->body = in.value; break;
    case OMNI_TAG_ERR_MESSAGE: reply->failed = 1, reply->message = in.value; break;
    default:
      if (in.tag < OMNI_TAG_ERR_MESSAGE || in.tag > OMNI_TAG_ERR_UPSTREAM) omni_unknown(&in);
    }
  }
  if (in.fault) f->fault = in.fault;
}

static void omni_read_request(omni_request *r, omni_str in) {
  omni_reader f = omni_read(in);
  while (omni_next(&f)) {
    switch (f.tag) {
    case OMNI_TAG_PART: r->part = f.value; break;
    case OMNI_TAG_PROVIDER: r->provider = f.value; break;
    case OMNI_TAG_ENDPOINT: r->endpoint = f.value; break;
    case OMNI_TAG_MODEL: r->model = f.value; break;
    case OMNI_TAG_STREAM: r->stream = omni_int(f.value) != 0; break;
    case OMNI_TAG_AUTH_KIND: r->auth_kind = f.value; break;
    case OMNI_TAG_ATTEMPT: r->attempt = omni_int(f.value); break;
    case OMNI_TAG_ATTRIBUTES: r->attributes = f.value; break;
    case OMNI_TAG_CLIENT_HEADER:
    case OMNI_TAG_HEADER: {
      omni_pair p = omni_read_pair(&f);
      omni_add(&r->headers, p.name, p.value);
      break;
    }
    case OMNI_TAG_BODY: r->body = f.value; break;
    case OMNI_TAG_NONCE: r->nonce = f.value; break;
    case OMNI_TAG_STATUS: r->status = omni_int(f.value); break;
    case OMNI_TAG_CONFIG: r->config = f.value; break;
    case OMNI_TAG_RESUME_OP: r->resume = omni_int(f.value); break;
    case OMNI_TAG_CONTINUATION: r->continuation = f.value; break;
    case OMNI_TAG_REPLY: omni_read_reply(r, &f); break;
    case OMNI_TAG_PREVIOUS: break;
    default: omni_unknown(&f);
    }
  }
  if (f.fault) omni_fail(omni_text(f.fault));
}

/* ---- streams ---- */

typedef struct omni_stream_list {
  struct omni_stream_list *next;
  omni_stream s;
} omni_stream_list;

static omni_stream_list *omni_streams;

static omni_stream *omni_stream_of(u32 handle) {
  for (omni_stream_list *l = omni_streams; l; l = l->next)
    if (l->s.open && l->s.handle == handle) return &l->s;
  omni_fail(omni_text("no open stream under this handle"));
  return 0;
}

/* Opens a stream, in the memory of one that ended if there is any. */
static omni_stream *omni_open_stream(u32 handle) {
  static const omni_stream blank;
  omni_stream_list *spare = 0;
  for (omni_stream_list *l = omni_streams; l; l = l->next)
    if (!l->s.open || l->s.handle == handle) spare = l;
  if (!spare) {
    spare = omni_keep(sizeof *spare);
    spare->next = omni_streams;
    omni_streams = spare;
  }
  spare->s = blank;
  spare->s.handle = handle;
  spare->s.open = 1;
  return &spare->s;
}

static void omni_stream_data(u32 handle, omni_str in) {
  omni_stream *s = omni_stream_of(handle);
  omni_reader r = omni_read(in);
  while (s && !omni_failed && omni_next(&r)) {
    if (r.tag != OMNI_TAG_FRAME) {
      omni_unknown(&r);
      continue;
    }
    omni_frame f = omni_read_frame(&r);
    if (r.fault || f.kind == OMNI_FRAME_COMMENT) continue;
    void (*serve)(omni_stream *, const omni_frame *) = s->translation ? omni_this.event : omni_this.frame;
    if (serve) serve(s, &f);
    else omni_pass(&f);
  }
  if (r.fault) omni_fail(omni_text(r.fault));
}

static void omni_stream_end(u32 handle, omni_str in) {
  omni_stream *s = omni_stream_of(handle);
  int reason = OMNI_END_EOF;
  if (!s) return;
  s->open = 0;
  for (omni_reader r = omni_read(in); omni_next(&r);)
    if (r.tag == OMNI_TAG_REASON) reason = omni_int(r.value);
  if (!s->translation) {
    if (omni_this.end) omni_this.end(s, reason);
    return;
  }
  if (reason == OMNI_END_CLIENT_GONE) return;
  omni_buf_t body = {0};
  if (omni_this.finish) omni_this.finish(s, &body);
  if (s->doc.collect) omni_field(&omni_out, OMNI_TAG_BODY, omni_view(&body));
}

/* ---- translations ---- */

static int omni_serves(omni_str from, omni_str to) {
  for (omni_items it = omni_elements(omni_get(omni_manifest(), "provides")); omni_step(&it);) {
    omni_json a = omni_get(it.value, "from"), b = omni_get(it.value, "to");
    if (!omni_json_eq(omni_get(it.value, "kind"), "translator")) continue;
    if ((omni_json_is(a, from) && omni_json_is(b, to)) || (omni_json_is(a, to) && omni_json_is(b, from))) return 1;
  }
  return 0;
}

static void omni_no_translator(const omni_document *d) {
  omni_str head = omni_concat(omni_text("no translator from "), d->from, omni_text(" to "));
  omni_fail(omni_concat(head, d->to, omni_text("")));
}

static omni_document omni_read_document(omni_str in) {
  omni_document d = {0};
  omni_reader f = omni_read(in);
  while (omni_next(&f)) {
    switch (f.tag) {
    case OMNI_TAG_FROM: d.from = f.value; break;
    case OMNI_TAG_TO: d.to = f.value; break;
    case OMNI_TAG_MODEL: d.model = f.value; break;
    case OMNI_TAG_STREAM: d.stream = omni_int(f.value) != 0; break;
    case OMNI_TAG_COLLECT: d.collect = omni_int(f.value) != 0; break;
    case OMNI_TAG_STATUS: d.status = omni_int(f.value); break;
    case OMNI_TAG_NONCE: d.nonce = f.value; break;
    case OMNI_TAG_BODY: d.body = f.value; break;
    case OMNI_TAG_PROVIDER:
    case OMNI_TAG_PROJECT:
    case OMNI_TAG_COUNT:
    case OMNI_TAG_REBUILD:
    case OMNI_TAG_HEADER:
    case OMNI_TAG_TOOL_NAME:
    case OMNI_TAG_REQUEST: break;
    default:
      if (f.tag > OMNI_TAG_ERR_UPSTREAM) omni_unknown(&f);
    }
  }
  if (f.fault) omni_fail(omni_text(f.fault));
  return d;
}

static void omni_translate(u32 op, u32 handle, omni_str in) {
  omni_document d = omni_read_document(in);
  if (omni_failed) return;
  if (!d.to.len || (!d.from.len && op != OMNI_OP_TR_ERROR)) {
    omni_fail(omni_concat(omni_op(op), omni_text(" needs the formats to translate between"), omni_text("")));
    return;
  }
  if (!omni_serves(d.from, d.to)) {
    omni_no_translator(&d);
    return;
  }
  if (op == OMNI_OP_TR_OPEN) {
    omni_stream *s = omni_open_stream(handle);
    s->translation = 1;
    s->doc = d;
    s->doc.body = s->doc.nonce = omni_text("");
    /* The formats are the manifest's own words: both ends stay where they are. */
    s->doc.from = s->doc.to = s->doc.model = omni_text("");
    for (omni_items it = omni_elements(omni_get(omni_manifest(), "provides")); omni_step(&it);) {
      omni_json a = omni_get(it.value, "from"), b = omni_get(it.value, "to");
      if (omni_json_is(a, d.from) && omni_json_is(b, d.to)) s->doc.from = omni_content(a), s->doc.to = omni_content(b);
      if (omni_json_is(b, d.from) && omni_json_is(a, d.to)) s->doc.from = omni_content(b), s->doc.to = omni_content(a);
    }
    return;
  }
  void (*serve)(const omni_document *, omni_buf_t *) = op == OMNI_OP_TR_REQUEST ? omni_this.request : omni_this.response;
  if (op == OMNI_OP_TR_ERROR) {
    omni_unsupported(op);
    return;
  }
  if (!serve) {
    omni_no_translator(&d);
    return;
  }
  /* The body comes first in the record, what is reported beside it after. */
  omni_buf_t body = {0}, beside = {0};
  serve(&d, &body);
  omni_put(&beside, omni_view(&omni_out));
  omni_out.len = 0;
  omni_field(&omni_out, OMNI_TAG_BODY, omni_view(&body));
  omni_put(&omni_out, omni_view(&beside));
}

/* ---- operations ---- */

static void omni_dispatch(u32 op, u32 handle, omni_str in) {
  static const omni_request blank;
  switch (op) {
  case OMNI_OP_DESCRIBE: {
    u32 mark = omni_open(&omni_out, OMNI_TAG_JSON);
    omni_put_compact(&omni_out, omni_manifest());
    omni_close(&omni_out, mark);
    return;
  }
  case OMNI_OP_SELF_TEST: return;
  case OMNI_OP_TR_REQUEST:
  case OMNI_OP_TR_RESPONSE:
  case OMNI_OP_TR_OPEN:
  case OMNI_OP_TR_ERROR: omni_translate(op, handle, in); return;
  case OMNI_OP_TR_DATA:
  case OMNI_OP_EX_DATA: omni_stream_data(handle, in); return;
  case OMNI_OP_TR_END:
  case OMNI_OP_EX_END: omni_stream_end(handle, in); return;
  }
  omni_request *r = omni_alloc(sizeof *r);
  *r = blank;
  omni_read_request(r, in);
  if (omni_failed) return;
  if (op == OMNI_OP_RESUME) op = r->resume;
  switch (op) {
  case OMNI_OP_CONFIGURE: omni_configure(r); return;
  case OMNI_OP_EX_PLAN: omni_plan_call(r); return;
  case OMNI_OP_EX_RESULT: omni_result_call(r); return;
  case OMNI_OP_EX_OPEN:
    omni_executor(r->part);
    if (!omni_failed) omni_open_stream(handle);
    return;
  }
  omni_unsupported(op);
}

static int omni_run(u32 op, u32 handle, omni_str in) {
  static int started;
  omni_failed = 0;
  if (!started) {
    started = 1;
    omni_default_settings(&omni_settings);
  }
  omni_dispatch(op, handle, in);
  if (!omni_failed) return 0;
  omni_out.len = 0;
  omni_put_fault(&omni_out, &omni_failure);
  return 1;
}

#endif

/* Lender in C. */
#include "omni_provider.h"

static omni_str hex(omni_str b) {
  omni_buf_t out = {0};
  for (u32 i = 0; i < b.len; i++) {
    omni_putc(&out, "0123456789abcdef"[b.at[i] >> 4]);
    omni_putc(&out, "0123456789abcdef"[b.at[i] & 15]);
  }
  return omni_view(&out);
}

static void ask(const omni_request *r, omni_plan *p) {
  if (!r->reply_count) {
    omni_plan *first = omni_ask(p);
    first->method = omni_text("GET");
    first->urls[first->url_count++] = omni_text("https://api.lend.example/token");
    omni_plan_header(first, "X-Ask", omni_text("1"));
    p->keep = omni_text("state");
    return;
  }
  const omni_reply *reply = r->replies[0];
  if (reply->failed) {
    omni_plan_header(p, "X-Failed", reply->message);
    return;
  }
  omni_plan_header(p, "X-Token", omni_json_text(omni_get(omni_parse(reply->body), "token")));
  omni_plan_header(p, "X-Kept", r->continuation);
}

static void plan(const omni_request *r, omni_plan *p) {
  omni_str value;
  if (omni_is(r->model, "count")) {
    omni_plan_header(p, "X-Count", omni_kv_get("count", &value) ? value : omni_text("none"));
    omni_kv_put("count", omni_text("changed"), 60000);
    omni_kv_delete("other");
    omni_kv_get("count", &value);
    omni_plan_header(p, "X-Now", value);
  } else if (omni_is(r->model, "sign")) {
    omni_plan_header(p, "X-Signature", hex(omni_hmac(OMNI_SHA256, "signing_key", omni_text("what to sign"))));
  } else if (omni_is(r->model, "reveal")) {
    omni_secret("api_key");
  } else if (omni_is(r->model, "local")) {
    omni_local *l = omni_answer_local(p);
    l->status = 200;
    omni_add(&l->headers, omni_text("X-Local"), omni_text("yes"));
    l->body = omni_text("{\"ok\":true}");
  } else if (omni_is(r->model, "play")) {
    omni_local *l = omni_answer_local(p);
    omni_local_event(l, 0, "", omni_text("{\"n\":1}"));
    omni_local_event(l, 5, "late", omni_text("{\"n\":2}"));
  } else if (omni_is(r->model, "ask")) ask(r, p);
}

OMNI_PLUGIN(.plan = plan, .manifest = OMNI_JSON({"schema":1,"name":"test/lender","version":"1.0.0","abi":"1.0","features":["skeleton"],"provides":[{"kind":"executor","id":"lender","dialect":"openai","endpoints":["chat"],"base_urls":["https://api.lend.example/v1"],"auth":[{"type":"api_key","apply":"bearer"}],"framing":"sse","stream":"passthrough","body":"none","result":"errors","models":[{"id":"plain","tools":false,"images":false,"reasoning":false}]}],"capabilities":{"http":{"hosts":["api.lend.example"],"reason":"inference"},"secrets":{"use":["api_key","signing_key"],"reason":"authentication"},"kv":{"reason":"counts"}},"isolation":"shared","recovery":"replay"}))

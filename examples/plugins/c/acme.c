/* A provider for OmniRoute: where it is, what it offers, and how its requests and answers differ from OpenAI's. */
#include "omni_provider.h"

static void plan(const omni_request *r, omni_plan *p) {
  omni_plan_drop(p, "logit_bias"); /* edits are made by the gateway: long texts stay there */
  omni_plan_drop(p, "seed");
  omni_plan_rename(p, "max_completion_tokens", "max_tokens");
  omni_plan_header(p, "X-Acme-Region", omni_config(r, "region"));
}

static omni_verdict result(const omni_request *r) {
  if (r->status == 429 && omni_json_eq(omni_answer(r, "error.code"), "daily_quota"))
    return omni_cooldown("credential", omni_json_int(omni_answer(r, "error.reset_ms")));
  return omni_standard(r); /* by HTTP status and error body */
}

static void frame(omni_stream *s, const omni_frame *f) {
  omni_json event = omni_parse(f->payload);
  (void)s;
  if (omni_json_eq(omni_get(event, "object"), "acme.thought")) omni_reasoning_delta(omni_get(event, "text"));
  else omni_pass(f);
}

OMNI_PLUGIN(.plan = plan, .result = result, .frame = frame, .manifest = OMNI_JSON({
  "schema": 1, "name": "acme/acme-llm", "version": "1.0.0", "abi": "1.0", "features": ["skeleton"],
  "provides": [
    {"kind": "executor", "id": "acme", "dialect": "openai", "endpoints": ["chat"],
     "base_urls": ["https://api.acme.example/v1"], "auth": [{"type": "api_key", "apply": "bearer"}],
     "framing": "sse", "stream": "frames", "body": "none",
     "models": [{"id": "acme-large", "context": 131072, "max_output": 8192, "tools": true, "images": false, "reasoning": false}]}],
  "capabilities": {"http": {"hosts": ["api.acme.example"], "reason": "inference"},
                   "secrets": {"use": ["api_key"], "reason": "authentication"}},
  "isolation": "shared", "recovery": "replay",
  "config_schema": {"type": "object", "additionalProperties": false,
                    "properties": {"region": {"type": "string", "enum": ["eu", "us"], "default": "eu"}}}
}))

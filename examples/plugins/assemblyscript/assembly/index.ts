// A provider for OmniRoute: where it is, what it offers, and how its requests and answers differ from OpenAI's.

import { Answer, Call, Fault, Frame, Json, Plan, Plugin, serve, State, Stream, Verdict } from "../../../../sdk/assemblyscript";
export { omni_abi, omni_buf, omni_call, omni_trim } from "../../../../sdk/assemblyscript";

class Acme extends Plugin {
  plan(call: Call, plan: Plan): Fault | null {
    plan.drop("logit_bias"); // edits are made by the gateway: long texts stay there
    plan.drop("seed");
    plan.rename("max_completion_tokens", "max_tokens");
    plan.header("X-Acme-Region", call.config("region"));
    return null;
  }

  result(call: Call, answer: Answer): Verdict {
    if (answer.status == 429 && answer.json("error.code").is("daily_quota")) {
      return Verdict.cooldown("credential", answer.json("error.reset_ms").int);
    }
    return Verdict.standard(answer); // by HTTP status and error body
  }

  frame(state: State, stream: Stream, frame: Frame): Fault | null {
    const event = Json.parse(frame.payload);
    if (event.get("object").is("acme.thought")) stream.reasoningDelta(event.get("text"));
    else stream.pass(frame);
    return null;
  }
}

serve(new Acme(`{
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
}`));

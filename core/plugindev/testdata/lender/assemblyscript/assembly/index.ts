// Lender in AssemblyScript.

import {
  Bytes, Call, Fault, Frame, hmac, kvDelete, kvGet, kvPut, Local, Pair, Plan, Plugin, secret, serve, SHA256, Writer,
} from "../../../../../../sdk/assemblyscript";
export { omni_abi, omni_buf, omni_call, omni_trim } from "../../../../../../sdk/assemblyscript";

function bytes(s: string): Bytes {
  const w = new Writer();
  w.string(s);
  return w.view();
}

function hex(b: Bytes): string {
  let out = "";
  for (let i = 0; i < b.length; i++) out += (b[i] < 16 ? "0" : "") + b[i].toString(16);
  return out;
}

function event(payload: string, name: string = "", delayMS: u32 = 0): Frame {
  const f = new Frame();
  f.name = name;
  f.delayMS = delayMS;
  f.payload = bytes(payload);
  return f;
}

class Lender extends Plugin {
  plan(call: Call, plan: Plan): Fault | null {
    if (call.model == "count") {
      const was = kvGet("count");
      if (was.fault !== null) return was.fault;
      plan.header("X-Count", was.found ? was.value.bytes().text() : "none");
      let fault = kvPut("count", bytes("changed"), 60000);
      if (fault === null) fault = kvDelete("other");
      if (fault !== null) return fault;
      plan.header("X-Now", kvGet("count").value.bytes().text());
    } else if (call.model == "sign") {
      const mac = hmac(SHA256, "signing_key", bytes("what to sign"));
      if (mac.fault !== null) return mac.fault;
      plan.header("X-Signature", hex(mac.value.bytes()));
    } else if (call.model == "reveal") {
      return secret("api_key").fault;
    } else if (call.model == "local") {
      const l = new Local();
      l.status = 200;
      l.headers.push(new Pair("X-Local", "yes"));
      l.body = bytes('{"ok":true}');
      plan.local = l;
    } else if (call.model == "play") {
      const l = new Local();
      l.events.push(event('{"n":1}'));
      l.events.push(event('{"n":2}', "late", 5));
      plan.local = l;
    } else if (call.model == "ask") this.ask(call, plan);
    return null;
  }

  private ask(call: Call, plan: Plan): void {
    if (call.replies.length == 0) {
      const ask = new Plan();
      ask.method = "GET";
      ask.urls.push("https://api.lend.example/token");
      ask.header("X-Ask", "1");
      plan.ask(ask);
      plan.keep = bytes("state").keep();
      return;
    }
    const reply = call.replies[0];
    const failed = reply.fault;
    if (failed !== null) {
      plan.header("X-Failed", failed.message);
      return;
    }
    plan.header("X-Token", reply.json("token").text);
    plan.header("X-Kept", call.continuation.text());
  }
}

serve(new Lender(`{"schema":1,"name":"test/lender","version":"1.0.0","abi":"1.0","features":["skeleton"],"provides":[{"kind":"executor","id":"lender","dialect":"openai","endpoints":["chat"],"base_urls":["https://api.lend.example/v1"],"auth":[{"type":"api_key","apply":"bearer"}],"framing":"sse","stream":"passthrough","body":"none","result":"errors","models":[{"id":"plain","tools":false,"images":false,"reasoning":false}]}],"capabilities":{"http":{"hosts":["api.lend.example"],"reason":"inference"},"secrets":{"use":["api_key","signing_key"],"reason":"authentication"},"kv":{"reason":"counts"}},"isolation":"shared","recovery":"replay"}`));

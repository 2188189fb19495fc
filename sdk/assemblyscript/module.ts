import { Bytes, Frame, Pair, Reader, Writer } from "./abi";
import { Fault } from "./fault";
import { Json } from "./json";
import { Plan } from "./plan";
import { Answer } from "./result";
import { Call, Document, EndReason, path, Plugin, State, Stream } from "./plugin";
import * as tags from "./tags";

/** What the operator sets for one provider in place of the plugin's own. */
class Profile {
  bases: string[] = [];
  headers: Pair[] = [];
}

class OpenStream {
  constructor(public state: State, public doc: Document | null) {}
}

/** A plugin with the open streams of one instance. */
export class Module {
  out: Writer = new Writer();
  private streams: Map<u32, OpenStream> = new Map();
  private profiles: Map<string, Profile> = new Map();
  private settings: Pair[];
  private text: ArrayBuffer; // of the manifest

  constructor(private plugin: Plugin) {
    this.text = String.UTF8.encode(plugin.manifest);
    this.settings = [];
    this.settings = this.defaults();
  }

  private get manifest(): Json {
    return Json.parse(new Bytes(changetype<usize>(this.text), this.text.byteLength));
  }

  /** Runs one operation. The output stays valid until the next call; true marks an error record. */
  call(op: u32, handle: u32, input: Bytes): bool {
    this.out.length = 0;
    const fault = this.dispatch(op, handle, input);
    if (fault === null) return false;
    this.out.length = 0;
    fault.appendTo(this.out);
    return true;
  }

  private dispatch(op: u32, handle: u32, input: Bytes): Fault | null {
    switch (op) {
      case tags.OP_DESCRIBE: {
        const mark = this.out.open(tags.TAG_JSON);
        this.manifest.compact(this.out);
        this.out.close(mark);
        return null;
      }
      case tags.OP_SELF_TEST: return null;
      case tags.OP_TR_REQUEST:
      case tags.OP_TR_RESPONSE:
      case tags.OP_TR_OPEN:
      case tags.OP_TR_ERROR: return this.translate(op, handle, input);
      case tags.OP_TR_DATA:
      case tags.OP_EX_DATA: return this.data(handle, input);
      case tags.OP_TR_END:
      case tags.OP_EX_END: return this.end(handle, input);
    }
    const call = new Call(this.settings);
    const fault = call.read(input);
    if (fault !== null) return fault;
    if (op == tags.OP_RESUME) op = call.resume;
    switch (op) {
      case tags.OP_CONFIGURE: return this.configure(call);
      case tags.OP_EX_PLAN: return this.plan(call);
      case tags.OP_EX_RESULT: return this.result(call);
      case tags.OP_EX_OPEN: {
        if (!this.executor(call.part).exists) return noExecutor(call.part);
        this.streams.set(handle, new OpenStream(this.plugin.open(), null));
        return null;
      }
    }
    return unsupported(op);
  }

  private configure(call: Call): Fault | null {
    const config = Json.parse(call.profile);
    if (call.part.length == 0 && call.provider.length == 0) return this.configureSelf(config);
    const part = this.executor(call.part);
    if (!part.exists) return noExecutor(call.part);
    const p = new Profile();
    const bases = config.get("base_urls").items();
    while (bases.next()) p.bases.push(bases.value.text);
    const headers = config.get("headers").members();
    while (headers.next()) p.headers.push(new Pair(headers.key.text, headers.value.text));
    this.profiles.set(call.provider, p);
    const body = part.get("body");
    this.out.u8(tags.TAG_NEEDS, body.is("full") ? 3 : body.is("skeleton") ? 2 : 0);
    return null;
  }

  private plan(call: Call): Fault | null {
    const part = this.executor(call.part);
    if (!part.exists) return noExecutor(call.part);
    const dialect = part.get("dialect").text;
    const endpoint = call.endpoint.length == 0 ? "chat" : call.endpoint;
    const suffix = path(dialect, endpoint, call.stream);
    if (suffix == "-") {
      const f = Fault.request(404, "the provider has no endpoint " + endpoint);
      f.fallback = true;
      return f;
    }
    const plan = new Plan();
    const own = this.profiles.has(call.provider) ? this.profiles.get(call.provider) : new Profile();
    let bases = own.bases;
    if (bases.length == 0) {
      bases = [];
      const it = part.get("base_urls").items();
      while (it.next()) bases.push(it.value.text);
    }
    for (let k = 0; k < bases.length; k++) {
      const base = bases[k].endsWith("/") ? bases[k].slice(0, -1) : bases[k];
      plan.urls.push(base + suffix.replaceAll("{model}", call.model));
    }
    if (endpoint == "models") {
      plan.method = "GET";
      plan.idempotent = true;
    } else plan.header("Content-Type", "application/json");
    for (let k = 0; k < own.headers.length; k++) plan.header(own.headers[k].name, own.headers[k].value);
    plan.auth = this.plugin.auth;
    plan.framing = part.get("framing").text;
    if (dialect == "gemini") {
      plan.drop("model");
      plan.drop("stream");
    }
    const fault = this.plugin.plan(call, plan);
    if (fault !== null) return fault;
    plan.appendDecision(this.out);
    return null;
  }

  private result(call: Call): Fault | null {
    if (!this.executor(call.part).exists) return noExecutor(call.part);
    const answer = new Answer(call.status, call.headers, call.body, call.stream);
    this.plugin.result(call, answer).appendTo(this.out);
    return null;
  }

  private translate(op: u32, handle: u32, input: Bytes): Fault | null {
    const doc = new Document();
    let fault = doc.read(input);
    if (fault !== null) return fault;
    if (doc.to.length == 0 || doc.from.length == 0 && op != tags.OP_TR_ERROR) {
      return Fault.plugin(opName(op) + " needs the formats to translate between");
    }
    if (!this.serves(doc.from, doc.to)) return doc.unserved();
    if (op == tags.OP_TR_OPEN) {
      this.streams.set(handle, new OpenStream(this.plugin.open(), doc));
      return null;
    }
    if (op == tags.OP_TR_ERROR) return unsupported(op);
    const beside = new Writer();
    const mark = this.out.open(tags.TAG_BODY);
    fault = op == tags.OP_TR_REQUEST ? this.plugin.request(doc, this.out) : this.plugin.response(doc, this.out, new Stream(beside));
    this.out.close(mark);
    if (beside.length > 0) this.out.raw(beside.view());
    beside.free();
    return fault;
  }

  private data(handle: u32, input: Bytes): Fault | null {
    if (!this.streams.has(handle)) return noStream();
    const s = this.streams.get(handle);
    const stream = new Stream(this.out);
    const r = new Reader(input);
    while (r.next()) {
      if (r.tag != tags.TAG_FRAME) {
        r.unknown();
        continue;
      }
      const frame = r.frame();
      if (r.fault !== null) return r.fault;
      if (frame.kind == Frame.COMMENT) continue;
      const doc = s.doc;
      const fault = doc === null ? this.plugin.frame(s.state, stream, frame) : this.plugin.event(doc, s.state, stream, frame);
      if (fault !== null) return fault;
    }
    return r.fault;
  }

  private end(handle: u32, input: Bytes): Fault | null {
    if (!this.streams.has(handle)) return noStream();
    const s = this.streams.get(handle);
    this.streams.delete(handle);
    let reason = EndReason.Eof;
    const r = new Reader(input);
    while (r.next()) {
      if (r.tag == tags.TAG_REASON) reason = <EndReason>min(<i32>r.int(), <i32>EndReason.Drained);
    }
    const stream = new Stream(this.out);
    const doc = s.doc;
    if (doc === null) return this.plugin.end(s.state, stream, reason);
    if (reason == EndReason.ClientGone) return null;
    const body = new Writer();
    const fault = this.plugin.finish(doc, s.state, stream, body);
    if (doc.collect) this.out.bytes(tags.TAG_BODY, body.view());
    body.free();
    return fault;
  }

  /** The manifest's entry of an executor; with no name the only one. */
  private executor(part: string): Json {
    const it = this.manifest.get("provides").items();
    let found = new Json(), count = 0;
    while (it.next()) {
      if (!it.value.get("kind").is("executor")) continue;
      if (part.length > 0 && it.value.get("id").is(part)) return it.value;
      found = it.value;
      count++;
    }
    return part.length == 0 && count == 1 ? found : new Json();
  }

  /** Tells whether the manifest names a translator for a pair, in either direction: answers go the other way. */
  private serves(from: string, to: string): bool {
    const it = this.manifest.get("provides").items();
    while (it.next()) {
      const p = it.value;
      if (!p.get("kind").is("translator")) continue;
      const a = p.get("from"), b = p.get("to");
      if (a.is(from) && b.is(to) || a.is(to) && b.is(from)) return true;
    }
    return false;
  }

  /** The settings that the manifest's config_schema gives where nothing is set. */
  private defaults(): Pair[] {
    const out: Pair[] = [];
    const it = this.manifest.get("config_schema.properties").members();
    while (it.next()) {
      const v = it.value.get("default");
      if (v.exists) out.push(new Pair(it.key.text, setting(v)));
    }
    return out;
  }

  /** Checks the operator's settings against the manifest's schema. */
  private configureSelf(config: Json): Fault | null {
    const out = this.defaults();
    const given = config.members();
    while (given.next()) {
      const name = given.key.text;
      const schemas = this.manifest.get("config_schema.properties").members();
      let schema = new Json();
      while (schemas.next()) {
        if (schemas.key.is(name)) schema = schemas.value;
      }
      const problem = schema.exists ? check(schema, given.value) : "";
      if (!schema.exists || problem.length > 0) {
        const f = Fault.request(400, schema.exists ? "setting " + name + ": " + problem : "unknown setting " + name);
        f.scope = "plugin";
        f.param = name;
        return f;
      }
      let set = false;
      for (let k = 0; k < out.length; k++) {
        if (out[k].name == name) {
          out[k].value = setting(given.value);
          set = true;
        }
      }
      if (!set) out.push(new Pair(name, setting(given.value)));
    }
    this.settings = out;
    return null;
  }
}

function setting(v: Json): string {
  return v.isString || v.isNumber ? v.text : v.raw.text();
}

function check(schema: Json, v: Json): string {
  const kind = schema.get("type");
  if (kind.is("string") && !v.isString) return "must be text";
  if (kind.is("number") && !v.isNumber) return "must be a number";
  if (kind.is("boolean") && !v.raw.equals("true") && !v.raw.equals("false")) return "must be true or false";
  const values = schema.get("enum");
  if (!values.exists) return "";
  const it = values.items();
  while (it.next()) {
    if (v.is(it.value.text)) return "";
  }
  return "is not one of the allowed values";
}

function noStream(): Fault {
  return Fault.plugin("no open stream under this handle");
}

function noExecutor(part: string): Fault {
  return Fault.plugin("no executor " + part);
}

function opName(op: u32): string {
  const name = tags.opName(op);
  return name.length > 0 ? name : "op 0x" + (op < 16 ? "0" : "") + op.toString(16);
}

function unsupported(op: u32): Fault {
  const f = Fault.plugin(opName(op) + " is not supported by this plugin");
  f.status = 501;
  return f;
}

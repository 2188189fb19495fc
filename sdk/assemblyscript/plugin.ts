import { Bytes, find, Frame, Kept, Pair, Reader, Writer } from "./abi";
import { Fault } from "./fault";
import { Json } from "./json";
import { Plan } from "./plan";
import { Answer, Verdict } from "./result";
import * as tags from "./tags";

/** Why a stream ends. */
export enum EndReason { Eof, UpstreamError, ClientGone, Idle, Drained }

/** What a plugin keeps for an open stream; extend it. */
export class State {}

/**
 * What an author extends. Only the manifest is needed: everything else has a default. A provider overrides plan, result
 * and frame; a translator between two formats request, response and event. A method returns null when all went well.
 */
export class Plugin {
  /** manifest is JSON; auth says how the gateway authenticates requests of the provider. */
  constructor(public manifest: string, public auth: string = "bearer:api_key") {}

  /** Changes the planned request before it is sent. */
  plan(call: Call, plan: Plan): Fault | null {
    return null;
  }

  /** Judges an answer. */
  result(call: Call, answer: Answer): Verdict {
    return Verdict.standard(answer);
  }

  /** Makes the state of a new stream. */
  open(): State {
    return new State();
  }

  /** Maps one frame of an answer into the provider's dialect; called only if the manifest says "stream":"frames". */
  frame(state: State, stream: Stream, frame: Frame): Fault | null {
    stream.pass(frame);
    return null;
  }

  /** Ends a stream of frames; called exactly once. */
  end(state: State, stream: Stream, reason: EndReason): Fault | null {
    return null;
  }

  /** Translates a request body. */
  request(doc: Document, out: Writer): Fault | null {
    return doc.unserved();
  }

  /** Translates an answer; the stream takes usage and finish reason. */
  response(doc: Document, out: Writer, stream: Stream): Fault | null {
    return doc.unserved();
  }

  /** Translates one event of a stream. */
  event(doc: Document, state: State, stream: Stream, frame: Frame): Fault | null {
    return doc.unserved();
  }

  /** Ends a translated stream. If doc.collect is set, the whole answer goes to out. */
  finish(doc: Document, state: State, stream: Stream, out: Writer): Fault | null {
    return null;
  }
}

/** What a request gave that a plan asked for. */
export class Reply {
  status: u32 = 0;
  headers: Pair[] = [];
  body: Bytes = new Bytes();
  /** Why there is none. */
  fault: Fault | null = null;

  read(input: Bytes): Fault | null {
    const r = new Reader(input);
    const f = new Fault();
    while (r.next()) {
      if (r.tag == tags.TAG_STATUS) this.status = <u32>r.int();
      else if (r.tag == tags.TAG_HEADER) this.headers.push(r.pair());
      else if (r.tag == tags.TAG_BODY) this.body = r.value;
      else if (f.set(r)) this.fault = f;
      else r.unknown();
    }
    return r.fault;
  }

  /** Follows a dotted path in the body. */
  json(path: string): Json {
    return Json.parse(this.body).get(path);
  }
}

/** One call of an executor operation. */
export class Call {
  part: string = "";
  provider: string = "";
  /** chat, responses, embeddings, models and so on. */
  endpoint: string = "";
  /** Upstream model id. */
  model: string = "";
  /** The client asked for a stream. */
  stream: bool = false;
  authKind: string = "";
  /** 0 first. */
  attempt: u32 = 0;
  /** Failure of the attempt before. */
  previous: Fault | null = null;
  /** Client headers, or those of the answer. */
  headers: Pair[] = [];
  /** The body, if the manifest asks for it. */
  body: Bytes = new Bytes();
  nonce: string = "";
  status: u32 = 0;
  profile: Bytes = new Bytes();
  resume: u32 = 0;
  /** What the plan kept, if the call goes on after HTTP was done for it. */
  continuation: Bytes = new Bytes();
  /** What the requests of the plan gave, in their order. */
  replies: Reply[] = [];
  private attributes: Bytes = new Bytes();

  constructor(private settings: Pair[]) {}

  /** A setting of the plugin, or its default. */
  config(name: string): string {
    return find(this.settings, name);
  }

  /** A non-secret attribute of the chosen account. */
  attribute(name: string): string {
    return Json.parse(this.attributes).get(name).text;
  }

  /** A header of the client's request; case does not matter. */
  clientHeader(name: string): string {
    return find(this.headers, name);
  }

  read(input: Bytes): Fault | null {
    const r = new Reader(input);
    while (r.next()) {
      switch (r.tag) {
        case tags.TAG_PART: this.part = r.text(); break;
        case tags.TAG_PROVIDER: this.provider = r.text(); break;
        case tags.TAG_ENDPOINT: this.endpoint = r.text(); break;
        case tags.TAG_MODEL: this.model = r.text(); break;
        case tags.TAG_STREAM: this.stream = r.flag(); break;
        case tags.TAG_AUTH_KIND: this.authKind = r.text(); break;
        case tags.TAG_ATTEMPT: this.attempt = <u32>r.int(); break;
        case tags.TAG_ATTRIBUTES: this.attributes = r.value; break;
        case tags.TAG_CLIENT_HEADER:
        case tags.TAG_HEADER: this.headers.push(r.pair()); break;
        case tags.TAG_BODY: this.body = r.value; break;
        case tags.TAG_NONCE: this.nonce = r.text(); break;
        case tags.TAG_STATUS: this.status = <u32>r.int(); break;
        case tags.TAG_PREVIOUS: {
          const f = new Fault();
          const inner = new Reader(r.value);
          while (inner.next()) {
            if (!f.set(inner)) inner.unknown();
          }
          if (inner.fault !== null) r.fault = inner.fault;
          this.previous = f;
          break;
        }
        case tags.TAG_CONFIG: this.profile = r.value; break;
        case tags.TAG_RESUME_OP: this.resume = <u32>r.int(); break;
        case tags.TAG_CONTINUATION: this.continuation = r.value; break;
        case tags.TAG_REPLY: {
          const reply = new Reply();
          const fault = reply.read(r.value);
          if (fault !== null) return fault;
          this.replies.push(reply);
          break;
        }
        default: r.unknown();
      }
    }
    return r.fault;
  }
}

/** A document to translate, or the stream it belongs to. */
export class Document {
  from: string = "";
  to: string = "";
  /** "" is the body's own. */
  model: string = "";
  provider: string = "";
  stream: bool = false;
  /** A stream is collected into one answer. */
  collect: bool = false;
  status: u32 = 0;
  /** Of the body tokens in the body. */
  nonce: string = "";
  /** Valid during the call. */
  body: Bytes = new Bytes();
  /** The client's own request. */
  request: Kept = new Kept();

  read(input: Bytes): Fault | null {
    const r = new Reader(input);
    const f = new Fault();
    while (r.next()) {
      switch (r.tag) {
        case tags.TAG_FROM: this.from = r.text(); break;
        case tags.TAG_TO: this.to = r.text(); break;
        case tags.TAG_MODEL: this.model = r.text(); break;
        case tags.TAG_PROVIDER: this.provider = r.text(); break;
        case tags.TAG_STREAM: this.stream = r.flag(); break;
        case tags.TAG_COLLECT: this.collect = r.flag(); break;
        case tags.TAG_STATUS: this.status = <u32>r.int(); break;
        case tags.TAG_NONCE: this.nonce = r.text(); break;
        case tags.TAG_BODY: this.body = r.value; break;
        case tags.TAG_REQUEST: this.request = r.value.keep(); break;
        case tags.TAG_PROJECT:
        case tags.TAG_COUNT:
        case tags.TAG_REBUILD:
        case tags.TAG_HEADER:
        case tags.TAG_TOOL_NAME: break;
        default: if (!f.set(r)) r.unknown();
      }
    }
    return r.fault;
  }

  /** The body as JSON. */
  get json(): Json {
    return Json.parse(this.body);
  }

  unserved(): Fault {
    return Fault.plugin("no translator from " + this.from + " to " + this.to);
  }
}

/** Token counts of a call. Prompt includes cached tokens, completion reasoning. */
export class Usage {
  prompt: i64 = 0;
  completion: i64 = 0;
  cachedRead: i64 = 0;
  cacheWrite: i64 = 0;
  reasoning: i64 = 0;
  total: i64 = 0;
  estimated: bool = false;
}

/** Collects what a plugin gives back beside a body: frames, usage, the reason why an answer ended. */
export class Stream {
  constructor(private out: Writer) {}

  /** Sends a frame on as it is. */
  pass(f: Frame): void {
    this.out.frame(f);
  }

  /** Sends an event. */
  emit(name: string, payload: Bytes): void {
    const f = new Frame();
    f.name = name;
    f.payload = payload;
    this.out.frame(f);
  }

  /** Sends an OpenAI chunk with a piece of reasoning; text is a JSON string. */
  reasoningDelta(text: Json): void {
    this.delta("reasoning_content", text);
  }

  /** Sends an OpenAI chunk with a piece of text; text is a JSON string. */
  textDelta(text: Json): void {
    this.delta("content", text);
  }

  private delta(name: string, text: Json): void {
    const w = new Writer();
    w.string('{"object":"chat.completion.chunk","choices":[{"index":0,"delta":{"' + name + '":');
    if (text.raw.length == 0) w.string('""');
    else w.raw(text.raw);
    w.string('},"finish_reason":null}]}');
    this.emit("", w.view());
    w.free();
  }

  /** Reports token usage; the last report wins. */
  usage(u: Usage): void {
    const w = this.out;
    const mark = w.open(tags.TAG_USAGE);
    w.i64(tags.TAG_USAGE_PROMPT, u.prompt);
    w.i64(tags.TAG_USAGE_COMPLETION, u.completion);
    w.i64(tags.TAG_USAGE_CACHED_READ, u.cachedRead);
    w.i64(tags.TAG_USAGE_CACHE_WRITE, u.cacheWrite);
    w.i64(tags.TAG_USAGE_REASONING, u.reasoning);
    w.i64(tags.TAG_USAGE_TOTAL, u.total);
    w.flag(tags.TAG_USAGE_ESTIMATED, u.estimated);
    w.close(mark);
  }

  /** Reports why the answer ended. */
  finish(reason: string): void {
    this.out.put(tags.TAG_FINISH, reason);
  }

  /** Reports a field of the client's request that could not be carried over. */
  degraded(field: string): void {
    this.out.put(tags.TAG_DEGRADED, field);
  }
}

/** The URL path of an endpoint behind a base URL, "-" if there is none; {model} stands for the model id. */
export function path(dialect: string, endpoint: string, stream: bool): string {
  const key = dialect + " " + endpoint;
  if (key == "openai chat") return "/chat/completions";
  if (key == "openai-responses chat") return "/responses";
  if (dialect == "openai" || dialect == "openai-responses") {
    if (endpoint == "images") return "/images/generations";
    return endpoint == "responses" || endpoint == "embeddings" || endpoint == "models" ? "/" + endpoint : "-";
  }
  if (key == "claude chat") return "/messages";
  if (key == "claude count_tokens") return "/messages/count_tokens";
  if (key == "claude models") return "/models";
  if (key == "gemini chat") return stream ? "/{model}:streamGenerateContent?alt=sse" : "/{model}:generateContent";
  if (key == "gemini count_tokens") return "/{model}:countTokens";
  if (key == "gemini models") return "";
  if (key == "ollama chat") return "/api/chat";
  if (key == "ollama models") return "/api/tags";
  return "-";
}

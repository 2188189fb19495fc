import { Bytes, find, Pair, Writer } from "./abi";
import { Fault } from "./fault";
import { Json } from "./json";
import { TAG_RETRY_AFTER_MS, TAG_VERDICT } from "./tags";

/** An upstream answer to be judged. */
export class Answer {
  /** body holds the first 64 KiB; it is empty for a good stream. */
  constructor(public status: u32, public headers: Pair[], public body: Bytes, public stream: bool) {}

  /** Follows a dotted path in the body. */
  json(path: string): Json {
    return Json.parse(this.body).get(path);
  }

  /** A header of the answer; case does not matter. */
  header(name: string): string {
    return find(this.headers, name);
  }
}

/** The judgement of an answer. */
export class Verdict {
  private constructor(private kind: u8, private fault: Fault | null, private afterMS: i64 = 0) {}

  /** Takes the answer. */
  static good(answer: Answer): Verdict {
    return new Verdict(answer.stream ? 1 : 2, null);
  }

  /** Judges by HTTP status and by the error body in any known shape. */
  static standard(answer: Answer): Verdict {
    return answer.status < 400 ? Verdict.good(answer) : Verdict.fail(faultOf(answer));
  }

  /** Ends the attempt; the gateway's policies decide what follows. */
  static fail(fault: Fault): Verdict {
    return new Verdict(6, fault);
  }

  /** Goes on to another account or target. */
  static fallback(fault: Fault): Verdict {
    return new Verdict(5, fault);
  }

  /** Sends the request again after a wait. */
  static retry(answer: Answer, afterMS: i64): Verdict {
    return new Verdict(3, faultOf(answer), afterMS);
  }

  /** Refreshes the credential and sends the request again. */
  static refresh(answer: Answer): Verdict {
    const f = faultOf(answer);
    f.kind = "auth";
    f.scope = "credential";
    return new Verdict(4, f);
  }

  /** Ends the attempt and keeps the scope (request, credential, model or provider) from being used for a while. */
  static cooldown(scope: string, ms: i64): Verdict {
    const f = new Fault();
    f.message = "cooling down";
    f.kind = "rate";
    f.scope = scope;
    f.status = 429;
    f.retryable = true;
    f.cooldownMS = ms;
    f.retryAfterMS = ms;
    return Verdict.fallback(f);
  }

  appendTo(w: Writer): void {
    w.u8(TAG_VERDICT, this.kind);
    if (this.afterMS > 0) w.i64(TAG_RETRY_AFTER_MS, this.afterMS);
    const f = this.fault;
    if (f !== null) f.appendTo(w);
  }
}

/**
 * Reads an error body: {"error":{…}}, {"error":"text"}, {"type":"error","error":{…}}, {"message":…}, [{"error":{…}}]
 * and plain text.
 */
export function faultOf(answer: Answer): Fault {
  const f = new Fault();
  f.status = answer.status;
  f.upstream = true;
  const root = Json.parse(answer.body);
  if (root.isArray) {
    const it = root.items();
    while (it.next()) {
      if (f.message.length == 0) read(f, it.value);
    }
  } else read(f, root);
  if (f.message.length == 0) f.message = plainText(answer.body);
  const wait = retryAfterMS(answer);
  if (wait >= 0) f.retryAfterMS = wait;
  classify(f);
  return f;
}

function read(f: Fault, root: Json): void {
  let obj = root.get("error");
  if (obj.raw.length == 0) obj = root;
  else if (obj.isString) {
    f.message = obj.text;
    f.code = root.get("code").text;
    return;
  }
  const names = ["message", "detail", "error_description", "errorMessage"];
  for (let k = 0; k < names.length; k++) {
    f.message = obj.get(names[k]).text;
    if (f.message.length > 0) break;
  }
  f.type = obj.get("type").text;
  f.code = obj.get("code").text;
  const status = obj.get("status");
  if (f.code.length == 0 || status.exists && isDigits(f.code)) {
    const s = status.text;
    if (s.length > 0 && !isDigits(s)) f.code = s;
  }
  f.param = obj.get("param").text;
}

function isDigits(s: string): bool {
  for (let i = 0; i < s.length; i++) {
    const c = s.charCodeAt(i);
    if (c < 48 || c > 57) return false;
  }
  return s.length > 0;
}

class Word {
  constructor(public words: string[], public kind: string, public scope: string, public retryable: bool) {}
}

const known: Word[] = [
  new Word(["insufficient_quota", "billing_error", "billing_hard_limit_reached"], "quota", "credential", false),
  new Word(["rate_limit_error", "rate_limit_exceeded", "RESOURCE_EXHAUSTED"], "rate", "credential", true),
  new Word(["overloaded_error", "UNAVAILABLE", "engine_overloaded"], "overloaded", "model", true),
  new Word(["invalid_api_key", "authentication_error", "API_KEY_INVALID", "UNAUTHENTICATED", "token_expired"], "auth", "credential", false),
  new Word(["model_not_found"], "not_found", "model", false),
  new Word(["content_filter", "content_policy_violation"], "content_filter", "request", false),
];

/** Sets class and scope where the provider's own words say more than the status does. */
function classify(f: Fault): void {
  const said = [f.type, f.code];
  for (let s = 0; s < said.length; s++) {
    for (let k = 0; k < known.length; k++) {
      if (!known[k].words.includes(said[s])) continue;
      f.kind = known[k].kind;
      f.scope = known[k].scope;
      if (known[k].retryable) f.retryable = true;
      return;
    }
  }
}

/** How long the provider asks to wait: retry-after-ms, retry-after in seconds; -1 for nothing. Dates are left to the gateway. */
export function retryAfterMS(answer: Answer): i64 {
  const ms = decimal(answer.header("retry-after-ms"), 1);
  return ms >= 0 ? ms : decimal(answer.header("retry-after"), 1000);
}

/** Reads a non-negative number with an optional fraction, times scale; -1 if it is none. */
function decimal(s: string, scale: i64): i64 {
  if (s.length > 12) return -1;
  const dot = s.indexOf(".");
  const whole = dot < 0 ? s : s.slice(0, dot), frac = dot < 0 ? "" : s.slice(dot + 1);
  if (!isDigits(whole) || frac.length > 0 && !isDigits(frac)) return -1;
  let n: i64 = 0, div: i64 = 1;
  for (let i = 0; i < frac.length && i < 6; i++) {
    n = n * 10 + (frac.charCodeAt(i) - 48);
    div *= 10;
  }
  return I64.parseInt(whole) * scale + n * scale / div;
}

/** A short error text; HTML pages say nothing useful. */
function plainText(b: Bytes): string {
  const limit = 512;
  let i = 0;
  while (i < b.length && (b[i] == 0x20 || b[i] == 0x0a || b[i] == 0x0d || b[i] == 0x09)) i++;
  if (i == b.length || b[i] == 0x3c || b[i] == 0x7b || b[i] == 0x5b) return "";
  let end = b.length;
  if (end - i > limit) {
    end = i + limit;
    while (end > i && (b[end - 1] & 0xc0) == 0x80) end--;
    if (end > i && b[end - 1] >= 0xc0) end--;
  }
  return b.slice(i, end).text();
}

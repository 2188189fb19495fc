import { Bytes, Frame, Kept, Pair, sameName, Writer } from "./abi";
import {
  TAG_VALUE, TAG_PLAN_METHOD, TAG_PLAN_URL, TAG_PLAN_HEADER, TAG_PLAN_BODY, TAG_PLAN_EDIT, TAG_EDIT_OP, TAG_EDIT_PATH,
  TAG_PLAN_AUTH, TAG_PLAN_FRAMING, TAG_PLAN_DIALECT, TAG_PLAN_CONNECT_MS, TAG_PLAN_FIRST_BYTE_MS, TAG_PLAN_IDLE_MS,
  TAG_PLAN_TOTAL_MS, TAG_PLAN_IDEMPOTENT, TAG_PLAN_FORCED,
  TAG_PLAN, TAG_NEED, TAG_CONTINUATION, TAG_LOCAL, TAG_LOCAL_STATUS, TAG_LOCAL_HEADER, TAG_LOCAL_BODY,
} from "./tags";

class Edit {
  constructor(public op: u8, public path: string, public value: string) {}
}

/** An answer without any upstream, in the provider's dialect. */
export class Local {
  /** 0 is 200. */
  status: u32 = 0;
  headers: Pair[] = [];
  /** Of a plain answer. */
  body: Bytes | null = null;
  /** Of a streamed answer. */
  events: Frame[] = [];

  appendTo(w: Writer): void {
    const mark = w.open(TAG_LOCAL);
    if (this.status != 0) w.u32(TAG_LOCAL_STATUS, this.status);
    for (let k = 0; k < this.headers.length; k++) w.pair(TAG_LOCAL_HEADER, this.headers[k].name, this.headers[k].value);
    const body = this.body;
    if (body !== null) w.bytes(TAG_LOCAL_BODY, body);
    for (let k = 0; k < this.events.length; k++) w.frame(this.events[k]);
    w.close(mark);
  }
}

/**
 * The HTTP request that the gateway shall send. It comes filled in for the manifest's dialect; secrets stand in URLs
 * and headers as {{secret:name}}. Edits of the body are made by the gateway, so that long texts never enter the guest.
 */
export class Plan {
  /** "" is POST. */
  method: string = "";
  /** First choice first. */
  urls: string[] = [];
  headers: Pair[] = [];
  /** A body in place of the translated one. */
  body: Bytes | null = null;
  /** Directive that the gateway carries out on the finished request. */
  auth: string = "";
  /** Of a streamed answer: sse, ndjson, raw and so on. */
  framing: string = "";
  /** Of the answer when it is not the provider's own. */
  dialect: string = "";
  connectMS: u32 = 0;
  firstByteMS: u32 = 0;
  idleMS: u32 = 0;
  totalMS: u32 = 0;
  /** May be sent twice. */
  idempotent: bool = false;
  /** The upstream always streams. */
  forceStream: bool = false;
  /** An answer in place of any request. */
  local: Local | null = null;
  /** Comes back as the call's continuation after what was asked for; at most 64 KiB. */
  keep: Kept = new Kept();
  private edits: Edit[] = [];
  private asks: Plan[] = [];

  /**
   * Has the gateway make another request before this one is planned: the hook is called again, and finds what came of
   * it in the call's replies. At most four in a round, and four rounds.
   */
  ask(request: Plan): void {
    this.asks.push(request);
  }

  /** Sets a header, replacing one of the same name. */
  header(name: string, value: string): void {
    for (let k = 0; k < this.headers.length; k++) {
      if (sameName(this.headers[k].name, name)) {
        this.headers[k].value = value;
        return;
      }
    }
    this.headers.push(new Pair(name, value));
  }

  private edit(op: u8, path: string, value: string): void {
    for (let k = 0; k < this.edits.length; k++) {
      const e = this.edits[k];
      if (e.op == op && e.path == path && e.value == value) return;
    }
    this.edits.push(new Edit(op, path, value));
  }

  /** Writes a JSON value at a dotted path. */
  set(path: string, json: string): void { this.edit(0, path, json); }

  /** Writes a JSON value where the member is absent. */
  setIfAbsent(path: string, json: string): void { this.edit(1, path, json); }

  /** Removes a member. */
  drop(path: string): void { this.edit(2, path, ""); }

  /** Moves a top-level member; an existing one of the new name wins. */
  rename(from: string, to: string): void { this.edit(3, from, to); }

  /** Removes a member that is an empty array or object. */
  dropEmpty(path: string): void { this.edit(4, path, ""); }

  /** Writes what a hook decided on: requests to make first, a local answer or the request. */
  appendDecision(w: Writer): void {
    const local = this.local;
    if (this.asks.length > 0) {
      const mark = w.open(TAG_NEED);
      for (let k = 0; k < this.asks.length; k++) this.asks[k].appendTo(w);
      w.bytes(TAG_CONTINUATION, this.keep.bytes());
      w.close(mark);
    } else if (local !== null) local.appendTo(w);
    else this.appendTo(w);
  }

  private appendTo(w: Writer): void {
    const whole = w.open(TAG_PLAN);
    w.text(TAG_PLAN_METHOD, this.method);
    for (let k = 0; k < this.urls.length; k++) w.put(TAG_PLAN_URL, this.urls[k]);
    for (let k = 0; k < this.headers.length; k++) w.pair(TAG_PLAN_HEADER, this.headers[k].name, this.headers[k].value);
    const body = this.body;
    if (body !== null) w.bytes(TAG_PLAN_BODY, body);
    for (let k = 0; k < this.edits.length; k++) {
      const e = this.edits[k];
      const mark = w.open(TAG_PLAN_EDIT);
      w.u8(TAG_EDIT_OP, e.op);
      const names = e.path.split(".");
      for (let n = 0; n < names.length; n++) w.put(TAG_EDIT_PATH, names[n]);
      w.text(TAG_VALUE, e.value);
      w.close(mark);
    }
    w.text(TAG_PLAN_AUTH, this.auth);
    w.text(TAG_PLAN_FRAMING, this.framing);
    w.text(TAG_PLAN_DIALECT, this.dialect);
    if (this.connectMS != 0) w.u32(TAG_PLAN_CONNECT_MS, this.connectMS);
    if (this.firstByteMS != 0) w.u32(TAG_PLAN_FIRST_BYTE_MS, this.firstByteMS);
    if (this.idleMS != 0) w.u32(TAG_PLAN_IDLE_MS, this.idleMS);
    if (this.totalMS != 0) w.u32(TAG_PLAN_TOTAL_MS, this.totalMS);
    w.flag(TAG_PLAN_IDEMPOTENT, this.idempotent);
    w.flag(TAG_PLAN_FORCED, this.forceStream);
    w.close(whole);
  }
}

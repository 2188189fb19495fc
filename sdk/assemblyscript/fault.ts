import { Reader, Writer } from "./abi";
import {
  TAG_ERR_MESSAGE, TAG_ERR_CLASS, TAG_ERR_SCOPE, TAG_ERR_STATUS, TAG_ERR_CODE, TAG_ERR_TYPE, TAG_ERR_PARAM,
  TAG_ERR_RETRYABLE, TAG_ERR_NO_CODE, TAG_ERR_UPSTREAM, TAG_ERR_FALLBACK, TAG_ERR_RETRY_AFTER_MS,
  TAG_ERR_COOLDOWN_MS, TAG_ERR_RESET_AT,
} from "./tags";

/**
 * A failure. Its class and scope decide what the gateway does about it; where they are empty it fills them in from
 * status and text.
 */
export class Fault {
  message: string = "";
  /** client auth quota rate overloaded not_found content_filter timeout transport upstream plugin */
  kind: string = "";
  /** request credential model provider plugin */
  scope: string = "";
  /** HTTP status, 0 for none. */
  status: u32 = 0;
  code: string = "";
  type: string = "";
  param: string = "";
  retryable: bool = false;
  /** The code is known to be null. */
  noCode: bool = false;
  /** The provider said it, not the gateway. */
  upstream: bool = false;
  /** Another target could serve the request. */
  fallback: bool = false;
  retryAfterMS: i64 = 0;
  cooldownMS: i64 = 0;
  /** Unix milliseconds. */
  resetAt: i64 = 0;

  /** A fault of the plugin. */
  static plugin(message: string): Fault {
    const f = new Fault();
    f.message = message;
    f.kind = "plugin";
    f.scope = "plugin";
    f.status = 502;
    return f;
  }

  /** A mistake in the client's request. */
  static request(status: u32, message: string): Fault {
    const f = new Fault();
    f.message = message;
    f.kind = "client";
    f.scope = "request";
    f.status = status;
    return f;
  }

  appendTo(w: Writer): void {
    w.put(TAG_ERR_MESSAGE, this.message);
    w.text(TAG_ERR_CLASS, this.kind);
    w.text(TAG_ERR_SCOPE, this.scope);
    if (this.status != 0) w.u32(TAG_ERR_STATUS, this.status);
    w.text(TAG_ERR_CODE, this.code);
    w.text(TAG_ERR_TYPE, this.type);
    w.text(TAG_ERR_PARAM, this.param);
    w.flag(TAG_ERR_RETRYABLE, this.retryable);
    w.flag(TAG_ERR_NO_CODE, this.noCode);
    w.flag(TAG_ERR_UPSTREAM, this.upstream);
    w.flag(TAG_ERR_FALLBACK, this.fallback);
    if (this.retryAfterMS != 0) w.i64(TAG_ERR_RETRY_AFTER_MS, this.retryAfterMS);
    if (this.cooldownMS != 0) w.i64(TAG_ERR_COOLDOWN_MS, this.cooldownMS);
    if (this.resetAt != 0) w.i64(TAG_ERR_RESET_AT, this.resetAt);
  }

  /** Takes one field of an error record; false if it is none. */
  set(r: Reader): bool {
    if (r.tag == TAG_ERR_MESSAGE) this.message = r.text();
    else if (r.tag == TAG_ERR_CLASS) this.kind = r.text();
    else if (r.tag == TAG_ERR_SCOPE) this.scope = r.text();
    else if (r.tag == TAG_ERR_STATUS) this.status = <u32>r.int();
    else if (r.tag == TAG_ERR_CODE) this.code = r.text();
    else if (r.tag == TAG_ERR_TYPE) this.type = r.text();
    else if (r.tag == TAG_ERR_PARAM) this.param = r.text();
    else if (r.tag == TAG_ERR_RETRYABLE) this.retryable = r.flag();
    else if (r.tag == TAG_ERR_NO_CODE) this.noCode = r.flag();
    else if (r.tag == TAG_ERR_UPSTREAM) this.upstream = r.flag();
    else if (r.tag == TAG_ERR_FALLBACK) this.fallback = r.flag();
    else if (r.tag == TAG_ERR_RETRY_AFTER_MS) this.retryAfterMS = r.int();
    else if (r.tag == TAG_ERR_COOLDOWN_MS) this.cooldownMS = r.int();
    else if (r.tag == TAG_ERR_RESET_AT) this.resetAt = r.int();
    else return false;
    return true;
  }
}

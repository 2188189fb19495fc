// What the gateway lends to every call, and what it lends to plugins that ask for it.

import { Bytes, Kept } from "./abi";
import { Fault } from "./fault";

// @ts-ignore: decorator
@external("omni_v1", "log") declare function hostLog(level: u32, ptr: usize, len: u32): void;
// @ts-ignore: decorator
@external("omni_v1", "log_on") declare function hostLogOn(level: u32): u32;
// @ts-ignore: decorator
@external("omni_v1", "now_ms") declare function hostNowMS(): i64;
// @ts-ignore: decorator
@external("omni_v1", "random") declare function hostRandom(ptr: usize, len: u32): void;
// @ts-ignore: decorator
@external("omni_v1", "blob_len") declare function hostBlobLen(id: u32): i32;
// @ts-ignore: decorator
@external("omni_v1", "blob_read") declare function hostBlobRead(id: u32, off: u32, ptr: usize, len: u32): i32;
// @ts-ignore: decorator
@external("omni_v1", "kv_get") declare function hostKVGet(key: usize, len: u32): i64;
// @ts-ignore: decorator
@external("omni_v1", "kv_put") declare function hostKVPut(key: usize, len: u32, value: usize, valueLen: u32, ttlMS: i64): i32;
// @ts-ignore: decorator
@external("omni_v1", "kv_del") declare function hostKVDel(key: usize, len: u32): i32;
// @ts-ignore: decorator
@external("omni_v1", "secret_hmac") declare function hostSecretHMAC(alg: u32, name: usize, len: u32, data: usize, dataLen: u32): i64;
// @ts-ignore: decorator
@external("omni_v1", "secret_read") declare function hostSecretRead(name: usize, len: u32): i64;

/** Levels of log. */
export const DEBUG: u32 = 0, INFO: u32 = 1, WARN: u32 = 2, ERROR: u32 = 3;

/** Writes a line to the gateway's log. */
export function log(level: u32, line: string): void {
  if (hostLogOn(level) == 0) return;
  const b = String.UTF8.encode(line);
  hostLog(level, changetype<usize>(b), b.byteLength);
}

/** The time in Unix milliseconds, the same throughout a call. */
export function nowMS(): i64 {
  return hostNowMS();
}

/** Random bits from the call's seed. */
export function random(): u64 {
  const b = new Uint64Array(1);
  hostRandom(b.dataStart, 8);
  return b[0];
}

/** The length of the text behind a body token, -1 if there is none. */
export function blobLength(id: u32): i32 {
  return max(-1, hostBlobLen(id));
}

/** Reads up to len bytes of the text behind a body token from an offset on. */
export function blobRead(id: u32, off: u32, len: u32): Uint8Array {
  const b = new Uint8Array(len);
  const n = max(0, hostBlobRead(id, off, b.dataStart, len));
  return b.subarray(0, n);
}

const NOT_FOUND: i64 = -2, TOO_LARGE: i64 = -3;

/** What a plugin got that its manifest has to ask for: kv or secrets. */
export class Lent {
  /** Why it got nothing, null if it did; return it from the hook. */
  fault: Fault | null = null;
  /** The value is there. */
  found: bool = false;
  value: Kept = new Kept();

  constructor(result: i64, what: string) {
    this.found = result >= 0;
    const f = Fault.plugin(what + (result == NOT_FOUND ? " is not there" : result == TOO_LARGE ? " is larger than it may be" : " was not granted"));
    f.code = result == NOT_FOUND ? "not_found" : result == TOO_LARGE ? "too_large" : "denied";
    if (result == NOT_FOUND || result == TOO_LARGE) f.scope = "request";
    if (!this.found) this.fault = f;
  }

  /** Takes what the gateway wrote to the buffer for its results. */
  static bytes(packed: i64, what: string): Lent {
    const l = new Lent(packed, what);
    if (l.found) l.value = new Bytes(<usize>(packed >> 32), <i32>packed).keep();
    return l;
  }
}

/** Reads a value from the plugin's own store; a missing one is no fault. The manifest has to ask for the capability kv. */
export function kvGet(key: string): Lent {
  const k = String.UTF8.encode(key);
  const l = Lent.bytes(hostKVGet(changetype<usize>(k), k.byteLength), "kv");
  const f = l.fault;
  if (f !== null && f.code == "not_found") l.fault = null;
  return l;
}

/** Stores a value of at most 64 KiB; ttlMS is its life in milliseconds, 0 = for ever. All have at most 1 MiB. */
export function kvPut(key: string, value: Bytes, ttlMS: i64 = 0): Fault | null {
  const k = String.UTF8.encode(key);
  return new Lent(hostKVPut(changetype<usize>(k), k.byteLength, value.ptr, value.length, ttlMS), "kv value " + key).fault;
}

/** Removes a value, also one that is not there. */
export function kvDelete(key: string): Fault | null {
  const k = String.UTF8.encode(key);
  const code = hostKVDel(changetype<usize>(k), k.byteLength);
  return code == NOT_FOUND ? null : new Lent(code, "kv").fault;
}

/** Algorithms of hmac. */
export const MD5: u32 = 1, SHA1: u32 = 2, SHA256: u32 = 3, SHA512: u32 = 4;

/** Computes a keyed digest with a secret of the account, which the plugin does not see; the manifest asks for it. */
export function hmac(algorithm: u32, secret: string, data: Bytes): Lent {
  const n = String.UTF8.encode(secret);
  return Lent.bytes(hostSecretHMAC(algorithm, changetype<usize>(n), n.byteLength, data.ptr, data.length), "secret " + secret);
}

/** Reads a secret of the account. Operators grant this to few plugins; think of {{secret:name}} and hmac first. */
export function secret(name: string): Lent {
  const n = String.UTF8.encode(name);
  return Lent.bytes(hostSecretRead(changetype<usize>(n), n.byteLength), "secret " + name);
}

// What the gateway lends to every call.

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

// What authors of OmniRoute plugins in AssemblyScript write against:
//
//   import { Call, Fault, Plan, Plugin, serve } from "./omniroute";
//   export { omni_abi, omni_buf, omni_call, omni_trim } from "./omniroute";
//
//   class Acme extends Plugin {
//     plan(call: Call, plan: Plan): Fault | null {
//       plan.drop("logit_bias");
//       return null;
//     }
//   }
//
//   serve(new Acme(`{"schema": 1, …}`));
//
// A plugin maps inputs to outputs. It does no I/O, never waits and never sees a secret: what it wants done it returns,
// and the gateway does it. Build it with the runtime "minimal": memory is collected between calls, when nothing is in
// use.

import { Bytes } from "./abi";
import { ERROR, log } from "./host";
import { Module } from "./module";
import { Plugin } from "./plugin";
import { ABI_VERSION } from "./tags";

export { Bytes, Frame, Kept, Pair, Reader, Writer } from "./abi";
export { Fault } from "./fault";
export { escape, Items, Json } from "./json";
export { Local, Plan } from "./plan";
export { Call, Document, EndReason, Plugin, Reply, State, Stream, Usage } from "./plugin";
export { Answer, faultOf, retryAfterMS, Verdict } from "./result";
export { blobLength, blobRead, DEBUG, ERROR, INFO, log, nowMS, random, WARN } from "./host";
export { hmac, kvDelete, kvGet, kvPut, Lent, MD5, secret, SHA1, SHA256, SHA512 } from "./host";

let module: Module | null = null;
const slots = new StaticArray<usize>(2);
const rooms = new StaticArray<u32>(2);

/** Makes a plugin available to the gateway. */
export function serve(plugin: Plugin): void {
  module = new Module(plugin);
}

export function omni_abi(): u32 {
  return ABI_VERSION;
}

export function omni_buf(slot: u32, size: u32): usize {
  if (slot > 1) return 0;
  if (slots[slot] == 0 || rooms[slot] < size) {
    if (slots[slot] != 0) heap.free(slots[slot]);
    rooms[slot] = max(4096, size + size / 4);
    slots[slot] = heap.alloc(rooms[slot]);
  }
  return slots[slot];
}

export function omni_call(op: u32, handle: u32, length: u32): u64 {
  const m = module;
  if (m === null) return 0;
  const failed = m.call(op, handle, new Bytes(slots[0], length));
  __collect(); // nothing is in use now but what globals hold
  return (<u64>m.out.ptr << 32) | <u64>m.out.length | (failed ? 0x80000000 : 0);
}

export function omni_trim(): void {
  for (let k = 0; k < 2; k++) {
    if (slots[k] != 0) heap.free(slots[k]);
    slots[k] = 0;
    rooms[k] = 0;
  }
  const m = module;
  if (m !== null) m.out.free();
  __collect();
}

/** Writes why the plugin dies to the gateway's log; the build names it as the handler of failed checks. */
export function abort(message: string | null, file: string | null, line: u32, column: u32): void {
  const what = message === null ? "abort" : message;
  const where = file === null ? "" : " in " + file + ":" + line.toString() + ":" + column.toString();
  log(ERROR, what + where);
  unreachable();
}

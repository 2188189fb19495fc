// Records: u16 tag | u16 flags | u32 length | bytes, little endian.

import {
  critical, TAG_NAME, TAG_VALUE, TAG_FRAME, TAG_FRAME_KIND, TAG_FRAME_NAME, TAG_FRAME_PAYLOAD, TAG_FRAME_DELAY_MS,
  TAG_FRAME_JSON,
} from "./tags";
import { Fault } from "./fault";

/** Somebody else's bytes, valid during the call. */
export class Bytes {
  constructor(public ptr: usize = 0, public length: i32 = 0) {}

  @operator("[]") at(i: i32): u8 {
    return load<u8>(this.ptr + i);
  }

  slice(start: i32, end: i32): Bytes {
    return new Bytes(this.ptr + start, end - start);
  }

  /** The bytes as UTF-8 text. */
  text(): string {
    return String.UTF8.decodeUnsafe(this.ptr, this.length);
  }

  /** Tells whether the bytes are that text. */
  equals(text: string): bool {
    const n = String.UTF8.byteLength(text);
    if (n != this.length) return false;
    const b = String.UTF8.encode(text);
    return memory.compare(changetype<usize>(b), this.ptr, n) == 0;
  }

  /** A copy that outlives the call. */
  keep(): Kept {
    const b = new Uint8Array(this.length);
    memory.copy(b.dataStart, this.ptr, this.length);
    return new Kept(b);
  }
}

/** Bytes that a plugin keeps. */
export class Kept {
  constructor(private data: Uint8Array = new Uint8Array(0)) {}

  bytes(): Bytes {
    return new Bytes(this.data.dataStart, this.data.length);
  }
}

/** Appends fields to a record, or bytes to a document. */
export class Writer {
  ptr: usize = 0;
  length: i32 = 0;
  private room: i32 = 0;

  /** Makes room for n more bytes and returns where they go. */
  private grow(n: i32): usize {
    if (this.length + n > this.room) {
      this.room = (this.length + n) * 2 + 1024;
      this.ptr = this.ptr == 0 ? heap.alloc(this.room) : heap.realloc(this.ptr, this.room);
    }
    const at = this.ptr + this.length;
    this.length += n;
    return at;
  }

  /** Gives the memory back. */
  free(): void {
    if (this.ptr != 0) heap.free(this.ptr);
    this.ptr = 0;
    this.length = 0;
    this.room = 0;
  }

  view(): Bytes {
    return new Bytes(this.ptr, this.length);
  }

  byte(c: u8): void {
    store<u8>(this.grow(1), c);
  }

  raw(b: Bytes): void {
    memory.copy(this.grow(b.length), b.ptr, b.length);
  }

  string(s: string): void {
    const n = String.UTF8.byteLength(s);
    String.UTF8.encodeUnsafe(changetype<usize>(s), s.length, this.grow(n));
  }

  private head(tag: u16, n: i32): void {
    const at = this.grow(8);
    store<u16>(at, tag);
    store<u16>(at, critical(tag) ? 1 : 0, 2);
    store<u32>(at, n, 4);
  }

  bytes(tag: u16, b: Bytes): void {
    this.head(tag, b.length);
    this.raw(b);
  }

  /** Appends a text field, also an empty one. */
  put(tag: u16, s: string): void {
    this.head(tag, String.UTF8.byteLength(s));
    this.string(s);
  }

  /** Appends a text field unless it is empty. */
  text(tag: u16, s: string): void {
    if (s.length > 0) this.put(tag, s);
  }

  u8(tag: u16, v: u8): void {
    this.head(tag, 1);
    this.byte(v);
  }

  flag(tag: u16, v: bool): void {
    if (v) this.u8(tag, 1);
  }

  u32(tag: u16, v: u32): void {
    this.head(tag, 4);
    store<u32>(this.grow(4), v);
  }

  i64(tag: u16, v: i64): void {
    this.head(tag, 8);
    store<i64>(this.grow(8), v);
  }

  /** Starts a field whose length is not known yet; close it with the mark. */
  open(tag: u16): i32 {
    this.head(tag, 0);
    return this.length;
  }

  close(mark: i32): void {
    store<u32>(this.ptr + mark - 4, this.length - mark);
  }

  pair(tag: u16, name: string, value: string): void {
    const mark = this.open(tag);
    this.put(TAG_NAME, name);
    this.put(TAG_VALUE, value);
    this.close(mark);
  }

  frame(f: Frame): void {
    const mark = this.open(TAG_FRAME);
    if (f.kind != Frame.DATA) this.u8(TAG_FRAME_KIND, f.kind);
    if (f.delayMS != 0) this.u32(TAG_FRAME_DELAY_MS, f.delayMS);
    this.text(TAG_FRAME_NAME, f.name);
    this.flag(TAG_FRAME_JSON, f.json);
    this.bytes(TAG_FRAME_PAYLOAD, f.payload);
    this.close(mark);
  }
}

/** One event of a stream. */
export class Frame {
  static readonly DATA: u8 = 0;
  static readonly COMMENT: u8 = 1;
  static readonly RAW: u8 = 2;

  kind: u8 = Frame.DATA;
  delayMS: u32 = 0;
  name: string = "";
  payload: Bytes = new Bytes();
  /** The gateway found the payload to be one valid JSON document. */
  json: bool = false;
}

/** Walks over the fields of a record. */
export class Reader {
  tag: u16 = 0;
  value: Bytes = new Bytes();
  /** What is wrong with the record, null if nothing is. */
  fault: Fault | null = null;
  private critical: bool = false;
  private i: i32 = 0;

  constructor(private record: Bytes) {}

  /** Goes to the next field; false at the end or at a fault. */
  next(): bool {
    const rest = this.record.length - this.i;
    if (this.fault !== null || rest == 0) return false;
    const at = this.record.ptr + this.i;
    const n: u32 = rest < 8 ? 0 : load<u32>(at, 4);
    if (rest < 8 || n > <u32>(rest - 8)) {
      this.fault = Fault.plugin("abi: record is truncated");
      return false;
    }
    this.tag = load<u16>(at);
    this.critical = (load<u16>(at, 2) & 1) != 0;
    this.value = new Bytes(at + 8, n);
    this.i += 8 + n;
    return true;
  }

  /** Says that the field is not known; a critical one ends the record. */
  unknown(): void {
    if (this.critical) this.fault = Fault.plugin("abi: record has a critical field this side does not know");
  }

  text(): string {
    return this.value.text();
  }

  /** An integer of 1, 4 or 8 bytes; any other size is 0. */
  int(): i64 {
    switch (this.value.length) {
      case 1: return load<u8>(this.value.ptr);
      case 4: return load<i32>(this.value.ptr);
      case 8: return load<i64>(this.value.ptr);
    }
    return 0;
  }

  flag(): bool {
    return this.int() != 0;
  }

  /** Reads a nested record of a name and a value. */
  pair(): Pair {
    const p = new Pair("", "");
    const r = new Reader(this.value);
    while (r.next()) {
      if (r.tag == TAG_NAME) p.name = r.text();
      else if (r.tag == TAG_VALUE) p.value = r.text();
      else r.unknown();
    }
    if (r.fault !== null) this.fault = r.fault;
    return p;
  }

  /** Reads a frame. */
  frame(): Frame {
    const f = new Frame();
    const r = new Reader(this.value);
    while (r.next()) {
      if (r.tag == TAG_FRAME_KIND) f.kind = <u8>r.int();
      else if (r.tag == TAG_FRAME_DELAY_MS) f.delayMS = <u32>r.int();
      else if (r.tag == TAG_FRAME_NAME) f.name = r.text();
      else if (r.tag == TAG_FRAME_PAYLOAD) f.payload = r.value;
      else if (r.tag == TAG_FRAME_JSON) f.json = r.flag();
      else r.unknown();
    }
    if (r.fault !== null) this.fault = r.fault;
    return f;
  }
}

/** A header, a setting, a renamed tool. */
export class Pair {
  constructor(public name: string, public value: string) {}
}

/** The value of the first pair of that name; case does not matter. */
export function find(list: Pair[], name: string): string {
  for (let k = 0; k < list.length; k++) {
    if (sameName(list[k].name, name)) return list[k].value;
  }
  return "";
}

/** Compares header names: only ASCII letters have a case. */
export function sameName(a: string, b: string): bool {
  if (a.length != b.length) return false;
  for (let i = 0; i < a.length; i++) {
    let x = a.charCodeAt(i), y = b.charCodeAt(i);
    if (x >= 65 && x <= 90) x += 32;
    if (y >= 65 && y <= 90) y += 32;
    if (x != y) return false;
  }
  return true;
}

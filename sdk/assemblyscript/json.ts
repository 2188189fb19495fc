import { Bytes, Writer } from "./abi";

// @ts-ignore: decorator
@inline function isSpace(c: u8): bool {
  return c == 0x20 || c == 0x0a || c == 0x0d || c == 0x09;
}

function skipSpace(b: Bytes, i: i32): i32 {
  while (i < b.length && isSpace(b[i])) i++;
  return i;
}

/** The index behind the closing quote of the string whose content begins at i. */
function stringEnd(b: Bytes, i: i32): i32 {
  while (i < b.length) {
    const c = b[i];
    if (c == 0x22) return i + 1;
    i += c == 0x5c ? 2 : 1;
  }
  return b.length;
}

/** The index behind the value that begins at i. */
function valueEnd(b: Bytes, i: i32): i32 {
  let depth = 0;
  while (i < b.length) {
    const c = b[i];
    if (c == 0x22) {
      i = stringEnd(b, i + 1);
      if (depth == 0) return i;
      continue;
    }
    if (c == 0x7b || c == 0x5b) depth++;
    else if (c == 0x7d || c == 0x5d) {
      if (depth <= 1) return i + depth;
      depth--;
    } else if (depth == 0 && (c == 0x2c || c == 0x3a || isSpace(c))) return i;
    i++;
  }
  return b.length;
}

function hex4(b: Bytes, i: i32): i32 {
  if (i + 4 > b.length) return -1;
  let n = 0;
  for (let k = 0; k < 4; k++) {
    const c = <i32>b[i + k];
    const low = c | 0x20;
    if (c >= 0x30 && c <= 0x39) n = n << 4 | c - 0x30;
    else if (low >= 0x61 && low <= 0x66) n = n << 4 | low - 0x57;
    else return -1;
  }
  return n;
}

/** Decodes escaped text. Bad escapes are kept; a lone surrogate becomes U+FFFD. */
function unescape(s: Bytes): string {
  let plain = true;
  for (let i = 0; i < s.length; i++) {
    if (s[i] == 0x5c) { plain = false; break; }
  }
  if (plain) return s.text();
  const out: string[] = [];
  let start = 0, i = 0;
  while (i < s.length) {
    if (s[i] != 0x5c || i + 1 == s.length) { i++; continue; }
    if (i > start) out.push(s.slice(start, i).text());
    const c = s[i + 1];
    i += 2;
    if (c == 0x62) out.push("\b");
    else if (c == 0x66) out.push("\f");
    else if (c == 0x6e) out.push("\n");
    else if (c == 0x72) out.push("\r");
    else if (c == 0x74) out.push("\t");
    else if (c == 0x75) {
      let r = hex4(s, i);
      if (r < 0) out.push("\\u");
      else {
        i += 4;
        if (r >= 0xd800 && r < 0xe000) {
          const low = i + 1 < s.length && s[i] == 0x5c && s[i + 1] == 0x75 ? hex4(s, i + 2) : -1;
          if (r < 0xdc00 && low >= 0xdc00 && low < 0xe000) {
            i += 6;
            r = 0x10000 + ((r - 0xd800) << 10) + (low - 0xdc00);
          } else r = 0xfffd;
        }
        out.push(String.fromCodePoint(r));
      }
    } else { // the character stands for itself: it begins the next piece
      start = i - 1;
      continue;
    }
    start = i;
  }
  if (start < s.length) out.push(s.slice(start, s.length).text());
  return out.join("");
}

/**
 * A raw JSON value in somebody else's bytes. The empty one stands for an absent value; every method works on it. The
 * gateway has validated what it hands over, so the scanner only has to stay within bounds on anything else.
 */
export class Json {
  constructor(public raw: Bytes = new Bytes()) {}

  /** Takes a document. */
  static parse(text: Bytes): Json {
    const start = skipSpace(text, 0);
    return new Json(text.slice(start, max(start, valueEnd(text, start))));
  }

  private get first(): u8 {
    return this.raw.length > 0 ? this.raw[0] : 0;
  }

  /** Tells whether the value is there and not null. */
  get exists(): bool {
    return this.raw.length > 0 && this.first != 0x6e;
  }

  get isString(): bool {
    return this.first == 0x22;
  }

  get isNumber(): bool {
    return this.first == 0x2d || this.first >= 0x30 && this.first <= 0x39;
  }

  get isArray(): bool {
    return this.first == 0x5b;
  }

  get isTrue(): bool {
    return this.raw.equals("true");
  }

  /** Follows a dotted path of object members. */
  get(path: string): Json {
    let v: Json = this;
    const names = path.split(".");
    for (let k = 0; k < names.length; k++) v = v.member(names[k]);
    return v;
  }

  private member(name: string): Json {
    const it = this.members();
    while (it.next()) {
      if (it.key.is(name)) return it.value;
    }
    return new Json();
  }

  /** Walks over the members of an object. */
  members(): Items {
    return new Items(this.raw, this.first == 0x7b ? 1 : this.raw.length, true);
  }

  /** Walks over the elements of an array. */
  items(): Items {
    return new Items(this.raw, this.isArray ? 1 : this.raw.length, false);
  }

  private get content(): Bytes {
    return this.isString && this.raw.length >= 2 ? this.raw.slice(1, this.raw.length - 1) : new Bytes();
  }

  /** Tells whether the value is a string of that content. */
  is(want: string): bool {
    return this.isString && (this.content.equals(want) || unescape(this.content) == want);
  }

  /** The content of a string, the digits of a number, "" for anything else. */
  get text(): string {
    return this.isString ? unescape(this.content) : this.isNumber ? this.raw.text() : "";
  }

  /** An integer, 0 for anything else. */
  get int(): i64 {
    if (!this.isNumber || this.raw.length > 20) return 0;
    let n: i64 = 0, i = this.first == 0x2d ? 1 : 0;
    for (; i < this.raw.length; i++) {
      const c = this.raw[i];
      if (c < 0x30 || c > 0x39) return 0;
      n = n * 10 + (c - 0x30);
    }
    return this.first == 0x2d ? -n : n;
  }

  /** Appends the value without the white space between its tokens. */
  compact(w: Writer): void {
    const b = this.raw;
    let i = 0;
    while (i < b.length) {
      if (b[i] == 0x22) {
        const end = stringEnd(b, i + 1);
        w.raw(b.slice(i, end));
        i = end;
        continue;
      }
      if (!isSpace(b[i])) w.byte(b[i]);
      i++;
    }
  }
}

/** The members of an object or the elements of an array. */
export class Items {
  key: Json = new Json();
  value: Json = new Json();

  constructor(private b: Bytes, private i: i32, private keys: bool) {}

  next(): bool {
    if (this.keys) {
      this.key = this.take();
      if (!this.key.isString) return false;
      this.skip(0x3a);
    }
    this.value = this.take();
    this.skip(0x2c);
    return this.value.raw.length > 0;
  }

  private take(): Json {
    const start = skipSpace(this.b, this.i);
    const end = valueEnd(this.b, start);
    this.i = end > start ? end : this.b.length;
    return end > start ? new Json(this.b.slice(start, end)) : new Json();
  }

  private skip(c: u8): void {
    this.i = skipSpace(this.b, this.i);
    if (this.i < this.b.length && this.b[this.i] == c) this.i++;
  }
}

/** Appends text as a JSON string. */
export function escape(w: Writer, text: string): void {
  w.byte(0x22);
  const b = String.UTF8.encode(text);
  const ptr = changetype<usize>(b);
  for (let i = 0; i < b.byteLength; i++) {
    const c = load<u8>(ptr + i);
    if (c == 0x22 || c == 0x5c) { w.byte(0x5c); w.byte(c); }
    else if (c == 0x0a) w.string("\\n");
    else if (c == 0x0d) w.string("\\r");
    else if (c == 0x09) w.string("\\t");
    else if (c == 0x08) w.string("\\b");
    else if (c == 0x0c) w.string("\\f");
    else if (c < 0x20) {
      w.string("\\u00");
      w.string((c >> 4).toString());
      w.byte("0123456789abcdef".charCodeAt(c & 15) as u8);
    } else w.byte(c);
  }
  w.byte(0x22);
}

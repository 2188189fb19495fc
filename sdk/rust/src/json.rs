use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// A raw JSON value in somebody else's bytes. The empty one stands for an
/// absent value; every method works on it. The gateway has validated what it
/// hands over, so the scanner only has to stay within bounds on anything else.
#[derive(Clone, Copy, Default)]
pub struct Json<'a>(&'a [u8]);

fn skip_space(b: &[u8], mut i: usize) -> usize {
    while i < b.len() && matches!(b[i], b' ' | b'\n' | b'\r' | b'\t') {
        i += 1;
    }
    i
}

/// The index behind the closing quote of the string whose content begins at i.
fn string_end(b: &[u8], mut i: usize) -> usize {
    while i < b.len() {
        match b[i] {
            b'"' => return i + 1,
            b'\\' => i += 2,
            _ => i += 1,
        }
    }
    b.len()
}

/// The index behind the value that begins at i.
fn value_end(b: &[u8], mut i: usize) -> usize {
    let mut depth = 0usize;
    while i < b.len() {
        match b[i] {
            b'"' => {
                i = string_end(b, i + 1);
                if depth == 0 {
                    return i;
                }
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                if depth <= 1 {
                    return i + depth;
                }
                depth -= 1;
            }
            b',' | b':' | b' ' | b'\n' | b'\r' | b'\t' if depth == 0 => return i,
            _ => {}
        }
        i += 1;
    }
    b.len()
}

impl<'a> Json<'a> {
    /// Takes a document.
    pub fn new(text: &'a [u8]) -> Json<'a> {
        let start = skip_space(text, 0);
        Json(&text[start..value_end(text, start).max(start)])
    }

    /// The bytes of the value.
    pub fn raw(&self) -> &'a [u8] {
        self.0
    }

    fn first(&self) -> u8 {
        self.0.first().copied().unwrap_or(0)
    }

    /// Tells whether the value is there and not null.
    pub fn exists(&self) -> bool {
        !matches!(self.first(), 0 | b'n')
    }

    /// Follows a dotted path of object members.
    pub fn get(&self, path: &str) -> Json<'a> {
        path.split('.').fold(*self, |v, name| v.member(name))
    }

    fn member(&self, name: &str) -> Json<'a> {
        self.members().find(|(key, _)| key.is(name)).map(|(_, v)| v).unwrap_or_default()
    }

    /// Walks over the members of an object; keys are string values.
    pub fn members(&self) -> Members<'a> {
        Members(Items { b: self.0, i: if self.first() == b'{' { 1 } else { self.0.len() } })
    }

    /// Walks over the elements of an array.
    pub fn items(&self) -> Items<'a> {
        Items { b: self.0, i: if self.first() == b'[' { 1 } else { self.0.len() } }
    }

    /// Tells whether the value is a string of that content.
    pub fn is(&self, want: &str) -> bool {
        self.first() == b'"' && {
            let content = self.content();
            content == want.as_bytes() || content.contains(&b'\\') && unescape(content) == want.as_bytes()
        }
    }

    fn content(&self) -> &'a [u8] {
        if self.first() == b'"' && self.0.len() >= 2 {
            &self.0[1..self.0.len() - 1]
        } else {
            &[]
        }
    }

    /// The content of a string, the digits of a number, "" for anything else.
    pub fn text(&self) -> String {
        match self.first() {
            b'"' => String::from_utf8_lossy(&unescape(self.content())).to_string(),
            b'-' | b'0'..=b'9' => String::from_utf8_lossy(self.0).to_string(),
            _ => String::new(),
        }
    }

    /// An integer, 0 for anything else.
    pub fn int(&self) -> i64 {
        core::str::from_utf8(self.0).ok().and_then(|s| s.parse().ok()).unwrap_or(0)
    }

    /// Tells whether the value is the literal true.
    pub fn is_true(&self) -> bool {
        self.0 == b"true"
    }

    /// Tells whether the value is a string.
    pub fn is_string(&self) -> bool {
        self.first() == b'"'
    }

    /// Tells whether the value is a number.
    pub fn is_number(&self) -> bool {
        matches!(self.first(), b'-' | b'0'..=b'9')
    }

    /// Appends the value without the white space between its tokens.
    pub fn append_compact(&self, out: &mut Vec<u8>) {
        let mut i = 0;
        while i < self.0.len() {
            match self.0[i] {
                b' ' | b'\n' | b'\r' | b'\t' => i += 1,
                b'"' => {
                    let end = string_end(self.0, i + 1);
                    out.extend_from_slice(&self.0[i..end]);
                    i = end;
                }
                c => {
                    out.push(c);
                    i += 1;
                }
            }
        }
    }
}

/// The elements of an array.
pub struct Items<'a> {
    b: &'a [u8],
    i: usize,
}

impl<'a> Items<'a> {
    fn value(&mut self) -> Option<Json<'a>> {
        let start = skip_space(self.b, self.i);
        let end = value_end(self.b, start);
        self.i = end;
        if end <= start {
            self.i = self.b.len();
            return None;
        }
        Some(Json(&self.b[start..end]))
    }

    fn eat(&mut self, c: u8) {
        self.i = skip_space(self.b, self.i);
        if self.b.get(self.i) == Some(&c) {
            self.i += 1;
        }
    }
}

impl<'a> Iterator for Items<'a> {
    type Item = Json<'a>;

    fn next(&mut self) -> Option<Json<'a>> {
        let v = self.value();
        self.eat(b',');
        v
    }
}

/// The members of an object.
pub struct Members<'a>(Items<'a>);

impl<'a> Iterator for Members<'a> {
    type Item = (Json<'a>, Json<'a>);

    fn next(&mut self) -> Option<(Json<'a>, Json<'a>)> {
        let key = self.0.value().filter(Json::is_string)?;
        self.0.eat(b':');
        let value = self.0.value()?;
        self.0.eat(b',');
        Some((key, value))
    }
}

fn hex4(b: &[u8]) -> Option<u32> {
    b.get(..4)?.iter().try_fold(0, |n, &c| Some(n << 4 | (c as char).to_digit(16)?))
}

/// Decodes escaped text. Bad escapes are kept as they are; a lone surrogate
/// becomes U+FFFD.
fn unescape(s: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(s.len());
    let mut i = 0;
    while i < s.len() {
        if s[i] != b'\\' || i + 1 == s.len() {
            out.push(s[i]);
            i += 1;
            continue;
        }
        let c = s[i + 1];
        i += 2;
        match c {
            b'b' => out.push(8),
            b'f' => out.push(12),
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'u' => match hex4(&s[i..]) {
                None => out.extend_from_slice(b"\\u"),
                Some(mut r) => {
                    i += 4;
                    if (0xd800..0xe000).contains(&r) {
                        let low = if s[i..].starts_with(b"\\u") { hex4(&s[i + 2..]) } else { None };
                        r = match low {
                            Some(low) if r < 0xdc00 && (0xdc00..0xe000).contains(&low) => {
                                i += 6;
                                0x10000 + ((r - 0xd800) << 10) + (low - 0xdc00)
                            }
                            _ => 0xfffd,
                        };
                    }
                    let ch = char::from_u32(r).unwrap_or('\u{fffd}');
                    out.extend_from_slice(ch.encode_utf8(&mut [0; 4]).as_bytes());
                }
            },
            c => out.push(c),
        }
    }
    out
}

/// Appends text as a JSON string.
pub fn escape(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    for &c in text.as_bytes() {
        match c {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', c]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            8 => out.extend_from_slice(b"\\b"),
            12 => out.extend_from_slice(b"\\f"),
            0..=31 => {
                const HEX: &[u8; 16] = b"0123456789abcdef";
                out.extend_from_slice(&[b'\\', b'u', b'0', b'0', HEX[(c >> 4) as usize], HEX[(c & 15) as usize]]);
            }
            c => out.push(c),
        }
    }
    out.push(b'"');
}

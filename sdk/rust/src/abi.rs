use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::error::Error;
use crate::tags;

/// Appends fields to a record: `u16 tag | u16 flags | u32 length | bytes`.
#[derive(Default)]
pub struct Writer {
    /// The record so far.
    pub buf: Vec<u8>,
}

impl Writer {
    fn head(&mut self, tag: u16, len: usize) {
        self.buf.extend_from_slice(&tag.to_le_bytes());
        self.buf.extend_from_slice(&(tags::critical(tag) as u16).to_le_bytes());
        self.buf.extend_from_slice(&(len as u32).to_le_bytes());
    }

    /// Appends a field.
    pub fn bytes(&mut self, tag: u16, value: &[u8]) {
        self.head(tag, value.len());
        self.buf.extend_from_slice(value);
    }

    /// Appends a text field unless it is empty.
    pub fn text(&mut self, tag: u16, value: &str) {
        if !value.is_empty() {
            self.bytes(tag, value.as_bytes());
        }
    }

    /// Appends a one-byte field.
    pub fn u8(&mut self, tag: u16, value: u8) {
        self.bytes(tag, &[value]);
    }

    /// Appends a one-byte 1, or nothing.
    pub fn flag(&mut self, tag: u16, value: bool) {
        if value {
            self.u8(tag, 1);
        }
    }

    /// Appends a four-byte field.
    pub fn u32(&mut self, tag: u16, value: u32) {
        self.bytes(tag, &value.to_le_bytes());
    }

    /// Appends an eight-byte field.
    pub fn i64(&mut self, tag: u16, value: i64) {
        self.bytes(tag, &value.to_le_bytes());
    }

    /// Starts a field whose length is not known yet; close it with the mark.
    pub fn open(&mut self, tag: u16) -> usize {
        self.head(tag, 0);
        self.buf.len()
    }

    /// Ends a field started by [`Writer::open`].
    pub fn close(&mut self, mark: usize) {
        let len = (self.buf.len() - mark) as u32;
        self.buf[mark - 4..mark].copy_from_slice(&len.to_le_bytes());
    }

    /// Appends a nested record of a name and a value.
    pub fn pair(&mut self, tag: u16, name: &str, value: &str) {
        let mark = self.open(tag);
        self.bytes(tags::TAG_NAME, name.as_bytes());
        self.bytes(tags::TAG_VALUE, value.as_bytes());
        self.close(mark);
    }

    /// Appends a frame.
    pub fn frame(&mut self, frame: &Frame) {
        let mark = self.open(tags::TAG_FRAME);
        if frame.kind != FrameKind::DATA {
            self.u8(tags::TAG_FRAME_KIND, frame.kind.0);
        }
        if frame.delay_ms != 0 {
            self.u32(tags::TAG_FRAME_DELAY_MS, frame.delay_ms);
        }
        self.text(tags::TAG_FRAME_NAME, frame.name);
        self.flag(tags::TAG_FRAME_JSON, frame.json);
        self.bytes(tags::TAG_FRAME_PAYLOAD, frame.payload);
        self.close(mark);
    }
}

/// One field of a record.
#[derive(Clone, Copy)]
pub struct Field<'a> {
    /// What it is.
    pub tag: u16,
    /// Its bytes.
    pub value: &'a [u8],
    critical: bool,
}

impl<'a> Field<'a> {
    /// Copies the value into a string; what is not UTF-8 is replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(self.value).to_string()
    }

    /// Reads an integer of 1, 4 or 8 bytes; any other size is 0.
    pub fn int(&self) -> i64 {
        match *self.value {
            [a] => a as i64,
            [a, b, c, d] => i32::from_le_bytes([a, b, c, d]) as i64,
            [a, b, c, d, e, f, g, h] => i64::from_le_bytes([a, b, c, d, e, f, g, h]),
            _ => 0,
        }
    }

    /// Tells whether the value is a non-zero integer.
    pub fn flag(&self) -> bool {
        self.int() != 0
    }

    /// Reads a nested record of a name and a value.
    pub fn pair(&self) -> Result<(String, String), Error> {
        let (mut name, mut value) = (String::new(), String::new());
        let mut r = Reader::new(self.value);
        while let Some(f) = r.next()? {
            match f.tag {
                tags::TAG_NAME => name = f.text(),
                tags::TAG_VALUE => value = f.text(),
                _ => f.unknown()?,
            }
        }
        Ok((name, value))
    }

    /// Reads a frame.
    pub fn frame(&self) -> Result<Frame<'a>, Error> {
        let mut frame = Frame::default();
        let mut r = Reader::new(self.value);
        while let Some(f) = r.next()? {
            match f.tag {
                tags::TAG_FRAME_KIND => frame.kind = FrameKind(f.int() as u8),
                tags::TAG_FRAME_DELAY_MS => frame.delay_ms = f.int() as u32,
                tags::TAG_FRAME_NAME => frame.name = core::str::from_utf8(f.value).unwrap_or(""),
                tags::TAG_FRAME_PAYLOAD => frame.payload = f.value,
                tags::TAG_FRAME_JSON => frame.json = f.flag(),
                _ => f.unknown()?,
            }
        }
        Ok(frame)
    }

    /// Says that the reader does not know the field; an error if it must.
    pub fn unknown(&self) -> Result<(), Error> {
        if self.critical {
            return Err(Error::plugin("abi: record has a critical field this side does not know"));
        }
        Ok(())
    }
}

/// Walks over the fields of a record.
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Starts reading a record.
    pub fn new(record: &'a [u8]) -> Self {
        Reader { rest: record }
    }

    /// Returns the next field, None at the end. A record that breaks off is an
    /// error.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<Field<'a>>, Error> {
        const HEAD: usize = 8;
        if self.rest.is_empty() {
            return Ok(None);
        }
        let truncated = || Error::plugin("abi: record is truncated");
        if self.rest.len() < HEAD {
            return Err(truncated());
        }
        let (head, body) = self.rest.split_at(HEAD);
        let len = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
        if len > body.len() {
            return Err(truncated());
        }
        let (value, rest) = body.split_at(len);
        self.rest = rest;
        Ok(Some(Field { tag: u16::from_le_bytes([head[0], head[1]]), critical: head[2] & 1 != 0, value }))
    }
}

/// What a frame carries.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct FrameKind(pub u8);

impl FrameKind {
    /// An event: its name, if any, and its data.
    pub const DATA: FrameKind = FrameKind(0);
    /// A comment of an SSE stream.
    pub const COMMENT: FrameKind = FrameKind(1);
    /// Bytes as they came.
    pub const RAW: FrameKind = FrameKind(2);
}

/// One event of a stream.
#[derive(Clone, Copy, Default)]
pub struct Frame<'a> {
    /// What it carries.
    pub kind: FrameKind,
    /// The pause before it in a local answer, in milliseconds.
    pub delay_ms: u32,
    /// Name of the event.
    pub name: &'a str,
    /// Its data.
    pub payload: &'a [u8],
    /// The gateway found the data to be one valid JSON document.
    pub json: bool,
}

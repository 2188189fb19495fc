use alloc::string::{String, ToString};

use crate::abi::{Field, Writer};
use crate::tags;

/// A failure. Its class and scope decide what the gateway does about it; where
/// they are empty it fills them in from status and text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Error {
    pub message: String,
    /// client auth quota rate overloaded not_found content_filter timeout transport upstream plugin
    pub class: String,
    /// request credential model provider plugin
    pub scope: String,
    /// HTTP status, 0 for none.
    pub status: u32,
    pub code: String,
    pub kind: String,
    pub param: String,
    pub retryable: bool,
    /// The code is known to be null.
    pub no_code: bool,
    /// The provider said it, not the gateway.
    pub upstream: bool,
    /// Another target could serve the request.
    pub fallback: bool,
    pub retry_after_ms: i64,
    pub cooldown_ms: i64,
    /// Unix milliseconds.
    pub reset_at: i64,
}

impl Error {
    /// A fault of the plugin.
    pub fn plugin(message: &str) -> Error {
        Error { message: message.to_string(), class: "plugin".into(), scope: "plugin".into(), status: 502, ..Error::default() }
    }

    /// A mistake in the client's request.
    pub fn request(status: u32, message: &str) -> Error {
        Error { message: message.to_string(), class: "client".into(), scope: "request".into(), status, ..Error::default() }
    }

    pub(crate) fn append_to(&self, w: &mut Writer) {
        w.bytes(tags::TAG_ERR_MESSAGE, self.message.as_bytes());
        w.text(tags::TAG_ERR_CLASS, &self.class);
        w.text(tags::TAG_ERR_SCOPE, &self.scope);
        if self.status != 0 {
            w.u32(tags::TAG_ERR_STATUS, self.status);
        }
        w.text(tags::TAG_ERR_CODE, &self.code);
        w.text(tags::TAG_ERR_TYPE, &self.kind);
        w.text(tags::TAG_ERR_PARAM, &self.param);
        w.flag(tags::TAG_ERR_RETRYABLE, self.retryable);
        w.flag(tags::TAG_ERR_NO_CODE, self.no_code);
        w.flag(tags::TAG_ERR_UPSTREAM, self.upstream);
        w.flag(tags::TAG_ERR_FALLBACK, self.fallback);
        for &(tag, value) in &[
            (tags::TAG_ERR_RETRY_AFTER_MS, self.retry_after_ms),
            (tags::TAG_ERR_COOLDOWN_MS, self.cooldown_ms),
            (tags::TAG_ERR_RESET_AT, self.reset_at),
        ] {
            if value != 0 {
                w.i64(tag, value);
            }
        }
    }

    /// Takes one field of an error record; false if it is none.
    pub(crate) fn set(&mut self, f: &Field) -> bool {
        match f.tag {
            tags::TAG_ERR_MESSAGE => self.message = f.text(),
            tags::TAG_ERR_CLASS => self.class = f.text(),
            tags::TAG_ERR_SCOPE => self.scope = f.text(),
            tags::TAG_ERR_STATUS => self.status = f.int() as u32,
            tags::TAG_ERR_CODE => self.code = f.text(),
            tags::TAG_ERR_TYPE => self.kind = f.text(),
            tags::TAG_ERR_PARAM => self.param = f.text(),
            tags::TAG_ERR_RETRYABLE => self.retryable = f.flag(),
            tags::TAG_ERR_NO_CODE => self.no_code = f.flag(),
            tags::TAG_ERR_UPSTREAM => self.upstream = f.flag(),
            tags::TAG_ERR_FALLBACK => self.fallback = f.flag(),
            tags::TAG_ERR_RETRY_AFTER_MS => self.retry_after_ms = f.int(),
            tags::TAG_ERR_COOLDOWN_MS => self.cooldown_ms = f.int(),
            tags::TAG_ERR_RESET_AT => self.reset_at = f.int(),
            _ => return false,
        }
        true
    }
}

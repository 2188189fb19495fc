use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::abi::Writer;
use crate::error::Error;
use crate::json::Json;
use crate::tags;

/// An upstream answer to be judged.
pub struct Answer<'a> {
    /// HTTP status.
    pub status: u32,
    /// Headers of the answer.
    pub headers: &'a [(String, String)],
    /// Its first 64 KiB; empty for a good stream.
    pub body: &'a [u8],
    /// The answer is a stream.
    pub stream: bool,
}

impl<'a> Answer<'a> {
    /// Follows a dotted path in the body.
    pub fn json(&self, path: &str) -> Json<'a> {
        Json::new(self.body).get(path)
    }

    /// A header of the answer; case does not matter.
    pub fn header(&self, name: &str) -> &'a str {
        self.headers.iter().find(|(have, _)| have.eq_ignore_ascii_case(name)).map_or("", |(_, v)| v)
    }
}

/// The judgement of an answer.
pub struct Verdict {
    kind: u8,
    error: Option<Error>,
    after_ms: i64,
}

impl Verdict {
    /// Takes the answer.
    pub fn good(answer: &Answer) -> Verdict {
        Verdict { kind: if answer.stream { 1 } else { 2 }, error: None, after_ms: 0 }
    }

    /// Judges by HTTP status and by the error body in any known shape.
    pub fn standard(answer: &Answer) -> Verdict {
        if answer.status < 400 {
            return Verdict::good(answer);
        }
        Verdict::fail(error_of(answer))
    }

    /// Ends the attempt; the gateway's policies decide what follows.
    pub fn fail(error: Error) -> Verdict {
        Verdict { kind: 6, error: Some(error), after_ms: 0 }
    }

    /// Goes on to another account or target.
    pub fn fallback(error: Error) -> Verdict {
        Verdict { kind: 5, error: Some(error), after_ms: 0 }
    }

    /// Sends the request again after a wait.
    pub fn retry(answer: &Answer, after_ms: i64) -> Verdict {
        Verdict { kind: 3, error: Some(error_of(answer)), after_ms }
    }

    /// Refreshes the credential and sends the request again.
    pub fn refresh(answer: &Answer) -> Verdict {
        let error = Error { class: "auth".into(), scope: "credential".into(), ..error_of(answer) };
        Verdict { kind: 4, error: Some(error), after_ms: 0 }
    }

    /// Ends the attempt and keeps the scope (request, credential, model or
    /// provider) from being used for a while.
    pub fn cooldown(scope: &str, ms: i64) -> Verdict {
        Verdict::fallback(Error {
            message: "cooling down".into(),
            class: "rate".into(),
            scope: scope.into(),
            status: 429,
            retryable: true,
            cooldown_ms: ms,
            retry_after_ms: ms,
            ..Error::default()
        })
    }

    pub(crate) fn append_to(&self, w: &mut Writer) {
        w.u8(tags::TAG_VERDICT, self.kind);
        if self.after_ms > 0 {
            w.i64(tags::TAG_RETRY_AFTER_MS, self.after_ms);
        }
        if let Some(error) = &self.error {
            error.append_to(w);
        }
    }
}

/// Reads an error body: `{"error":{…}}`, `{"error":"text"}`,
/// `{"type":"error","error":{…}}`, `{"message":…}`, `[{"error":{…}}]` and plain
/// text.
pub fn error_of(answer: &Answer) -> Error {
    let mut e = Error { status: answer.status, upstream: true, ..Error::default() };
    let root = Json::new(answer.body);
    if root.raw().first() == Some(&b'[') {
        for v in root.items() {
            if e.message.is_empty() {
                read(&mut e, v);
            }
        }
    } else {
        read(&mut e, root);
    }
    if e.message.is_empty() {
        e.message = plain_text(answer.body);
    }
    if let Some(ms) = retry_after_ms(answer) {
        e.retry_after_ms = ms;
    }
    classify(&mut e);
    e
}

fn read(e: &mut Error, root: Json) {
    let mut obj = root.get("error");
    if obj.raw().is_empty() {
        obj = root;
    } else if obj.is_string() {
        e.message = obj.text();
        e.code = root.get("code").text();
        return;
    }
    for name in &["message", "detail", "error_description", "errorMessage"] {
        e.message = obj.get(name).text();
        if !e.message.is_empty() {
            break;
        }
    }
    e.kind = obj.get("type").text();
    e.code = obj.get("code").text();
    let status = obj.get("status");
    if e.code.is_empty() || status.exists() && is_digits(&e.code) {
        let s = status.text();
        if !s.is_empty() && !is_digits(&s) {
            e.code = s;
        }
    }
    e.param = obj.get("param").text();
}

fn is_digits(s: &str) -> bool {
    !s.is_empty() && s.bytes().all(|c| c.is_ascii_digit())
}

/// Sets class and scope where the provider's own words say more than the
/// status does.
fn classify(e: &mut Error) {
    for word in [&e.kind, &e.code] {
        let (class, scope, retryable) = match word.as_str() {
            "insufficient_quota" | "billing_error" | "billing_hard_limit_reached" => ("quota", "credential", false),
            "rate_limit_error" | "rate_limit_exceeded" | "RESOURCE_EXHAUSTED" => ("rate", "credential", true),
            "overloaded_error" | "UNAVAILABLE" | "engine_overloaded" => ("overloaded", "model", true),
            "invalid_api_key" | "authentication_error" | "API_KEY_INVALID" | "UNAUTHENTICATED" | "token_expired" => {
                ("auth", "credential", false)
            }
            "model_not_found" => ("not_found", "model", false),
            "content_filter" | "content_policy_violation" => ("content_filter", "request", false),
            _ => continue,
        };
        e.class = class.into();
        e.scope = scope.into();
        e.retryable |= retryable;
        return;
    }
}

/// How long the provider asks to wait: retry-after-ms, retry-after in seconds.
/// Dates are left to the gateway.
pub fn retry_after_ms(answer: &Answer) -> Option<i64> {
    decimal(answer.header("retry-after-ms"), 1).or_else(|| decimal(answer.header("retry-after"), 1000))
}

/// Reads a non-negative number with an optional fraction, times scale.
fn decimal(s: &str, scale: i64) -> Option<i64> {
    if s.is_empty() || s.len() > 12 {
        return None;
    }
    let (whole, frac) = match s.find('.') {
        Some(dot) => (&s[..dot], &s[dot + 1..]),
        None => (s, ""),
    };
    if !is_digits(whole) || !frac.is_empty() && !is_digits(frac) {
        return None;
    }
    let (mut n, mut div) = (0, 1);
    for c in frac.bytes().take(6) {
        n = n * 10 + (c - b'0') as i64;
        div *= 10;
    }
    Some(whole.parse::<i64>().ok()? * scale + n * scale / div)
}

/// A short error text; HTML pages say nothing useful.
fn plain_text(body: &[u8]) -> String {
    const LIMIT: usize = 512;
    let start = body.iter().position(|c| !matches!(c, b' ' | b'\n' | b'\r' | b'\t')).unwrap_or(body.len());
    let mut text: &[u8] = &body[start..];
    if matches!(text.first(), None | Some(b'<' | b'{' | b'[')) {
        return String::new();
    }
    if text.len() > LIMIT {
        text = &text[..LIMIT];
        while let Some((last, rest)) = text.split_last() {
            if last & 0xc0 != 0x80 {
                break;
            }
            text = rest;
        }
        if let Some((last, rest)) = text.split_last() {
            if *last >= 0xc0 {
                text = rest;
            }
        }
    }
    let text: Vec<u8> = text.to_vec();
    String::from_utf8_lossy(&text).to_string()
}

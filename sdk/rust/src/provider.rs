use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::abi::{Field, Frame, Writer};
use crate::error::Error;
use crate::json::Json;
use crate::module::EndReason;
use crate::plan::Plan;
use crate::result::{Answer, Verdict};
use crate::tags;

/// What an author writes. Only the manifest is needed: everything else has a
/// default. A provider implements `plan`, `result` and `frame`; a translator
/// between two formats `request`, `response` and `event`.
pub trait Plugin: Default {
    /// The manifest, as JSON.
    const MANIFEST: &'static str;
    /// How the gateway authenticates requests of the provider.
    const AUTH: &'static str = "bearer:api_key";
    /// What is kept for an open stream.
    type State: Default;

    /// Changes the planned request before it is sent.
    fn plan(&mut self, _call: &Call, _plan: &mut Plan) -> Result<(), Error> {
        Ok(())
    }

    /// Judges an answer.
    fn result(&mut self, _call: &Call, answer: &Answer) -> Verdict {
        Verdict::standard(answer)
    }

    /// Maps one frame of an answer into the provider's dialect. It is called
    /// only if the manifest says `"stream":"frames"`.
    fn frame(&mut self, _state: &mut Self::State, stream: &mut Stream, frame: &Frame) -> Result<(), Error> {
        stream.pass(frame);
        Ok(())
    }

    /// Ends a stream of frames; it is called exactly once.
    fn end(&mut self, _state: &mut Self::State, _stream: &mut Stream, _reason: EndReason) -> Result<(), Error> {
        Ok(())
    }

    /// Translates a request body.
    fn request(&mut self, doc: &Document, _out: &mut Vec<u8>) -> Result<(), Error> {
        Err(doc.unserved())
    }

    /// Translates an answer; the stream takes usage and finish reason.
    fn response(&mut self, doc: &Document, _out: &mut Vec<u8>, _stream: &mut Stream) -> Result<(), Error> {
        Err(doc.unserved())
    }

    /// Translates one event of a stream.
    fn event(&mut self, doc: &Document, _state: &mut Self::State, _stream: &mut Stream, _frame: &Frame) -> Result<(), Error> {
        Err(doc.unserved())
    }

    /// Ends a translated stream. If `doc.collect` is set, the whole answer
    /// goes to `out`.
    fn finish(&mut self, _doc: &Document, _state: &mut Self::State, _stream: &mut Stream, _out: &mut Vec<u8>) -> Result<(), Error> {
        Ok(())
    }

    /// Serves an operation that the library does not know. None declines.
    fn other(&mut self, _op: u32, _handle: u32, _input: &[u8], _out: &mut Writer) -> Option<Result<(), Error>> {
        None
    }
}

/// One call of an executor operation.
#[derive(Default)]
#[allow(missing_docs)]
pub struct Call<'a> {
    pub part: String,
    pub provider: String,
    /// chat, responses, embeddings, models and so on.
    pub endpoint: String,
    /// Upstream model id.
    pub model: String,
    /// The client asked for a stream.
    pub stream: bool,
    pub auth_kind: String,
    /// 0 first.
    pub attempt: u32,
    /// Failure of the attempt before.
    pub previous: Option<Error>,
    /// Client headers, or those of the answer.
    pub headers: Vec<(String, String)>,
    /// What the plan kept, if the call goes on after HTTP was done for it.
    pub continuation: &'a [u8],
    /// What the requests of the plan gave, in their order.
    pub replies: Vec<Reply<'a>>,
    /// The body, if the manifest asks for it.
    pub body: &'a [u8],
    pub nonce: String,
    pub(crate) status: u32,
    pub(crate) profile: &'a [u8],
    pub(crate) resume: u32,
    pub(crate) settings: Vec<(String, String)>,
    pub(crate) attributes: &'a [u8],
}

impl<'a> Call<'a> {
    pub(crate) fn set(&mut self, f: &Field<'a>) -> Result<(), Error> {
        match f.tag {
            tags::TAG_PART => self.part = f.text(),
            tags::TAG_PROVIDER => self.provider = f.text(),
            tags::TAG_ENDPOINT => self.endpoint = f.text(),
            tags::TAG_MODEL => self.model = f.text(),
            tags::TAG_STREAM => self.stream = f.flag(),
            tags::TAG_AUTH_KIND => self.auth_kind = f.text(),
            tags::TAG_ATTEMPT => self.attempt = f.int() as u32,
            tags::TAG_ATTRIBUTES => self.attributes = f.value,
            tags::TAG_CLIENT_HEADER | tags::TAG_HEADER => self.headers.push(f.pair()?),
            tags::TAG_BODY => self.body = f.value,
            tags::TAG_NONCE => self.nonce = f.text(),
            tags::TAG_STATUS => self.status = f.int() as u32,
            tags::TAG_PREVIOUS => {
                let mut e = Error::default();
                let mut r = crate::abi::Reader::new(f.value);
                while let Some(g) = r.next()? {
                    if !e.set(&g) {
                        g.unknown()?;
                    }
                }
                self.previous = Some(e);
            }
            tags::TAG_CONFIG => self.profile = f.value,
            tags::TAG_RESUME_OP => self.resume = f.int() as u32,
            tags::TAG_CONTINUATION => self.continuation = f.value,
            tags::TAG_REPLY => self.replies.push(Reply::read(f)?),
            _ => f.unknown()?,
        }
        Ok(())
    }

    /// A setting of the plugin, or its default.
    pub fn config(&self, name: &str) -> String {
        self.settings.iter().find(|(have, _)| have == name).map(|(_, v)| v.clone()).unwrap_or_default()
    }

    /// A non-secret attribute of the chosen account.
    pub fn attribute(&self, name: &str) -> String {
        Json::new(self.attributes).get(name).text()
    }

    /// A header of the client's request; case does not matter.
    pub fn client_header(&self, name: &str) -> &str {
        self.headers.iter().find(|(have, _)| have.eq_ignore_ascii_case(name)).map_or("", |(_, v)| v)
    }
}

/// What a request gave that a plan asked for.
#[derive(Default)]
#[allow(missing_docs)]
pub struct Reply<'a> {
    pub status: u32,
    pub headers: Vec<(String, String)>,
    pub body: &'a [u8],
    /// Why there is none.
    pub error: Option<Error>,
}

impl<'a> Reply<'a> {
    fn read(field: &Field<'a>) -> Result<Reply<'a>, Error> {
        let mut reply = Reply::default();
        let mut error = Error::default();
        let mut r = crate::abi::Reader::new(field.value);
        while let Some(f) = r.next()? {
            match f.tag {
                tags::TAG_STATUS => reply.status = f.int() as u32,
                tags::TAG_HEADER => reply.headers.push(f.pair()?),
                tags::TAG_BODY => reply.body = f.value,
                _ if error.set(&f) => reply.error = Some(error.clone()),
                _ => f.unknown()?,
            }
        }
        Ok(reply)
    }

    /// Follows a dotted path in the body.
    pub fn json(&self, path: &str) -> Json<'a> {
        Json::new(self.body).get(path)
    }
}

/// A document to translate, or the stream it belongs to.
#[derive(Default)]
#[allow(missing_docs)]
pub struct Document {
    pub from: String,
    pub to: String,
    /// "" is the body's own.
    pub model: String,
    pub provider: String,
    pub stream: bool,
    /// A stream is collected into one answer.
    pub collect: bool,
    pub status: u32,
    /// Of the body tokens in the body.
    pub nonce: String,
    pub body: Vec<u8>,
    /// The client's own request.
    pub request: Vec<u8>,
}

impl Document {
    pub(crate) fn read(input: &[u8]) -> Result<Document, Error> {
        let mut d = Document::default();
        let mut r = crate::abi::Reader::new(input);
        let mut e = Error::default();
        while let Some(f) = r.next()? {
            match f.tag {
                tags::TAG_FROM => d.from = f.text(),
                tags::TAG_TO => d.to = f.text(),
                tags::TAG_MODEL => d.model = f.text(),
                tags::TAG_PROVIDER => d.provider = f.text(),
                tags::TAG_STREAM => d.stream = f.flag(),
                tags::TAG_COLLECT => d.collect = f.flag(),
                tags::TAG_STATUS => d.status = f.int() as u32,
                tags::TAG_NONCE => d.nonce = f.text(),
                tags::TAG_BODY => d.body = f.value.to_vec(),
                tags::TAG_REQUEST => d.request = f.value.to_vec(),
                tags::TAG_PROJECT | tags::TAG_COUNT | tags::TAG_REBUILD | tags::TAG_HEADER | tags::TAG_TOOL_NAME => {}
                _ => {
                    if !e.set(&f) {
                        f.unknown()?;
                    }
                }
            }
        }
        Ok(d)
    }

    pub(crate) fn unserved(&self) -> Error {
        Error::plugin(&["no translator from ", &self.from, " to ", &self.to].concat())
    }

    /// The body as JSON.
    pub fn json(&self) -> Json<'_> {
        Json::new(&self.body)
    }
}

/// Token counts of a call. Prompt includes cached tokens, completion reasoning.
#[derive(Clone, Copy, Default)]
#[allow(missing_docs)]
pub struct Usage {
    pub prompt: i64,
    pub completion: i64,
    pub cached_read: i64,
    pub cache_write: i64,
    pub reasoning: i64,
    pub total: i64,
    pub estimated: bool,
}

/// Collects what a plugin gives back beside a body: frames, usage, the reason
/// why an answer ended.
pub struct Stream<'w> {
    pub(crate) out: &'w mut Writer,
}

impl<'w> Stream<'w> {
    /// Sends a frame on as it is.
    pub fn pass(&mut self, frame: &Frame) {
        self.out.frame(frame);
    }

    /// Sends an event.
    pub fn emit(&mut self, name: &str, payload: &[u8]) {
        self.out.frame(&Frame { name, payload, ..Frame::default() });
    }

    /// Sends an OpenAI chunk with a piece of reasoning; text is a JSON string.
    pub fn reasoning_delta(&mut self, text: Json) {
        self.delta("reasoning_content", text);
    }

    /// Sends an OpenAI chunk with a piece of text; text is a JSON string.
    pub fn text_delta(&mut self, text: Json) {
        self.delta("content", text);
    }

    fn delta(&mut self, name: &str, text: Json) {
        let text = if text.raw().is_empty() { b"\"\"" } else { text.raw() };
        let mut b = br#"{"object":"chat.completion.chunk","choices":[{"index":0,"delta":{""#.to_vec();
        b.extend_from_slice(name.as_bytes());
        b.extend_from_slice(b"\":");
        b.extend_from_slice(text);
        b.extend_from_slice(br#"},"finish_reason":null}]}"#);
        self.emit("", &b);
    }

    /// Reports token usage; the last report wins.
    pub fn usage(&mut self, u: Usage) {
        let w = &mut self.out;
        let mark = w.open(tags::TAG_USAGE);
        w.i64(tags::TAG_USAGE_PROMPT, u.prompt);
        w.i64(tags::TAG_USAGE_COMPLETION, u.completion);
        w.i64(tags::TAG_USAGE_CACHED_READ, u.cached_read);
        w.i64(tags::TAG_USAGE_CACHE_WRITE, u.cache_write);
        w.i64(tags::TAG_USAGE_REASONING, u.reasoning);
        w.i64(tags::TAG_USAGE_TOTAL, u.total);
        w.flag(tags::TAG_USAGE_ESTIMATED, u.estimated);
        w.close(mark);
    }

    /// Reports why the answer ended.
    pub fn finish(&mut self, reason: &str) {
        self.out.bytes(tags::TAG_FINISH, reason.as_bytes());
    }

    /// Reports a field of the client's request that could not be carried over.
    pub fn degraded(&mut self, field: &str) {
        self.out.bytes(tags::TAG_DEGRADED, field.as_bytes());
    }
}

/// The URL path of an endpoint behind a base URL; `{model}` stands for the
/// model id.
pub(crate) fn path(dialect: &str, endpoint: &str, stream: bool) -> Option<String> {
    Some(
        match (dialect, endpoint) {
            ("openai", "chat") => "/chat/completions",
            ("openai-responses", "chat") => "/responses",
            ("openai" | "openai-responses", "images") => "/images/generations",
            ("openai" | "openai-responses", "responses" | "embeddings" | "models") => return Some(["/", endpoint].concat()),
            ("claude", "chat") => "/messages",
            ("claude", "count_tokens") => "/messages/count_tokens",
            ("claude", "models") => "/models",
            ("gemini", "chat") if stream => "/{model}:streamGenerateContent?alt=sse",
            ("gemini", "chat") => "/{model}:generateContent",
            ("gemini", "count_tokens") => "/{model}:countTokens",
            ("gemini", "models") => "",
            ("ollama", "chat") => "/api/chat",
            ("ollama", "models") => "/api/tags",
            _ => return None,
        }
        .to_string(),
    )
}

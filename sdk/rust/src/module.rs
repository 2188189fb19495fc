use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::abi::{FrameKind, Reader, Writer};
use crate::error::Error;
use crate::json::Json;
use crate::plan::Plan;
use crate::provider::{path, Call, Document, Plugin, Stream};
use crate::result::Answer;
use crate::tags;

/// Why a stream ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EndReason {
    /// The upstream finished.
    Eof,
    /// The upstream broke off.
    UpstreamError,
    /// Nobody listens any more.
    ClientGone,
    /// The upstream was silent for too long.
    Idle,
    /// The plugin is being replaced.
    Drained,
}

/// A plugin with the buffers and open streams of one instance.
pub struct Module<P: Plugin> {
    plugin: P,
    slots: [Vec<u8>; 2],
    out: Writer,
    streams: Vec<(u32, OpenStream<P::State>)>,
    settings: Vec<(String, String)>,
    profiles: Vec<Profile>,
}

struct OpenStream<S> {
    state: S,
    doc: Option<Document>, // of a translation
}

/// What the operator sets for one provider in place of the plugin's own.
#[derive(Default)]
struct Profile {
    provider: String,
    bases: Vec<String>,
    headers: Vec<(String, String)>,
}

impl<P: Plugin> Default for Module<P> {
    fn default() -> Self {
        Module {
            plugin: P::default(),
            slots: [Vec::new(), Vec::new()],
            out: Writer::default(),
            streams: Vec::new(),
            settings: defaults(Json::new(P::MANIFEST.as_bytes())),
            profiles: Vec::new(),
        }
    }
}

const ERROR_BIT: u64 = 1 << 31;

impl<P: Plugin> Module<P> {
    /// Gives the gateway a buffer to write to: slot 0 takes the input of the
    /// next call.
    pub fn buffer(&mut self, slot: u32, size: u32) -> *mut u8 {
        const LEAST: usize = 4 << 10;
        match self.slots.get_mut(slot as usize) {
            None => core::ptr::null_mut(),
            Some(b) => {
                if b.len() < size as usize || b.is_empty() {
                    let want = (size as usize + size as usize / 4).max(LEAST);
                    *b = Vec::new();
                    b.resize(want, 0);
                }
                b.as_mut_ptr()
            }
        }
    }

    /// Runs a call whose input stands in slot 0, and returns where its output
    /// is: bits 63 to 32 address, bit 31 error flag, bits 30 to 0 length.
    pub fn enter(&mut self, op: u32, handle: u32, len: u32) -> u64 {
        let input = core::mem::take(&mut self.slots[0]);
        let len = (len as usize).min(input.len());
        let failed = self.call(op, handle, &input[..len]).1;
        self.slots[0] = input;
        let out = &self.out.buf;
        (out.as_ptr() as usize as u64) << 32 | out.len() as u64 | if failed { ERROR_BIT } else { 0 }
    }

    /// Gives memory back.
    pub fn trim(&mut self) {
        self.slots = [Vec::new(), Vec::new()];
        self.out = Writer::default();
    }

    /// Runs one operation, natively or in WebAssembly. The output stays valid
    /// until the next call; true marks an error record.
    pub fn call(&mut self, op: u32, handle: u32, input: &[u8]) -> (&[u8], bool) {
        self.out.buf.clear();
        let failed = match self.dispatch(op, handle, input) {
            Ok(()) => false,
            Err(e) => {
                self.out.buf.clear();
                e.append_to(&mut self.out);
                true
            }
        };
        (&self.out.buf, failed)
    }

    fn dispatch(&mut self, op: u32, handle: u32, input: &[u8]) -> Result<(), Error> {
        match op {
            tags::OP_DESCRIBE => {
                let mark = self.out.open(tags::TAG_JSON);
                Json::new(P::MANIFEST.as_bytes()).append_compact(&mut self.out.buf);
                self.out.close(mark);
                return Ok(());
            }
            tags::OP_SELF_TEST => return Ok(()),
            tags::OP_TR_REQUEST | tags::OP_TR_RESPONSE | tags::OP_TR_OPEN | tags::OP_TR_ERROR => {
                return self.translate(op, handle, input)
            }
            tags::OP_TR_DATA | tags::OP_EX_DATA => return self.data(handle, input),
            tags::OP_TR_END | tags::OP_EX_END => return self.finish(handle, input),
            _ => {}
        }
        let mut call = Call { settings: self.settings.clone(), ..Call::default() };
        let mut r = Reader::new(input);
        while let Some(f) = r.next()? {
            call.set(&f)?;
        }
        let op = if op == tags::OP_RESUME { call.resume } else { op };
        match op {
            tags::OP_CONFIGURE => self.configure(&call),
            tags::OP_EX_PLAN => self.plan(&call),
            tags::OP_EX_RESULT => self.result(&call),
            tags::OP_EX_OPEN => {
                executor(&call.part, P::MANIFEST)?;
                self.open(handle, None);
                Ok(())
            }
            _ => match self.plugin.other(op, handle, input, &mut self.out) {
                Some(done) => done,
                None => Err(unsupported(op)),
            },
        }
    }

    fn configure(&mut self, call: &Call) -> Result<(), Error> {
        let config = Json::new(call.profile);
        if call.part.is_empty() && call.provider.is_empty() {
            self.settings = settings(Json::new(P::MANIFEST.as_bytes()), config)?;
            return Ok(());
        }
        executor(&call.part, P::MANIFEST)?;
        let mut profile = Profile { provider: call.provider.clone(), ..Profile::default() };
        profile.bases.extend(config.get("base_urls").items().map(|v| v.text()));
        profile.headers.extend(config.get("headers").members().map(|(k, v)| (k.text(), v.text())));
        self.profiles.retain(|p| p.provider != call.provider);
        self.profiles.push(profile);
        let body = executor(&call.part, P::MANIFEST)?.get("body");
        self.out.u8(tags::TAG_NEEDS, if body.is("full") { 3 } else if body.is("skeleton") { 2 } else { 0 });
        Ok(())
    }

    fn plan(&mut self, call: &Call) -> Result<(), Error> {
        let part = executor(&call.part, P::MANIFEST)?;
        let dialect = part.get("dialect").text();
        let endpoint = if call.endpoint.is_empty() { "chat" } else { &call.endpoint };
        let path = path(&dialect, endpoint, call.stream).ok_or_else(|| Error {
            fallback: true,
            ..Error::request(404, &["the provider has no endpoint ", endpoint].concat())
        })?;
        let mut plan = Plan::default();
        let own = self.profiles.iter().find(|p| p.provider == call.provider);
        let mut bases = own.map(|p| p.bases.clone()).unwrap_or_default();
        if bases.is_empty() {
            bases.extend(part.get("base_urls").items().map(|v| v.text()));
        }
        for base in &bases {
            let base = base.strip_suffix('/').unwrap_or(base);
            plan.urls.push([base, &path.replace("{model}", &call.model)].concat());
        }
        if endpoint == "models" {
            plan.method = "GET".into();
            plan.idempotent = true;
        } else {
            plan.header("Content-Type", "application/json");
        }
        for (name, value) in own.map(|p| &p.headers[..]).unwrap_or_default() {
            plan.header(name, value);
        }
        plan.auth = P::AUTH.into();
        plan.framing = part.get("framing").text();
        if dialect == "gemini" {
            plan.drop("model");
            plan.drop("stream");
        }
        self.plugin.plan(call, &mut plan)?;
        plan.append_decision(&mut self.out);
        Ok(())
    }

    fn result(&mut self, call: &Call) -> Result<(), Error> {
        executor(&call.part, P::MANIFEST)?;
        let answer = Answer { status: call.status, headers: &call.headers, body: call.body, stream: call.stream };
        self.plugin.result(call, &answer).append_to(&mut self.out);
        Ok(())
    }

    fn translate(&mut self, op: u32, handle: u32, input: &[u8]) -> Result<(), Error> {
        let doc = Document::read(input)?;
        if doc.to.is_empty() || doc.from.is_empty() && op != tags::OP_TR_ERROR {
            return Err(Error::plugin(&[&op_name(op), " needs the formats to translate between"].concat()));
        }
        if !serves(&doc.from, &doc.to, P::MANIFEST) {
            return Err(doc.unserved());
        }
        let mut body = Vec::new();
        let mut beside = Writer::default();
        match op {
            tags::OP_TR_REQUEST => self.plugin.request(&doc, &mut body)?,
            tags::OP_TR_RESPONSE => self.plugin.response(&doc, &mut body, &mut Stream { out: &mut beside })?,
            tags::OP_TR_OPEN => {
                self.open(handle, Some(doc));
                return Ok(());
            }
            _ => return Err(unsupported(op)),
        }
        self.out.bytes(tags::TAG_BODY, &body);
        self.out.buf.append(&mut beside.buf);
        Ok(())
    }

    fn open(&mut self, handle: u32, doc: Option<Document>) {
        self.streams.retain(|(h, _)| *h != handle);
        self.streams.push((handle, OpenStream { state: P::State::default(), doc }));
    }

    fn data(&mut self, handle: u32, input: &[u8]) -> Result<(), Error> {
        let (_, s) = self.streams.iter_mut().find(|(h, _)| *h == handle).ok_or_else(no_stream)?;
        let mut stream = Stream { out: &mut self.out };
        let mut r = Reader::new(input);
        while let Some(f) = r.next()? {
            if f.tag != tags::TAG_FRAME {
                f.unknown()?;
                continue;
            }
            let frame = f.frame()?;
            if frame.kind == FrameKind::COMMENT {
                continue;
            }
            match &s.doc {
                Some(doc) => self.plugin.event(doc, &mut s.state, &mut stream, &frame)?,
                None => self.plugin.frame(&mut s.state, &mut stream, &frame)?,
            }
        }
        Ok(())
    }

    fn finish(&mut self, handle: u32, input: &[u8]) -> Result<(), Error> {
        let at = self.streams.iter().position(|(h, _)| *h == handle).ok_or_else(no_stream)?;
        let (_, mut s) = self.streams.swap_remove(at);
        let mut reason = EndReason::Eof;
        let mut r = Reader::new(input);
        while let Ok(Some(f)) = r.next() {
            if f.tag == tags::TAG_REASON {
                reason = match f.int() {
                    0 => EndReason::Eof,
                    1 => EndReason::UpstreamError,
                    2 => EndReason::ClientGone,
                    3 => EndReason::Idle,
                    _ => EndReason::Drained,
                };
                break;
            }
        }
        let doc = match &s.doc {
            None => return self.plugin.end(&mut s.state, &mut Stream { out: &mut self.out }, reason),
            Some(_) if reason == EndReason::ClientGone => return Ok(()),
            Some(doc) => doc,
        };
        let mut body = Vec::new();
        self.plugin.finish(doc, &mut s.state, &mut Stream { out: &mut self.out }, &mut body)?;
        if doc.collect {
            self.out.bytes(tags::TAG_BODY, &body);
        }
        Ok(())
    }
}

fn no_stream() -> Error {
    Error::plugin("no open stream under this handle")
}

fn op_name(op: u32) -> String {
    match tags::op_name(op) {
        Some(name) => name.to_string(),
        None => alloc::format!("op 0x{:02x}", op),
    }
}

fn unsupported(op: u32) -> Error {
    Error { status: 501, ..Error::plugin(&[&op_name(op), " is not supported by this plugin"].concat()) }
}

/// The manifest's entry of an executor; with no name the only one.
fn executor(part: &str, manifest: &'static str) -> Result<Json<'static>, Error> {
    let mut list = Json::new(manifest.as_bytes()).get("provides").items().filter(|p| p.get("kind").is("executor"));
    let missing = || Error::plugin(&["no executor ", part].concat());
    if !part.is_empty() {
        return list.find(|p| p.get("id").is(part)).ok_or_else(missing);
    }
    match (list.next(), list.next()) {
        (Some(only), None) => Ok(only),
        _ => Err(missing()),
    }
}

/// Tells whether the manifest names a translator for a pair, in either
/// direction: answers go the other way.
fn serves(from: &str, to: &str, manifest: &'static str) -> bool {
    Json::new(manifest.as_bytes()).get("provides").items().any(|p| {
        p.get("kind").is("translator")
            && (p.get("from").is(from) && p.get("to").is(to) || p.get("from").is(to) && p.get("to").is(from))
    })
}

/// The settings that a manifest's config_schema gives where nothing is set.
fn defaults(manifest: Json) -> Vec<(String, String)> {
    let mut out = Vec::new();
    for (name, schema) in manifest.get("config_schema.properties").members() {
        let v = schema.get("default");
        if v.exists() {
            out.push((name.text(), setting(v)));
        }
    }
    out
}

fn setting(v: Json) -> String {
    if v.is_string() || v.is_number() {
        v.text()
    } else {
        String::from_utf8_lossy(v.raw()).to_string()
    }
}

/// Checks the operator's settings against the manifest's schema.
fn settings(manifest: Json, config: Json) -> Result<Vec<(String, String)>, Error> {
    let mut out = defaults(manifest);
    for (key, v) in config.members() {
        let name = key.text();
        let refuse = |message: &[&str]| Error {
            scope: "plugin".into(),
            param: name.clone(),
            ..Error::request(400, &message.concat())
        };
        let found = manifest.get("config_schema.properties").members().find(|(have, _)| have.is(&name));
        let schema = match found {
            Some((_, schema)) => schema,
            None => return Err(refuse(&["unknown setting ", &name])),
        };
        let problem = check(schema, v);
        if !problem.is_empty() {
            return Err(refuse(&["setting ", &name, ": ", problem]));
        }
        out.retain(|(have, _)| *have != name);
        out.push((name, setting(v)));
    }
    Ok(out)
}

fn check(schema: Json, v: Json) -> &'static str {
    let kind = schema.get("type");
    if kind.is("string") && !v.is_string() {
        return "must be text";
    }
    if kind.is("number") && !v.is_number() {
        return "must be a number";
    }
    if kind.is("boolean") && v.raw() != b"true" && v.raw() != b"false" {
        return "must be true or false";
    }
    let values = schema.get("enum");
    if values.exists() && !values.items().any(|x| v.is(&x.text())) {
        return "is not one of the allowed values";
    }
    ""
}

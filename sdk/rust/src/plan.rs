use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::abi::{Frame, Writer};
use crate::tags;

/// The HTTP request that the gateway shall send. It comes filled in for the
/// manifest's dialect; secrets stand in URLs and headers as `{{secret:name}}`.
/// Edits of the body are made by the gateway, so that long texts never enter
/// the guest.
#[derive(Default)]
#[allow(missing_docs)]
pub struct Plan {
    /// "" is POST.
    pub method: String,
    /// First choice first.
    pub urls: Vec<String>,
    pub headers: Vec<(String, String)>,
    /// A body in place of the translated one.
    pub body: Option<Vec<u8>>,
    /// Directive that the gateway carries out on the finished request.
    pub auth: String,
    /// Of a streamed answer: sse, ndjson, raw and so on.
    pub framing: String,
    /// Of the answer when it is not the provider's own.
    pub dialect: String,
    pub connect_ms: u32,
    pub first_byte_ms: u32,
    pub idle_ms: u32,
    pub total_ms: u32,
    /// May be sent twice.
    pub idempotent: bool,
    /// The upstream always streams.
    pub force_stream: bool,
    edits: Vec<Edit>,
    local: Option<Local>,
    asks: Vec<Plan>,
    keep: Vec<u8>,
}

/// An answer without any upstream, in the provider's dialect.
#[derive(Default)]
#[allow(missing_docs)]
pub struct Local {
    /// 0 is 200.
    pub status: u32,
    pub headers: Vec<(String, String)>,
    /// Of a plain answer.
    pub body: Option<Vec<u8>>,
    /// Of a streamed answer: the pause before an event in milliseconds, its
    /// name and its data.
    pub events: Vec<(u32, String, Vec<u8>)>,
}

#[derive(PartialEq, Eq)]
struct Edit {
    op: u8,
    path: String,
    value: String,
}

impl Plan {
    /// Sets a header, replacing one of the same name.
    pub fn header(&mut self, name: &str, value: &str) {
        match self.headers.iter_mut().find(|(have, _)| have.eq_ignore_ascii_case(name)) {
            Some(have) => have.1 = value.to_string(),
            None => self.headers.push((name.to_string(), value.to_string())),
        }
    }

    fn edit(&mut self, op: u8, path: &str, value: &str) {
        let edit = Edit { op, path: path.to_string(), value: value.to_string() };
        if !self.edits.contains(&edit) {
            self.edits.push(edit);
        }
    }

    /// Writes a JSON value at a dotted path.
    pub fn set(&mut self, path: &str, json: &str) {
        self.edit(0, path, json);
    }

    /// Writes a JSON value where the member is absent.
    pub fn set_if_absent(&mut self, path: &str, json: &str) {
        self.edit(1, path, json);
    }

    /// Removes a member.
    pub fn drop(&mut self, path: &str) {
        self.edit(2, path, "");
    }

    /// Moves a top-level member; an existing one of the new name wins.
    pub fn rename(&mut self, from: &str, to: &str) {
        self.edit(3, from, to);
    }

    /// Removes a member that is an empty array or object.
    pub fn drop_empty(&mut self, path: &str) {
        self.edit(4, path, "");
    }

    /// Makes the plan a local answer: no upstream is called.
    pub fn answer(&mut self, local: Local) {
        self.local = Some(local);
    }

    /// Has the gateway make another request before this one is planned: the
    /// hook is called again, and finds what came of it in `call.replies`. At
    /// most four in a round, and four rounds.
    pub fn ask(&mut self, request: Plan) {
        self.asks.push(request);
    }

    /// What comes back as `call.continuation` when the hook is called again; at
    /// most 64 KiB.
    pub fn keep(&mut self, state: &[u8]) {
        self.keep = state.to_vec();
    }

    /// Writes what the hook decided on: requests to make first, a local answer
    /// or the request.
    pub(crate) fn append_decision(&self, w: &mut Writer) {
        if !self.asks.is_empty() {
            let need = w.open(tags::TAG_NEED);
            for ask in &self.asks {
                ask.append_nested(w);
            }
            w.bytes(tags::TAG_CONTINUATION, &self.keep);
            w.close(need);
            return;
        }
        match &self.local {
            Some(local) => local.append_to(w),
            None => self.append_nested(w),
        }
    }

    fn append_nested(&self, w: &mut Writer) {
        let mark = w.open(tags::TAG_PLAN);
        self.append_to(w);
        w.close(mark);
    }

    fn append_to(&self, w: &mut Writer) {
        w.text(tags::TAG_PLAN_METHOD, &self.method);
        for url in &self.urls {
            w.bytes(tags::TAG_PLAN_URL, url.as_bytes());
        }
        for (name, value) in &self.headers {
            w.pair(tags::TAG_PLAN_HEADER, name, value);
        }
        if let Some(body) = &self.body {
            w.bytes(tags::TAG_PLAN_BODY, body);
        }
        for edit in &self.edits {
            let mark = w.open(tags::TAG_PLAN_EDIT);
            w.u8(tags::TAG_EDIT_OP, edit.op);
            for name in edit.path.split('.') {
                w.bytes(tags::TAG_EDIT_PATH, name.as_bytes());
            }
            w.text(tags::TAG_VALUE, &edit.value);
            w.close(mark);
        }
        w.text(tags::TAG_PLAN_AUTH, &self.auth);
        w.text(tags::TAG_PLAN_FRAMING, &self.framing);
        w.text(tags::TAG_PLAN_DIALECT, &self.dialect);
        for &(tag, ms) in &[
            (tags::TAG_PLAN_CONNECT_MS, self.connect_ms),
            (tags::TAG_PLAN_FIRST_BYTE_MS, self.first_byte_ms),
            (tags::TAG_PLAN_IDLE_MS, self.idle_ms),
            (tags::TAG_PLAN_TOTAL_MS, self.total_ms),
        ] {
            if ms != 0 {
                w.u32(tag, ms);
            }
        }
        w.flag(tags::TAG_PLAN_IDEMPOTENT, self.idempotent);
        w.flag(tags::TAG_PLAN_FORCED, self.force_stream);
    }
}

impl Local {
    fn append_to(&self, w: &mut Writer) {
        let mark = w.open(tags::TAG_LOCAL);
        if self.status != 0 {
            w.u32(tags::TAG_LOCAL_STATUS, self.status);
        }
        for (name, value) in &self.headers {
            w.pair(tags::TAG_LOCAL_HEADER, name, value);
        }
        if let Some(body) = &self.body {
            w.bytes(tags::TAG_LOCAL_BODY, body);
        }
        for (delay_ms, name, payload) in &self.events {
            w.frame(&Frame { delay_ms: *delay_ms, name, payload, ..Frame::default() });
        }
        w.close(mark);
    }
}

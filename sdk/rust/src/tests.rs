use alloc::string::String;
use alloc::vec::Vec;

use crate::*;

#[derive(Default)]
struct Acme;

impl Plugin for Acme {
    const MANIFEST: &'static str = r#"{"name": "a/b", "provides": [
        {"kind": "executor", "id": "b", "dialect": "openai", "base_urls": ["https://b.example/v1"], "framing": "sse"}]}"#;
    type State = u32;

    fn frame(&mut self, seen: &mut u32, stream: &mut Stream, frame: &Frame) -> Result<(), Error> {
        *seen += 1;
        if *seen > 1 {
            stream.pass(frame);
        }
        Ok(())
    }
}

fn call(m: &mut Module<Acme>, op: u32, w: &Writer) -> (Vec<u8>, bool) {
    let (out, failed) = m.call(op, 1, &w.buf);
    (out.to_vec(), failed)
}

fn holds(haystack: &[u8], needle: &str) -> bool {
    haystack.windows(needle.len()).any(|w| w == needle.as_bytes())
}

#[test]
fn plans() {
    let mut w = Writer::default();
    w.text(tags::TAG_MODEL, "m");
    let (out, failed) = call(&mut Module::default(), tags::OP_EX_PLAN, &w);
    assert!(!failed);
    assert!(holds(&out, "https://b.example/v1/chat/completions"));
    assert!(holds(&out, "bearer:api_key"));
}

#[test]
fn streams_have_state() {
    let mut m = Module::default();
    let mut frame = Writer::default();
    frame.frame(&Frame { payload: b"{}", ..Frame::default() });
    assert!(call(&mut m, tags::OP_EX_DATA, &frame).1, "not open yet");
    assert!(!call(&mut m, tags::OP_EX_OPEN, &Writer::default()).1);
    assert!(call(&mut m, tags::OP_EX_DATA, &frame).0.is_empty());
    assert!(!call(&mut m, tags::OP_EX_DATA, &frame).0.is_empty());
    assert!(!call(&mut m, tags::OP_EX_END, &Writer::default()).1);
    assert!(call(&mut m, tags::OP_EX_END, &Writer::default()).1, "ended");
}

#[test]
fn cut_records_are_refused() {
    let mut w = Writer::default();
    w.pair(tags::TAG_CLIENT_HEADER, "a", "b");
    for n in 1..w.buf.len() {
        let cut = Writer { buf: w.buf[..n].to_vec() };
        assert!(call(&mut Module::default(), tags::OP_EX_PLAN, &cut).1, "cut after {}", n);
    }
}

#[test]
fn json() {
    let v = Json::new(br#" {"a": {"b\u0063": [1, "x\ud83d\ude00\ud800\n", true, null]}, "n": -7, "e": ""} "#);
    assert_eq!(v.get("n").int(), -7);
    assert!(v.get("e").is(""));
    assert!(!v.get("missing.path").exists());
    let items: Vec<String> = v.get("a.bc").items().map(|x| x.text()).collect();
    assert_eq!(items, ["1", "x\u{1f600}\u{fffd}\n", "", ""]);
    let mut out = Vec::new();
    v.append_compact(&mut out);
    assert!(!out.contains(&b' '));
    out.clear();
    escape(&mut out, "a\"\u{1}\n\u{e9}");
    assert_eq!(out, "\"a\\\"\\u0001\\n\u{e9}\"".as_bytes());
}

#[test]
fn broken_json_stays_in_bounds() {
    for text in ["", "{", "{\"a", "{\"a\":", "[1,", "}", "\"\\", "{\"a\":\"\\u12", "[[[[", "{\"a\" 1}"] {
        let v = Json::new(text.as_bytes());
        let _ = (v.get("a.b").text(), v.items().count(), v.members().count(), v.int());
    }
}

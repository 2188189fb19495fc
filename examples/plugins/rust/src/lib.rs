//! A provider for OmniRoute: where it is, what it offers, and how its requests and answers differ from OpenAI's.

use omniroute_plugin::{plugin, Answer, Call, Error, Frame, Json, Plan, Plugin, Stream, Verdict};

#[derive(Default)]
struct Acme;

impl Plugin for Acme {
    const MANIFEST: &'static str = include_str!("../manifest.json");
    type State = ();

    fn plan(&mut self, call: &Call, plan: &mut Plan) -> Result<(), Error> {
        plan.drop("logit_bias"); // edits are made by the gateway: long texts stay there
        plan.drop("seed");
        plan.rename("max_completion_tokens", "max_tokens");
        plan.header("X-Acme-Region", &call.config("region"));
        Ok(())
    }

    fn result(&mut self, _: &Call, answer: &Answer) -> Verdict {
        if answer.status == 429 && answer.json("error.code").is("daily_quota") {
            return Verdict::cooldown("credential", answer.json("error.reset_ms").int());
        }
        Verdict::standard(answer) // by HTTP status and error body
    }

    fn frame(&mut self, _: &mut (), stream: &mut Stream, frame: &Frame) -> Result<(), Error> {
        let event = Json::new(frame.payload);
        if event.get("object").is("acme.thought") {
            stream.reasoning_delta(event.get("text"));
        } else {
            stream.pass(frame);
        }
        Ok(())
    }
}

plugin!(Acme);

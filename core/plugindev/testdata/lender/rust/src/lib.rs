//! Lender in Rust.

use omniroute_plugin::{host, plugin, Call, Error, Local, Plan, Plugin};

#[derive(Default)]
struct Lender;

impl Plugin for Lender {
    const MANIFEST: &'static str = include_str!("../../manifest.json");
    type State = ();

    fn plan(&mut self, call: &Call, plan: &mut Plan) -> Result<(), Error> {
        let text = |b: &[u8]| String::from_utf8_lossy(b).to_string();
        match call.model.as_str() {
            "count" => {
                let was = host::kv_get("count")?.unwrap_or_else(|| b"none".to_vec());
                plan.header("X-Count", &text(&was));
                host::kv_put("count", b"changed", 60_000)?;
                host::kv_delete("other")?;
                plan.header("X-Now", &text(&host::kv_get("count")?.unwrap_or_default()));
            }
            "sign" => {
                let mac = host::hmac(host::SHA256, "signing_key", b"what to sign")?;
                plan.header("X-Signature", &mac.iter().map(|b| format!("{:02x}", b)).collect::<String>());
            }
            "reveal" => {
                host::secret("api_key")?;
            }
            "local" => plan.answer(Local {
                status: 200,
                headers: vec![("X-Local".into(), "yes".into())],
                body: Some(br#"{"ok":true}"#.to_vec()),
                ..Local::default()
            }),
            "play" => plan.answer(Local {
                events: vec![(0, "".into(), br#"{"n":1}"#.to_vec()), (5, "late".into(), br#"{"n":2}"#.to_vec())],
                ..Local::default()
            }),
            "ask" => match call.replies.first() {
                None => {
                    let mut ask = Plan::default();
                    ask.method = "GET".into();
                    ask.urls.push("https://api.lend.example/token".into());
                    ask.header("X-Ask", "1");
                    plan.ask(ask);
                    plan.keep(b"state");
                }
                Some(reply) => match &reply.error {
                    Some(e) => plan.header("X-Failed", &e.message),
                    None => {
                        plan.header("X-Token", &reply.json("token").text());
                        plan.header("X-Kept", &text(call.continuation));
                    }
                },
            },
            _ => {}
        }
        Ok(())
    }
}

plugin!(Lender);

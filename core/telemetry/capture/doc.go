// Package capture keeps what a request looked like at every stage of its way
// through the gateway, for whoever has to find out why an answer is not what was
// expected.
//
//	store := capture.Open(dir, capture.Options{MaxAge: 72 * time.Hour, MaxBytes: 1 << 30})
//	r := store.Begin(capture.Meta{ID: id, Source: "openai", Model: model}, capture.All)
//	r.Request(capture.Client, url, headers, body)
//	r.End(failed)
//
// Each request gets a folder with up to seven files:
//
//	1_req_client.json    what the client sent
//	2_req_source.json    that after aliases and rules changed it
//	3_req_openai.json    in the hub form, if it went that way
//	4_req_target.json    what was sent to the provider
//	5_res_provider.txt   what the provider sent: .json for a whole answer
//	6_error.json         why there is no good answer
//	7_res_client.txt     what the client got: .json for a whole answer
//
// Header fields and members that carry credentials, and text that looks like one,
// are masked before anything is written. Every method of a nil *Recorder does
// nothing, and no failure here fails a request.
package capture

// Package cases runs translation vectors: small documents that say what a
// request, an answer or a stream in one wire format must become in another.
//
// A vector file is JSON Lines, one [Case] per line; [Load] and [LoadFile] read
// and check it. A case is run by [Run] over a [Translator], which hides where
// the translation happens: natively in this process, inside a WebAssembly
// guest, or behind a gateway on the wire. What comes back is compared with the
// expectation of the case by patterns ([Match]), by paths and, for streams, by
// the grammar of the client's format ([CheckGrammar]).
//
//	list, err := cases.LoadFile("vectors.jsonl")
//	...
//	for _, c := range list {
//		res := cases.Run(ctx, c, translator)
//		if !res.Passed() {
//			fmt.Println(res)
//		}
//	}
//
// Stream cases should be run twice: events one by one, and as wire bytes cut at
// random places ([RunOptions].Rechunk). [AppendWire] and [ParseWire] turn
// events into SSE or NDJSON bytes and back.
//
// Numbers are compared by their exact decimal value and never pass through a
// binary float.
package cases

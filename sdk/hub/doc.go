// Package hub is the inner form that every wire format is translated through.
//
// A [Dialect] knows one wire format: it reads requests, answers and streams of
// that format into the types of this package and writes them back out. A
// translation is two dialects with the hub between them:
//
//	client request  --ParseRequest-->  *Request   --AppendRequest-->  upstream request
//	upstream body   --ParseResponse--> *Response  --AppendResponse--> client body
//	upstream events --Decoder-->       Chunk…     --Encoder-->        client events
//
// [TranslateRequest], [TranslateResponse] and [NewStream] put the two halves
// together. When the halves live in different modules, the hub travels as JSON:
// the OpenAI chat shape with the extension member x_omni; [JSON] is the dialect
// of that form.
//
// Everything is kept raw: values are slices of the body that was read, strings
// stay escaped ([jsn.Str]) and may hold body tokens, numbers keep their digits.
// Anything that needs the content of a string asks [Ctx.Tokens]. Parsed values
// share memory with the body and are valid as long as it is.
//
// Rules that hold for several dialects live in the subpackages: caps (model
// capabilities, effort levels), repair (conversation repair, names, ids, tools),
// media (images, documents, audio), stream (think tags, one call at a time).
package hub

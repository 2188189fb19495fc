// Package doc handles JSON documents whose big strings stay where they are.
//
// A coding agent's request is mostly text that no translator needs to look at.
// [Elide] reads a body once, validates it strictly, and replaces the content
// of every long string by a short token; what is left, the skeleton, is a few
// percent of the body. Translators rewrite the skeleton; [Doc.Inflate] puts
// the original bytes back where the tokens ended up:
//
//	d, err := doc.Elide(body, doc.Options{})
//	…                                          // d.Skeleton() is translated to out
//	wire, err := d.Inflate(nil, out, maxBytes)
//
// A token reads "~b<nonce>.<id>~". The nonce is random for each document, and
// a string of the body that happens to contain it is elided too, so nobody can
// forge a token by writing one. A rewriter may move a token, drop it, embed it
// in other text, and ask for a variant of its blob:
//
//	~bN.7~          the blob, byte for byte
//	~bN.7.40.200~   200 bytes of it from offset 40 (raw, escapes as written)
//	~bN.7.q~        escaped once more, for text that was quoted into a string
//	~bN.7.40.200.qq~  both; each q is one more round of escaping
//	"~bN.7.u~"      unescaped, as a bare JSON object in place of the string
//
// The package also holds the few readers and patchers that work on plain JSON
// bytes and leave every other byte alone: [Get], [Set], [Delete], [Scan],
// [Each], [Quote], [Unquote] and typed forms of Get.
package doc

// Package jsn reads and writes JSON without reflection, decoding or copying.
//
// It is made for WebAssembly guests that rewrite a document from one shape into
// another: values are handed around as the raw bytes they came in, numbers keep
// their digits, and strings stay in their escaped form ([Str]) until somebody
// needs their content.
//
//	it := jsn.Object(body)
//	for it.Next() {
//		switch string(it.Key()) {
//		case "model":
//			model = jsn.StrOf(it.Value()).String()
//		case "messages":
//			for el := jsn.Array(it.Value()); el.Next(); {
//				use(el.Value())
//			}
//		}
//	}
//
// Iterators expect input that [Valid] accepted (or that the host validated);
// they never panic on anything else, they just stop early.
//
// # Body tokens
//
// The gateway replaces the content of long strings by short tokens before a
// guest sees the body and puts the content back afterwards. [Tokens] knows the
// token grammar: it peeks through a token, cuts it by range, and adjusts it when
// the text around it is quoted or unquoted.
//
//	~b<nonce>.<id>~                 the content of string <id>, as it was escaped
//	~b<nonce>.<id>.<off>.<len>~     a byte range of that escaped content
//	~b<nonce>.<id>.q~               the content escaped once more (qq: twice, …)
//	"~b<nonce>.<id>.u~"             the content unescaped once, in place of the string and its quotes
package jsn

package codeassist

import (
	"github.com/omniroute/omniroute/sdk"
	"github.com/omniroute/omniroute/sdk/jsn"
)

// CountBody is the body of a request that counts tokens: the conversation alone,
// with the model named within.
func CountBody(model string, body sdk.JSON) []byte {
	request := body.Get("request")
	if inner := request.Get("generateContentRequest"); inner.Exists() {
		request = inner
	}
	out := jsn.AppendStringMember([]byte(`{"request":{`), "model", "models/"+model)
	contents := request.Get("contents")
	if !contents.Exists() {
		contents = sdk.JSON(`[]`)
	}
	return append(jsn.AppendMember(out, "contents", contents), '}', '}')
}

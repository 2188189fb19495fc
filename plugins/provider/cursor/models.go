package cursor

import (
	"github.com/omniroute/omniroute/plugins/provider/entry"
	"github.com/omniroute/omniroute/sdk"
	"github.com/omniroute/omniroute/sdk/abi"
	"github.com/omniroute/omniroute/sdk/jsn"
	"github.com/omniroute/omniroute/sdk/pb"
)

// listModels asks for the account's models (AvailableModels, a unary call) and
// answers as the list of OpenAI does.
func listModels(c *sdk.Ctx, p *sdk.Plan, e *entry.Entry) error {
	if len(c.Replies) == 0 {
		ask := sdk.Plan{URLs: e.URLs("models"), Idempotent: true}
		if err := identify(c, &ask, e); err != nil {
			return err
		}
		ask.Header("content-type", "application/proto")
		ask.Header("connect-accept-encoding", "identity")
		ask.HTTP = "2"
		var w pb.Writer
		w.Bool(1, false) // no nightly ones
		w.Bool(2, true)  // those with a long context too
		w.Bool(3, false)
		ask.Body.Replace(w.Data())
		return &sdk.Need{Plans: []sdk.Plan{ask}, Keep: []byte{'m'}}
	}
	r := &c.Replies[0]
	switch {
	case r.Err != nil:
		return r.Err
	case r.Status >= 300:
		err := sdk.ErrorOf(&sdk.Result{Status: r.Status, Headers: r.Header, Body: r.Body})
		if f := readError(r.Body); f != nil {
			f.apply(err)
		}
		return err
	case !pb.Valid(r.Body):
		return &abi.ErrorRecord{Message: "the list of models does not decode", Class: "upstream", Scope: string(sdk.ThisProvider), Status: 502, Upstream: true}
	}
	p.Answer(&sdk.Local{
		Headers: []abi.Header{{Name: "Content-Type", Value: "application/json"}},
		Body:    appendModels(nil, r.Body),
	})
	return nil
}

// Fields of a model in AvailableModelsResponse.
const (
	fieldModel        = 2
	fieldName         = 1
	fieldThinking     = 9
	fieldImages       = 10
	fieldContext      = 15
	fieldDisplay      = 17
	modelsListOpening = `{"object":"list","data":[`
)

func appendModels(dst, msg []byte) []byte {
	dst = append(dst, modelsListOpening...)
	for m := range pb.Fields(msg) {
		if m.Number != fieldModel || m.Type != pb.Bytes || !pb.Valid(m.Bytes) {
			continue
		}
		name, ok := pb.Get(m.Bytes, fieldName)
		if !ok || len(name.Bytes) == 0 {
			continue
		}
		dst = jsn.AppendStringMember(append(jsn.Sep(dst), '{'), "id", string(name.Bytes))
		dst = append(dst, `,"object":"model"`...)
		if f, ok := pb.Get(m.Bytes, fieldDisplay); ok {
			dst = jsn.AppendStringMember(dst, "name", string(f.Bytes))
		}
		if f, ok := pb.Get(m.Bytes, fieldContext); ok && f.Type == pb.Varint && f.Int() > 0 {
			dst = jsn.AppendIntMember(dst, "context_length", f.Int())
		}
		for _, flag := range [...]struct {
			number int
			name   string
		}{{fieldThinking, "supports_thinking"}, {fieldImages, "supports_images"}} {
			if f, ok := pb.Get(m.Bytes, flag.number); ok && f.Bool() {
				dst = jsn.AppendMember(dst, flag.name, []byte("true"))
			}
		}
		dst = append(dst, '}')
	}
	return append(dst, ']', '}')
}

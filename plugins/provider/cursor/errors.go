package cursor

import (
	"encoding/base64"
	"strings"

	"github.com/omniroute/omniroute/sdk"
	"github.com/omniroute/omniroute/sdk/abi"
	"github.com/omniroute/omniroute/sdk/jsn"
	"github.com/omniroute/omniroute/sdk/pb"
)

// failure is an error of the Connect protocol, with the details of the service.
type failure struct {
	code    string
	message string
	number  uint64 // of ErrorDetails; 0 = none
}

// readError reads an error object, or the one in the member error; nil if there
// is none.
func readError(body []byte) *failure {
	root := sdk.JSON(body).Get("")
	obj := root.Get("error")
	if jsn.KindOf(obj) != jsn.Obj {
		if obj = root; !obj.Get("code").Exists() {
			return nil
		}
	}
	f := &failure{code: obj.Get("code").Text(), message: obj.Get("message").Text()}
	title, detail := "", ""
	obj.Get("details").Each(func(d sdk.JSON) {
		text := d.Get("debug.details")
		title, detail = first(title, text.Get("title").Text()), first(detail, text.Get("detail").Text())
		number, t, more := readDetails(d.Get("value").Text())
		if f.number == 0 {
			f.number = number
		}
		title, detail = first(title, t), first(detail, more)
	})
	f.message = first(title, first(detail, f.message))
	return f
}

func first(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// readDetails reads an ErrorDetails message in base64, padded or not.
func readDetails(value string) (number uint64, title, detail string) {
	raw, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(value, "="))
	if err != nil || !pb.Valid(raw) {
		return 0, "", ""
	}
	if f, ok := pb.Get(raw, 1); ok && f.Type == pb.Varint {
		number = f.Uint
	}
	if f, ok := pb.Get(raw, 2); ok && f.Type == pb.Bytes && pb.Valid(f.Bytes) {
		if v, ok := pb.Get(f.Bytes, 1); ok {
			title = string(v.Bytes)
		}
		if v, ok := pb.Get(f.Bytes, 2); ok {
			detail = string(v.Bytes)
		}
	}
	return number, title, detail
}

// status is the HTTP status of a failure that came with an answer 200.
func (f *failure) status() int {
	switch f.code {
	case "resource_exhausted":
		return 429
	case "unauthenticated":
		return 401
	case "permission_denied":
		return 403
	case "unavailable":
		return 503
	}
	switch f.number {
	case 1, 42, 2, 3, 11, 12, 38: // bad key, not logged in, bad or expired token
		return 401
	case 23: // for paying users only
		return 403
	case 5, 39: // unknown model
		return 404
	case 7, 8, 9, 10, 14, 15, 22, 41, 44, 45, 50, 51:
		return 429
	case 25:
		return 504
	}
	return 400
}

// exhausted reports that it is the plan's usage that is used up, not a rate.
func (f *failure) exhausted() bool {
	switch f.number {
	case 9, 10, 41, 44, 45:
		return true
	}
	return false
}

// outdated is the number of the error that wants a newer client.
const outdated = 30

// apply says what is known of a failure in an error record.
func (f *failure) apply(e *abi.ErrorRecord) {
	if f.message != "" {
		e.Message = f.message
	}
	if f.code != "" {
		e.Code = f.code
	}
	switch {
	case f.exhausted():
		e.Class, e.Scope = "quota", string(sdk.Credential)
	case f.number == outdated:
		e.Message = "Cursor refuses this version of its client; set a newer client_version for the provider: " + e.Message
	}
}

// record is the error of an answer that began well.
func (f *failure) record() *abi.ErrorRecord {
	e := sdk.ErrorOf(&sdk.Result{Status: f.status()})
	f.apply(e)
	return e
}

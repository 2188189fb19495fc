package accept

import (
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"os"
	"strconv"
	"strings"

	json "github.com/goccy/go-json"
	"github.com/valyala/fasthttp"

	"github.com/omniroute/omniroute/core/fault"
	"github.com/omniroute/omniroute/core/flow/call"
)

const (
	// maxField bounds one field of a form that is no file, in bytes.
	maxField = 1 << 20
	// maxParts bounds the parts of a form.
	maxParts = 64
)

// readForm reads a multipart body. Its fields become the members of a JSON object, so
// that rules see and change them like those of any request. Its files go to a spool on
// disk as they arrive: the field that names the model may come after them, and a
// second provider may need them again.
func readForm(ctx *fasthttp.RequestCtx, limit int) ([]byte, *call.Upload, *fault.Error) {
	_, params, err := mime.ParseMediaType(string(ctx.Request.Header.ContentType()))
	if err != nil || params["boundary"] == "" {
		return nil, nil, fault.New(fault.InvalidBody, "The content type names no boundary")
	}
	stream := ctx.RequestBodyStream()
	if stream == nil {
		stream = strings.NewReader(string(ctx.Request.Body()))
	}
	if ctx.Request.Header.ContentLength() > limit {
		_, _ = io.CopyN(io.Discard, stream, drainLimit)
		return nil, nil, tooLarge(limit)
	}
	in := &bounded{r: stream, left: int64(limit)}
	f := formReader{fields: map[string]any{}, in: multipart.NewReader(in, params["boundary"])}
	bad := f.read()
	if in.left < 0 {
		_, _ = io.CopyN(io.Discard, stream, drainLimit)
		bad = tooLarge(limit)
	}
	if bad != nil {
		f.upload.Close()
		return nil, nil, bad
	}
	_, _ = io.CopyN(io.Discard, in, maxField) // what follows the last boundary
	body, err := json.Marshal(f.fields)
	if err != nil {
		f.upload.Close()
		return nil, nil, fault.Wrap(fault.InvalidBody, err)
	}
	return body, &f.upload, nil
}

// bounded fails when more than a number of bytes is read; left is below zero then.
type bounded struct {
	r    io.Reader
	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left < 0 {
		return 0, errTooLong
	}
	n, err := b.r.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, errTooLong
	}
	return n, err
}

type formReader struct {
	in     *multipart.Reader
	fields map[string]any
	upload call.Upload
	at     int64 // the end of the spool
}

func (f *formReader) read() *fault.Error {
	for n := 0; ; n++ {
		part, err := f.in.NextRawPart()
		switch {
		case errors.Is(err, io.EOF) && n > 0:
			return nil
		case err != nil:
			return fault.Wrap(fault.InvalidBody, err, "The multipart body ended early or could not be read")
		case n == maxParts:
			return fault.New(fault.InvalidBody, "The multipart body has too many parts")
		}
		if part.FileName() != "" {
			err = f.file(part)
		} else {
			err = f.field(part)
		}
		if err != nil {
			var e *fault.Error
			if errors.As(err, &e) {
				return e
			}
			return fault.Wrap(fault.InvalidBody, err, "The multipart body ended early or could not be read")
		}
	}
}

// field keeps one value. A name that ends in [] is a list.
func (f *formReader) field(part *multipart.Part) error {
	name := part.FormName()
	raw, err := io.ReadAll(io.LimitReader(part, maxField+1))
	if err != nil {
		return err
	}
	if name == "" || len(raw) > maxField {
		return fault.New(fault.InvalidBody, "A field of the multipart body has no name or is too large")
	}
	if list, ok := strings.CutSuffix(name, "[]"); ok {
		have, _ := f.fields[list].([]any)
		f.fields[list] = append(have, string(raw))
		return nil
	}
	f.fields[name] = typed(name, string(raw))
	return nil
}

// typed gives the members that rules look at the type they have in JSON requests.
func typed(name, value string) any {
	switch name {
	case "stream":
		if b, err := strconv.ParseBool(value); err == nil {
			return b
		}
	case "temperature", "top_p", "n":
		if json.Valid([]byte(value)) {
			return json.RawMessage(value)
		}
	}
	return value
}

// file appends a file to the spool.
func (f *formReader) file(part *multipart.Part) error {
	if f.upload.Spool == nil {
		spool, err := os.CreateTemp("", "omniroute-upload-*")
		if err != nil {
			return fault.Wrap(fault.Internal, err, "There is no place to keep the upload")
		}
		_ = os.Remove(spool.Name()) // where the system allows it, no crash leaves it behind
		f.upload.Spool = spool
	}
	n, err := io.Copy(f.upload.Spool, part)
	if err != nil {
		return err
	}
	kind := part.Header.Get("Content-Type")
	if kind == "" || strings.ContainsAny(kind, "\r\n") {
		kind = "application/octet-stream"
	}
	f.upload.Parts = append(f.upload.Parts, call.Part{Name: part.FormName(), File: part.FileName(), Type: kind, At: f.at, Size: n})
	f.at += n
	return nil
}

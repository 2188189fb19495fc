package execute

import (
	"crypto/rand"
	"encoding/hex"
	"io"
	"strings"

	"github.com/omniroute/omniroute/core/doc"
	"github.com/omniroute/omniroute/core/flow/call"
)

// form is a multipart body: the members of a JSON object as fields, and files that
// are read from where they were put while it is sent.
type form struct {
	boundary string
	fields   []byte
	upload   *call.Upload
}

func newForm(body []byte, upload *call.Upload) *form {
	var random [12]byte
	_, _ = rand.Read(random[:])
	f := &form{boundary: "omniroute-" + hex.EncodeToString(random[:]), upload: upload}
	doc.Scan(body, func(key, raw []byte) bool {
		name := string(key)
		if len(raw) > 0 && raw[0] == '[' {
			doc.Each(raw, func(_ int, item []byte) bool { f.field(name+"[]", item); return true })
			return true
		}
		f.field(name, raw)
		return true
	})
	return f
}

// field writes a JSON value: strings without their quotes, all else as it is.
func (f *form) field(name string, raw []byte) {
	value := raw
	if s, ok := doc.String(raw); ok {
		value = []byte(s)
	}
	f.fields = append(f.fields, "--"+f.boundary+"\r\nContent-Disposition: form-data; name=\""+quoted(name)+"\"\r\n\r\n"...)
	f.fields = append(append(f.fields, value...), "\r\n"...)
}

func (f *form) contentType() string { return "multipart/form-data; boundary=" + f.boundary }

// reader reads the body from its start.
func (f *form) reader() io.Reader {
	readers := []io.Reader{strings.NewReader(string(f.fields))}
	for i := range f.upload.Parts {
		p := &f.upload.Parts[i]
		head := "--" + f.boundary + "\r\nContent-Disposition: form-data; name=\"" + quoted(p.Name) + "\"; filename=\"" + quoted(p.File) + "\"\r\n" +
			"Content-Type: " + p.Type + "\r\n\r\n"
		readers = append(readers, strings.NewReader(head), f.upload.Open(p), strings.NewReader("\r\n"))
	}
	return io.MultiReader(append(readers, strings.NewReader("--"+f.boundary+"--\r\n"))...)
}

// quoted makes a name fit between the quotes of a header parameter.
func quoted(s string) string {
	return strings.NewReplacer("\\", "\\\\", `"`, "%22", "\r", "%0D", "\n", "%0A").Replace(s)
}

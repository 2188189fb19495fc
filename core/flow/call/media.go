package call

import (
	"io"
	"os"
)

// Endpoints beside chat, in the words that policies use for req.endpoint.
const (
	EndpointEmbeddings  = "embeddings"
	EndpointImages      = "images"
	EndpointAudio       = "audio"
	EndpointRerank      = "rerank"
	EndpointModerations = "moderations"
)

// Media is what a call for something else than chat has beside the others.
type Media struct {
	// Kind of model that is asked for, a Kind constant of package catalog.
	Kind string
	// Endpoint is the name by which executors know it.
	Endpoint string
	// Upload are the files of a multipart request; nil = the request is JSON.
	Upload *Upload
	// Spoken says that the answer is sound or a stream of events: it goes to the
	// client as it comes.
	Spoken bool
	// Made is what is paid for by the piece.
	Made Made
}

// Made counts what was made of a request.
type Made struct {
	Images     int64
	Characters int64 // of text that was spoken
	Millis     int64 // of sound that was heard
}

// Upload holds the files of a multipart request outside of memory, so that they
// can be sent more than once.
type Upload struct {
	Spool *os.File
	Parts []Part
}

// Part is one file of an upload.
type Part struct {
	Name, File, Type string // of the form field, of the file, media type
	At, Size         int64  // within the spool
}

// Open reads a part from its start.
func (u *Upload) Open(p *Part) io.Reader { return io.NewSectionReader(u.Spool, p.At, p.Size) }

// Close removes the files.
func (u *Upload) Close() {
	if u == nil || u.Spool == nil {
		return
	}
	_ = u.Spool.Close()
	_ = os.Remove(u.Spool.Name())
}

package host

import (
	"github.com/omniroute/omniroute/sdk/abi"
	"github.com/omniroute/omniroute/sdk/hub"
)

// Blobs gives a guest read access to the long strings that were taken out of a
// body. *doc.Doc implements it. Content is in escaped form.
type Blobs interface {
	Nonce() string
	Blob(id int) ([]byte, bool)
}

// Translation is the input of a translation. A request goes From the client's
// To the provider's format, an answer From the provider's To the client's.
// "hub" is a format too.
type Translation struct {
	From, To string
	Model    string // target model; "" = the body's own
	Provider string // provider id
	Project  string // project id, for envelope formats

	Body  []byte // skeleton or full; nil for streams
	Blobs Blobs  // behind the body tokens of Body and Request; nil = there are none

	// For answers.
	Request []byte            // the client's own request in the client's format, nil if unknown
	Names   map[string]string // Translated.Names of the request, nil to derive it from Request
	Status  int               // upstream status, 0 = 200
	Headers []abi.Header      // upstream headers that matter (retry-after, …)
	Stream  bool              // the client asked for a stream
	Collect bool              // upstream streams, the client wants one body
	Count   bool              // a token-counting request
	Traits  []string          // what is known of the upstream: the Trait constants of package abi
	Rebuild bool              // write the answer anew although both sides speak one format

	Seed uint64 // of the guest's random source; 0 = random
}

// Translated is the result of a translation.
type Translated struct {
	Body     []byte            // owned by the caller
	Usage    hub.Usage         // of answers
	Finish   string            // of answers
	Degraded []string          // fields dropped or weakened, in the client's names
	Names    map[string]string // upstream tool name -> client tool name, of requests
}

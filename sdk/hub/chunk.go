package hub

import "github.com/omniroute/omniroute/sdk/jsn"

// ChunkKind is the type of a chunk.
type ChunkKind uint8

// Kinds of chunks. The comment names the fields that belong to a kind.
const (
	ChunkStart        ChunkKind = iota // ID, Model, Created, Usage (what is known so far)
	ChunkText                          // Text
	ChunkTextSig                       // Text: Gemini's signature of the text so far
	ChunkRefusal                       // Text
	ChunkReasoning                     // Text
	ChunkSignature                     // Text (a fragment of the open block's signature), Provider
	ChunkReasoningEnd                  // end of a reasoning block; the next fragment starts another
	ChunkRedacted                      // Text (opaque data), Provider: a block of its own
	ChunkCallStart                     // Call, CallID, Name, Sig (Gemini), Custom; id and name may come later in a second one
	ChunkCallArgs                      // Call, Text (escaped fragment) or Raw (whole arguments as a JSON value)
	ChunkCallEnd                       // Call
	ChunkImage                         // Media
	ChunkFinish                        // Finish, Native, StopSequence, Usage
	ChunkError                         // Err
)

// Chunk is one step of a streamed answer. Byte slices are valid only while the
// chunk is being handled; whoever keeps them copies them.
type Chunk struct {
	Kind ChunkKind

	ID, Model string
	Created   int64

	Text     jsn.Str
	Raw      []byte
	Provider string
	Sig      jsn.Str
	Media    *Media

	Call         int // number of the call, from 0 through the whole stream
	CallID, Name string
	Custom       bool

	Finish, Native string
	StopSequence   jsn.Str
	Usage          Usage
	Err            *Error
}

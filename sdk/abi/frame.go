package abi

// FrameKind says what a frame carries.
type FrameKind uint8

// Frame kinds.
const (
	FrameData    FrameKind = 0 // an event: its name, if any, and its data
	FrameComment FrameKind = 1 // an SSE comment
	FrameRaw     FrameKind = 2 // bytes as they came; for a translator, a whole answer in place of a stream
	FrameUp      FrameKind = 3 // bytes for a duplex request
)

// Frame is one event of a stream: of the upstream framing on the way in, of
// the target dialect on the way out. Name and Payload of frames that a reader
// returns alias its input.
type Frame struct {
	Kind    FrameKind
	DelayMS uint32 // LOCAL replies only: pause before the frame
	Name    string
	Payload []byte
	JSON    bool // the host found Payload to be one valid JSON document
}

// Frame appends a frame.
func (w *Writer) Frame(f Frame) {
	m := w.Open(TagFrame)
	if f.Kind != FrameData {
		w.U8(TagFrameKind, uint8(f.Kind))
	}
	if f.DelayMS != 0 {
		w.U32(TagFrameDelayMS, f.DelayMS)
	}
	w.Text(TagFrameName, f.Name)
	w.Flag(TagFrameJSON, f.JSON)
	w.Bytes(TagFramePayload, f.Payload)
	w.Close(m)
}

// Frame reads the field's value as a frame. The name is copied, the payload
// aliases the record.
func (f Field) Frame() (Frame, error) {
	var out Frame
	r := f.Record()
	for r.Next() {
		switch g := r.Field(); g.Tag {
		case TagFrameKind:
			out.Kind = FrameKind(g.Uint())
		case TagFrameDelayMS:
			out.DelayMS = uint32(g.Uint())
		case TagFrameName:
			out.Name = Intern(g.Value)
		case TagFramePayload:
			out.Payload = g.Value
		case TagFrameJSON:
			out.JSON = g.Bool()
		default:
			r.Unknown()
		}
	}
	return out, r.Err()
}

// Intern copies a short identifier into a string, without allocating for the
// event names of the known dialects.
func Intern(b []byte) string {
	switch string(b) {
	case "":
		return ""
	case "message_start":
		return "message_start"
	case "content_block_start":
		return "content_block_start"
	case "content_block_delta":
		return "content_block_delta"
	case "content_block_stop":
		return "content_block_stop"
	case "message_delta":
		return "message_delta"
	case "message_stop":
		return "message_stop"
	case "ping":
		return "ping"
	case "error":
		return "error"
	case "response.output_text.delta":
		return "response.output_text.delta"
	case "response.function_call_arguments.delta":
		return "response.function_call_arguments.delta"
	case "response.reasoning_summary_text.delta":
		return "response.reasoning_summary_text.delta"
	}
	return string(b)
}

// Header is one HTTP header of a record.
type Header struct{ Name, Value string }

// Pair appends a nested Name/Value record.
func (w *Writer) Pair(t Tag, name, value string) {
	m := w.Open(t)
	w.String(TagName, name)
	w.String(TagValue, value)
	w.Close(m)
}

// Pair reads a nested Name/Value record.
func (f Field) Pair() (name, value string, err error) {
	r := f.Record()
	for r.Next() {
		switch g := r.Field(); g.Tag {
		case TagName:
			name = g.Text()
		case TagValue:
			value = g.Text()
		default:
			r.Unknown()
		}
	}
	return name, value, r.Err()
}

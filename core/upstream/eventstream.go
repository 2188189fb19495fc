package upstream

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"

	"github.com/aws/aws-sdk-go-v2/aws/protocol/eventstream"

	"github.com/omniroute/omniroute/sdk/abi"
)

// eventStream reads Amazon event stream messages
// (application/vnd.amazon.eventstream). Prelude and message checksums are
// verified. A frame is named by the message's :event-type; an exception by
// "exception:" and its type, an error by "error:" and its code.
type eventStream struct {
	carry   carry
	decoder *eventstream.Decoder
}

// A message is: total length, header length, CRC of both, headers, payload,
// CRC of all before it. All numbers have four bytes, big endian.
const (
	esPrelude  = 12
	esSmallest = esPrelude + 4
)

// Feed implements Framer.
func (f *eventStream) Feed(p []byte, emit func(abi.Frame)) error {
	buf := f.carry.join(p)
	start := 0
	for len(buf)-start >= esPrelude {
		head := buf[start:]
		// The length must be trusted before it is waited for.
		if crc32.ChecksumIEEE(head[:8]) != binary.BigEndian.Uint32(head[8:]) {
			return badFrame("wrong checksum of a message prelude")
		}
		size := binary.BigEndian.Uint32(head)
		if size < esSmallest {
			return badFrame("a message is too short")
		}
		if size > MaxFrame {
			return badFrame("a message is larger than 8 MiB")
		}
		if int(size) > len(head) {
			break
		}
		frame, err := f.message(head[:size])
		if err != nil {
			return err
		}
		emit(frame)
		start += int(size)
	}
	f.carry.keep(buf, start)
	return nil
}

// message decodes one whole message.
func (f *eventStream) message(text []byte) (abi.Frame, error) {
	if f.decoder == nil {
		f.decoder = eventstream.NewDecoder()
	}
	m, err := f.decoder.Decode(bytes.NewReader(text), nil)
	if err != nil {
		return abi.Frame{}, badFrame("a message does not decode")
	}
	header := func(name string) string {
		if v, ok := m.Headers.Get(name).(eventstream.StringValue); ok {
			return string(v)
		}
		return ""
	}
	name := header(":event-type")
	switch header(":message-type") {
	case "exception":
		name = "exception:" + header(":exception-type")
	case "error":
		name = "error:" + header(":error-code")
		if len(m.Payload) == 0 {
			m.Payload = []byte(header(":error-message"))
		}
	}
	return abi.Frame{Name: name, Payload: m.Payload}, nil
}

// End implements Framer.
func (f *eventStream) End(func(abi.Frame)) error {
	if len(f.carry.kept) > 0 {
		return badFrame("it ends inside a message")
	}
	return nil
}

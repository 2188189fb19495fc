package upstream

import (
	"bytes"
	"encoding/binary"
	"io"

	"github.com/klauspost/compress/gzip"

	"github.com/omniroute/omniroute/sdk/abi"
)

// enveloped reads messages behind a binary header: a big-endian 32-bit length,
// which with a header of five bytes has a byte of flags before it. That is the
// envelope of the Connect and gRPC protocols: bit 0 means gzip, endFlag marks
// the last envelope (end-stream JSON in Connect, trailers in gRPC-Web).
type enveloped struct {
	header  int
	endFlag byte
	carry   carry
}

const gzipFlag = 0x01

// Feed implements Framer.
func (f *enveloped) Feed(p []byte, emit func(abi.Frame)) error {
	buf := f.carry.join(p)
	start := 0
	for len(buf)-start >= f.header {
		size := binary.BigEndian.Uint32(buf[start+f.header-4:])
		if size > MaxFrame {
			return badFrame("a message is larger than 8 MiB")
		}
		end := start + f.header + int(size)
		if end > len(buf) {
			break
		}
		var flags byte
		if f.header == 5 {
			flags = buf[start]
		}
		frame := abi.Frame{Payload: buf[start+f.header : end]}
		if flags&gzipFlag != 0 {
			text, err := gunzip(frame.Payload)
			if err != nil {
				return err
			}
			frame.Payload = text
		}
		if flags&f.endFlag != 0 {
			frame.Name = "end"
		}
		emit(frame)
		start = end
	}
	f.carry.keep(buf, start)
	return nil
}

// End implements Framer.
func (f *enveloped) End(func(abi.Frame)) error {
	if len(f.carry.kept) > 0 {
		return badFrame("it ends inside a message")
	}
	return nil
}

// gunzip decompresses one message.
func gunzip(p []byte) ([]byte, error) {
	z := gzips.Get().(*gzip.Reader)
	defer gzips.Put(z)
	if err := z.Reset(bytes.NewReader(p)); err != nil {
		return nil, badFrame("a compressed message does not decode")
	}
	text, err := io.ReadAll(io.LimitReader(z, MaxFrame+1))
	if err != nil {
		return nil, badFrame("a compressed message does not decode")
	}
	if len(text) > MaxFrame {
		return nil, badFrame("a message is larger than 8 MiB")
	}
	return text, nil
}

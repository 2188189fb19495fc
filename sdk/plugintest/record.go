package plugintest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/omniroute/omniroute/sdk/abi"
)

// field is one line of the ABI's tag table.
type field struct {
	tag        abi.Tag
	name, kind string
}

func byName(name string) (field, bool) {
	for _, f := range fields {
		if f.name == name {
			return f, true
		}
	}
	return field{}, false
}

func byTag(t abi.Tag) (field, bool) {
	for _, f := range fields {
		if f.tag == t {
			return f, true
		}
	}
	return field{}, false
}

// Encode turns the JSON form of a record into its bytes. Members keep their
// order.
func Encode(text []byte) ([]byte, error) {
	var w abi.Writer
	err := encodeObject(&w, text)
	return w.Buf, err
}

func encodeObject(w *abi.Writer, text []byte) error {
	dec := json.NewDecoder(bytes.NewReader(text))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return errors.New("a record is a JSON object")
	}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return err
		}
		name, _ := key.(string)
		f, ok := byName(name)
		if !ok {
			return fmt.Errorf("there is no tag %q", name)
		}
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return err
		}
		if err := encodeField(w, f, raw); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func encodeField(w *abi.Writer, f field, raw json.RawMessage) error {
	if raw[0] == '[' && f.kind != "json" && f.kind != "bytes" {
		var list []json.RawMessage
		if err := json.Unmarshal(raw, &list); err != nil {
			return err
		}
		for _, v := range list {
			if err := encodeField(w, f, v); err != nil {
				return err
			}
		}
		return nil
	}
	switch f.kind {
	case "tlv":
		m := w.Open(f.tag)
		defer w.Close(m)
		return encodeObject(w, raw)
	case "u8", "u32", "i64":
		var n int64
		if err := json.Unmarshal(raw, &n); err != nil {
			return err
		}
		switch f.kind {
		case "u8":
			w.U8(f.tag, uint8(n))
		case "u32":
			w.U32(f.tag, uint32(n))
		default:
			w.I64(f.tag, n)
		}
		return nil
	}
	if raw[0] == '"' && f.kind != "json" {
		var s string
		if err := json.Unmarshal(raw, &s); err != nil {
			return err
		}
		w.String(f.tag, s)
		return nil
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, raw); err != nil {
		return err
	}
	w.Bytes(f.tag, compact.Bytes())
	return nil
}

// Record writes a record in its JSON form, indented, with a member per tag in
// the order of their first appearance.
func Record(record []byte) ([]byte, error) {
	raw, err := decodeObject(record)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := json.Indent(&out, raw, "", "  "); err != nil {
		return nil, err
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}

func decodeObject(record []byte) ([]byte, error) {
	var order []string
	values := map[string][][]byte{}
	r := abi.Read(record)
	for r.Next() {
		v := r.Field()
		f, ok := byTag(v.Tag)
		if !ok {
			return nil, fmt.Errorf("unknown tag %#x", uint16(v.Tag))
		}
		text, err := decodeField(f, v)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.name, err)
		}
		if values[f.name] == nil {
			order = append(order, f.name)
		}
		values[f.name] = append(values[f.name], text)
	}
	if err := r.Err(); err != nil {
		return nil, err
	}
	out := []byte{'{'}
	for k, name := range order {
		if k > 0 {
			out = append(out, ',')
		}
		out = append(append(append(out, '"'), name...), '"', ':')
		if list := values[name]; len(list) == 1 {
			out = append(out, list[0]...)
		} else {
			out = append(append(append(out, '['), bytes.Join(list, []byte{','})...), ']')
		}
	}
	return append(out, '}'), nil
}

func decodeField(f field, v abi.Field) ([]byte, error) {
	switch f.kind {
	case "tlv":
		return decodeObject(v.Value)
	case "u8", "u32", "i64":
		if n := len(v.Value); n != map[string]int{"u8": 1, "u32": 4, "i64": 8}[f.kind] {
			return nil, fmt.Errorf("%d bytes for a %s", n, f.kind)
		}
		return json.Marshal(v.Int())
	case "json":
		if !json.Valid(v.Value) {
			return nil, errors.New("not JSON")
		}
		return v.Value, nil
	case "bytes":
		if len(v.Value) > 0 && (v.Value[0] == '{' || v.Value[0] == '[') && json.Valid(v.Value) {
			return v.Value, nil
		}
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(string(v.Value)); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return bytes.TrimSpace(b.Bytes()), nil
}

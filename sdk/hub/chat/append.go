package chat

import (
	"github.com/omniroute/omniroute/sdk/hub"
	"github.com/omniroute/omniroute/sdk/hub/media"
	"github.com/omniroute/omniroute/sdk/jsn"
)

// AppendPart appends a content part of a user message.
func AppendPart(dst []byte, p *hub.Part) []byte {
	dst = append(jsn.Sep(dst), '{')
	switch p.Kind {
	case hub.PartImage:
		dst = append(dst, `"type":"image_url","image_url":{"url":"`...)
		if m := p.Media; len(m.Data) > 0 {
			dst = media.AppendDataURL(dst, m.MIME, m.Data)
		} else {
			dst = append(dst, m.URL...)
		}
		dst = append(dst, '"')
		if len(p.Media.Detail) > 0 {
			dst = jsn.AppendStrMember(dst, "detail", p.Media.Detail)
		}
		dst = append(dst, '}')
	case hub.PartAudio:
		dst = append(dst, `"type":"input_audio","input_audio":{`...)
		dst = jsn.AppendStrMember(dst, "data", p.Media.Data)
		dst = jsn.AppendStringMember(dst, "format", media.AudioFormat(p.Media.MIME))
		dst = append(dst, '}')
	case hub.PartFile:
		dst = append(dst, `"type":"file","file":{`...)
		dst = jsn.AppendKey(dst, "filename")
		if len(p.Media.Name) > 0 {
			dst = jsn.AppendStr(dst, p.Media.Name)
		} else {
			dst = jsn.AppendString(dst, media.FileName(p.Media))
		}
		dst = append(jsn.AppendKey(dst, "file_data"), '"')
		dst = media.AppendDataURL(dst, p.Media.MIME, p.Media.Data)
		dst = append(dst, '"', '}')
	default:
		dst = append(dst, `"type":"text"`...)
		dst = jsn.AppendStrMember(dst, "text", p.Text)
	}
	return append(dst, '}')
}

// AppendCall appends one finished tool call.
func AppendCall(dst []byte, t jsn.Tokens, k *hub.Call) []byte {
	dst = append(jsn.Sep(dst), '{')
	dst = jsn.AppendStringMember(dst, "id", k.ID)
	dst = append(dst, `,"type":"function","function":{`...)
	dst = jsn.AppendStringMember(dst, "name", k.Name)
	dst = append(jsn.AppendKey(dst, "arguments"), '"')
	dst = k.Args.AppendString(dst, t)
	return append(dst, '"', '}', '}')
}

// AppendFormat appends the response_format member, nothing for plain text.
func AppendFormat(dst []byte, f *hub.Format) []byte {
	switch f.Kind {
	case hub.FormatJSON:
		return append(jsn.AppendKey(dst, "response_format"), `{"type":"json_object"}`...)
	case hub.FormatSchema:
		dst = append(jsn.AppendKey(dst, "response_format"), `{"type":"json_schema","json_schema":{`...)
		name := f.Name
		if len(name) == 0 {
			name = jsn.Str("response")
		}
		dst = jsn.AppendStrMember(dst, "name", name)
		if len(f.Description) > 0 {
			dst = jsn.AppendStrMember(dst, "description", f.Description)
		}
		dst = jsn.AppendMember(dst, "schema", f.Schema)
		dst = jsn.AppendMember(dst, "strict", f.Strict)
		dst = append(dst, '}', '}')
	}
	return dst
}

package chat

import (
	"github.com/omniroute/omniroute/sdk/hub"
	"github.com/omniroute/omniroute/sdk/hub/media"
	"github.com/omniroute/omniroute/sdk/jsn"
)

// imageOf reads a generated image from its URL (M-6).
func imageOf(url jsn.Str) hub.Media {
	if mime, data, ok := media.DataURL(jsn.Tokens{}, url); ok {
		return hub.Media{MIME: mime, Data: data}
	}
	return hub.Media{URL: url}
}

// appendImage appends one entry of images; index < 0 writes none.
func appendImage(dst []byte, m *hub.Media, index int) []byte {
	dst = append(dst, '{')
	if index >= 0 {
		dst = jsn.AppendIntMember(dst, "index", int64(index))
	}
	dst = jsn.AppendStringMember(dst, "type", "image_url")
	dst = append(jsn.AppendKey(dst, "image_url"), `{"url":"`...)
	if len(m.Data) > 0 {
		dst = media.AppendDataURL(dst, m.MIME, m.Data)
	} else {
		dst = append(dst, m.URL...)
	}
	return append(dst, '"', '}', '}')
}

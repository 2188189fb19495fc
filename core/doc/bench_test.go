package doc

import (
	"encoding/json"
	"fmt"
	"testing"

	gojson "github.com/goccy/go-json"
)

var bodies = []struct {
	name string
	body []byte
}{
	{"220KB", agentBody(52)},
	{"1KB", chatBody()},
}

// BenchmarkElideInflate is what a translated request costs on the way through:
// validation, elision, and the splice into the outgoing body.
func BenchmarkElideInflate(b *testing.B) {
	for _, c := range bodies {
		b.Run(c.name, func(b *testing.B) {
			var out []byte
			b.SetBytes(int64(len(c.body)))
			b.ReportAllocs()
			for b.Loop() {
				d, err := Elide(c.body, Options{})
				if err != nil {
					b.Fatal(err)
				}
				if out, err = d.Inflate(out[:0], d.Skeleton(), 0); err != nil {
					b.Fatal(err)
				}
				d.Release()
			}
		})
	}
}

func BenchmarkElide(b *testing.B) {
	for _, threshold := range []int{64, 128, 192, 256, 512} {
		b.Run(fmt.Sprintf("220KB/threshold=%d", threshold), func(b *testing.B) {
			body := bodies[0].body
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			skeleton, blobs := 0, 0
			for b.Loop() {
				d, err := Elide(body, Options{Threshold: threshold})
				if err != nil {
					b.Fatal(err)
				}
				skeleton, blobs = len(d.Skeleton()), d.Blobs()
				d.Release()
			}
			b.ReportMetric(float64(skeleton), "skeleton-bytes")
			b.ReportMetric(float64(blobs), "blobs")
		})
	}
}

func BenchmarkValid(b *testing.B) {
	for _, c := range bodies {
		b.Run(c.name+"/doc", func(b *testing.B) {
			b.SetBytes(int64(len(c.body)))
			b.ReportAllocs()
			for b.Loop() {
				if err := Valid(c.body, Options{}); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(c.name+"/encoding-json", func(b *testing.B) {
			b.SetBytes(int64(len(c.body)))
			for b.Loop() {
				if !json.Valid(c.body) {
					b.Fatal("invalid")
				}
			}
		})
		b.Run(c.name+"/goccy", func(b *testing.B) {
			b.SetBytes(int64(len(c.body)))
			for b.Loop() {
				if !gojson.Valid(c.body) {
					b.Fatal("invalid")
				}
			}
		})
	}
}

// BenchmarkRoundTripMap is what a translator without skeletons pays.
func BenchmarkRoundTripMap(b *testing.B) {
	codecs := []struct {
		name      string
		unmarshal func([]byte, any) error
		marshal   func(any) ([]byte, error)
	}{
		{"encoding-json", json.Unmarshal, json.Marshal},
		{"goccy", func(p []byte, v any) error { return gojson.Unmarshal(p, v) }, gojson.Marshal},
	}
	for _, c := range bodies {
		for _, codec := range codecs {
			b.Run(c.name+"/"+codec.name, func(b *testing.B) {
				b.SetBytes(int64(len(c.body)))
				b.ReportAllocs()
				for b.Loop() {
					var v map[string]any
					if err := codec.unmarshal(c.body, &v); err != nil {
						b.Fatal(err)
					}
					if _, err := codec.marshal(v); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func BenchmarkGetModel(b *testing.B) {
	body := bodies[0].body
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := Get(body, "model"); !ok {
			b.Fatal("no model")
		}
	}
}

func BenchmarkSetModel(b *testing.B) {
	d, err := Elide(bodies[0].body, Options{})
	if err != nil {
		b.Fatal(err)
	}
	var out []byte
	b.ReportAllocs()
	for b.Loop() {
		out, _ = Set(out[:0], d.Skeleton(), []byte(`"gpt-5.2"`), "model")
	}
}

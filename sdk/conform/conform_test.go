package conform_test

import (
	"strings"
	"testing"

	"github.com/omniroute/omniroute/plugins/bundle/parts"
	"github.com/omniroute/omniroute/sdk"
	"github.com/omniroute/omniroute/sdk/abi"
	"github.com/omniroute/omniroute/sdk/conform"
	"github.com/omniroute/omniroute/sdk/fixture"
	"github.com/omniroute/omniroute/sdk/plugintest"
	"github.com/stretchr/testify/require"
)

// The built-in plugins keep to what is asked of everybody's.
func TestBuiltInsConform(t *testing.T) {
	plugintest.Conform(t, func() sdk.Source { return parts.Module() }, "../../plugins/bundle/testdata")
}

// guest is a proper little plugin with one fault.
type guest struct {
	open  map[uint32]bool
	fault string
	heard []byte // of all streams: a global, as careless authors have
	calls byte
}

const guestManifest = `{"name":"test/guest","version":"1","abi":"1.0","provides":[{"kind":"executor","id":"g","stream":"frames"}],
	"capabilities":{"http":{"hosts":["g.example"]},"secrets":{"use":["key"]}},"config_schema":{"properties":{"a":{}}}}`

func refuse(text string) ([]byte, bool, error) {
	var w abi.Writer
	(&abi.ErrorRecord{Message: text, Class: "plugin", Scope: "plugin", Status: 502}).AppendTo(&w)
	return w.Buf, true, nil
}

func (g *guest) Call(op abi.Op, handle uint32, in []byte, _ fixture.Host) ([]byte, bool, error) {
	g.calls++
	r := abi.Read(in)
	for r.Next() {
		if f := r.Field(); f.Tag == 0x7ffe {
			if g.fault == "counts strange fields" {
				return []byte{byte(f.Tag), 0, 0, 0, 0, 0, 0, 0}, false, nil
			}
			if g.fault != "ignores critical" {
				r.Unknown()
			}
		}
	}
	if err := r.Err(); err != nil && g.fault != "reads half records" {
		return refuse(err.Error())
	}
	var w abi.Writer
	switch op {
	case abi.OpDescribe:
		name := "test/guest"
		if g.fault == "is someone else" {
			name = "test/other"
		}
		w.String(abi.TagJSON, `{"name":"`+name+`","version":"1","abi":"1.0"}`)
	case abi.OpSelfTest:
	case abi.OpConfigure:
		if f, _ := abi.Find(in, abi.TagConfig); strings.Contains(f.Text(), "no-such") && g.fault != "takes any setting" {
			return refuse("unknown setting")
		}
	case abi.OpExPlan:
		host, secret := "g.example", "key"
		if g.fault == "goes elsewhere" {
			host = "evil.example"
		}
		if g.fault == "takes another secret" {
			secret = "root"
		}
		m := w.Open(abi.TagPlan)
		w.String(abi.TagPlanURL, "https://"+host+"/v1")
		w.String(abi.TagPlanAuth, "bearer:"+secret)
		if g.fault == "counts calls" {
			w.Bytes(abi.TagPlanBody, []byte{g.calls})
		}
		w.Close(m)
	case abi.OpExResult:
		w.U8(abi.TagVerdict, uint8(abi.VerdictBody))
	case abi.OpExOpen:
		g.open[handle] = true
	case abi.OpExData, abi.OpExEnd:
		if !g.open[handle] && g.fault != "forgets handles" {
			return refuse("no stream")
		}
		g.open[handle] = op == abi.OpExData
		if g.fault == "mixes streams" {
			g.heard = append(g.heard, in...)
			w.Bytes(abi.TagBody, g.heard)
		}
	default:
		if g.fault == "serves everything" {
			return nil, false, nil
		}
		return refuse("not supported")
	}
	return w.Buf, false, nil
}

func TestKitFindsFaults(t *testing.T) {
	for fault, check := range map[string]string{
		"": "", "is someone else": "describe", "serves everything": "unknown-operation", "takes any setting": "settings",
		"goes elsewhere": "capabilities", "takes another secret": "capabilities", "counts calls": "repeatable",
		"counts strange fields": "unknown-tags", "ignores critical": "critical-tags", "reads half records": "cut-input",
		"forgets handles": "no-stream", "mixes streams": "interleaved",
	} {
		t.Run(fault, func(t *testing.T) {
			report := conform.Run(conform.Plugin{Manifest: []byte(guestManifest), Churn: 10, Start: func() (fixture.Runner, error) {
				return &guest{open: map[uint32]bool{}, fault: fault}, nil
			}})
			var failed []string
			for _, f := range report.Findings {
				if f.Result == conform.Failed {
					failed = append(failed, f.ID)
				}
			}
			if check == "" {
				require.Empty(t, failed, report.Findings)
				require.True(t, report.Conforms())
				return
			}
			require.Contains(t, failed, check)
		})
	}
}

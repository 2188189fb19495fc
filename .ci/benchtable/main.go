// Command benchtable runs the benchmarks that stand for the whole product and prints their figures
// beside what was set as the bar, one line each:
//
//	go run .ci/benchtable/main.go
//
// Figures depend on the machine and on what else it does; the bars are those of one idle core of a
// current server.
package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// limit bounds all runs together, the building of their test binaries included; what does not fit
// is not run.
const limit = 5 * time.Minute

// run is one invocation of go test.
type run struct{ pkg, bench, time string }

var runs = []run{
	{"./core/doc", "^Benchmark(ElideInflate|RoundTripMap)$/^220KB", "300ms"},
	{"./core/host", "^Benchmark(RoundTrip|TranslateAgentRequest|StreamEvent)$", "300ms"},
	{"./core/policy", "^BenchmarkModern$/^vm=false$/^(1x1|10x5)$/^priority$", "500ms"},
	{"./core/flow", "^BenchmarkStreamEvent$", "300ms"},
	{"./core/e2e", "^Benchmark(Loopback|Start)$", "1s"},
}

// row is one line of the table: the metric of a benchmark, less that of another one if less is set.
type row struct {
	about, bench, less, metric string
	bar                        float64 // 0: none
	unit                       string
	per                        float64 // metric units of one unit
}

var rows = []row{
	{about: "220 KB body: elide and inflate", bench: "doc.ElideInflate/220KB", metric: "ns/op", bar: 0.2, unit: "ms", per: 1e6},
	{about: "  the same through map[string]any, goccy", bench: "doc.RoundTripMap/220KB/goccy", metric: "ns/op", unit: "ms", per: 1e6},
	{about: "  the same through map[string]any, encoding/json", bench: "doc.RoundTripMap/220KB/encoding-json", metric: "ns/op", unit: "ms", per: 1e6},
	{about: "call into a plugin and back, 256 bytes", bench: "host.RoundTrip/256B", metric: "ns/op", unit: "µs", per: 1e3},
	{about: "220 KB Claude request to OpenAI: in the plugin", bench: "host.TranslateAgentRequest/guest", metric: "ns/op", unit: "ms", per: 1e6},
	{about: "  with elide and inflate", bench: "host.TranslateAgentRequest/elide+guest+inflate", metric: "ns/op", bar: 0.6, unit: "ms", per: 1e6},
	{about: "stream event OpenAI to Claude, in the plugin", bench: "host.StreamEvent/openai-claude", metric: "ns/op", bar: 15, unit: "µs", per: 1e3},
	{about: "stream event Claude to OpenAI, in the plugin", bench: "host.StreamEvent/claude-openai", metric: "ns/op", bar: 15, unit: "µs", per: 1e3},
	{about: "  translated, from provider to client, both included", bench: "flow.StreamEvent/translated", metric: "ns/op", unit: "µs", per: 1e3},
	{about: "  passed through, from provider to client, both included", bench: "flow.StreamEvent/passthrough", metric: "ns/op", unit: "µs", per: 1e3},
	{about: "all rules of modern: 1 target, 1 account", bench: "policy.Modern/vm=false/1x1/priority", metric: "ns/op", bar: 15, unit: "µs", per: 1e3},
	{about: "all rules of modern: 10 targets, 5 accounts", bench: "policy.Modern/vm=false/10x5/priority", metric: "ns/op", bar: 100, unit: "µs", per: 1e3},
	{about: "whole request, 1 KB passed through: added to the p50", bench: "e2e.Loopback/1KB/openai-openai", less: "e2e.Loopback/1KB/direct", metric: "p50-µs", bar: 120, unit: "µs", per: 1},
	{about: "whole request, 220 KB Claude to OpenAI: added to the p50", bench: "e2e.Loopback/220KB/claude-openai", less: "e2e.Loopback/220KB/direct", metric: "p50-µs", bar: 600, unit: "µs", per: 1},
	{about: "start with a warm compile cache", bench: "e2e.Start", metric: "p50-ms", bar: 300, unit: "ms", per: 1},
	{about: "resident memory, idle", bench: "e2e.Start", metric: "idle-MB", bar: 80, unit: "MB", per: 1},
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	results := map[string]map[string]float64{}
	failed := false
	for _, r := range runs {
		began := time.Now()
		out, err := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", r.bench, "-benchtime", r.time, r.pkg).CombinedOutput()
		if err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n%s", r.pkg, err, out)
			failed = true
			continue
		}
		fmt.Fprintf(os.Stderr, "%s %.0fs\n", r.pkg, time.Since(began).Seconds())
		read(out, path.Base(r.pkg), results)
	}
	if err := print(results); err != nil || failed {
		os.Exit(1)
	}
}

// read takes the figures out of the output of go test: "BenchmarkName-2 100 11 ns/op 3 B/op".
func read(out []byte, pkg string, into map[string]map[string]float64) {
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		f := strings.Fields(lines.Text())
		if len(f) < 4 || !strings.HasPrefix(f[0], "Benchmark") {
			continue
		}
		name := strings.TrimPrefix(f[0], "Benchmark")
		if i := strings.LastIndex(name, "-"); i > 0 {
			if _, err := strconv.Atoi(name[i+1:]); err == nil {
				name = name[:i] // how many processors it had
			}
		}
		metrics := map[string]float64{}
		for i := 2; i+1 < len(f); i += 2 {
			metrics[f[i+1]], _ = strconv.ParseFloat(f[i], 64)
		}
		into[pkg+"."+name] = metrics
	}
}

func print(results map[string]map[string]float64) error {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "figure\tbar\t\t  what")
	for _, r := range rows {
		v, ok := results[r.bench][r.metric]
		if less, need := results[r.less]; r.less != "" {
			v, ok = v-less[r.metric], ok && need
		}
		figure, bar, verdict := "not run", "", ""
		if ok {
			figure = number(v/r.per) + " " + r.unit
		}
		if r.bar > 0 {
			bar = number(r.bar) + " " + r.unit
			if ok && v/r.per > r.bar {
				verdict = "over"
			}
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t  %s\n", figure, bar, verdict, r.about)
	}
	return w.Flush()
}

// number shows three digits that matter.
func number(v float64) string {
	switch {
	case v >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'f', 2, 64)
}

// Command testcount reads the event stream of `go test -json`, shows a person what matters of it
// (one line per package, the whole output of each failure) and remembers every result in a file,
// so that several runs can be added up:
//
//	go test -json ./... | go run .ci/testcount/main.go -into .cache/tests/unit
//	go run .ci/testcount/main.go -total .cache/tests/unit .cache/tests/race
//
// A test that ran more than once (with and without the race detector, say) counts once, and counts
// as failed if any of its runs failed.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
)

type event struct {
	Action, Package, ImportPath, Test, Output string
	Elapsed                                   float64
}

func main() {
	into := flag.String("into", "", "file that receives one `result package test` line per finished test")
	total := flag.Bool("total", false, "add up the result files given as arguments")
	flag.Parse()
	var err error
	switch {
	case *total:
		err = sum(os.Stdout, flag.Args())
	case *into != "":
		err = record(os.Stdin, os.Stdout, *into)
	default:
		flag.Usage()
		os.Exit(2)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// record follows one run. Its error says that something in the run failed.
func record(r io.Reader, w io.Writer, path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	output := map[string]*strings.Builder{} // of what is still running
	failed := map[string]int{}              // failed tests per package
	lines := bufio.NewReaderSize(r, 1<<20)
	bad := 0
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			var e event
			if json.Unmarshal(line, &e) != nil || e.Action == "" {
				fmt.Fprint(w, string(line)) // not an event: the go command speaks
			} else {
				bad += step(w, f, e, output, failed)
			}
		}
		if err == io.EOF {
			break
		} else if err != nil {
			return err
		}
	}
	if bad > 0 {
		return fmt.Errorf("%d failed", bad)
	}
	return nil
}

func step(w, results io.Writer, e event, output map[string]*strings.Builder, failed map[string]int) int {
	key := e.Package + " " + e.Test
	switch e.Action {
	case "build-output":
		fmt.Fprint(w, e.Output)
	case "output":
		b := output[key]
		if b == nil {
			b = &strings.Builder{}
			output[key] = b
		}
		b.WriteString(e.Output)
	case "pass", "fail", "skip":
		text := output[key]
		delete(output, key)
		if e.Test != "" {
			fmt.Fprintln(results, e.Action, e.Package, e.Test)
			if e.Action == "skip" && text != nil {
				fmt.Fprint(w, text.String()) // why
			}
			if e.Action == "fail" {
				failed[e.Package]++
				if text != nil {
					fmt.Fprint(w, text.String())
				}
				return 1
			}
			return 0
		}
		if e.Action == "fail" {
			if text != nil {
				fmt.Fprint(w, text.String())
			}
			if failed[e.Package] == 0 { // did not build, or died outside a test
				fmt.Fprintln(results, "fail", e.Package, "-")
				return 1
			}
			return 0
		}
		fmt.Fprintf(w, "%-4s %s %.1fs\n", e.Action, e.Package, e.Elapsed)
	}
	return 0
}

// sum prints the totals of result files and fails if they hold a failure.
func sum(w io.Writer, paths []string) error {
	worst := map[string]string{}
	rank := map[string]int{"": 0, "skip": 1, "pass": 2, "fail": 3}
	for _, p := range paths {
		data, err := os.ReadFile(p)
		if os.IsNotExist(err) {
			continue // that run was never reached
		} else if err != nil {
			return err
		}
		for line := range strings.Lines(string(data)) {
			result, test, _ := strings.Cut(strings.TrimSpace(line), " ")
			if rank[result] > rank[worst[test]] {
				worst[test] = result
			}
		}
	}
	n := map[string]int{}
	for _, result := range worst {
		n[result]++
	}
	fmt.Fprintf(w, "%d passed, %d failed, %d skipped\n", n["pass"], n["fail"], n["skip"])
	if n["fail"] > 0 {
		return fmt.Errorf("there are failures")
	}
	return nil
}

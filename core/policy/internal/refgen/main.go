// Command refgen writes the policy reference.
package main

import (
	"fmt"
	"os"

	"github.com/omniroute/omniroute/core/policy"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: refgen FILE")
		os.Exit(2)
	}
	if err := os.WriteFile(os.Args[1], policy.Reference(), 0o644); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// Package e2e holds the end-to-end tests: they build the real binary with its
// plugins, start `omniroute serve` on a free loopback port with a configuration
// and a data directory of their own, and talk to it the way programs do: with
// the official clients of OpenAI and Anthropic, with plain HTTP, and with the
// omniroute command itself. The providers behind it are those of core/fake.
//
// The compiled plugins are cached in .cache/e2e of the repository and shared by
// all gateways of all runs. `go test -short` skips everything here.
// OMNIROUTE_E2E_RACE=1 builds the binary with the race detector;
// OMNIROUTE_E2E_BINARY names a binary to test instead of building one.
package e2e

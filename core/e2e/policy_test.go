package e2e

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/core/fake"
)

// twoTargets is a configuration with the combo "either" over the providers east and west.
func twoTargets(up *fake.Server, policies string) string {
	return providers(
		node{id: "east", dialect: "openai", url: base(up, "east", "openai"), models: []string{"m"}},
		node{id: "west", dialect: "openai", url: base(up, "west", "openai"), models: []string{"m"}},
	) + "combos:\n  either: {strategy: priority, models: [east/m, west/m]}\n" + policies
}

func orderRule(first string) string {
	return fmt.Sprintf("policies:\n  order:\n    - id: pick\n      by: ['target.provider == %q ? 0 : 1']\n", first)
}

func TestPolicyEdit(t *testing.T) {
	t.Parallel()
	up := fake.Start(fake.Options{})
	t.Cleanup(up.Close)
	up.Otherwise(byPrefix(nil))
	g := serve(t, twoTargets(up, orderRule("west")))
	served := func() string { return g.chat("either").text() }
	require.Equal(t, "from west", served())

	g.configure(twoTargets(up, orderRule("east")))
	g.eventually(func() bool { return served() == "from east" }, "the edited rule does not decide")

	// A type error is reported with its place, and what served goes on serving.
	bad := twoTargets(up, "policies:\n  order:\n    - id: pick\n      by: ['target.provider + 1']\n")
	g.configure(bad)
	line := 1 + strings.Count(bad[:strings.Index(bad, "target.provider + 1")], "\n")
	place := fmt.Sprintf("omniroute.yaml:%d:", line)
	g.eventually(func() bool { return strings.Contains(g.out.String(), place) }, "no report with %s in:\n%s", place, lazy(g.out.String))
	require.Equal(t, "from east", served())
	out, errs, err := g.run("check")
	require.Equal(t, 1, exitCode(err))
	require.Regexp(t, fmt.Sprintf(`omniroute\.yaml:%d:\d+: .+`, line), out+errs)
	require.Contains(t, out+errs, "^", "the place is marked with a caret")

	g.configure(twoTargets(up, orderRule("west")))
	g.eventually(func() bool { return served() == "from west" }, "a good edit after a bad one is not taken")
	g.must("check")
}

// A file that the configuration includes is followed too.
func TestPolicyInclude(t *testing.T) {
	t.Parallel()
	up := fake.Start(fake.Options{})
	t.Cleanup(up.Close)
	up.Otherwise(byPrefix(nil))
	g := prepare(t, twoTargets(up, "policies:\n  include: [./local/*.yaml]\n"))
	require.NoError(t, os.Mkdir(g.path("local"), 0o755))
	write := func(text string) { require.NoError(t, os.WriteFile(g.path("local/order.yaml"), []byte(text), 0o644)) }
	write(orderRule("west"))
	g.start()
	require.Equal(t, "from west", g.chat("either").text())
	write(orderRule("east"))
	g.eventually(func() bool { return g.chat("either").text() == "from east" }, "the edited include does not decide")
	write("policies:\n  order:\n    - {id: pick, by: [nosuch.thing]}\n")
	g.eventually(func() bool { return strings.Contains(g.out.String(), "order.yaml:3:") }, "no report with the place in the included file")
	require.Equal(t, "from east", g.chat("either").text())
}

// Reloads under load fail no request, and each request is decided by one set:
// its two rules always agree.
func TestPolicyReloadUnderLoad(t *testing.T) {
	t.Parallel()
	up := fake.Start(fake.Options{})
	t.Cleanup(up.Close)
	up.Otherwise(func(r *fake.Request) fake.Reply {
		prefix, _, _ := strings.Cut(strings.TrimPrefix(r.Path, "/"), "/")
		tag, _ := r.JSON.Get("user")
		return fake.Reply{Text: prefix + "," + tag.Text}
	})
	rules := func(side string) string {
		return orderRule(side) + unthrottled + fmt.Sprintf("  rewrite:\n    - {id: mark, set: {user: '%q'}}\n", side)
	}
	g := serve(t, twoTargets(up, rules("east")))
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	var count atomic.Int64
	seen := [2]atomic.Bool{}
	for range 4 {
		wg.Go(func() {
			for ctx.Err() == nil {
				a, err := g.send(context.Background(), "POST", "/v1/chat/completions", strings.NewReader(fmt.Sprintf(chatBody, "either")))
				if err != nil {
					t.Error(err)
					return
				}
				switch a.text() {
				case "east,east":
					seen[0].Store(true)
				case "west,west":
					seen[1].Store(true)
				default:
					t.Errorf("status %d, decided by two sets or none: %s", a.Status, a.Body)
					return
				}
				count.Add(1)
			}
		})
	}
	sides := []string{"west", "east"}
	for i := range 12 {
		seen[1-i%2].Store(false)
		g.configure(twoTargets(up, rules(sides[i%2])))
		g.eventually(func() bool { return seen[1-i%2].Load() || t.Failed() }, "reload %d did not arrive", i)
		if t.Failed() {
			break
		}
	}
	cancel()
	wg.Wait()
	t.Logf("%d requests during 12 reloads", count.Load())
}

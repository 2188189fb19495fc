package plugintest

import (
	"testing"

	"github.com/omniroute/omniroute/sdk"
	"github.com/omniroute/omniroute/sdk/conform"
	"github.com/omniroute/omniroute/sdk/fixture"
)

// Conform holds a plugin against what every plugin has to keep to, natively.
// make makes the plugin anew: instances must not share anything. dir holds its
// recorded cases.
func Conform(t *testing.T, make func() sdk.Source, dir string) {
	t.Helper()
	cases, err := fixture.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	report := conform.Run(conform.Plugin{
		Manifest: make().Module().Manifest(), Cases: cases, Churn: 1000,
		Start: func() (fixture.Runner, error) { return fixture.Native(make()), nil },
	})
	for _, f := range report.Findings {
		switch f.Result {
		case conform.Failed:
			t.Errorf("%s: %s: %s", f.ID, f.Title, f.Problem)
		case conform.Skipped:
			t.Logf("%s: skipped", f.ID)
		}
	}
}

package plugintest

import (
	"os"
	"testing"

	"github.com/omniroute/omniroute/sdk"
	"github.com/omniroute/omniroute/sdk/fixture"
)

// Run runs every case below dir natively and compares with its want files.
func Run(t *testing.T, s sdk.Source, dir string) {
	t.Helper()
	cases, err := fixture.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(cases) == 0 {
		t.Fatalf("there are no cases in %s", dir)
	}
	update := os.Getenv("UPDATE_FIXTURES") != ""
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			o, problems, err := c.Check(func() (fixture.Runner, error) { return fixture.Native(s), nil })
			if err == nil && update {
				if err = c.Update(o); err == nil {
					c, err = fixture.Reload(c)
				}
				if err == nil {
					_, problems, err = c.Check(func() (fixture.Runner, error) { return fixture.Native(s), nil })
				}
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range problems {
				t.Error(p)
			}
		})
	}
}

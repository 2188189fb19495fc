package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/omniroute/omniroute/core/account"
	"github.com/omniroute/omniroute/core/boot/control"
	"github.com/omniroute/omniroute/core/oauth"
)

// loginWait is how long one look at a login waits for its end.
const loginWait = 20 * time.Second

func (a *app) providerLogin() *cobra.Command {
	var want oauth.Start
	var fields []string
	var methods bool
	c := &cobra.Command{
		Use: "login PROVIDER", Short: "Log an account in at a provider", Args: cobra.ExactArgs(1),
		Long: "Log an account in at a provider: with a browser, with a code on another device, or with a credential that another\n" +
			"program has. A login of the same person renews the account that is there.\n\n" + oauth.Notice,
		Example: "  omniroute provider login claude\n  omniroute provider login kiro --method idc --field startUrl=https://d-1234567890.awsapps.com/start\n" +
			"  omniroute provider login cursor --field machineId=0123…     # asks for the token",
		RunE: func(cmd *cobra.Command, args []string) error {
			want.Provider = args[0]
			var err error
			if want.Fields, err = pairs("--field", fields); err != nil {
				return err
			}
			return a.withDesk(cmd, func(ctx context.Context, desk control.Desk) error {
				if methods {
					return a.listMethods(ctx, desk, want.Provider)
				}
				return a.login(ctx, desk, want)
			})
		},
	}
	f := c.Flags()
	f.StringVar(&want.Method, "method", "", "how to log in; --methods lists the ways")
	f.BoolVar(&methods, "methods", false, "list the ways to log in at the provider")
	f.StringVar(&want.Name, "name", "", "what to call the account (default the e-mail address)")
	f.StringVar(&want.Account, "account", "", "renew the credential of this account, as `PROVIDER/NAME`")
	f.BoolVar(&want.Paste, "paste", false, "listen for no browser: paste the address that it ends on")
	f.StringArrayVar(&fields, "field", nil, "what the method asks for, as `name=value`; what is missing is asked")
	return c
}

func (a *app) listMethods(ctx context.Context, desk control.Desk, provider string) error {
	methods, err := desk.LoginMethods(ctx, provider)
	if err != nil {
		return err
	}
	if a.json {
		return a.printJSON(methods)
	}
	var rows [][]string
	for _, m := range methods {
		var fields []string
		for _, f := range m.Fields {
			fields = append(fields, f.Name)
		}
		rows = append(rows, []string{m.ID, string(m.Kind), m.Label, strings.Join(fields, " ")})
	}
	return table(a.out, []string{"method", "kind", "what", "fields"}, rows)
}

// login takes a person through a login. What it says goes to the error output, so that the account alone is data.
func (a *app) login(ctx context.Context, desk control.Desk, want oauth.Start) error {
	lines := bufio.NewReader(a.in)
	if err := a.askFields(ctx, desk, lines, &want); err != nil {
		return err
	}
	fmt.Fprintf(a.err, "%s\n\n", oauth.Notice)
	l, err := desk.StartLogin(ctx, want)
	if err != nil {
		return err
	}
	if l.Phase == oauth.Pending {
		a.instruct(l)
		if l, err = a.follow(ctx, desk, lines, l); err != nil {
			return err
		}
	}
	if l.Phase != oauth.Done || l.Account == nil {
		return errors.New("the login failed: " + l.Message)
	}
	if a.json {
		return a.printJSON(l.Account)
	}
	_, err = fmt.Fprintf(a.out, "%s/%s\n", l.Account.Provider, l.Account.Name)
	return err
}

// askFields asks for what the method needs and was not given.
func (a *app) askFields(ctx context.Context, desk control.Desk, lines *bufio.Reader, want *oauth.Start) error {
	methods, err := desk.LoginMethods(ctx, want.Provider)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(methods, func(m oauth.Method) bool {
		return want.Method == "" || m.ID == want.Method || string(m.Kind) == want.Method
	})
	if i < 0 {
		return nil // refused with the list of methods
	}
	for _, f := range methods[i].Fields {
		if want.Fields[f.Name] != "" || f.Optional {
			continue
		}
		fmt.Fprintf(a.err, "%s: ", f.Label)
		line, err := lines.ReadString('\n')
		if line = strings.TrimSpace(line); line == "" {
			if err != nil && !errors.Is(err, io.EOF) {
				return err
			}
			return usagef("the login needs --field %s=…", f.Name)
		}
		if want.Fields == nil {
			want.Fields = map[string]string{}
		}
		want.Fields[f.Name] = line
	}
	return nil
}

// instruct tells the person what to do.
func (a *app) instruct(l oauth.Login) {
	if l.UserCode != "" {
		fmt.Fprintf(a.err, "Open %s\nand enter the code %s\n", l.VerifyURL, l.UserCode)
		if l.VerifyComplete != "" {
			fmt.Fprintf(a.err, "or open %s\n", l.VerifyComplete)
		}
		fmt.Fprintf(a.err, "\nWaiting until %s …\n", l.ExpiresAt.Local().Format(time.TimeOnly))
		return
	}
	fmt.Fprintf(a.err, "Open this address in a browser and log in:\n\n  %s\n\n", l.AuthURL)
	if l.Listening {
		host, err := os.Hostname()
		if err != nil {
			host = "THIS-MACHINE"
		}
		fmt.Fprintf(a.err, "With the browser on another machine, run there first:  ssh -L %[1]d:127.0.0.1:%[1]d %[2]s\n", l.Port, host)
	}
	fmt.Fprintf(a.err, "If the browser ends on a page that cannot be opened, paste its address here (until %s):\n", l.ExpiresAt.Local().Format(time.TimeOnly))
}

// follow waits for the end of a login, and passes on what is pasted meanwhile.
func (a *app) follow(ctx context.Context, desk control.Desk, lines *bufio.Reader, l oauth.Login) (oauth.Login, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan oauth.Login, 1)
	failed := make(chan error, 1)
	go func() {
		for {
			now, err := desk.Login(ctx, l.ID, loginWait)
			switch {
			case err != nil:
				failed <- err
				return
			case now.Phase != oauth.Pending:
				ended <- now
				return
			}
		}
	}()
	pasted := make(chan string)
	if l.Method.Kind == oauth.KindBrowser {
		go func() { // ends with the input; the command does not wait for it
			for {
				line, err := lines.ReadString('\n')
				if strings.TrimSpace(line) != "" {
					select {
					case pasted <- line:
					case <-ctx.Done():
						return
					}
				}
				if err != nil {
					return
				}
			}
		}()
	}
	for {
		select {
		case now := <-ended:
			return now, nil
		case err := <-failed:
			if ctx.Err() != nil {
				_ = desk.CancelLogin(context.WithoutCancel(ctx), l.ID)
			}
			return l, err
		case line := <-pasted:
			now, err := desk.AnswerLogin(ctx, l.ID, line)
			if err == nil || now.Phase != oauth.Pending && now.Phase != "" {
				return now, err
			}
			fmt.Fprintf(a.err, "%v\n", err)
		}
	}
}

func (a *app) providerQuota() *cobra.Command {
	return &cobra.Command{
		Use: "quota [PROVIDER/NAME...]", Short: "Show what accounts have left at their providers",
		Long: "Ask the providers what accounts have left (all accounts that log in, if none is named).",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withDesk(cmd, func(ctx context.Context, desk control.Desk) error {
				all := len(args) == 0
				if all {
					accounts, err := desk.Accounts(ctx, "")
					if err != nil {
						return err
					}
					for _, acc := range accounts {
						if acc.Auth == account.AuthOAuth && acc.Enabled {
							args = append(args, acc.ID)
						}
					}
				}
				return a.showQuotas(ctx, desk, args, all)
			})
		},
	}
}

// accountQuota is a line of the machine output.
type accountQuota struct {
	Account string         `json:"account"`
	Quota   *account.Quota `json:"quota,omitempty"`
	Error   string         `json:"error,omitempty"`
}

func (a *app) showQuotas(ctx context.Context, desk control.Desk, ids []string, tolerant bool) error {
	results := []accountQuota{}
	var rows [][]string
	for _, id := range ids {
		q, err := desk.Quota(ctx, id)
		if err != nil && !tolerant {
			return err
		}
		name := id
		if list, err := desk.Accounts(ctx, ""); err == nil {
			if i := slices.IndexFunc(list, func(acc *account.Account) bool { return acc.ID == id }); i >= 0 {
				name = list[i].Provider + "/" + list[i].Name
			}
		}
		switch {
		case err != nil:
			results = append(results, accountQuota{Account: name, Error: err.Error()})
			rows = append(rows, []string{name, "", "", "", oneLine(err.Error())})
			continue
		case len(q.Windows) == 0:
			rows = append(rows, []string{name, q.Plan, "", "", oneLine(q.Message)})
		}
		results = append(results, accountQuota{Account: name, Quota: &q})
		for _, w := range slices.Sorted(maps.Keys(q.Windows)) {
			rows = append(rows, append([]string{name, q.Plan, w}, quotaCells(q.Windows[w])...))
		}
	}
	if a.json {
		return a.printJSON(results)
	}
	return table(a.out, []string{"account", "plan", "quota", "left", "resets"}, rows)
}

func quotaCells(w account.Window) []string {
	if w.Unlimited {
		return []string{"unlimited", ""}
	}
	left := strconv.FormatFloat(w.Left, 'f', -1, 64) + "%"
	if w.Total > 0 && w.Total != 100 {
		left += " (" + strconv.FormatFloat(w.Total-w.Used, 'f', -1, 64) + " of " + strconv.FormatFloat(w.Total, 'f', -1, 64) + ")"
	}
	if w.ResetAt.IsZero() {
		return []string{left, ""}
	}
	return []string{left, w.ResetAt.Local().Format("2006-01-02 15:04")}
}

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/omniroute/omniroute/core/boot/control"
)

func (a *app) adminVerb() *cobra.Command {
	return group("admin", "The dashboard's login", a.adminResetPassword())
}

func (a *app) adminResetPassword() *cobra.Command {
	var stdin bool
	c := &cobra.Command{
		Use: "reset-password", Short: "Give the dashboard a new password; every session ends", Args: cobra.NoArgs,
		Example: "  omniroute admin reset-password\n  pwgen 20 1 | omniroute admin reset-password --stdin",
		RunE: func(cmd *cobra.Command, _ []string) error {
			read := a.askPassword
			if stdin {
				read = func() (string, error) { return firstLine(a.in) }
			}
			password, err := read()
			if err != nil {
				return err
			}
			return a.withDesk(cmd, func(ctx context.Context, desk control.Desk) error {
				if err := desk.ResetPassword(ctx, password); err != nil {
					return err
				}
				if a.json {
					return a.printJSON(map[string]bool{"changed": true})
				}
				_, err := fmt.Fprintln(a.err, "The password is changed; everyone must log in again.")
				return err
			})
		},
	}
	c.Flags().BoolVar(&stdin, "stdin", false, "read the password from the first line of standard input")
	return c
}

// askPassword asks twice on the terminal, without showing what is typed.
func (a *app) askPassword() (string, error) {
	fd := int(os.Stdin.Fd())
	if !term.IsTerminal(fd) {
		return "", usagef("there is no terminal to ask on; give the password on standard input with --stdin")
	}
	ask := func(prompt string) (string, error) {
		fmt.Fprint(a.err, prompt)
		text, err := term.ReadPassword(fd)
		fmt.Fprintln(a.err)
		return string(text), err
	}
	first, err := ask("New password: ")
	if err != nil {
		return "", err
	}
	again, err := ask("Again: ")
	if err != nil {
		return "", err
	}
	if first != again {
		return "", errors.New("the two are not the same")
	}
	return first, nil
}

func firstLine(r io.Reader) (string, error) {
	line, err := bufio.NewReader(io.LimitReader(r, 4096)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	if line = strings.TrimRight(line, "\r\n"); line == "" {
		return "", usagef("standard input holds no password")
	}
	return line, nil
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/goccy/go-json"
	"github.com/spf13/cobra"

	"github.com/omniroute/omniroute/core/boot"
	"github.com/omniroute/omniroute/core/boot/control"
	"github.com/omniroute/omniroute/core/state"
)

// passphraseEnv holds the passphrase of backups; the command line would show it to
// every user of the machine.
const passphraseEnv = "OMNIROUTE_BACKUP_PASSPHRASE"

func (a *app) passphrase(file string) (string, error) {
	if file != "" {
		raw, err := os.ReadFile(file)
		if err != nil {
			return "", err
		}
		if words := strings.TrimSpace(string(raw)); words != "" {
			return words, nil
		}
		return "", fmt.Errorf("%s is empty", file)
	}
	for _, v := range a.env {
		if words, ok := strings.CutPrefix(v, passphraseEnv+"="); ok {
			return words, nil
		}
	}
	return "", nil
}

const passphraseHelp = "`file` with the passphrase that seals it (default: $" + passphraseEnv + "; without either the storage key does)"

func (a *app) backupVerb() *cobra.Command {
	var want control.BackupRequest
	var words string
	c := &cobra.Command{
		Use: "backup [FILE]", Short: "Write everything the gateway knows into one encrypted file", Args: cobra.MaximumNArgs(1),
		Long: "Write everything the gateway knows into one encrypted file, below backups/ in the data directory unless FILE is given. A running gateway goes on serving meanwhile. Without a passphrase the file can only be opened with the storage key of this data directory; with one it can be restored anywhere.",
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if want.Passphrase, err = a.passphrase(words); err != nil {
				return err
			}
			if len(args) == 1 {
				if want.Path, err = filepath.Abs(args[0]); err != nil {
					return err
				}
			}
			return a.withDesk(cmd, func(ctx context.Context, desk control.Desk) error {
				r, err := desk.Backup(ctx, want)
				if err != nil {
					return err
				}
				if a.json {
					return a.printJSON(r)
				}
				fmt.Fprintf(a.out, "%s\n%d entries and %d files, %d KiB\n", r.Path, r.Manifest.Entries, r.Manifest.Files, (r.Bytes+1023)>>10)
				return nil
			})
		},
	}
	c.Flags().StringVar(&words, "passphrase-file", "", passphraseHelp)
	c.Flags().BoolVar(&want.NoLogs, "no-logs", false, "leave the request log out; budgets and roll-ups are kept")
	return c
}

func (a *app) restoreVerb() *cobra.Command {
	var want boot.RestoreRequest
	var words string
	c := &cobra.Command{
		Use: "restore FILE", Short: "Put a backup in the place of the data", Args: cobra.ExactArgs(1),
		Long: "Put a backup in the place of the data. The gateway must be stopped. The backup is checked to its end first, what it replaces is kept below backups/, and if anything fails the data is as it was. Configuration and plugins of the backup are laid out below restored/ for you to compare and copy.",
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if want.Passphrase, err = a.passphrase(words); err != nil {
				return err
			}
			want.Path = args[0]
			r, err := boot.Restore(cmd.Context(), a.quiet(), want)
			if err != nil {
				return a.stopped(err)
			}
			if a.json {
				return a.printJSON(r)
			}
			fmt.Fprintf(a.out, "backup of %s by %s: %d entries, %d files, whole\n",
				r.Manifest.Created.Local().Format("2006-01-02 15:04:05"), r.Manifest.Version, r.Manifest.Entries, r.Manifest.Files)
			if r.DryRun {
				return nil
			}
			fmt.Fprintf(a.out, "restored %d entries\n", r.Entries)
			if r.Before != "" {
				fmt.Fprintf(a.out, "what was there before: %s\n", r.Before)
			}
			if len(r.Files) > 0 {
				fmt.Fprintf(a.out, "files of the backup:   %s\n", r.FilesDir)
			}
			return nil
		},
	}
	c.Flags().StringVar(&words, "passphrase-file", "", passphraseHelp)
	c.Flags().BoolVar(&want.DryRun, "dry-run", false, "only check the backup")
	return c
}

// stopped explains what needs a stopped gateway.
func (a *app) stopped(err error) error {
	var locked *state.LockedError
	if errors.As(err, &locked) {
		return fmt.Errorf("stop the gateway first: %w", err)
	}
	return a.configError(err)
}

func (a *app) exportVerb() *cobra.Command {
	var secrets bool
	c := &cobra.Command{
		Use: "export", Short: "Write keys, accounts and catalogue entries as JSON", Args: cobra.NoArgs,
		Long: "Write the client keys, accounts and catalogue entries that were made by command or API as JSON. Without --secrets it tells no credential, and keys and accounts of it cannot be imported again.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withDesk(cmd, func(ctx context.Context, desk control.Desk) error {
				r, err := desk.Export(ctx, secrets)
				if err != nil {
					return err
				}
				return a.printJSON(r)
			})
		},
	}
	c.Flags().BoolVar(&secrets, "secrets", false, "with credentials, in clear: keep the output as safe as they are")
	return c
}

func (a *app) importVerb() *cobra.Command {
	var want control.ImportRequest
	c := &cobra.Command{
		Use: "import FILE", Short: "Take keys, accounts and catalogue entries of an export", Args: cobra.ExactArgs(1),
		Long: "Take the client keys, accounts and catalogue entries of an export, or of standard input with -. Without --apply it only tells what would happen. The gateway must be stopped to apply.",
		RunE: func(cmd *cobra.Command, args []string) error {
			raw, err := a.fileOrStdin(args[0])
			if err != nil {
				return err
			}
			if err := json.Unmarshal(raw, &want.Export); err != nil {
				return fmt.Errorf("%s is no export: %w", args[0], err)
			}
			return a.withDesk(cmd, func(ctx context.Context, desk control.Desk) error {
				r, err := desk.Import(ctx, want)
				if err != nil {
					return err
				}
				if a.json {
					return a.printJSON(r)
				}
				var rows [][]string
				for _, part := range []struct {
					what  string
					names []string
				}{{"create", r.Create}, {"update", r.Update}, {"same", r.Same}, {"conflict", r.Conflicts}, {"skip (no secret)", r.Skipped}} {
					for _, n := range part.names {
						rows = append(rows, []string{part.what, n})
					}
				}
				if err := table(a.out, []string{"what", "entry"}, rows); err != nil {
					return err
				}
				if !r.Applied {
					fmt.Fprintln(a.out, "Nothing was changed; see --apply and --overwrite.")
				}
				return nil
			})
		},
	}
	c.Flags().BoolVar(&want.Apply, "apply", false, "do it")
	c.Flags().BoolVar(&want.Overwrite, "overwrite", false, "replace entries that are there and differ")
	return c
}

// fileOrStdin reads a whole file, or standard input for "-".
func (a *app) fileOrStdin(path string) ([]byte, error) {
	if path == "-" {
		return io.ReadAll(io.LimitReader(a.in, maxDocument))
	}
	return os.ReadFile(path)
}

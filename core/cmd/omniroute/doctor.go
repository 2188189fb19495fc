package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/omniroute/omniroute/core/boot"
	"github.com/omniroute/omniroute/core/boot/control"
)

func (a *app) doctorVerb() *cobra.Command {
	c := &cobra.Command{
		Use: "doctor", Short: "Look for what is wrong with the data", Args: cobra.NoArgs,
		Long: "Look for what is wrong with the data, beside a running gateway or without one. Exit code 1 if something is.",
		RunE: func(cmd *cobra.Command, _ []string) error { return a.examine(cmd, false) },
	}
	c.AddCommand(
		&cobra.Command{
			Use: "verify", Short: "Read all data and check it", Args: cobra.NoArgs,
			Long: "Read all data and check its checksums, the request log against its indexes, and the chain of the audit log. Exit code 1 if something is wrong.",
			RunE: func(cmd *cobra.Command, _ []string) error { return a.examine(cmd, true) },
		},
		&cobra.Command{
			Use: "compact", Short: "Free the space of what was overwritten or has expired", Args: cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error {
				return a.withDesk(cmd, func(ctx context.Context, desk control.Desk) error {
					r, err := desk.Compact(ctx)
					if err != nil {
						return err
					}
					if a.json {
						return a.printJSON(r)
					}
					fmt.Fprintf(a.out, "%d KiB before, %d KiB after\n", r.Before>>10, r.After>>10)
					return nil
				})
			},
		},
		&cobra.Command{
			Use: "repair", Short: "Make damaged data usable again without a backup", Args: cobra.NoArgs,
			Long: "Make damaged data usable again without a backup: files that are damaged are taken out and kept below damaged/, entries that cannot be read are removed, and the indexes of the request log are made anew. What such files held is lost, so restore a backup if there is one. The gateway must be stopped.",
			RunE: func(cmd *cobra.Command, _ []string) error {
				r, err := boot.Repair(cmd.Context(), a.quiet())
				if err != nil {
					return a.stopped(err)
				}
				if a.json {
					return a.printJSON(r)
				}
				for _, t := range r.Salvaged.Tables {
					fmt.Fprintf(a.out, "taken out: %s (kept in %s)\n", t, r.Salvaged.Kept)
				}
				for _, k := range r.Salvaged.Lost {
					fmt.Fprintf(a.out, "lost:      %s\n", k)
				}
				fmt.Fprintf(a.out, "%d rows of the request log, %d damaged ones and %d parts of rows that are gone removed\n", r.Log.Rows, r.Log.Damaged, r.Log.Orphans)
				return nil
			},
		},
	)
	return c
}

func (a *app) examine(cmd *cobra.Command, deep bool) error {
	d, err := boot.Examine(cmd.Context(), a.quiet(), deep)
	if err != nil {
		return a.configError(err)
	}
	if a.json {
		err = a.printJSON(d)
	} else {
		var rows [][]string
		for _, f := range d.Findings {
			rows = append(rows, []string{f.Level, f.Check, f.Text})
		}
		err = table(a.out, []string{"", "check", "found"}, rows)
	}
	if err == nil && !d.Healthy() {
		return errNo
	}
	return err
}

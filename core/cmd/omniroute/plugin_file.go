package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/omniroute/omniroute/core/host"
	"github.com/omniroute/omniroute/core/host/library"
	"github.com/omniroute/omniroute/core/host/lock"
	"github.com/omniroute/omniroute/core/host/pack"
	"github.com/omniroute/omniroute/core/plugindev"
	"github.com/omniroute/omniroute/sdk/fixture"
)

func (a *app) pluginPack() *cobra.Command {
	var out, fixtures, readme string
	c := &cobra.Command{
		Use: "pack FILE.wasm", Short: "Put a module's own manifest into the file", Args: cobra.ExactArgs(1),
		Long: "Put a module's own manifest into the file, so that a gateway can read who it is and what it wants before it runs a single instruction; test cases and a readme too, where they are named. Drop the result into the plugin folder.",
		RunE: func(cmd *cobra.Command, args []string) error {
			wasm, err := os.ReadFile(args[0])
			if err != nil {
				return err
			}
			packed, err := host.Pack(cmd.Context(), wasm)
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			if packed, err = addParts(packed, fixtures, readme); err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			if out == "" {
				out = args[0]
			}
			if err := replaceFile(out, packed); err != nil {
				return err
			}
			if a.json {
				return a.printJSON(map[string]any{"file": out, "bytes": len(packed), "file_digest": pack.Digest(packed)})
			}
			_, err = fmt.Fprintln(a.out, out)
			return err
		},
	}
	c.Flags().StringVarP(&out, "out", "o", "", "`file` to write (default the module itself)")
	c.Flags().StringVar(&fixtures, "fixtures", "", "`folder` of test cases to put in")
	c.Flags().StringVar(&readme, "readme", "", "`file` to put in for people")
	return c
}

func addParts(packed []byte, fixtures, readme string) ([]byte, error) {
	var parts pack.Parts
	var err error
	if fixtures != "" {
		if parts.Fixtures, err = fixture.Archive(fixtures); err != nil {
			return nil, err
		}
	}
	if readme != "" {
		text, err := os.ReadFile(readme)
		if err != nil {
			return nil, err
		}
		parts.Readme = string(text)
	}
	if len(parts.Fixtures) == 0 && parts.Readme == "" {
		return packed, nil
	}
	return pack.Build(packed, parts)
}

func (a *app) pluginSign() *cobra.Command {
	var keyPath, newKey, passwordEnv string
	var sidecar bool
	c := &cobra.Command{
		Use: "sign FILE", Short: "Sign a plugin with a minisign key", Args: cobra.MaximumNArgs(1),
		Long:    "Sign a plugin. The signature names plugin, version and ABI, and goes into the module, or with --sidecar into FILE.minisig, which the minisign tool verifies too; provider packs always have it beside them. A file may have several signatures. With --new-key a key pair is made first.",
		Example: "  omniroute plugin sign --new-key acme.key\n  omniroute plugin sign acme.wasm --key acme.key",
		RunE: func(_ *cobra.Command, args []string) error {
			if newKey != "" {
				if err := a.newKey(newKey, passwordEnv); err != nil || len(args) == 0 {
					return err
				}
				keyPath = newKey
			}
			if len(args) == 0 || keyPath == "" {
				return usagef("plugin sign needs a file and --key")
			}
			return a.sign(args[0], keyPath, passwordEnv, sidecar)
		},
	}
	c.Flags().StringVar(&keyPath, "key", "", "`file` of the secret key")
	c.Flags().StringVar(&newKey, "new-key", "", "make a key pair: this `file`, and FILE.pub beside it")
	c.Flags().StringVar(&passwordEnv, "password-env", "", "`variable` that holds the password of the secret key")
	c.Flags().BoolVar(&sidecar, "sidecar", false, "write FILE.minisig in place of changing the file")
	return c
}

func (a *app) newKey(path, passwordEnv string) error {
	for _, name := range []string{path, path + ".pub"} {
		if _, err := os.Stat(name); err == nil {
			return fmt.Errorf("%s exists; a key is not overwritten", name)
		}
	}
	s, secret, public, err := pack.NewSigner(rand.Reader, a.getenv(passwordEnv))
	if err != nil {
		return err
	}
	if err := os.WriteFile(path, append(secret, '\n'), 0o600); err != nil {
		return err
	}
	if err := os.WriteFile(path+".pub", public, 0o644); err != nil {
		return err
	}
	if a.json {
		return a.printJSON(map[string]string{"secret": path, "public": path + ".pub", "key": s.Key.Text})
	}
	_, err = fmt.Fprintf(a.out, "%s\n", s.Key.Text)
	return err
}

func (a *app) sign(path, keyPath, passwordEnv string, sidecar bool) error {
	text, err := os.ReadFile(keyPath)
	if err != nil {
		return err
	}
	signer, err := pack.ParseSigner(text, a.getenv(passwordEnv))
	if errors.Is(err, pack.ErrPassword) {
		return fmt.Errorf("%s: %w with --password-env", keyPath, err)
	} else if err != nil {
		return fmt.Errorf("%s: %w", keyPath, err)
	}
	src, err := library.ReadSource(path)
	if err != nil {
		return err
	}
	f, err := pack.Open(src.Name, src.Data, src.Signature)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	sig, err := f.Sign(signer)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	written := path
	if sidecar || f.IsPack() {
		written += pack.SidecarSuffix
		err = replaceFile(written, append(f.SidecarText(), sig...))
	} else {
		signed, embedErr := f.Embed(sig)
		if embedErr != nil {
			return fmt.Errorf("%s: %w", path, embedErr)
		}
		err = replaceFile(written, signed)
	}
	if err != nil {
		return err
	}
	if a.json {
		return a.printJSON(map[string]string{"file": written, "key": signer.Key.Text, "content_digest": f.ContentDigest})
	}
	_, err = fmt.Fprintln(a.out, written)
	return err
}

func (a *app) pluginInspect() *cobra.Command {
	return &cobra.Command{
		Use: "inspect FILE", Short: "Show a plugin file without running it", Args: cobra.ExactArgs(1),
		Long: "Show who a plugin file is, what it asks for, its signatures, sections, imports and digests, and what it would change against an installed version. Nothing of it runs.",
		RunE: func(cmd *cobra.Command, args []string) error {
			lib, err := a.library()
			if err != nil {
				return err
			}
			src, err := a.source(cmd.Context(), lib, args[0])
			if err != nil {
				return err
			}
			info, err := lib.Inspect(src.Source)
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			f, err := pack.Open(src.Name, src.Data, src.Signature)
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(struct {
					*library.Info
					Sections   []pack.Section   `json:"sections,omitempty"`
					Exports    []string         `json:"exports,omitempty"`
					Signatures []pack.Signature `json:"signatures,omitempty"`
				}{info, f.Sections, f.Exports, f.ListSignatures()})
			}
			a.printInfo(info)
			for _, s := range f.Sections {
				fmt.Fprintf(a.out, "section:    %-24s %9d bytes\n", s.Title(), s.Size)
			}
			for _, im := range f.Imports {
				fmt.Fprintf(a.out, "import:     %s.%s\n", im.Module, im.Name)
			}
			for _, s := range f.ListSignatures() {
				fmt.Fprintf(a.out, "signed:     %s %s\n", s.KeyID, s.Comment)
			}
			return nil
		},
	}
}

func (a *app) pluginVerify() *cobra.Command {
	var keys []string
	c := &cobra.Command{
		Use: "verify FILE", Short: "Would this plugin be taken into service?", Args: cobra.ExactArgs(1),
		Long: "Check a plugin file in full: its form, its signatures by the keys of the configuration and of --key, what the configuration denies, its code (compiled and started in a sandbox), and its own test cases. Exit code 1 if it does not pass.",
		RunE: func(cmd *cobra.Command, args []string) error {
			lib, err := a.library()
			if err != nil {
				return err
			}
			src, err := a.source(cmd.Context(), lib, args[0])
			if err != nil {
				return err
			}
			problems, by := a.verify(cmd.Context(), lib.Library, src.Source, keys)
			if a.json {
				err = a.printJSON(map[string]any{"valid": len(problems) == 0, "problems": list(problems), "signed_by": list(by)})
			} else {
				for _, p := range problems {
					fmt.Fprintf(a.err, "%s: %s\n", args[0], p)
				}
				if len(problems) == 0 {
					_, err = fmt.Fprintln(a.out, strings.TrimSpace("good "+strings.Join(by, " ")))
				}
			}
			if err == nil && len(problems) > 0 {
				return errNo
			}
			return err
		},
	}
	c.Flags().StringArrayVar(&keys, "key", nil, "public `key`, or its .pub file, that must have signed it")
	return c
}

// verify returns what is wrong with a plugin file, and who signed it.
func (a *app) verify(ctx context.Context, lib *library.Library, src library.Source, keys []string) (problems, signers []string) {
	note := func(err error) {
		if err != nil {
			problems = append(problems, err.Error())
		}
	}
	f, verdict, err := lib.Open(src)
	note(err)
	if f == nil {
		return problems, nil
	}
	signers = verdict.Keys
	for _, text := range keys {
		if raw, err := os.ReadFile(text); err == nil {
			text = string(raw)
		}
		key, err := pack.ParseKey(text)
		if err != nil {
			note(err)
			continue
		}
		by, err := f.SignedBy([]pack.Key{key})
		if note(err); err == nil && len(by) == 0 {
			note(errors.New("it is not signed by " + key.Text))
		}
		for _, k := range by {
			signers = append(signers, k.Text)
		}
	}
	if f.IsPack() || f.Manifest == nil || len(problems) > 0 {
		return problems, signers
	}
	lab, err := host.OpenLab(ctx, f.Data, a.labOptions())
	if note(err); err != nil {
		return problems, signers
	}
	note(lab.Close(context.WithoutCancel(ctx)))
	if len(f.Fixtures) > 0 {
		_, err = a.runFixtures(ctx, f)
		note(err)
	}
	return problems, signers
}

// runFixtures runs a plugin's own test cases in a sandbox of their own.
func (a *app) runFixtures(ctx context.Context, f *pack.File) (*lock.Fixtures, error) {
	cases, err := fixture.Unarchive(f.Fixtures)
	if err != nil {
		return nil, err
	}
	lab, err := host.OpenLab(ctx, f.Data, a.labOptions())
	if err != nil {
		return nil, err
	}
	defer func() { _ = lab.Close(context.WithoutCancel(ctx)) }()
	out := &lock.Fixtures{}
	for k := range cases {
		o, problems, err := plugindev.Check(ctx, lab, &cases[k])
		if err == nil && len(problems) > 0 {
			err = errors.New(problems[0])
		}
		if err != nil {
			return nil, fmt.Errorf("case %s: %w", cases[k].Name, err)
		}
		out.Passed++
		out.FuelMax = max(out.FuelMax, int64(o.Fuel))
	}
	return out, nil
}

package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/omniroute/omniroute/core/boot"
	"github.com/omniroute/omniroute/core/host/index"
	"github.com/omniroute/omniroute/core/host/library"
	"github.com/omniroute/omniroute/core/host/lock"
	"github.com/omniroute/omniroute/core/host/manifest"
	"github.com/omniroute/omniroute/core/host/pack"
	"github.com/omniroute/omniroute/core/host/registry"
)

// fetched is a plugin file from wherever it was.
type fetched struct {
	library.Source
	constraint string // of its name in an index
}

// indexScheme begins the source of what came from an index: index:NAME/owner/plugin.
const indexScheme = "index:"

// source gets a plugin from a file, an archive, a URL, a registry, or by name from an index.
func (a *app) source(ctx context.Context, lib *boot.PluginLibrary, from string) (*fetched, error) {
	switch {
	case strings.HasPrefix(from, registry.Scheme):
		art, err := registry.Pull(ctx, from, a.registryOptions())
		if err != nil {
			return nil, err
		}
		return &fetched{Source: artifactSource(art, from)}, nil
	case strings.Contains(from, "://"):
		return fetchPlugin(ctx, from)
	case strings.HasSuffix(from, ".tar"):
		art, err := registry.Load(ctx, from, "")
		if err != nil {
			return nil, err
		}
		return &fetched{Source: artifactSource(art, from)}, nil
	case !pack.Is(from) && manifest.ValidName(bareName(from)):
		name, constraint, _ := strings.Cut(from, "@")
		return a.fromIndexes(ctx, lib, "", name, constraint)
	}
	s, err := library.ReadSource(from)
	return &fetched{Source: s}, err
}

func bareName(from string) string {
	name, _, _ := strings.Cut(from, "@")
	return name
}

func artifactSource(art *registry.Artifact, from string) library.Source {
	return library.Source{Name: art.Name, Data: art.Data, Signature: art.Signature, From: from, ManifestDigest: art.ManifestDigest}
}

// fetchPlugin downloads a file, and the signature beside it where there is one.
func fetchPlugin(ctx context.Context, from string) (*fetched, error) {
	u, err := url.Parse(from)
	if err != nil {
		return nil, err
	}
	out := &fetched{Source: library.Source{Name: path.Base(u.Path), From: from}}
	if !pack.Is(out.Name) {
		out.Name += pack.ModuleSuffix
	}
	if out.Data, err = registry.Fetch(ctx, from); err != nil {
		return nil, err
	}
	u.Path += pack.SidecarSuffix
	u.RawPath = ""
	if out.Signature, err = registry.Fetch(ctx, u.String()); err != nil && !errors.Is(err, registry.ErrMissing) {
		return nil, err
	}
	return out, nil
}

// registryOptions are the credentials of the environment; otherwise those of docker login hold.
func (a *app) registryOptions() registry.Options {
	return registry.Options{User: a.getenv("OMNIROUTE_REGISTRY_USER"), Password: a.getenv("OMNIROUTE_REGISTRY_PASSWORD")}
}

// openIndex fetches an index, checks it, and notes what was seen of it in the lock file.
func (a *app) openIndex(ctx context.Context, lib *boot.PluginLibrary, x boot.Index) (*index.Index, error) {
	raw, err := registry.Fetch(ctx, x.URL)
	if err != nil {
		return nil, err
	}
	sig, err := registry.Fetch(ctx, x.URL+index.SignatureSuffix)
	if err != nil {
		return nil, err
	}
	locked, err := lock.Read(lib.Lock)
	if err != nil {
		return nil, err
	}
	keys := x.Keys
	seen := lock.Index{Name: x.Name}
	if s := locked.Index(x.Name); s != nil {
		seen = *s
		for _, text := range s.Keys {
			if k, err := pack.ParseKey(text); err == nil {
				keys = append(keys, k)
			}
		}
	}
	list, err := index.Open(raw, sig, keys, time.Now())
	if err == nil {
		err = list.NotBefore(seen.Serial)
	}
	if err != nil {
		return nil, fmt.Errorf("index %s: %w", x.Name, err)
	}
	return list, lock.Update(lib.Lock, func(f *lock.File) error {
		f.PutIndex(lock.Index{Name: x.Name, Serial: list.Serial, Keys: list.Keys})
		return nil
	})
}

// fromIndexes gets a plugin by name from the first index that has it, or from one of that name.
func (a *app) fromIndexes(ctx context.Context, lib *boot.PluginLibrary, only, name, constraint string) (*fetched, error) {
	indexes := lib.Indexes()
	if len(indexes) == 0 {
		return nil, fmt.Errorf("%s is neither a file nor in an index: plugins.indexes names none", name)
	}
	for _, x := range indexes {
		if only != "" && x.Name != only {
			continue
		}
		list, err := a.openIndex(ctx, lib, x)
		if err != nil {
			return nil, err
		}
		p := list.Find(name)
		if p == nil {
			continue
		}
		v := p.Choose(constraint, lib.Version)
		if v == nil {
			return nil, fmt.Errorf("index %s has no version of %s that fits %q", x.Name, name, constraint)
		}
		return a.fromVersion(ctx, x, name, constraint, v)
	}
	return nil, fmt.Errorf("no index has a plugin called %s", name)
}

// fromVersion tries the places of a version until one has the file the index names.
func (a *app) fromVersion(ctx context.Context, x boot.Index, name, constraint string, v *index.Version) (*fetched, error) {
	var problems []error
	for _, u := range v.URLs {
		out, err := a.fetchListed(ctx, x, u)
		if err == nil && pack.Digest(out.Data) != v.FileDigest {
			err = fmt.Errorf("%s is not the file that the index names", u)
		}
		if err != nil {
			problems = append(problems, err)
			continue
		}
		out.From, out.constraint = indexScheme+x.Name+"/"+name, constraint
		return out, nil
	}
	return nil, errors.Join(problems...)
}

func (a *app) fetchListed(ctx context.Context, x boot.Index, u string) (*fetched, error) {
	if strings.HasPrefix(u, registry.Scheme) {
		art, err := registry.Pull(ctx, u, a.registryOptions())
		if err != nil {
			return nil, err
		}
		return &fetched{Source: artifactSource(art, u)}, nil
	}
	if strings.Contains(u, "://") {
		return fetchPlugin(ctx, u)
	}
	if strings.Contains(x.URL, "://") { // relative to the index
		base, err := url.Parse(x.URL)
		if err != nil {
			return nil, err
		}
		to, err := base.Parse(u)
		if err != nil {
			return nil, err
		}
		return fetchPlugin(ctx, to.String())
	}
	s, err := library.ReadSource(filepath.Join(filepath.Dir(x.URL), filepath.FromSlash(u)))
	return &fetched{Source: s}, err
}

func (a *app) pluginPush() *cobra.Command {
	return &cobra.Command{
		Use: "push FILE oci://REGISTRY/REPOSITORY:TAG", Short: "Publish a plugin in an OCI registry", Args: cobra.ExactArgs(2),
		Long: "Publish a plugin with its signatures in an OCI registry. Credentials are those of docker login, or OMNIROUTE_REGISTRY_USER and OMNIROUTE_REGISTRY_PASSWORD.",
		RunE: func(cmd *cobra.Command, args []string) error {
			src, err := library.ReadSource(args[0])
			if err != nil {
				return err
			}
			if !strings.HasPrefix(args[1], registry.Scheme) {
				return usagef("%s is not an oci:// reference", args[1])
			}
			digest, err := registry.Push(cmd.Context(), args[1], &registry.Artifact{Name: src.Name, Data: src.Data, Signature: src.Signature}, a.registryOptions())
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(map[string]string{"reference": args[1], "manifest_digest": digest})
			}
			_, err = fmt.Fprintf(a.out, "%s@%s\n", args[1], digest)
			return err
		},
	}
}

func (a *app) pluginPull() *cobra.Command {
	var out string
	c := &cobra.Command{
		Use: "pull OCI|URL|NAME[@VERSION]", Short: "Fetch a plugin without installing it", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			lib, err := a.library()
			if err != nil {
				return err
			}
			src, err := a.source(cmd.Context(), lib, args[0])
			if err != nil {
				return err
			}
			return a.writePlugin(&src.Source, out)
		},
	}
	c.Flags().StringVarP(&out, "out", "o", "", "`file` to write (default its own name, here)")
	return c
}

// writePlugin writes a fetched plugin, and its signatures beside it.
func (a *app) writePlugin(s *library.Source, out string) error {
	if out == "" {
		out = s.Name
	}
	if len(s.Signature) > 0 {
		if err := replaceFile(out+pack.SidecarSuffix, s.Signature); err != nil {
			return err
		}
	}
	if err := replaceFile(out, s.Data); err != nil {
		return err
	}
	if a.json {
		return a.printJSON(map[string]string{"file": out, "file_digest": pack.Digest(s.Data), "manifest_digest": s.ManifestDigest})
	}
	_, err := fmt.Fprintln(a.out, out)
	return err
}

func (a *app) pluginSave() *cobra.Command {
	return &cobra.Command{
		Use: "save FILE|OWNER/NAME ARCHIVE.tar", Short: "Write a plugin as an archive for machines without a network", Args: cobra.ExactArgs(2),
		Long: "Write a plugin file, or an installed plugin, with its signatures as an archive of an OCI layout. `plugin load` and `plugin install` read it, and so do tools for OCI registries.",
		RunE: func(cmd *cobra.Command, args []string) error {
			lib, err := a.library()
			if err != nil {
				return err
			}
			file := args[0]
			if !pack.Is(file) && manifest.ValidName(file) {
				info, err := lib.Find(file)
				if err != nil {
					return err
				}
				file = filepath.Join(lib.Dir, filepath.FromSlash(info.File))
			}
			src, err := library.ReadSource(file)
			if err != nil {
				return err
			}
			f, err := pack.Open(src.Name, src.Data, src.Signature)
			if err != nil {
				return fmt.Errorf("%s: %w", file, err)
			}
			tag := "latest"
			if f.Manifest != nil {
				tag = strings.ReplaceAll(f.Manifest.Version, "+", "_")
			}
			art := &registry.Artifact{Name: src.Name, Data: src.Data, Signature: src.Signature}
			if err := registry.Save(cmd.Context(), args[1], tag, art); err != nil {
				return err
			}
			if a.json {
				return a.printJSON(map[string]string{"archive": args[1], "tag": tag, "manifest_digest": art.ManifestDigest})
			}
			_, err = fmt.Fprintf(a.out, "%s %s %s\n", args[1], tag, art.ManifestDigest)
			return err
		},
	}
}

func (a *app) pluginLoad() *cobra.Command {
	var out, tag string
	c := &cobra.Command{
		Use: "load ARCHIVE.tar", Short: "Take a plugin out of an archive", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			art, err := registry.Load(cmd.Context(), args[0], tag)
			if err != nil {
				return err
			}
			s := artifactSource(art, args[0])
			return a.writePlugin(&s, out)
		},
	}
	c.Flags().StringVarP(&out, "out", "o", "", "`file` to write (default its own name, here)")
	c.Flags().StringVar(&tag, "tag", "", "`version` to take, where there are several")
	return c
}

// hit is one line of a search.
type hit struct {
	Index   string   `json:"index"`
	Name    string   `json:"name"`
	Version string   `json:"version"`
	Summary string   `json:"summary,omitempty"`
	Kinds   []string `json:"kinds,omitempty"`
	Caps    []string `json:"caps,omitempty"`
}

func (a *app) pluginSearch() *cobra.Command {
	return &cobra.Command{
		Use: "search [WORDS]", Short: "Search the indexes of the configuration", Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			lib, err := a.library()
			if err != nil {
				return err
			}
			hits := []hit{}
			for _, x := range lib.Indexes() {
				list, err := a.openIndex(cmd.Context(), lib, x)
				if err != nil {
					return err
				}
				for _, p := range list.Search(strings.Join(args, " ")) {
					if v := p.Choose("", lib.Version); v != nil {
						hits = append(hits, hit{x.Name, p.Name, v.Version, p.Summary, p.Kinds, v.Caps})
					}
				}
			}
			if a.json {
				return a.printJSON(hits)
			}
			var rows [][]string
			for _, h := range hits {
				rows = append(rows, []string{h.Name, h.Version, h.Index, strings.Join(h.Kinds, ","), h.Summary, strings.Join(h.Caps, ", ")})
			}
			return table(a.out, []string{"name", "version", "index", "kinds", "summary", "asks for"}, rows)
		},
	}
}

func (a *app) pluginIndex() *cobra.Command {
	return group("index", "Publish a list of plugins", a.pluginIndexBuild())
}

func (a *app) pluginIndexBuild() *cobra.Command {
	var out, base, keyPath, passwordEnv string
	var valid time.Duration
	var announce []string
	c := &cobra.Command{
		Use: "build FILE...", Short: "Write or renew index.json and sign it", Args: cobra.ArbitraryArgs,
		Long:    "Write index.json with the given plugin files, or add them to the one that is there, raise its serial, set its expiry anew and sign it. The result and the files are static: any web server, repository or folder can hold them.",
		Example: "  omniroute plugin index build *.wasm --key index.key --base-url https://plugins.example/files/",
		RunE: func(_ *cobra.Command, args []string) error {
			if keyPath == "" {
				return usagef("index build needs --key")
			}
			x, err := buildIndex(out, base, args)
			if err != nil {
				return err
			}
			x.Serial++
			x.Expires = time.Now().UTC().Add(valid).Truncate(time.Second)
			if len(announce) > 0 {
				x.Keys = announce
			}
			raw, err := x.Format()
			if err != nil {
				return err
			}
			secret, err := os.ReadFile(keyPath)
			if err != nil {
				return err
			}
			signer, err := pack.ParseSigner(secret, a.getenv(passwordEnv))
			if err != nil {
				return fmt.Errorf("%s: %w", keyPath, err)
			}
			sig, err := signer.SignBytes(raw, fmt.Sprintf("index serial=%d", x.Serial))
			if err != nil {
				return err
			}
			if err := errors.Join(replaceFile(out, raw), replaceFile(out+index.SignatureSuffix, sig)); err != nil {
				return err
			}
			if a.json {
				return a.printJSON(map[string]any{"file": out, "serial": x.Serial, "expires": x.Expires, "plugins": len(x.Plugins)})
			}
			_, err = fmt.Fprintf(a.out, "%s serial %d, %d plugins, until %s\n", out, x.Serial, len(x.Plugins), x.Expires.Format(time.DateOnly))
			return err
		},
	}
	c.Flags().StringVarP(&out, "out", "o", "index.json", "`file` to write")
	c.Flags().StringVar(&base, "base-url", "", "`prefix` of the files' places (default relative to the index)")
	c.Flags().StringVar(&keyPath, "key", "", "`file` of the secret key")
	c.Flags().StringVar(&passwordEnv, "password-env", "", "`variable` that holds the password of the secret key")
	c.Flags().DurationVar(&valid, "valid", 90*24*time.Hour, "how `long` the index may be used")
	c.Flags().StringArrayVar(&announce, "announce", nil, "public `key` that may sign the next ones")
	return c
}

// buildIndex reads the index that is there, if any, and adds files.
func buildIndex(out, base string, files []string) (*index.Index, error) {
	x := &index.Index{}
	raw, err := os.ReadFile(out)
	switch {
	case err == nil:
		if x, err = index.Parse(raw); err != nil {
			return nil, fmt.Errorf("%s: %w", out, err)
		}
	case !errors.Is(err, os.ErrNotExist):
		return nil, err
	}
	for _, name := range files {
		src, err := library.ReadSource(name)
		if err != nil {
			return nil, err
		}
		f, err := pack.Open(src.Name, src.Data, src.Signature)
		if err == nil {
			place := base + filepath.Base(name)
			if base == "" {
				if rel, relErr := filepath.Rel(filepath.Dir(out), name); relErr == nil {
					place = filepath.ToSlash(rel)
				}
			}
			err = x.Add(f, place)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return x, nil
}

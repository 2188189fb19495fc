package registry

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/credentials"
)

// Scheme begins references to registries.
const Scheme = "oci://"

// Options say how to reach a registry.
type Options struct {
	User, Password string // "" = what docker login or its helpers know
	TLS            *tls.Config
}

func (o Options) repository(ref string) (*remote.Repository, string, error) {
	repo, err := remote.NewRepository(strings.TrimPrefix(ref, Scheme))
	if err != nil {
		return nil, "", fmt.Errorf("%s is not a reference like oci://registry.example/acme/llm:1.2.0", ref)
	}
	repo.PlainHTTP = loopback(repo.Reference.Registry)
	client := &auth.Client{Client: &http.Client{Transport: &http.Transport{
		Proxy: http.ProxyFromEnvironment, TLSClientConfig: o.TLS, ForceAttemptHTTP2: true,
	}}, Cache: auth.NewCache()}
	client.SetUserAgent("omniroute")
	if o.User != "" || o.Password != "" {
		client.Credential = auth.StaticCredential(repo.Reference.Registry, auth.Credential{Username: o.User, Password: o.Password})
	} else if store, err := credentials.NewStoreFromDocker(credentials.StoreOptions{}); err == nil {
		client.Credential = credentials.Credential(store)
	}
	repo.Client = client
	return repo, repo.Reference.Reference, nil
}

// loopback reports whether a registry is on this machine, where plain HTTP is
// usual.
func loopback(registry string) bool {
	host, _, err := net.SplitHostPort(registry)
	if err != nil {
		host = registry
	}
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

// Push sends a plugin with its signatures to a registry and returns the digest
// of its manifest. Without a tag in the reference it is its version.
func Push(ctx context.Context, ref string, a *Artifact, opt Options) (string, error) {
	repo, tag, err := opt.repository(ref)
	if err != nil {
		return "", err
	}
	if tag == "" {
		return "", errors.New("the reference has no tag; name a version like :1.2.0")
	}
	from, root, err := a.store(ctx, tag)
	if err != nil {
		return "", err
	}
	if _, err := oras.ExtendedCopy(ctx, from, tag, repo, tag, oras.DefaultExtendedCopyOptions); err != nil {
		return "", fmt.Errorf("%s: %w", ref, err)
	}
	return root.Digest.String(), nil
}

// Pull gets a plugin from a registry, by tag or digest. Digests are verified.
func Pull(ctx context.Context, ref string, opt Options) (*Artifact, error) {
	repo, tag, err := opt.repository(ref)
	if err != nil {
		return nil, err
	}
	if tag == "" {
		tag = "latest"
	}
	a, err := read(ctx, repo, tag)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", ref, err)
	}
	return a, nil
}

// Tags lists the tags of a repository; a tag or digest in ref is ignored.
func Tags(ctx context.Context, ref string, opt Options) ([]string, error) {
	repo, _, err := opt.repository(ref)
	if err != nil {
		return nil, err
	}
	var out []string
	err = repo.Tags(ctx, "", func(tags []string) error {
		out = append(out, tags...)
		return nil
	})
	return out, err
}

// WithTag is a reference with another tag.
func WithTag(ref, tag string) string {
	bare := strings.TrimPrefix(ref, Scheme)
	bare, _, _ = strings.Cut(bare, "@")
	if k := strings.LastIndexByte(bare, ':'); k > strings.LastIndexByte(bare, '/') {
		bare = bare[:k]
	}
	return Scheme + bare + ":" + tag
}

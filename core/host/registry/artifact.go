package registry

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/goccy/go-json"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/content/memory"

	"github.com/omniroute/omniroute/core/host/pack"
)

// Media types of plugins.
const (
	typeConfig       = "application/vnd.wasm.config.v0+json"
	typeModule       = "application/wasm"
	typeProvider     = "application/vnd.omniroute.provider.v1+yaml"
	typeProviderPack = "application/vnd.omniroute.plugin.provider.v1"
	typeSignatures   = "application/vnd.omniroute.plugin.signature.v1"
	typeMinisig      = "application/vnd.omniroute.minisig.v1"
)

// olderModules are the layer types other tools used for modules.
var olderModules = []string{
	"application/vnd.module.wasm.content.layer.v1+wasm",
	"application/vnd.wasm.content.layer.v1+wasm",
}

// Annotations of plugins beside the standard ones, so that a registry can be
// searched without downloads.
const (
	annotationName  = "dev.omniroute.plugin.name"
	annotationABI   = "dev.omniroute.plugin.abi"
	annotationKinds = "dev.omniroute.plugin.kinds"
	annotationCaps  = "dev.omniroute.plugin.caps"
)

// maxLayer bounds what is read of one blob, in bytes.
const maxLayer = 64 << 20

// Artifact is a plugin file with what belongs to it.
type Artifact struct {
	Name           string // of the file
	Data           []byte
	Signature      []byte // minisign text beside those the file carries; nil = none
	ManifestDigest string // of the OCI manifest, after Pull, Load, Push and Save
}

// store puts the artifact into a store of its own and tags it.
func (a *Artifact) store(ctx context.Context, tag string) (*memory.Store, ocispec.Descriptor, error) {
	none := ocispec.Descriptor{}
	f, err := pack.Open(a.Name, a.Data, a.Signature)
	if err != nil {
		return nil, none, err
	}
	if f.Manifest == nil {
		return nil, none, errors.New("it has no manifest; pack one into it first")
	}
	s := memory.New()
	layer, err := a.layer(ctx, s, f)
	if err != nil {
		return nil, none, err
	}
	opt := oras.PackManifestOptions{Layers: []ocispec.Descriptor{layer}, ManifestAnnotations: annotations(f)}
	kind := typeProviderPack
	if !f.IsPack() {
		kind = ""
		config, err := wasmConfig(layer)
		if err != nil {
			return nil, none, err
		}
		desc, err := push(ctx, s, typeConfig, config, nil)
		if err != nil {
			return nil, none, err
		}
		opt.ConfigDescriptor = &desc
	}
	root, err := oras.PackManifest(ctx, s, oras.PackManifestVersion1_1, kind, opt)
	if err != nil {
		return nil, none, err
	}
	if text := f.SignatureText(); len(text) > 0 {
		sig, err := push(ctx, s, typeMinisig, text, nil)
		if err != nil {
			return nil, none, err
		}
		_, err = oras.PackManifest(ctx, s, oras.PackManifestVersion1_1, typeSignatures, oras.PackManifestOptions{
			Subject: &root, Layers: []ocispec.Descriptor{sig},
			ManifestAnnotations: map[string]string{ocispec.AnnotationCreated: reproducible},
		})
		if err != nil {
			return nil, none, err
		}
	}
	a.ManifestDigest = root.Digest.String()
	return s, root, s.Tag(ctx, root, tag)
}

// reproducible is the time of every artifact: equal files are equal artifacts.
const reproducible = "1970-01-01T00:00:00Z"

func (a *Artifact) layer(ctx context.Context, s *memory.Store, f *pack.File) (ocispec.Descriptor, error) {
	title := map[string]string{ocispec.AnnotationTitle: pack.FileName(f.Manifest.Name, f.IsPack())}
	if f.IsPack() {
		return push(ctx, s, typeProvider, a.Data, title)
	}
	return push(ctx, s, typeModule, a.Data, title)
}

func push(ctx context.Context, s *memory.Store, mediaType string, data []byte, annotations map[string]string) (ocispec.Descriptor, error) {
	d := content.NewDescriptorFromBytes(mediaType, data)
	d.Annotations = annotations
	return d, s.Push(ctx, d, bytes.NewReader(data))
}

// wasmConfig is the configuration of the CNCF Wasm artifact layout.
func wasmConfig(layer ocispec.Descriptor) ([]byte, error) {
	return json.Marshal(struct {
		Created      string          `json:"created"`
		Architecture string          `json:"architecture"`
		OS           string          `json:"os"`
		LayerDigests []digest.Digest `json:"layerDigests"`
	}{reproducible, "wasm", "wasip1", []digest.Digest{layer.Digest}})
}

func annotations(f *pack.File) map[string]string {
	m := f.Manifest
	out := map[string]string{
		ocispec.AnnotationCreated: reproducible, ocispec.AnnotationTitle: m.Name, ocispec.AnnotationVersion: m.Version,
		annotationName: m.Name, annotationABI: m.ABI, annotationKinds: strings.Join(m.Kinds(), ","),
		annotationCaps: strings.Join(m.Asks().Lines(), ", "),
	}
	for key, value := range map[string]string{
		ocispec.AnnotationSource: m.Source, ocispec.AnnotationLicenses: m.License, ocispec.AnnotationDescription: m.Summary,
	} {
		if value != "" {
			out[key] = value
		}
	}
	return out
}

// read takes a plugin out of a store or registry.
func read(ctx context.Context, from oras.ReadOnlyGraphTarget, ref string) (*Artifact, error) {
	root, err := from.Resolve(ctx, ref)
	if err != nil {
		return nil, err
	}
	raw, err := fetch(ctx, from, root)
	if err != nil {
		return nil, err
	}
	var m ocispec.Manifest
	if err := json.Unmarshal(raw, &m); err != nil || m.MediaType != "" && m.MediaType != ocispec.MediaTypeImageManifest && !strings.HasPrefix(m.MediaType, "application/vnd.docker.") {
		return nil, errors.New("it is not an image manifest")
	}
	a := &Artifact{ManifestDigest: root.Digest.String()}
	if err := a.readLayer(ctx, from, &m); err != nil {
		return nil, err
	}
	return a, a.readSignatures(ctx, from, root)
}

func (a *Artifact) readLayer(ctx context.Context, from content.Fetcher, m *ocispec.Manifest) error {
	for _, layer := range m.Layers {
		var err error
		switch {
		case layer.MediaType == typeModule, slices.Contains(olderModules, layer.MediaType):
			a.Name = "plugin" + pack.ModuleSuffix
			a.Data, err = fetch(ctx, from, layer)
		case layer.MediaType == typeProvider:
			a.Name = "plugin" + pack.PackSuffix
			a.Data, err = fetch(ctx, from, layer)
		default:
			continue
		}
		if title := path.Base(layer.Annotations[ocispec.AnnotationTitle]); err == nil && pack.Is(title) {
			a.Name = title
		}
		return err
	}
	if n := len(m.Layers); n > 0 && strings.HasSuffix(m.Layers[n-1].MediaType, "gzip") {
		a.Name = "plugin" + pack.ModuleSuffix
		packed, err := fetch(ctx, from, m.Layers[n-1])
		if err != nil {
			return err
		}
		a.Data, err = untar(packed)
		return err
	}
	return errors.New("it holds no plugin")
}

// untar finds plugin.wasm in a layer of the compatible image layout.
func untar(packed []byte) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, errors.New("its layer cannot be read")
	}
	r := tar.NewReader(io.LimitReader(z, maxLayer))
	for {
		h, err := r.Next()
		if err != nil {
			return nil, errors.New("its layer holds no plugin.wasm")
		}
		if path.Base(h.Name) == "plugin.wasm" && h.Typeflag == tar.TypeReg {
			return io.ReadAll(r)
		}
	}
}

// readSignatures joins the signatures of all manifests that refer to the
// plugin's. Those the file carries itself are left out.
func (a *Artifact) readSignatures(ctx context.Context, from oras.ReadOnlyGraphTarget, root ocispec.Descriptor) error {
	list, err := from.Predecessors(ctx, root)
	if err != nil {
		return nil // a registry that cannot tell; the file may carry its own
	}
	var own []byte
	if f, err := pack.Open(a.Name, a.Data, nil); err == nil {
		own = f.SignatureText()
	}
	for _, d := range list {
		raw, err := fetch(ctx, from, d)
		if err != nil {
			return err
		}
		var m ocispec.Manifest
		if json.Unmarshal(raw, &m) != nil || m.ArtifactType != typeSignatures {
			continue
		}
		for _, layer := range m.Layers {
			if layer.MediaType != typeMinisig {
				continue
			}
			text, err := fetch(ctx, from, layer)
			if err != nil {
				return err
			}
			if !bytes.Contains(own, bytes.TrimSpace(text)) && !bytes.Equal(bytes.TrimSpace(own), bytes.TrimSpace(text)) {
				a.Signature = append(a.Signature, text...)
			}
		}
	}
	return nil
}

func fetch(ctx context.Context, from content.Fetcher, d ocispec.Descriptor) ([]byte, error) {
	if d.Size > maxLayer {
		return nil, fmt.Errorf("a part of it has %d bytes; at most %d are read", d.Size, maxLayer)
	}
	return content.FetchAll(ctx, from, d) // verifies size and digest
}

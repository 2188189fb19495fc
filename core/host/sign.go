package host

import (
	"context"
	"crypto/sha256"

	"github.com/omniroute/omniroute/sdk/abi"
)

// authCustom asks the plugin itself to sign, once per URL (EX_SIGN). It is
// shown the request without secrets and the digest of the final body; it can
// use a secret through the import secret_hmac, or leave a marker for the host.
func (f *filler) authCustom(r *Request) {
	x := f.plan.by
	if x == nil {
		f.fail("A plan has the auth directive custom, but no plugin to carry it out")
		return
	}
	digest := sha256.Sum256(r.Body)
	for k := range r.URLs {
		header, err := x.sign(f.ctx, f.plan, f.plan.URLs[k], digest[:], f.secrets)
		if err != nil {
			if f.err == nil {
				f.err = err
			}
			return
		}
		for i, h := range header {
			if !validHeader(h) {
				f.fail("The plugin %s signed with an invalid header", x.part.Plugin)
				return
			}
			header[i].Value = f.replace(h.Value, f.headerSafe)
		}
		f.sign(r, header...)
	}
}

func (x *Executor) sign(ctx context.Context, p *Plan, url string, digest []byte, secrets Secrets) (header []abi.Header, err error) {
	err = withRecord(func(w *abi.Writer) error {
		x.head(w, p.reach.profile, "", "", "", false, 0)
		w.String(abi.TagPlanMethod, p.Method)
		w.String(abi.TagPlanURL, url)
		for _, h := range p.Header {
			w.Pair(abi.TagPlanHeader, h.Name, h.Value)
		}
		w.Bytes(abi.TagBodyDigest, digest)
		return x.run(ctx, abi.OpExSign, w.Buf, runInput{profile: p.reach.profile, secrets: secrets}, func(rec []byte) error {
			header = nil
			r := abi.Read(rec)
			for r.Next() {
				f := r.Field()
				if f.Tag != abi.TagPlanHeader {
					r.Unknown()
					continue
				}
				if err := appendHeader(&header, f); err != nil {
					return err
				}
			}
			return r.Err()
		}, nil)
	})
	return header, err
}

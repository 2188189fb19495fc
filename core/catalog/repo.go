package catalog

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"go.yaml.in/yaml/v3"

	"github.com/omniroute/omniroute/core/config"
	"github.com/omniroute/omniroute/core/state"
)

// Repo reads and writes the entries kept in the store. After a write the caller
// loads and builds anew. Entries are stored as YAML in the field names of
// omniroute.yaml, so that one description of them serves both.
type Repo struct{ store state.Store }

// NewRepo works over s.
func NewRepo(s state.Store) *Repo { return &Repo{store: s} }

// Kinds of stored entries: the segment after "cat/".
const (
	kindProvider = "cat/provider"
	kindAlias    = "cat/alias"
	kindCombo    = "cat/combo"
	kindModels   = "cat/model"
	kindPrices   = "cat/price"
	kindChain    = "cat/chain"
)

// Load reads everything. An entry that cannot be read is an error that names
// it; the others are returned all the same.
func (r *Repo) Load(ctx context.Context) (Stored, error) {
	s := Stored{
		Providers: map[string]config.Provider{}, Aliases: map[string]config.Alias{}, Combos: map[string]config.Combo{},
		Models: map[string][]config.Model{}, Prices: map[string]map[string]config.Price{}, Chains: map[string][]config.ChainLink{},
	}
	return s, errors.Join(
		load(ctx, r.store, kindProvider, s.Providers),
		load(ctx, r.store, kindAlias, s.Aliases),
		load(ctx, r.store, kindCombo, s.Combos),
		load(ctx, r.store, kindModels, s.Models),
		load(ctx, r.store, kindPrices, s.Prices),
		load(ctx, r.store, kindChain, s.Chains),
	)
}

func load[V any](ctx context.Context, s state.Store, kind string, into map[string]V) error {
	var broken error
	prefix := state.Prefix(kind)
	err := s.Scan(ctx, state.Query{Prefix: prefix}, func(e state.Entry) error {
		id, ok := state.Segments(prefix, e.Key)
		if !ok || len(id) != 1 {
			return nil
		}
		var v V
		if err := yaml.Unmarshal(e.Value, &v); err != nil {
			broken = errors.Join(broken, fmt.Errorf("catalog: stored entry %s %q cannot be read: %w", kind, id[0], err))
			return nil
		}
		into[id[0]] = v
		return nil
	})
	return errors.Join(err, broken)
}

func (r *Repo) put(ctx context.Context, kind, id string, v any) error {
	text, err := yaml.Marshal(v)
	if err != nil {
		return fmt.Errorf("catalog: %s %q: %w", kind, id, err)
	}
	b := state.Batch{Durable: true}
	b.Put(state.Key(kind, id), text, 0)
	return r.store.Apply(ctx, &b)
}

// remove deletes an entry; state.ErrNotFound if there is none.
func (r *Repo) remove(ctx context.Context, kind, id string) error {
	key := state.Key(kind, id)
	if _, err := r.store.Get(ctx, key); err != nil {
		return err
	}
	return r.store.Delete(ctx, key)
}

// PutProvider stores a compatible node or an override. Accounts are not part of
// it; they belong to the account package.
func (r *Repo) PutProvider(ctx context.Context, id string, p config.Provider) error {
	p.Accounts = nil
	return r.put(ctx, kindProvider, id, p)
}

// RemoveProvider deletes a stored provider.
func (r *Repo) RemoveProvider(ctx context.Context, id string) error {
	return r.remove(ctx, kindProvider, id)
}

// PutAlias stores an alias.
func (r *Repo) PutAlias(ctx context.Context, name string, a config.Alias) error {
	return r.put(ctx, kindAlias, name, a)
}

// RemoveAlias deletes a stored alias.
func (r *Repo) RemoveAlias(ctx context.Context, name string) error {
	return r.remove(ctx, kindAlias, name)
}

// PutCombo stores a combo.
func (r *Repo) PutCombo(ctx context.Context, name string, c config.Combo) error {
	return r.put(ctx, kindCombo, name, c)
}

// RemoveCombo deletes a stored combo.
func (r *Repo) RemoveCombo(ctx context.Context, name string) error {
	return r.remove(ctx, kindCombo, name)
}

// PutChain stores the stand-ins of a model or a pattern of models.
func (r *Repo) PutChain(ctx context.Context, model string, links []config.ChainLink) error {
	return r.put(ctx, kindChain, model, links)
}

// RemoveChain deletes stored stand-ins.
func (r *Repo) RemoveChain(ctx context.Context, model string) error {
	return r.remove(ctx, kindChain, model)
}

// AddModel stores a custom model; an id that exists is returned unchanged.
func (r *Repo) AddModel(ctx context.Context, provider string, m config.Model) (config.Model, error) {
	models, err := readOne[[]config.Model](ctx, r.store, kindModels, provider)
	if err != nil {
		return m, err
	}
	if i := slices.IndexFunc(models, func(x config.Model) bool { return x.ID == m.ID }); i >= 0 {
		return models[i], nil
	}
	if m.Name == "" {
		m.Name = m.ID
	}
	return m, r.put(ctx, kindModels, provider, append(models, m))
}

// RemoveModel deletes a custom model and reports whether it was there. With the
// last model the provider's entry goes.
func (r *Repo) RemoveModel(ctx context.Context, provider, id string) (bool, error) {
	models, err := readOne[[]config.Model](ctx, r.store, kindModels, provider)
	if err != nil {
		return false, err
	}
	rest := slices.DeleteFunc(models, func(m config.Model) bool { return m.ID == id })
	switch {
	case len(rest) == len(models):
		return false, nil
	case len(rest) == 0:
		return true, r.store.Delete(ctx, state.Key(kindModels, provider))
	default:
		return true, r.put(ctx, kindModels, provider, rest)
	}
}

// PutPrice stores the override of one price.
func (r *Repo) PutPrice(ctx context.Context, provider, model string, p config.Price) error {
	prices, err := readOne[map[string]config.Price](ctx, r.store, kindPrices, provider)
	if err != nil {
		return err
	}
	if prices == nil {
		prices = map[string]config.Price{}
	}
	prices[model] = p
	return r.put(ctx, kindPrices, provider, prices)
}

// RemovePrice takes an override back; "" as model takes all of the provider.
func (r *Repo) RemovePrice(ctx context.Context, provider, model string) error {
	prices, err := readOne[map[string]config.Price](ctx, r.store, kindPrices, provider)
	if err != nil {
		return err
	}
	delete(prices, model)
	if len(prices) == 0 || model == "" {
		return r.store.Delete(ctx, state.Key(kindPrices, provider))
	}
	return r.put(ctx, kindPrices, provider, prices)
}

// readOne returns the zero value for an entry that does not exist.
func readOne[V any](ctx context.Context, s state.Store, kind, id string) (v V, err error) {
	text, err := s.Get(ctx, state.Key(kind, id))
	if errors.Is(err, state.ErrNotFound) {
		return v, nil
	}
	if err != nil {
		return v, err
	}
	return v, yaml.Unmarshal(text, &v)
}

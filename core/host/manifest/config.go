package manifest

import (
	"fmt"
	"strings"

	"github.com/goccy/go-json"
	"github.com/google/jsonschema-go/jsonschema"
)

// checkSchema refuses a config_schema that is not a JSON Schema.
func checkSchema(raw []byte) error {
	if len(raw) == 0 {
		return nil
	}
	_, err := resolve(raw)
	return err
}

func resolve(raw []byte) (*jsonschema.Resolved, error) {
	var s jsonschema.Schema
	if err := json.Unmarshal(raw, &s); err != nil {
		return nil, fmt.Errorf("its config_schema is not a JSON Schema: %w", err)
	}
	r, err := s.Resolve(&jsonschema.ResolveOptions{ValidateDefaults: true})
	if err != nil {
		return nil, fmt.Errorf("its config_schema cannot be used: %w", err)
	}
	return r, nil
}

// Config checks an operator's configuration against the plugin's schema and
// fills in the defaults. nil stands for {}. Errors name the place that is wrong.
func (m *Manifest) Config(raw []byte) ([]byte, error) {
	if len(m.ConfigSchema) == 0 {
		return raw, nil
	}
	r, err := resolve(m.ConfigSchema)
	if err != nil {
		return nil, err
	}
	value := map[string]any{}
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &value); err != nil {
			return nil, fmt.Errorf("its configuration is not a JSON object: %w", err)
		}
	}
	if err := r.ApplyDefaults(&value); err != nil {
		return nil, fmt.Errorf("its configuration: %s", plainly(err))
	}
	if err := r.Validate(value); err != nil {
		return nil, fmt.Errorf("its configuration: %s", plainly(err))
	}
	if len(value) == 0 {
		return raw, nil
	}
	return json.Marshal(value)
}

// plainly turns a validator's account of schema places into one of members:
// "region: enum: …".
func plainly(err error) string {
	text := err.Error()
	var path []string
	for {
		rest, ok := strings.CutPrefix(text, "validating ")
		if !ok {
			break
		}
		place, message, ok := strings.Cut(rest, ": ")
		if !ok {
			break
		}
		path, text = append(path[:0], place), message
	}
	if len(path) == 0 || path[0] == "root" {
		return text
	}
	var members []string
	for _, step := range strings.Split(strings.Trim(path[0], "/"), "/") {
		if step != "properties" && step != "items" && step != "additionalProperties" {
			members = append(members, step)
		}
	}
	return strings.Join(members, ".") + ": " + text
}

# Everything is a target of this file; `make help` lists them. Go is all that has to be installed.

SHELL       := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
CONFIG  ?= omniroute.yaml
BIN     := bin/omniroute
CORE    := plugins/bundle/dist/core.wasm.zst
RESULTS := .cache/tests
SOURCES := .ci admin-ui core examples plugins policies sdk
GO      := CGO_ENABLED=0 go
COUNT   := go run .ci/testcount/main.go

# Packages with goroutines and shared state, tested once more under the race detector.
RACE := $(addsuffix /...,$(addprefix ./core/,account boot config doc flow health host ledger policy state telemetry upstream))

# The version is set by the linker; asking git again fails in a checkout that another user owns.
export GOFLAGS := $(GOFLAGS) -buildvcs=false

# What core.wasm is made of.
GUEST_SOURCES := go.mod $(shell find sdk plugins -name '*.go' -not -name '*_test.go' -o -name '*.json' -not -path '*/testdata/*')

##@ Use

.PHONY: run
run: build ## build everything and serve with ./omniroute.yaml
	$(BIN) serve --config $(CONFIG)

.PHONY: build
build: plugins ## build bin/omniroute with its plugins inside
	$(GO) build -trimpath -ldflags '-s -w -X main.version=$(VERSION)' -o $(BIN) ./core/cmd/omniroute

.PHONY: plugins
plugins: $(CORE) ## compile the built-in plugins to WebAssembly

$(CORE): $(GUEST_SOURCES)
	go run ./plugins/bundle/build.go

.PHONY: ui
ui: ## check the admin page that is embedded in the binary
	@test -s admin-ui/dist/index.html
	$(GO) test ./admin-ui/...

.PHONY: examples
examples: build ## run every example against a gateway of its own
	@mkdir -p $(RESULTS); : >$(RESULTS)/examples; failed=0; \
	for run in examples/*/run.sh; do \
	  echo "== $$run"; result=pass; bash "$$run" || { result=fail; failed=1; }; \
	  echo "$$result examples $$run" >>$(RESULTS)/examples; \
	done; exit $$failed

##@ Check

.PHONY: test
test: clean-results lint plugins unit race examples test-total ## everything that has to pass: format, vet, lint, unit, race, end to end, examples

.PHONY: lint
lint: ## gofmt, go vet, staticcheck
	@unformatted=$$(gofmt -l $(SOURCES)); if [ -n "$$unformatted" ]; then echo "not gofmt'd (make fmt):"; echo "$$unformatted"; exit 1; fi
	go vet ./...
	go tool staticcheck ./...

.PHONY: unit
unit: plugins ## all tests once, end to end included
	@mkdir -p $(RESULTS)
	go test -json -timeout 12m ./... | $(COUNT) -into $(RESULTS)/unit

.PHONY: race
race: plugins ## the concurrent packages under the race detector
	@mkdir -p $(RESULTS)
	CGO_ENABLED=1 go test -json -race -short -timeout 20m $(RACE) | $(COUNT) -into $(RESULTS)/race

.PHONY: test-total
test-total:
	@$(COUNT) -total $(RESULTS)/unit $(RESULTS)/race $(RESULTS)/examples

.PHONY: clean-results
clean-results:
	@rm -rf $(RESULTS)

.PHONY: bench
bench: plugins ## the figures that matter beside their bars; BENCH=regexp PKG=./core/doc/... for any others
ifdef BENCH
	go test -run '^$$' -bench '$(BENCH)' -benchmem $(or $(PKG),./...)
else
	@go run .ci/benchtable/main.go
endif

.PHONY: fuzz
fuzz: plugins ## run every fuzz target for FUZZTIME (10s)
	@for pkg in $$(go list ./...); do \
	  for target in $$(go test -list '^Fuzz' "$$pkg" | grep '^Fuzz' || true); do \
	    echo "== $$pkg $$target"; go test -run '^$$' -fuzz "^$$target$$" -fuzztime $(or $(FUZZTIME),10s) "$$pkg"; \
	  done; \
	done

##@ Keep house

.PHONY: fmt
fmt: ## format the Go sources
	gofmt -w $(SOURCES)

.PHONY: clean
clean: ## remove what was built
	rm -rf bin .cache $(CORE)

.PHONY: help
help: ## show this list
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-zA-Z_-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# Every target works on a fresh machine with Rust; check, test and cluster need Go as well, for the control plane and
# Karpenter's scheduler, and fuzz needs a C++ compiler and cargo-fuzz (cargo install --locked cargo-fuzz).

IMAGE ?= aula07/mini-karpenter-rs:latest
NAMESPACE := aula07
CARGO := cargo --locked
# With the flags of the testbed's own build, so that what one has compiled the other need not.
GO := CGO_ENABLED=0 GOFLAGS='-mod=readonly -buildvcs=false -trimpath' GOWORK=off go
CRATE := rust-controller
TIME := 60

.PHONY: help check test fuzz demo run image deploy undeploy cluster cluster-down

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 16

check: ## Format, lints, documentation, and manifests against a real API server
	cd $(CRATE) && cargo fmt --all --check
	cd $(CRATE) && cargo fmt --manifest-path fuzz/Cargo.toml --check
	cd $(CRATE) && $(CARGO) clippy --workspace --all-targets -- -D warnings
	cd $(CRATE) && $(CARGO) clippy --manifest-path fuzz/Cargo.toml --no-default-features --target-dir target -- -D warnings
	cd $(CRATE) && RUSTDOCFLAGS='-D warnings' $(CARGO) doc --workspace --no-deps --document-private-items --quiet
	cd $(CRATE) && $(CARGO) test --test real manifests::
	cd $(CRATE)/testbed/karpenter && test -z "$$(gofmt -l .)" && $(GO) vet ./...

test: ## Every test, the real control plane included (built once into a cache)
	cd $(CRATE) && $(CARGO) run --quiet -p testbed -- build
	cd $(CRATE) && $(CARGO) test --workspace

fuzz: ## Fuzz with cargo-fuzz for TIME seconds each (default 60)
	cd $(CRATE) && for target in quantity selector snapshot; do \
		found=fuzz/target/found/$$target; \
		mkdir -p $$found && cargo fuzz run --sanitizer none $$target $$found fuzz/corpus/$$target -- \
			-dict=fuzz/dictionary/$$target.dict -max_total_time=$(TIME) || exit 1; \
	done

demo: ## Plan and consolidate the bundled cluster; needs only Rust
	@cd $(CRATE) && $(CARGO) build --release --bin mini-karpenter-rs
	@echo '$$ mini-karpenter-rs plan -f demo/*.yaml'
	@cd $(CRATE) && target/release/mini-karpenter-rs plan -f demo/*.yaml; status=$$?; \
		echo "(exit status $$status: $$([ $$status = 3 ] && echo 'some pods can be placed by no node type'))"; \
		[ $$status = 3 ]
	@echo
	@echo '$$ mini-karpenter-rs consolidate -f demo/*.yaml'
	@cd $(CRATE) && target/release/mini-karpenter-rs consolidate -f demo/*.yaml

run: ## Run the controller with your kubeconfig
	cd $(CRATE) && $(CARGO) run --release --bin mini-karpenter-rs

image: ## Build the container image
	docker build -t $(IMAGE) ./$(CRATE)

deploy: ## Install into the cluster of your kubeconfig, with IMAGE
	kubectl apply -f k8s/00-namespace.yaml -f k8s/01-serviceaccount.yaml -f k8s/02-clusterrole.yaml \
		-f k8s/03-clusterrolebinding.yaml
	sed 's|image: aula07/mini-karpenter-rs:latest|image: $(IMAGE)|' k8s/04-deployment.yaml | kubectl apply -f -
	kubectl -n $(NAMESPACE) rollout status deployment/mini-karpenter-rs --timeout=120s

undeploy: ## Remove it, its namespace and its ConfigMaps
	kubectl delete --ignore-not-found -f k8s/04-deployment.yaml -f k8s/03-clusterrolebinding.yaml \
		-f k8s/02-clusterrole.yaml -f k8s/01-serviceaccount.yaml -f k8s/00-namespace.yaml

cluster: ## A control plane with fake nodes on this machine, without Docker
	cd $(CRATE) && $(CARGO) run --quiet -p testbed -- up

cluster-down: ## End it
	cd $(CRATE) && $(CARGO) run --quiet -p testbed -- down

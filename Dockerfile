# Two images: the service, and with `--target reql-embedded` the database that it has for development.
ARG VERSION=0.1.0

FROM rust:1.95-slim-bookworm AS source
WORKDIR /src
# The image has this toolchain already; the file would make rustup look for another.
ENV RUSTUP_TOOLCHAIN=1.95.0
# The allocator is built by make.
RUN command -v make >/dev/null \
    || { apt-get update -q && apt-get install -qy --no-install-recommends make && rm -rf /var/lib/apt/lists/*; }
# Puts the list of a program's crates into the program, for scanners. It runs for a moment, so it isn't optimized.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    cargo install --quiet --locked --debug cargo-auditable@0.7.7
# All that a program needs is in its file, so that its image needs nothing else.
ENV RUSTFLAGS="-C target-feature=+crt-static"
# Names of functions would be a fifth of the file; a panic tells its file and line without them.
ENV CARGO_PROFILE_RELEASE_STRIP=symbols
# Whom it runs as. Kubernetes wants a number to see that it isn't root.
ENV OWNER=10001

FROM source AS build
# Named by its feature alone, since a list with the default ones would have those of the daemon, too.
# What is downloaded and what is compiled outlive the build, so that a change of source compiles only the source.
RUN --mount=type=bind,target=/src \
    --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/target,sharing=locked \
    host=$(rustc -vV | sed -n 's/^host: //p') \
    && cargo auditable build --release --locked --package warp-reql --bin warp-reql --no-default-features --features server \
        --target "$host" --target-dir /target \
    && install -D "/target/$host/release/warp-reql" /image/usr/local/bin/warp-reql \
    && install -D --mode=644 Settings.toml /image/var/lib/warp-reql/Settings.toml \
    && install --directory --owner="$OWNER" --group="$OWNER" /image/var/lib/warp-reql/data

FROM source AS build-reql-embedded
RUN --mount=type=bind,target=/src \
    --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/target,sharing=locked \
    host=$(rustc -vV | sed -n 's/^host: //p') \
    && cargo auditable build --release --locked --package reql-embedded --target "$host" --target-dir /target \
    && install -D "/target/$host/release/reql-embedded" /image/usr/local/bin/reql-embedded \
    && install --directory --owner="$OWNER" --group="$OWNER" /image/data

FROM scratch AS reql-embedded
COPY --from=build-reql-embedded /image /
ARG VERSION
ARG REVISION
LABEL org.opencontainers.image.title="reql-embedded" \
    org.opencontainers.image.description="RethinkDB's protocol and query language on one file" \
    org.opencontainers.image.licenses="MIT OR Apache-2.0" \
    org.opencontainers.image.version="$VERSION" \
    org.opencontainers.image.revision="$REVISION"
# Where RethinkDB's own image keeps its data, too.
WORKDIR /data
USER 10001:10001
EXPOSE 28015
ENTRYPOINT ["/usr/local/bin/reql-embedded", "--bind", "all"]

FROM scratch AS warp-reql
COPY --from=build /image /
ARG VERSION
ARG REVISION
LABEL org.opencontainers.image.title="warp-reql" \
    org.opencontainers.image.description="A JSON service over RethinkDB" \
    org.opencontainers.image.licenses="MIT OR Apache-2.0" \
    org.opencontainers.image.version="$VERSION" \
    org.opencontainers.image.revision="$REVISION"
# Settings.toml is looked for here, and an embedded database keeps its data below it, in `data`: the place for a volume.
WORKDIR /var/lib/warp-reql
USER 10001:10001
# Production wants a choice: APP_AUTH=database, or APP_ALLOW_ANONYMOUS=true.
ENV APP_PROFILE=production
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=5s CMD ["/usr/local/bin/warp-reql", "health"]
ENTRYPOINT ["/usr/local/bin/warp-reql"]

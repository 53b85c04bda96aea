FROM rust:1.95-slim-bookworm AS build
WORKDIR /src
# The image has this toolchain already; the file would make rustup look for another.
ENV RUSTUP_TOOLCHAIN=1.95.0
# What is downloaded and what is compiled outlive the build, so that a change of source compiles only the source.
RUN --mount=type=bind,target=/src \
    --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/target \
    cargo build --release --locked --bin warp-reql --target-dir /target \
    && cp /target/release/warp-reql /usr/local/bin/warp-reql

FROM debian:bookworm-slim
RUN useradd --system --uid 10001 --no-create-home warp-reql \
    && install --directory --owner=warp-reql /var/lib/warp-reql
COPY --from=build /usr/local/bin/warp-reql /usr/local/bin/warp-reql
# The working directory: Settings.toml is looked for here, and an embedded database keeps its data below it.
WORKDIR /var/lib/warp-reql
COPY Settings.toml .
USER warp-reql
# Production wants a choice: APP_AUTH=database, or APP_ALLOW_ANONYMOUS=true.
ENV APP_PROFILE=production
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=5s CMD ["warp-reql", "health"]
ENTRYPOINT ["warp-reql"]

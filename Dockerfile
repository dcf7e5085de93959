# A static binary, the certificate authorities, and nothing else. Pin both stages' base by digest where you build for production.
ARG RUST_VERSION=1.95

FROM rust:${RUST_VERSION}-alpine AS build
# git: the build records its revision. make: builds the allocator. ca-certificates: whom to trust when talking to Azure.
RUN apk add --no-cache musl-dev make git ca-certificates
WORKDIR /src
COPY . .
RUN cargo build --profile dist --locked && install -D -m 0755 target/dist/streamgauge /out/streamgauge
# What it is built from, for scanners and for those who ask.
RUN scripts/sbom /out/streamgauge.cdx.json

FROM scratch
COPY --from=build /out/streamgauge /streamgauge
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/streamgauge.cdx.json /streamgauge.cdx.json
COPY LICENSE /LICENSE
USER 65532:65532
EXPOSE 9090 8080
ENTRYPOINT ["/streamgauge"]
CMD ["serve", "--config", "/etc/streamgauge/config.yaml"]

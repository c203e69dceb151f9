# Chasqui's images: targets submission, relay, delivery, and cli (the command `chasqui`, which migrates too).
#
#   docker build --target relay --tag chasqui-relay .
#
# BuildKit isn't needed: the legacy builder takes this as well. With it, later targets are made from the layers of the
# first.

# The manifests, and sources that are empty. These change seldom, and what is compiled from them is kept.
FROM rust:1.95-bookworm AS manifests
WORKDIR /chasqui
COPY . .
RUN find . -type f \
      ! -name Cargo.toml ! -name Cargo.lock ! -name build.rs ! -name main.rs ! -path '*/src/lib.rs' -delete \
 && find . -type d -empty -delete \
 && find . -name lib.rs -exec truncate --size 0 {} + \
 && echo 'fn main() {}' >/main.rs \
 && find . '(' -name main.rs -o -name build.rs ')' -exec cp /main.rs {} ';'

FROM rust:1.95-bookworm AS build
ARG PROFILE=dist
# The same for both layers: other packages would ask for other features, and all be compiled anew.
ENV BUILD="cargo build --locked --profile $PROFILE --bins --package submission --package relay --package delivery --package chasqui"
WORKDIR /chasqui
COPY --from=manifests /chasqui .
RUN $BUILD
COPY . .
# cargo tells by times what is new, and sources may be older than the empty ones were built. `release` and `dist` are
# built in folders of these names.
RUN find crates -name '*.rs' -exec touch {} + \
 && $BUILD \
 && mkdir /programs \
 && for program in submission relay delivery chasqui; do mv "target/$PROFILE/$program" /programs; done

FROM debian:bookworm-slim AS runtime
RUN groupadd --system --gid 10001 chasqui \
 && useradd --no-log-init --system --uid 10001 --gid chasqui --home-dir /nonexistent --shell /usr/sbin/nologin chasqui
# Whom the world trusts: for OTLP over TLS, and for `chasqui sendmail`.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
USER 10001:10001
LABEL org.opencontainers.image.vendor="Chasqui" \
      org.opencontainers.image.url="https://github.com/chasqui-mail/chasqui" \
      org.opencontainers.image.source="https://github.com/chasqui-mail/chasqui" \
      org.opencontainers.image.documentation="https://github.com/chasqui-mail/chasqui/tree/main/docs" \
      org.opencontainers.image.licenses="Apache-2.0 OR MIT" \
      org.opencontainers.image.base.name="docker.io/library/debian:bookworm-slim"

# A container needs no capability: it listens on high ports, which a balancer or `--publish` maps to 25, 587 and 465.
# Should it listen on low ones itself, give it NET_BIND_SERVICE; Docker lets every container bind them anyway.

FROM runtime AS submission
COPY --from=build /programs/submission /usr/local/bin/
EXPOSE 2587 2465 2690
ENTRYPOINT ["submission"]
CMD ["--config", "/etc/chasqui/submission.toml"]
HEALTHCHECK --interval=5s --timeout=3s --start-period=60s --retries=3 \
  CMD ["submission", "--config", "/etc/chasqui/submission.toml", "--health"]
ARG VERSION=unreleased
ARG REVISION=unknown
LABEL org.opencontainers.image.title="chasqui-submission" \
      org.opencontainers.image.description="Takes mail from mail clients, and queues it" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"

FROM runtime AS relay
COPY --from=build /programs/relay /usr/local/bin/
EXPOSE 2525 2630 2690
ENTRYPOINT ["relay"]
CMD ["--config", "/etc/chasqui/relay.toml"]
HEALTHCHECK --interval=5s --timeout=3s --start-period=60s --retries=3 \
  CMD ["relay", "--config", "/etc/chasqui/relay.toml", "--health"]
ARG VERSION=unreleased
ARG REVISION=unknown
LABEL org.opencontainers.image.title="chasqui-relay" \
      org.opencontainers.image.description="Takes mail from other servers, and sends what is queued" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"

FROM runtime AS delivery
# So that a new volume for mailboxes belongs to the service.
USER root
RUN install -d -o 10001 -g 10001 -m 0750 /var/lib/chasqui /var/lib/chasqui/mail
USER 10001:10001
COPY --from=build /programs/delivery /usr/local/bin/
VOLUME /var/lib/chasqui/mail
EXPOSE 2640 2690
ENTRYPOINT ["delivery"]
CMD ["--config", "/etc/chasqui/delivery.toml"]
HEALTHCHECK --interval=5s --timeout=3s --start-period=60s --retries=3 \
  CMD ["delivery", "--config", "/etc/chasqui/delivery.toml", "--health"]
ARG VERSION=unreleased
ARG REVISION=unknown
LABEL org.opencontainers.image.title="chasqui-delivery" \
      org.opencontainers.image.description="Puts mail into mailboxes, and answers for domains and accounts" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"

FROM runtime AS cli
COPY --from=build /programs/chasqui /usr/local/bin/
ENTRYPOINT ["chasqui"]
ARG VERSION=unreleased
ARG REVISION=unknown
LABEL org.opencontainers.image.title="chasqui-cli" \
      org.opencontainers.image.description="The operator's command; it sets the database up, too" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"

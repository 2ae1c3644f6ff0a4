# The program and its scripts, and nothing else:
#
#   docker build -t chat .
#   docker run -p 8787:8787 -v chat:/data --read-only --ulimit nofile=1048576:1048576 chat
#
# Behind a proxy, say so: -e CHAT_TRUSTED_PROXY=172.17.0.1, the address of the bridge.

FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o /out/runtime ./cmd/runtime && mkdir /out/data

FROM scratch
# for scripts that fetch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /out/runtime /runtime
COPY scripts /scripts
# A new volume takes its owner from here. The number is nobody's.
COPY --from=build --chown=65532:65532 /out/data /data
USER 65532:65532
ENV CHAT_ADDR=:8787 CHAT_SCRIPTS=/scripts CHAT_DATA=/data CHAT_WATCH=false CHAT_LOG=json
VOLUME /data
EXPOSE 8787
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s CMD ["/runtime", "healthz"]
ENTRYPOINT ["/runtime"]

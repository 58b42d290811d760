# The node and storage node: docker build -t distribute .
#   docker run -v data:/data -p 4001:4001 distribute                      a node
#   docker run -v data:/data -p 3001:3001 distribute fileserver …         a storage node
FROM debian:12-slim AS build
WORKDIR /src
COPY . .
RUN apt-get update \
 && tools/deps.sh build \
 && make build JOBS="$(nproc)" MESON_FLAGS=-Dstrip=true \
 && install -Dm755 build/release/src/distribute /out/usr/local/bin/distribute \
 && ln -s distribute /out/usr/local/bin/dfs \
 && tools/runtime_packages.sh /out/usr/local/bin/distribute > /out/packages

FROM debian:12-slim
COPY --from=build /out/packages /tmp/packages
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates curl tini libedit2 libleveldb1d libpq5 libsnappy1v5 libzstd1 $(cat /tmp/packages) \
 && rm -rf /var/lib/apt/lists/* /tmp/packages \
 && useradd --uid 1000 --user-group --create-home --home-dir /home/distribute --shell /usr/sbin/nologin distribute \
 && install -d -o distribute -g distribute -m 700 /data \
 && install -d -o distribute -g distribute -m 755 /tls
COPY --from=build /out/usr/local/bin/ /usr/local/bin/
USER 1000:1000
ENV DISTRIBUTE_PATH=/data
VOLUME /data
EXPOSE 3001 4001 4001/udp 9090
HEALTHCHECK --interval=15s --timeout=5s --start-period=20s --retries=3 CMD ["curl", "-fsS", "http://127.0.0.1:9090/health"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/bin/tini", "--", "distribute"]
CMD ["node"]

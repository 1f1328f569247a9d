# The gateway, without the demo. Debian, because the socket library needs glibc (2.27 or newer): Alpine will not do.
FROM node:22-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
COPY client-sdk/package.json client-sdk/
RUN npm ci
COPY tsconfig.base.json tsconfig.build.json ./
COPY scripts/ scripts/
COPY src/ src/
COPY client-sdk/ client-sdk/
COPY demo/ demo/
COPY loadtest/ loadtest/
RUN npm run build

FROM node:22-slim
WORKDIR /app
ENV NODE_ENV=production
COPY package.json package-lock.json .npmrc ./
COPY client-sdk/package.json client-sdk/
# The socket library brings a binary for every system and Node; this image needs those for Linux and Node 22.
RUN npm ci --omit=dev && npm cache clean --force \
  && find node_modules/uWebSockets.js/dist/bin -type f ! -name 'uws_linux_*_127.node' -delete
COPY --from=build /app/dist/src/ dist/src/
USER node
EXPOSE 8080
# The admin port (8081) listens on 127.0.0.1 unless ADMIN_HOST says otherwise: enough for this check, kept from others.
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.ADMIN_PORT || 8081}/healthz`).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
# SIGTERM drains: sessions are told to leave over DRAIN_SPREAD_MS. Give the container that long, and a little more.
STOPSIGNAL SIGTERM
CMD ["node", "dist/src/main.js"]

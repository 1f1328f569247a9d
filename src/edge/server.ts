/** The listening sockets: the public app and the admin app. */
import {
  App,
  type TemplatedApp,
  type us_listen_socket,
  us_listen_socket_close,
  us_socket_local_port,
} from 'uWebSockets.js';
import { type Answer, addRoute, problem, type Route, type RouteOptions, writeAnswer } from './http.ts';

export interface Server {
  readonly app: TemplatedApp;
  /**
   * Listens; resolves with the port. Rejects with what to do if the port is taken.
   * @param shared other processes may listen there too, and the kernel hands each connection to one of them
   */
  listen(host: string, port: number, name: string, shared?: boolean): Promise<number>;
  /** Stops accepting. Open sockets stay. */
  quiet(): void;
  /** Closes everything. */
  close(): void;
}

/** LIBUS_LISTEN_EXCLUSIVE_PORT: without it a second process would silently take half of the connections. */
const EXCLUSIVE_PORT = 1;
const SHARED_PORT = 0;

/** The form of `listen` that takes everything; the typings lack it. */
type Listen = (
  host: string,
  port: number,
  options: number,
  done: (socket: us_listen_socket | false) => void,
) => void;

/** A server that answers 404 to what nobody else takes. */
export function makeServer(fallback: (path: string) => Answer | undefined, hint: string): Server {
  const app = App();
  let listening: us_listen_socket | undefined;
  app.any('/*', (res, req) => {
    const path = req.getUrl();
    const method = req.getMethod();
    const found = method === 'get' || method === 'head' ? fallback(path) : undefined;
    writeAnswer(res, found ?? problem(404, 'not_found', hint), method === 'head');
  });
  return {
    app,
    listen: (host, port, name, shared = false) =>
      new Promise((resolve, reject) => {
        const start = app.listen.bind(app) as unknown as Listen;
        start(host, port, shared ? SHARED_PORT : EXCLUSIVE_PORT, (socket) => {
          if (!socket)
            return reject(new Error(`${host}:${port} is in use or not ours: choose another with ${name}=…`));
          listening = socket;
          resolve(us_socket_local_port(listening));
        });
      }),
    quiet() {
      if (listening !== undefined) us_listen_socket_close(listening);
      listening = undefined;
    },
    close() {
      listening = undefined;
      app.close();
    },
  };
}

/** Adds routes to a server. */
export function addRoutes(server: Server, routes: readonly Route[], options: RouteOptions): void {
  for (const route of routes) addRoute(server.app, route, options);
}

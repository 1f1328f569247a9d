/** @ridecast/client/node: what Node lacks for a client, and a place on disk for a rider's queue. No dependencies. */
import { readFile, rename, writeFile } from 'node:fs/promises';
import { NodeSocket } from './node-socket.ts';
import type { Store, WebSocketClass } from './types.ts';

/** For `connect(url, { WebSocket })`: Node's own from 22 on, before that a small one over node:http. */
export const WebSocket: WebSocketClass =
  globalThis.WebSocket ?? (NodeSocket as new (url: string, protocol: string) => NodeSocket);

/**
 * For `rider(client, { store: fileStore(path) })`: pings that are not acknowledged outlive the process. Written to a file
 * beside it first, so that what is there is always whole. One process for one file.
 */
export function fileStore(path: string): Store {
  return {
    async load() {
      try {
        return JSON.parse(await readFile(path, 'utf8'));
      } catch (error) {
        if ((error as { code?: string }).code === 'ENOENT') return [];
        throw error;
      }
    },
    async save(queue) {
      await writeFile(`${path}.new`, JSON.stringify(queue));
      await rename(`${path}.new`, path);
    },
  };
}

/** The company's backend in a benchmark: thousands of calls to the gateway's HTTP API, over a few connections. */
import { connect, type Socket } from 'node:net';
import { eachOf } from '../loadtest/backend.ts';
import { mint } from './load/token.ts';

const CONNECTIONS = 32;
const ORDERS_PER_PARTNER = 50;

/** One connection of HTTP/1.1 that is used for one call after the other. */
class Line {
  private readonly socket: Socket;
  private text = '';
  private done: (() => void) | undefined;

  constructor(port: number) {
    this.socket = connect({ host: '127.0.0.1', port, noDelay: true });
    this.socket.setEncoding('latin1').on('data', (more: string) => this.read(more));
    this.socket.on('error', () => {}); // `close` follows
    this.socket.on('close', () => this.done?.());
  }

  /** Resolves with the status. */
  async call(request: string): Promise<{ status: number; text: string }> {
    const answered = new Promise<void>((resolve) => {
      this.done = resolve;
    });
    this.socket.write(request);
    if (this.socket.destroyed) this.done?.();
    await answered;
    const text = this.text;
    this.text = '';
    return { status: Number(text.slice(9, 12)), text };
  }

  get ended(): boolean {
    return this.socket.destroyed || this.socket.readableEnded;
  }

  end(): void {
    this.socket.destroy();
  }

  private read(more: string): void {
    this.text += more;
    const head = this.text.indexOf('\r\n\r\n');
    if (head < 0) return;
    const length = Number(/content-length: (\d+)/i.exec(this.text.slice(0, head))?.[1] ?? 0);
    if (this.text.length >= head + 4 + length) this.done?.();
  }
}

export class Company {
  private readonly port: number;
  private readonly bearer: string;
  private lines: Line[] = [];
  private key = 0;

  constructor(url: string, secret: string) {
    this.port = Number(new URL(url).port);
    this.bearer = mint(secret, 'service', 'company');
  }

  /** Orders o0, o1, … of the riders r0, r1, …, all picked up. */
  async giveOrders(count: number): Promise<void> {
    const orders = Array.from({ length: count }, (_, i) => i);
    await this.each(orders, async (i, line) => {
      const partner = `p${Math.floor(i / ORDERS_PER_PARTNER)}`;
      await this.call(line, 'PUT', `/v1/orders/o${i}`, { customer: 'customer', partner, rider: `r${i}` });
      await this.call(line, 'POST', `/v1/orders/o${i}/events`, { status: 'picked_up' });
    });
  }

  /** One more event for each order. */
  async tell(orders: readonly number[], status: string): Promise<void> {
    await this.each(orders, (i, line) =>
      this.call(line, 'POST', `/v1/orders/o${i}/events`, { status, data: { n: this.key } }),
    );
  }

  end(): void {
    for (const line of this.lines) line.end();
    this.lines = [];
  }

  private async each(
    orders: readonly number[],
    task: (order: number, line: Line) => Promise<void>,
  ): Promise<void> {
    // The gateway ends connections that were idle for a while.
    this.lines = this.lines.filter(({ ended }) => !ended);
    while (this.lines.length < CONNECTIONS) this.lines.push(new Line(this.port));
    const free = [...this.lines];
    await eachOf(orders, CONNECTIONS, async (order) => {
      const line = free.pop()!;
      await task(order, line);
      free.push(line);
    });
  }

  private async call(line: Line, method: string, path: string, body: unknown): Promise<void> {
    const text = JSON.stringify(body);
    const { status, text: answer } = await line.call(
      `${method} ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${this.bearer}\r\n` +
        `Idempotency-Key: k${this.key++}\r\nContent-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`,
    );
    if (status !== 200) throw new Error(`${method} ${path} was answered ${answer.slice(0, 400)}`);
  }
}

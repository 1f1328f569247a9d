/** Names in Redis. Everything about one order, rider, zone or partner shares a hash tag, so a Cluster keeps it together. */
export class Keys {
  private readonly prefix: string;

  /** @throws on a prefix with a brace, which would move the hash tag */
  constructor(prefix: string) {
    if (/[{}]/.test(prefix)) throw new Error(`REDIS_PREFIX: expected no brace, got ${prefix}`);
    this.prefix = prefix;
  }

  order(id: string, part: string): string {
    return `${this.prefix}{o:${id}}:${part}`;
  }

  rider(id: string, part: string): string {
    return `${this.prefix}{r:${id}}:${part}`;
  }

  /** The riders of a zone. */
  zone(id: string): string {
    return `${this.prefix}{z:${id}}:r`;
  }

  /** An index of orders (`o`) or a removal from it (`t:ORDER`). */
  index(of: 'rider' | 'partner', id: string, part: string): string {
    return `${this.prefix}{${of[0]}:${id}}:${part}`;
  }

  /** The bus channel of `order:ID`, `zone:ID`, `partner:ID` or `rider:ID`: the first letter stands for the kind. */
  channel(name: string): string {
    return `${this.prefix}{${name[0]}:${name.slice(name.indexOf(':') + 1)}}`;
  }

  /** Since when whose tokens are void. */
  revoked(): string {
    return `${this.prefix}{c:revoked}:r`;
  }

  /** The channel only this node listens to. */
  probe(node: string): string {
    return `${this.prefix}{n:${node}}`;
  }
}

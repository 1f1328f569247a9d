/** A network namespace with one link to the host: what is lost in it is lost by the kernel. Needs root, ip and iptables. */
import { spawnSync } from 'node:child_process';

let made = 0;

export class Namespace {
  readonly name: string;
  /** Addresses of the host's end and of the inner end. */
  readonly host: string;
  readonly inner: string;
  /** The host's end. */
  private readonly link: string;
  private readonly remove = () => void spawnSync('ip', ['netns', 'del', this.name]);

  private constructor(number: number) {
    const net = 1 + ((process.pid + number) % 250);
    this.name = `ridecast-${process.pid}-${number}`;
    this.link = `rc${process.pid % 100_000}-${number}`;
    this.host = `10.213.${net}.1`;
    this.inner = `10.213.${net}.2`;
  }

  /** Why there can be none here; undefined: there can. */
  static missing(): string | undefined {
    if (process.getuid?.() !== 0) return 'network namespaces need root';
    for (const tool of ['ip', 'iptables', 'tc']) {
      if (spawnSync(tool, ['-V']).error !== undefined) return `${tool} is not in PATH`;
    }
    const probe = spawnSync('ip', ['netns', 'add', `ridecast-probe-${process.pid}`], { encoding: 'utf8' });
    if (probe.status !== 0) return `no network namespace: ${probe.stderr.trim()}`;
    spawnSync('ip', ['netns', 'del', `ridecast-probe-${process.pid}`]);
    return undefined;
  }

  static create(): Namespace {
    const space = new Namespace(++made);
    const { link } = space;
    process.once('exit', space.remove);
    run('ip', 'netns', 'add', space.name);
    run('ip', 'link', 'add', link, 'type', 'veth', 'peer', 'name', 'up0', 'netns', space.name);
    run('ip', 'addr', 'add', `${space.host}/30`, 'dev', link);
    run('ip', 'link', 'set', link, 'up');
    space.inside('ip', 'addr', 'add', `${space.inner}/30`, 'dev', 'up0');
    space.inside('ip', 'link', 'set', 'up0', 'up');
    space.inside('ip', 'link', 'set', 'lo', 'up');
    return space;
  }

  /** Every packet to and from that port of the host is lost, or none is any more. */
  dropPort(port: number, lost: boolean): void {
    const change = lost ? '-A' : '-D';
    this.inside('iptables', change, 'INPUT', '-p', 'tcp', '--sport', `${port}`, '-j', 'DROP');
    this.inside('iptables', change, 'OUTPUT', '-p', 'tcp', '--dport', `${port}`, '-j', 'DROP');
  }

  /** So many of all packets are lost, each way: 0 to 1. */
  lose(share: number): void {
    this.inside('iptables', '-F');
    if (share === 0) return;
    const some = ['-m', 'statistic', '--mode', 'random', '--probability', String(share)];
    for (const chain of ['INPUT', 'OUTPUT'])
      this.inside('iptables', '-A', chain, '-p', 'tcp', ...some, '-j', 'DROP');
  }

  /** What comes in shares so many bits a second. The host's queue holds a second of it. */
  narrow(bitsPerSecond: number): void {
    run('tc', 'qdisc', 'replace', 'dev', this.link, 'root', 'tbf', 'rate', `${bitsPerSecond}bit`, 'burst', '4kb', 'latency', '1000ms'); // biome-ignore format: one command
  }

  /** The beginning of a command line that runs in it. */
  get exec(): readonly string[] {
    return ['ip', 'netns', 'exec', this.name];
  }

  async stop(): Promise<void> {
    process.off('exit', this.remove);
    this.remove();
  }

  private inside(...command: string[]): void {
    const [file, ...args] = [...this.exec, ...command];
    run(file!, ...args);
  }
}

function run(file: string, ...args: string[]): void {
  const { status, stderr } = spawnSync(file, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${file} ${args.join(' ')}: ${stderr?.trim()}`);
}
